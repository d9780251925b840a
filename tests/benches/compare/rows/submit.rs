//! From the client's start to its exit, and to the first instruction of the command.

use std::fs;

use super::{row, stamp};
use crate::measure::{Contestant, milliseconds, now};
use crate::peers::{Kind, Peer};
use crate::report::times;
use crate::stores::Place;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    for place in &bench.places {
        let open = |kind| Peer::open(kind, &bench.tools, place, 0);
        let peers = bench.tools.kinds().map(open).collect::<Outcome<Vec<_>>>()?;
        empty(bench, place, &peers)?;
        first_instruction(bench, place, &peers)?;
        peers.iter().try_for_each(Peer::until_all_ended)?;
        many(bench, place)?;
    }
    Ok(())
}

fn empty(bench: &Bench, place: &Place, peers: &[Peer]) -> Outcome<()> {
    let contestants = peers.iter().map(|peer| Contestant::new(peer.kind.name(), || peer.settle(&["true"])));
    let what = ("`run -- true`, start to exit", place.name, "ms");
    row(bench, what, bench.rounds(), contestants.collect(), [times("jobcore", 1.0, "nq")])
}

fn first_instruction(bench: &Bench, place: &Place, peers: &[Peer]) -> Outcome<()> {
    let work = bench.tools.work()?;
    let contestants = peers.iter().map(|peer| {
        let sample = || {
            let file = peer.home().join("stamp");
            let begin = now();
            peer.settle(&[&work, "stamp", file.to_str().ok_or("not text")?])?;
            let first = stamp(&file)?;
            fs::remove_file(&file)?;
            Ok(milliseconds(first - begin))
        };
        Contestant::new(peer.kind.name(), sample)
    });
    let what = ("start of the client to the command's first instruction", place.name, "ms");
    row(bench, what, bench.rounds(), contestants.collect(), [times("jobcore", 1.2, "nq")])
}

fn many(bench: &Bench, place: &Place) -> Outcome<()> {
    let empty = Peer::open(Kind::Jobcore, &bench.tools, place, 0)?;
    let many = bench.filled(place, bench.much(10_000, 100))?;
    let most = bench.filled(place, bench.much(100_000, 200))?;
    let names = ["empty", "10,000 on record", "100,000 on record"];
    let contestants = names.into_iter().zip([&empty, &many.peer, &most.peer]);
    let contestants = contestants.map(|(name, peer)| Contestant::new(name, || peer.settle(&["true"])));
    let what = ("`run -- true`, jobs on record", place.name, "ms");
    row(
        bench,
        what,
        bench.rounds(),
        contestants.collect(),
        names[1..].iter().map(|name| times(name, 1.1, "empty")).collect::<Vec<_>>(),
    )
}

//! Many short jobs, two at a time, until all ends are on record.

use std::fs;

use super::row;
use crate::measure::{Contestant, milliseconds, now};
use crate::peers::{Kind, Peer, command};
use crate::process::run;
use crate::report::times;
use crate::stores::Place;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    bench.places.iter().try_for_each(|place| thousand(bench, place))
}

fn thousand(bench: &Bench, place: &Place) -> Outcome<()> {
    let count: usize = bench.much(1000, 20);
    let lines: String = (0..count).map(|number| format!("{number}\n")).collect();
    let mut contestants = Vec::new();
    for kind in bench.tools.keepers().filter(|kind| *kind != Kind::Floor) {
        // A program that takes a minute for a thousand jobs gets fewer of them, and the row says so.
        let part = match kind {
            Kind::Pueue => 10,
            Kind::Awaitless => 50,
            _ => 1,
        };
        let name = kind.name();
        let name = if part == 1 { name.to_owned() } else { format!("{name} (a {part}th, times {part})") };
        let share = count.div_ceil(part);
        let scale = count as f64 / share as f64 / 1000.0;
        contestants.push(Contestant::new(name, move || Ok(queue(bench, place, kind, share)? * scale)));
    }
    for (name, options) in [("xargs", &["-P2", "-n1"][..]), ("parallel", &["-j2", "--joblog", "log"])] {
        let (Some(program), lines) = (bench.tools.find(name), &lines) else { continue };
        let sample = move || {
            let home = place.directory()?;
            fs::write(home.path().join("lines"), lines)?;
            // Both fail if one of the commands fails.
            Ok(run(command(&program, home.path()).args(options).args(["-a", "lines", "true"]))?.time / 1000.0)
        };
        contestants.push(Contestant::new(name, sample));
    }
    let what = (format!("{count} x `true`, two at a time"), place.name, "s");
    row(bench, what, bench.rounds(), contestants, [times("jobcore", 1.0, "tsp"), times("jobcore", 2.5, "xargs")])
}

/// The time in milliseconds until this many jobs have ended.
fn queue(bench: &Bench, place: &Place, kind: Kind, count: usize) -> Outcome<f64> {
    let queues = Peer::open_for(kind, &bench.tools, place, 2)?;
    let begin = now();
    let mut jobs = Vec::new();
    for queue in queues.iter().cycle().take(count) {
        jobs.push((queue, queue.start(&[], &["true"])?.0));
    }
    // The last two end last, but that alone does not mean that all have ended.
    jobs.iter().rev().take(2).try_for_each(|(queue, id)| queue.finish(id))?;
    queues.iter().try_for_each(Peer::until_all_ended)?;
    Ok(milliseconds(now() - begin))
}

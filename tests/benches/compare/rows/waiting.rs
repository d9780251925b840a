//! From the end of a command to the exit of a client that waits for it.

use std::fs::{self, OpenOptions};
use std::process::Stdio;

use nix::sys::stat::Mode;

use super::{row, stamp};
use crate::measure::{Contestant, milliseconds, now};
use crate::peers::Peer;
use crate::process::{reap, until_asleep};
use crate::report::times;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    let open = |kind| Peer::open(kind, &bench.tools, bench.memory(), 0);
    let peers = bench.tools.kinds().map(open).collect::<Outcome<Vec<_>>>()?;
    let can_wait = peers.iter().filter(|peer| peer.wait("0").is_some());
    let contestants = can_wait.map(|peer| Contestant::new(peer.kind.name(), || one(bench, peer)));
    let what = ("exit of the command to the exit of `wait`", "", "ms");
    row(bench, what, bench.rounds(), contestants.collect(), [times("jobcore", 1.2, "nq")])
}

fn one(bench: &Bench, peer: &Peer) -> Outcome<f64> {
    let [fifo, file] = ["fifo", "stamp"].map(|name| peer.home().join(name));
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU)?;
    let [fifo_word, file_word] = [&fifo, &file].map(|path| path.to_str().unwrap_or_default());
    let (id, _) = peer.start(&[], &[&bench.tools.work()?, "hold", fifo_word, file_word])?;
    let mut wait = peer.wait(&id).ok_or("it cannot wait")?;
    let mut waiter = wait.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    until_asleep(waiter.id())?;
    drop(OpenOptions::new().write(true).open(&fifo)?);
    let status = waiter.wait()?;
    let (end, last) = (now(), stamp(&file)?);
    if !status.success() || last > end {
        return Err(format!("it did not wait for the end: {status}").into());
    }
    fs::remove_file(&fifo)?;
    fs::remove_file(&file)?;
    reap();
    Ok(milliseconds(end - last))
}

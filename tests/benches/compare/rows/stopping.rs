//! Stopping a tree of processes that do not want to end, half of which have escaped.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{row, stamp};
use crate::measure::{Contestant, milliseconds, now};
use crate::peers::{Kind, Peer, command};
use crate::process::{divided, reap, run};
use crate::report::times;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    let count = bench.much(400, 40);
    let contestants = vec![
        Contestant::new("kernel loop", || floor(bench, count)),
        Contestant::new("jobcore", || jobcore(bench, count)),
    ];
    let what = (format!("stop of {count} processes, none left"), "", "ms");
    row(bench, what, bench.rounds(), contestants, [times("jobcore", 1.5, "kernel loop")])
}

fn until_grown(ready: &Path, count: usize) -> Outcome<()> {
    stamp(ready)?;
    let found = divided("work").0.len();
    if found < count { Err(format!("the tree has {found} processes of {count}").into()) } else { Ok(()) }
}

fn gone(time: f64) -> Outcome<f64> {
    reap();
    let left = divided("work").0.len();
    if left > 0 { Err(format!("{left} processes are left").into()) } else { Ok(time) }
}

fn floor(bench: &Bench, count: usize) -> Outcome<f64> {
    let home = bench.memory().directory()?;
    let ready = home.path().join("ready");
    let mut held = command(bench.tools.need("floor")?, home.path());
    held.arg("hold").arg(bench.tools.work()?).args(["tree", &count.to_string()]).arg(&ready).stdin(Stdio::null());
    let mut supervisor = held.spawn()?;
    until_grown(&ready, count)?;
    let begin = now();
    kill(Pid::from_raw(supervisor.id().cast_signed()), Signal::SIGTERM)?;
    let status = supervisor.wait()?;
    let time = milliseconds(now() - begin);
    if status.success() { gone(time) } else { Err(format!("the kernel loop ended with {status}").into()) }
}

fn jobcore(bench: &Bench, count: usize) -> Outcome<f64> {
    let peer = Peer::open(Kind::Jobcore, &bench.tools, bench.memory(), 0)?;
    let ready = peer.home().join("ready");
    let words = [&bench.tools.work()?, "tree", &count.to_string(), ready.to_str().ok_or("not text")?];
    let (id, _) = peer.start(&[], &words)?;
    until_grown(&ready, count)?;
    gone(run(peer.command().args(["kill", "--grace", "0", &id]))?.time)
}

//! What a job costs on any machine: inodes and system calls.

use std::fs;

use super::row;
use crate::measure::Contestant;
use crate::peers::{Kind, Peer, command};
use crate::process::{reap, run};
use crate::report::at_most;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    inodes(bench, "a job that prints nothing", &["true"], 5.0)?;
    inodes(bench, "a job that prints", &["echo", "hi"], 7.0)?;
    system_calls(bench)
}

/// Counts files, directories and FIFOs alike. Takes the minimum of several tries, because inodes that other programs
/// create at the same time are counted, too.
fn inodes(bench: &Bench, what: &str, words: &[&str], most: f64) -> Outcome<()> {
    let place = bench.memory();
    let contestants = bench.tools.keepers().map(|kind| {
        let sample = move || {
            let peer = Peer::open(kind, &bench.tools, place, 0)?;
            let mut least = u64::MAX;
            for _ in 0..4 {
                let before = place.next_inode()?;
                peer.settle(words)?;
                least = least.min(place.next_inode()? - before - 1);
            }
            Ok(least as f64)
        };
        Contestant::new(kind.name(), sample)
    });
    row(bench, (format!("inodes of {what}"), "", ""), 1, contestants.collect(), [at_most("jobcore", most)])
}

/// Counts the calls of the client, and of all processes that it leaves behind except the command. What posix_spawn(3)
/// calls in a new process before the program is executed is not counted: it depends on the C library.
fn system_calls(bench: &Bench) -> Outcome<()> {
    let Some(strace) = bench.tools.find("strace") else { return Ok(()) };
    let kinds = [Kind::Jobcore, Kind::Floor, Kind::Nq, Kind::TaskSpooler];
    let mut counts = Vec::new();
    for kind in bench.tools.kinds().filter(|kind| kinds.contains(kind)) {
        let peer = Peer::open(kind, &bench.tools, bench.memory(), 0)?;
        peer.settle(&["true"])?;
        let client = peer.client(&[], &["true"]);
        let traces = bench.memory().directory()?;
        let mut traced = command(&strace, peer.home());
        traced.args(["-f", "-ff", "-qq", "-o"]).arg(traces.path().join("trace"));
        traced.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(traced.arg(client.get_program()).args(client.get_args()))?;
        reap();
        let (mut front_end, mut supervisor) = (0, 0);
        for trace in fs::read_dir(traces.path())? {
            let text = fs::read_to_string(trace?.path())?;
            let calls: Vec<_> =
                text.lines().filter(|line| line.starts_with(|letter: char| letter.is_ascii_lowercase())).collect();
            let executed = calls.iter().position(|call| call.starts_with("execve(") && call.ends_with("= 0"));
            let calls = calls.len() - executed.unwrap_or(0);
            if text.starts_with("execve(") {
                front_end += calls;
            } else if !text.lines().any(|line| line.contains("/true\", [\"true\"]") && line.ends_with("= 0")) {
                supervisor += calls;
            }
        }
        counts.push((kind.name(), [front_end, supervisor]));
    }
    for (index, (who, most)) in [("client", 120.0), ("supervisor", 150.0)].into_iter().enumerate() {
        let each = counts.iter().map(|(name, calls)| Contestant::new(*name, move || Ok(calls[index] as f64)));
        row(bench, (format!("system calls of the {who}"), "", ""), 1, each.collect(), [at_most("jobcore", most)])?;
    }
    Ok(())
}

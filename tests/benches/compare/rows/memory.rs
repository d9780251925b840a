//! The memory that is used while jobs run, and the activity while there is nothing to do.

use std::thread;
use std::time::Duration;

use super::row;
use crate::client::{Client, Server};
use crate::measure::Contestant;
use crate::peers::{Kind, Peer};
use crate::process::{activity, divided, memory_of, sweep, until};
use crate::report::at_most;
use crate::{Bench, Outcome};

/// The command of each job.
const COMMAND: [&str; 2] = ["sleep", "1000"];

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    memory(bench, bench.much(100, 5), 100.0)?;
    memory(bench, bench.much(1000, 10), 60.0)?;
    idle(bench)
}

fn until_running(count: usize) -> Outcome<()> {
    until("all commands to run", || Ok((divided("sleep").0.len() == count).then_some(())))
}

/// A server or daemon counts as part of its jobs.
fn memory(bench: &Bench, count: usize, most: f64) -> Outcome<()> {
    // Beyond some hundred jobs, the clients of tsp wait for others to end, and the other two take a second for each
    // job.
    let is_able = |kind: &Kind| count <= 100 || !matches!(kind, Kind::TaskSpooler | Kind::Pueue | Kind::Awaitless);
    let contestants = bench.tools.keepers().filter(is_able).map(|kind| {
        let count = if kind == Kind::Awaitless { count.min(10) } else { count };
        let sample = move || {
            let queues = Peer::open_for(kind, &bench.tools, bench.memory(), count)?;
            for queue in queues.iter().cycle().take(count) {
                queue.start(&[], &COMMAND)?;
            }
            until_running(count)?;
            let sum = divided("sleep").1.into_iter().map(|pid| memory_of(pid, &["Pss"])).sum::<Outcome<f64>>()?;
            drop(queues);
            sweep();
            Ok(sum / count as f64)
        };
        Contestant::new(kind.name(), sample)
    });
    let what = (format!("memory beside each of {count} running jobs (PSS)"), "", "kB");
    row(bench, what, 1, contestants.collect(), [at_most("jobcore", most)])
}

/// How often each runs on a processor, and for how long, while nothing happens: all of them in the same period.
fn idle(bench: &Bench) -> Outcome<()> {
    let place = bench.memory();
    let (mut peers, mut clients, mut known) = (Vec::new(), Vec::new(), Vec::new());
    let mut new = || {
        let pids: Vec<_> = divided("sleep").1.into_iter().filter(|pid| !known.contains(pid)).collect();
        known.extend(&pids);
        pids
    };
    let mut all = Vec::new();
    let kinds = bench.tools.keepers().map(|kind| (kind.name(), kind, 1));
    for (name, kind, jobs) in kinds.chain([("queue", Kind::Jobcore, 2)]) {
        let peer = Peer::open(kind, &bench.tools, place, 1)?;
        for _ in 0..jobs {
            peer.start(&[], &COMMAND)?;
        }
        peers.push(peer);
        until_running(peers.len())?;
        all.push((name, new()));
    }
    for server in Server::here(&bench.tools) {
        clients.push(Client::start(server, &bench.tools, place.directory()?)?);
        all.push((server.name(), new()));
    }
    // What they still do after their start does not count as idle activity: threads that wait for work end after ten
    // seconds.
    thread::sleep(Duration::from_secs(bench.much(15, 1)));
    let look = || all.iter().map(|(_, pids)| activity(pids)).collect::<Outcome<Vec<_>>>();
    let before = look()?;
    if before.iter().any(|threads| threads.values().all(|[times, _]| *times == 0.0)) {
        return Err("this system does not tell how often a thread ran".into());
    }
    let seconds = bench.much(20, 1);
    thread::sleep(Duration::from_secs(seconds));
    let after = look()?;
    let units = [("wake-ups", ""), ("processor time", "ms")];
    for (index, (figure, unit)) in units.into_iter().enumerate() {
        let each = all.iter().zip(before.iter().zip(&after)).map(|((name, _), (before, after))| {
            // Thread by thread, because some end and others start.
            let more = |(thread, now): (_, &[f64; 2])| now[index] - before.get(thread).map_or(0.0, |then| then[index]);
            Contestant::new(*name, move || Ok(after.iter().map(more).sum()))
        });
        let targets = ["jobcore", "queue", "jobmcp"].map(|name| at_most(name, 0.0));
        row(bench, (format!("idle: {figure} in {seconds} s"), "", unit), 1, each.collect(), targets)?;
    }
    drop((peers, clients));
    sweep();
    Ok(())
}

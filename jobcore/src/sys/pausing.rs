//! Stopping all processes of a tree by a signal, so that none escapes, and letting them continue.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::process;
use super::stat::Stat;
use crate::signal::Signal;

/// How long to wait for processes that were just stopped: one on another CPU takes a moment.
const MOMENT: Duration = Duration::from_millis(1);

/// Stops all processes that `look` returns, parents before their children, until none of them runs; dead ones may be
/// among them. Returns those that still run at `until`, each with the reason.
///
/// A process forked between a look and the signal to its parent is found by the next look. So all are stopped only when
/// two consecutive looks find the same processes: a process that dies between them may have left children to other
/// parents.
pub(crate) fn stop_all(look: impl Fn() -> Vec<Stat>, until: Instant) -> Vec<(Stat, String)> {
    let mut asked = HashSet::new();
    let mut before = None;
    loop {
        let seen = look();
        let moving: Vec<_> = seen.iter().filter(|stat| !stands_still(stat, &asked)).collect();
        let mut moved = Vec::new();
        for stat in moving {
            let reason = match process::signal(stat, Signal::STOP) {
                Ok(()) => "has not stopped yet".to_owned(),
                Err(error) => format!("cannot be signalled: {error}"),
            };
            asked.insert((stat.pid, stat.start_time));
            moved.push((stat.clone(), reason));
        }
        let identities: HashSet<_> = seen.iter().map(|stat| (stat.pid, stat.start_time, stat.is_dead())).collect();
        if moved.is_empty() && before.as_ref() == Some(&identities) || Instant::now() >= until {
            return moved;
        }
        before = moved.is_empty().then_some(identities);
        if before.is_none() {
            std::thread::sleep(MOMENT);
        }
    }
}

/// Lets processes continue, children before their parents, so that a shell watching its children for stops does not
/// notice.
pub(crate) fn continue_all(members: &[Stat]) {
    for stat in members.iter().rev() {
        let _ = process::signal(stat, Signal::CONT);
    }
}

/// Returns whether a process does nothing until it is continued. A process in uninterruptible sleep, for example
/// waiting for the exec of a child that it has just started, stops before it does anything else if it was `asked`.
fn stands_still(stat: &Stat, asked: &HashSet<(i32, u64)>) -> bool {
    match stat.state {
        b'T' | b't' => true,
        b'D' => asked.contains(&(stat.pid, stat.start_time)),
        _ => stat.is_dead(),
    }
}

//! Stopping all processes of a tree, so that none escapes, and letting them continue: by freezing them if a control group can be
//! made, else by a signal.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::cgroup::Freezer;
use super::process;
use super::stat::Stat;
use crate::signal::Signal;

/// How long to wait for processes that were just stopped: one on another CPU takes a moment.
const MOMENT: Duration = Duration::from_millis(1);

/// The freezer of a paused tree, if there is one. The tree is thawed when this is dropped; processes that were stopped by a signal
/// stay so.
#[derive(Debug)]
pub(crate) struct Standstill(Option<Freezer>);

impl Standstill {
    /// Makes the freezer of the tree that this process belongs to. Its name must be unique.
    pub(crate) fn of(pid: i32, name: &str) -> Self {
        Self(Freezer::of(pid, name))
    }

    /// Stops all processes that `look` returns, parents before their children, until none of them runs; dead ones may be
    /// among them. Returns those that still run at `until`, each with the reason.
    ///
    /// A process forked between a look and the stop of its parent is found by the next look. So all are stopped only when
    /// two consecutive looks find the same processes: a process that dies between them may have left children to other
    /// parents. Without a freezer, the group of the main process gets a signal at once, so that most of them have no time to
    /// fork.
    pub(crate) fn stop_all(
        &self,
        main: Option<i32>,
        look: impl Fn() -> Vec<Stat>,
        until: Instant,
    ) -> Vec<(Stat, String)> {
        if let Some(main) = main.filter(|_| self.0.is_none()) {
            let _ = process::signal_group(main, Signal::STOP);
        }
        let mut asked = HashSet::new();
        let mut before = None;
        loop {
            let seen = look();
            let (frozen, is_still) = self.0.as_ref().map(Freezer::look).unwrap_or_default();
            let mut moving = Vec::new();
            for stat in &seen {
                let is_in = frozen.contains(&stat.pid);
                if stat.is_dead() || is_in && is_still || !is_in && stands_still(stat, &asked) {
                    continue;
                }
                let is_taken = is_in || self.0.as_ref().is_some_and(|freezer| freezer.take(stat));
                let stopped = if is_taken { Ok(()) } else { process::signal(stat, Signal::STOP) };
                let reason = match stopped {
                    Ok(()) => "has not stopped yet".to_owned(),
                    Err(error) => format!("cannot be signalled: {error}"),
                };
                asked.insert((stat.pid, stat.start_time));
                moving.push((stat.clone(), reason));
            }
            let identities: HashSet<_> = seen.iter().map(|stat| (stat.pid, stat.start_time, stat.is_dead())).collect();
            if moving.is_empty() && before.as_ref() == Some(&identities) || Instant::now() >= until {
                return moving;
            }
            before = moving.is_empty().then_some(identities);
            if before.is_none() {
                std::thread::sleep(MOMENT);
            }
        }
    }
}

/// Lets processes continue that are in a freezer of this name, which an earlier supervisor has left.
pub(crate) fn thaw(members: &[Stat], name: &str) {
    drop(members.iter().find_map(|stat| Freezer::around(stat.pid, name)));
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

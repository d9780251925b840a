//! Stopping all processes of a tree, so that none gets away, and letting them continue: in a freezer where one can be made, else
//! by a signal.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::cgroup::Freezer;
use super::process;
use super::stat::Stat;
use crate::signal::Signal;

/// How long to wait for processes that were just stopped: on another processor, one takes a moment.
const MOMENT: Duration = Duration::from_millis(1);

/// What keeps a tree from running beside signals. When it is dropped, only these still do.
#[derive(Debug)]
pub(crate) struct Standstill(Option<Freezer>);

impl Standstill {
    /// Begins to stop a tree of which this is a process. The name is that of its freezer, and of no other's.
    pub(crate) fn of(pid: i32, name: &str) -> Self {
        Self(Freezer::of(pid, name))
    }

    /// Stops all processes that `look` returns, parents before their children, until each stands still; dead ones may be among
    /// them. Returns those that do not by this time, with the reason.
    ///
    /// One that was forked between a look and the stop of its parent is found by the next look. So they all stand still only
    /// when two looks one after the other find the same processes: what dies between them may have left children to others.
    /// Without a freezer, the group of the main process gets a signal at once, so that most of them have no time to fork.
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
                let is_taken = is_in || self.0.as_ref().is_some_and(|freezer| freezer.take(stat.pid));
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

/// Lets processes continue that stand still in a freezer of this name, if they do.
pub(crate) fn thaw(members: &[Stat], name: &str) {
    drop(members.iter().find_map(|stat| Freezer::around(stat.pid, name)));
}

/// Lets processes continue, children before their parents: a shell that watches its children for stops sees none of this one.
pub(crate) fn continue_all(members: &[Stat]) {
    for stat in members.iter().rev() {
        let _ = process::signal(stat, Signal::CONT);
    }
}

/// Returns whether a process does nothing until it is let go on. One that waits uninterruptibly, as for the exec of a child
/// that it has just started, stops before it does anything else if it was `asked`.
fn stands_still(stat: &Stat, asked: &HashSet<(i32, u64)>) -> bool {
    match stat.state {
        b'T' | b't' => true,
        b'D' => asked.contains(&(stat.pid, stat.start_time)),
        _ => stat.is_dead(),
    }
}

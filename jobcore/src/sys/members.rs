//! Descent between processes, and which processes belong together as far as that can be seen.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::process::{ProcessId, is_comparable};
use super::stat::{Stat, all, children, has_variable};

/// Returns the living processes that belong to a job as far as can be seen from outside: the session and group of its
/// main process, their descendants, and any process with the job's id in its initial environment.
///
/// A later process with the number of the main process is not taken for it. A process that left the session, cleared
/// its environment and lost its parents is not found. Processes for which `is_foreign` returns true are left out, with
/// all of their descendants.
pub(crate) fn visible_tree(main: Option<&ProcessId>, marker: &str, is_foreign: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let everybody = all();
    // The kernel reuses a number only when no process has it as session or group any more: if another process has it,
    // no relatives of the main process are left, and any process that looks like one is a stranger.
    let is_taken =
        |main: &ProcessId| everybody.iter().any(|stat| stat.pid == main.pid && stat.start_time != main.start_time);
    let main = main.filter(|main| is_comparable(main) && !is_taken(main)).map(|main| main.pid);
    let parents: HashMap<i32, i32> = everybody.iter().map(|stat| (stat.pid, stat.parent)).collect();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let belongs = |stat: &Stat| {
        let by_kinship = main.is_some_and(|main| stat.pid == main || stat.session == main || stat.group == main);
        by_kinship || has_variable(stat, marker)
    };
    let members: HashSet<i32> = everybody.iter().filter(|stat| belongs(stat)).map(|s| s.pid).collect();
    let candidates: Vec<&Stat> = everybody.iter().filter(|stat| stat.pid != own && !stat.is_dead()).collect();
    let foreign: HashSet<i32> = candidates.iter().filter(|stat| is_foreign(stat)).map(|stat| stat.pid).collect();
    let descends = |stat: &Stat| {
        let mut pid = stat.pid;
        // No chain of parents is longer than the number of processes; a table read while it changes might contain a
        // cycle.
        for _ in 0..parents.len() {
            if foreign.contains(&pid) {
                return false;
            }
            if members.contains(&pid) {
                return true;
            }
            match parents.get(&pid) {
                Some(parent) if *parent > 1 => pid = *parent,
                _ => return false,
            }
        }
        false
    };
    candidates.into_iter().filter(|stat| descends(stat)).cloned().collect()
}

/// Returns the descendants of this process, without itself, searching from parent to child so that unrelated processes
/// cost nothing. Processes for which `is_foreign` returns true are left out, with all of their descendants.
pub(crate) fn descendants(root: i32, is_foreign: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let below = |pid: i32| children(pid).into_iter().filter_map(Stat::read).filter(|stat| !is_foreign(stat));
    let mut found: Vec<Stat> = below(root).collect();
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let children: Vec<_> = below(parent.pid).collect();
        found.extend(children);
        next += 1;
    }
    found
}

/// Returns the CPU time of these processes, including the children that they have waited for; `None` while the main
/// process is stopped by a signal.
pub(crate) fn cpu_time(members: &[Stat], main: i32) -> Option<Duration> {
    let is_paused = members.iter().any(|stat| stat.pid == main && stat.state == b'T');
    (!is_paused).then(|| cpu_time_of(members))
}

/// Returns the CPU time of these processes, including the children that they have waited for.
pub(crate) fn cpu_time_of(members: &[Stat]) -> Duration {
    let ticks: u64 = members.iter().map(|stat| stat.cpu_ticks).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second().max(1))
}

/// Returns how much memory of these processes is resident; shared memory counts once for each process.
pub(crate) fn resident_bytes(members: &[Stat]) -> u64 {
    let pages: u64 = members.iter().map(|stat| stat.resident_pages).sum();
    pages * rustix::param::page_size() as u64
}

/// Returns the numbers of this process and of all its ancestors, as far as they can be seen.
#[cfg(feature = "agents")]
pub(crate) fn own_line() -> Vec<i32> {
    i32::try_from(std::process::id()).map(line_of).unwrap_or_default()
}

/// Returns the numbers of a process and of all its ancestors, as far as they can be seen.
pub(crate) fn line_of(pid: i32) -> Vec<i32> {
    std::iter::successors(Some(pid), |pid| Some(Stat::read(*pid)?.parent).filter(|parent| *parent > 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::identify;

    /// Otherwise a stop based on what can be seen would signal a stranger.
    #[test]
    fn a_later_process_with_the_same_number_is_not_in_the_tree() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let main = identify(child.id().try_into().unwrap()).unwrap();
        let tree = |main: &ProcessId| visible_tree(Some(main), "JOBCORE_JOB_ID=none", |_| false);
        let pids: Vec<_> = tree(&main).iter().map(|stat| stat.pid).collect();
        let strangers = [
            ProcessId { start_time: main.start_time - 1, ..main.clone() },
            ProcessId { boot_id: "other".into(), ..main.clone() },
            ProcessId { pid_namespace: 1, ..main.clone() },
        ];
        let of_strangers: usize = strangers.iter().map(|main| tree(main).len()).sum();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((pids, of_strangers), (vec![main.pid], 0));
    }
}

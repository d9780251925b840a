//! The processes of a job: everything that descends from its supervisor, except other jobs, that is their supervisors
//! and commands whose supervisor was killed.
//!
//! A supervisor is a child subreaper, prctl(2): every process that loses its parent becomes its child, including double
//! forks and new sessions. So a job is empty when no children are left except those of other jobs, and killing the
//! children repeatedly until then misses none.

use std::io;
use std::time::Instant;

use crate::environment::{JOB_ID, marker};
use crate::id::JobId;
use crate::life::NAMED;
use crate::record::{Ended, Running};
use crate::signal::Signal;
use crate::state::Survivor;
use crate::store::file::Jobs;
use crate::store::file::layout::Layout;
use crate::store::file::supervisors::{freezer, is_other_supervisor, is_proven_supervisor};
use crate::sys::pausing::{self, Standstill};
use crate::sys::process::{self, ProcessId, Seen};
use crate::sys::stat::{self, Stat};
use crate::sys::{child, members};

/// Where to look for the processes of a job.
#[derive(Debug, Clone)]
pub(super) enum Family {
    /// Among the descendants of this process: none of them can escape.
    Own {
        /// The store, which knows the commands of other jobs.
        layout: Layout,
        /// The job.
        id: JobId,
        /// A child that does not belong to the job, by its number and start time.
        apart: Option<(i32, u64)>,
    },
    /// Among all processes, as far as they visibly belong together: this process never was their reaper.
    Adopted {
        /// The main process.
        main: ProcessId,
        /// The job, whose processes have its id in their environment.
        id: JobId,
        /// Why a stop cannot be proven to have reached all of them, for the record of the end.
        caveat: &'static str,
    },
}

impl Family {
    /// Returns the job's living processes; own ones with parents before their children.
    pub(super) fn members(&self) -> Vec<Stat> {
        match self {
            Self::Own { layout, id, apart } => own_descendants(layout, *id, *apart),
            Self::Adopted { main, id, .. } => members::visible_tree(Some(main), &marker(*id), is_other_supervisor),
        }
    }

    /// Pauses all of them, and returns those that still run at `until`.
    pub(super) fn pause(
        &self,
        standstill: &mut Option<Standstill>,
        main: Option<i32>,
        until: Instant,
    ) -> Vec<Survivor> {
        let (id, look): (_, &dyn Fn() -> Vec<Stat>) = match self {
            Self::Own { layout, id, apart } => (id, &|| own_tree(layout, *id, *apart)),
            Self::Adopted { id, .. } => (id, &|| self.members()),
        };
        let Some(pid) = main.or_else(|| Some(self.members().first()?.pid)) else { return Vec::new() };
        let standstill = standstill.get_or_insert_with(|| Standstill::of(pid, &freezer(*id)));
        let moving = standstill.stop_all(main, look, until);
        moving.into_iter().map(|(stat, reason)| Survivor::new(stat.pid, stat.name, reason)).collect()
    }

    /// Sends a signal to the process group of the main process, or only to the main process if it leads no group, which
    /// is possible for one that was started elsewhere.
    pub(super) fn signal_main(&self, main: i32, signal: Signal) -> io::Result<()> {
        match (self, process::signal_group(main, signal)) {
            (Self::Adopted { main, .. }, Err(_)) => process::signal_one(main, signal),
            (_, sent) => sent,
        }
    }

    /// As [`Family::signal_main`], but continues the processes so that even stopped ones obey.
    pub(super) fn signal_main_even_stopped(&self, main: i32, signal: Signal) -> io::Result<()> {
        let sent = self.signal_main(main, signal);
        let _ = self.signal_main(main, Signal::CONT);
        sent
    }

    /// Lets all of them continue.
    pub(super) fn go_on(&self) {
        pausing::continue_all(&self.members());
    }

    /// Returns what must be gone for the job to be empty: own children, zombies included, from which all others
    /// descend; or all members of an adopted job.
    pub(super) fn remaining(&self) -> Vec<Stat> {
        match self {
            Self::Own { layout, id, apart } => own_children(layout, *id, *apart, is_proven_supervisor),
            Self::Adopted { main, id, .. } => members::visible_tree(Some(main), &marker(*id), is_proven_supervisor),
        }
    }

    /// Asks all of them to end, and continues stopped ones, which could not obey otherwise.
    ///
    /// The group of the main process gets the signal all at once, so that no fork in it is missed; the others get it
    /// one by one, each once. They are looked up first, because a main process that ends at once leaves its children to
    /// this process in the middle of a look, and again afterwards, because others may have been forked meanwhile.
    pub(super) fn terminate(&self, main: Option<i32>) {
        let ask = |stat: &Stat| {
            if main.is_none() || Some(stat.group) != main {
                let _ = process::signal(stat, Signal::TERM);
                let _ = process::signal(stat, Signal::CONT);
            }
        };
        let before = self.members();
        if let Some(main) = main {
            let _ = process::signal_group_even_stopped(main, Signal::TERM);
        }
        before.iter().for_each(ask);
        let is_new = |stat: &&Stat| !before.iter().any(|old| (old.pid, old.start_time) == (stat.pid, stat.start_time));
        self.members().iter().filter(is_new).for_each(ask);
    }

    /// Kills all of them, from the leaves up, so that no parent is left to respawn its children.
    pub(super) fn kill_all(&self) {
        for stat in self.members().iter().rev() {
            let _ = process::signal(stat, Signal::KILL);
        }
    }

    /// Kills what is left now, and returns how many there are.
    pub(super) fn kill_remaining(&self) -> usize {
        let remaining = self.remaining();
        for stat in remaining.iter().filter(|stat| !stat.is_dead() && !is_other_supervisor(stat)) {
            let _ = process::signal(stat, Signal::KILL);
        }
        remaining.len()
    }

    /// Names the processes that are still there after being killed, with the reason as far as it is visible.
    pub(super) fn survivors(&self) -> Vec<Survivor> {
        let reason = |stat: &Stat| match (stat.state, process::signal(stat, Signal::KILL)) {
            _ if stat.is_dead() => "has ended and cannot be reaped yet: a debugger may hold it".to_owned(),
            (b'D', _) => "in an uninterruptible wait of the kernel".to_owned(),
            (_, Err(error)) => format!("cannot be signalled: {error}"),
            (_, Ok(())) => "was killed and has not ended yet".to_owned(),
        };
        let mut left = self.members();
        left.extend(self.remaining().into_iter().filter(Stat::is_dead));
        let name = |stat: &Stat| Survivor::new(stat.pid, stat.name.clone(), reason(stat));
        left.iter().take(NAMED).map(name).collect()
    }
}

fn own_descendants(layout: &Layout, id: JobId, apart: Option<(i32, u64)>) -> Vec<Stat> {
    let mut found = own_tree(layout, id, apart);
    found.retain(|stat| !stat.is_dead());
    found
}

/// Returns the processes of the job, including dead ones. The children of a process are looked up after the process
/// itself.
fn own_tree(layout: &Layout, id: JobId, apart: Option<(i32, u64)>) -> Vec<Stat> {
    let mut found = own_children(layout, id, apart, is_other_supervisor);
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let children = stat::children(parent.pid).into_iter().filter_map(Stat::read);
        let children: Vec<_> = children.filter(|stat| !is_other_supervisor(stat)).collect();
        found.extend(children);
        next += 1;
    }
    found
}

fn own_children(
    layout: &Layout,
    id: JobId,
    apart: Option<(i32, u64)>,
    is_foreign: impl Fn(&Stat) -> bool,
) -> Vec<Stat> {
    if child::has_none() {
        return Vec::new();
    }
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let children = stat::children(own).into_iter().filter_map(Stat::read);
    let children = children.filter(|stat| apart != Some((stat.pid, stat.start_time)));
    children.filter(|stat| !is_foreign(stat) && !is_other_command(stat, layout, id)).collect()
}

/// Returns whether a child is the command of another job of the store. When the supervisor of a job that was started
/// from within this job is killed, its children become ours, but do not become part of this job.
///
/// A process whose environment names another job must be the living main process in that job's records, or be in its
/// session, which no process can enter that was not born in it.
fn is_other_command(stat: &Stat, layout: &Layout, own: JobId) -> bool {
    let Some(id) = stat::variable(stat, JOB_ID).and_then(|id| id.parse::<JobId>().ok()) else {
        return false;
    };
    let Ok(read) = Jobs::new(layout).read(id) else { return false };
    if id == own || read.has::<Ended>() {
        return false;
    }
    let Ok(Some(Running { process: main, .. })) = read.get() else { return false };
    (stat.pid == main.pid || stat.session == main.pid)
        && matches!(process::look(&main), Seen::Alive(_) | Seen::Paused(_))
}

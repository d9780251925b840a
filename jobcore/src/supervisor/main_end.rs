//! How a supervisor learns of the end of the main process: as its parent, or through a pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::clock::Timestamp;
use crate::life::Exit;
use crate::sys::child;
use crate::sys::process::{self, ProcessId, Seen};

#[derive(Debug)]
pub(super) enum MainEnd {
    /// It is a child, whose end is reported like those of all other children.
    Child(child::Ends),
    /// It is not a child.
    Stranger { process: ProcessId, fd: OwnedFd },
    /// It ended while no supervisor was there to see it.
    Unseen,
}

impl MainEnd {
    pub(super) fn of_child() -> io::Result<Self> {
        child::Ends::watch().map(Self::Child)
    }

    /// Watches a process that is not a child.
    ///
    /// # Errors
    /// If it is alive and cannot be watched.
    pub(super) fn of_stranger(process: &ProcessId) -> io::Result<Self> {
        match (process::open(process), process::look(process)) {
            (Some(fd), _) => Ok(Self::Stranger { fd, process: process.clone() }),
            (None, Seen::Alive(_) | Seen::Paused(_)) => Err(io::Error::other("its main process cannot be watched")),
            (None, _) => Ok(Self::Unseen),
        }
    }

    /// Returns what becomes ready when there is something to collect. `has_exited` tells that the end of the main
    /// process was collected before: after it, only other children end.
    pub(super) fn as_fd(&self, has_exited: bool) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Child(ends) => Some(ends.as_fd()),
            Self::Stranger { fd, .. } => (!has_exited).then(|| fd.as_fd()),
            Self::Unseen => None,
        }
    }

    /// Reaps what has ended, and returns how the main process ended if it has. Call it when the descriptor is ready.
    pub(super) fn collect(&self, main: i32) -> Option<Exit> {
        match self {
            Self::Child(ends) => {
                ends.clear();
                // Every child of a supervisor belongs to its job: reaping any child takes no status from other code.
                let reaped: Vec<_> = std::iter::from_fn(child::reap_any).collect();
                let own = reaped.into_iter().find(|(pid, _)| *pid == main);
                own.map(|(_, status)| Exit::new(status, Timestamp::now()))
            }
            Self::Unseen => Some(Exit::unseen(Timestamp::now())),
            Self::Stranger { process, fd } => {
                let at = Timestamp::now();
                Some(process::exit_status(process, fd).map_or(Exit::unseen(at), |status| Exit::new(status, at)))
            }
        }
    }
}

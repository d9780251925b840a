//! How the end of the main process is learnt of: by being its parent, or as a stranger who has its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::clock::Timestamp;
use crate::life::Exit;
use crate::sys::child;
use crate::sys::process::{self, ProcessId, Seen};

#[derive(Debug)]
pub(super) enum MainEnd {
    /// It is a child, whose end is told as those of all others are.
    Child(child::Ends),
    /// It is somebody else's.
    Stranger { process: ProcessId, fd: OwnedFd },
    /// It ended while no supervisor was there to see it.
    Unseen,
}

impl MainEnd {
    pub(super) fn of_child() -> io::Result<Self> {
        child::Ends::watch().map(Self::Child)
    }

    /// Watches a process that is no child.
    ///
    /// # Errors
    /// If it lives and cannot be watched.
    pub(super) fn of_stranger(process: &ProcessId) -> io::Result<Self> {
        match (process::open(process), process::look(process)) {
            (Some(fd), _) => Ok(Self::Stranger { fd, process: process.clone() }),
            (None, Seen::Alive(_) | Seen::Paused(_)) => Err(io::Error::other("its main process cannot be watched")),
            (None, _) => Ok(Self::Unseen),
        }
    }

    /// Returns what becomes ready when there is something to collect. `has_exited` says whether the end of the main process
    /// was collected before: nothing follows it but the ends of other children.
    pub(super) fn as_fd(&self, has_exited: bool) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Child(ends) => Some(ends.as_fd()),
            Self::Stranger { fd, .. } => (!has_exited).then(|| fd.as_fd()),
            Self::Unseen => None,
        }
    }

    /// Reaps what there is to reap, and returns how the main process ended if it has. To be called when the descriptor
    /// says that there is something.
    pub(super) fn collect(&self, main: i32) -> Option<Exit> {
        match self {
            Self::Child(ends) => {
                ends.clear();
                // Every child of a supervisor is its job's: reaping any takes no status away from anybody.
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

//! How the end of the main process is learnt of: by being its parent, or as a stranger who has its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::account;
use crate::clock::Timestamp;
use crate::life::Exit;
use crate::signal::Signal;
use crate::sys::process::{self, ProcessId, Seen};

#[derive(Debug)]
pub(super) enum MainEnd {
    /// It is a child: SIGCHLD tells of it and of all others.
    Child(SignalFd),
    /// It is somebody else's.
    Stranger { process: ProcessId, fd: OwnedFd },
    /// It ended while no supervisor was there to see it.
    Unseen,
}

impl MainEnd {
    pub(super) fn of_child() -> io::Result<Self> {
        let mask = SigSet::from_iter([NixSignal::SIGCHLD]);
        Ok(Self::Child(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
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
            Self::Child(signals) => Some(signals.as_fd()),
            Self::Stranger { fd, .. } => (!has_exited).then(|| fd.as_fd()),
            Self::Unseen => None,
        }
    }

    /// Reaps what there is to reap, and returns how the main process ended if it has. To be called when the descriptor
    /// says that there is something.
    pub(super) fn collect(&self, main: i32) -> Option<Exit> {
        match self {
            Self::Child(signals) => {
                while let Ok(Some(_)) = signals.read_signal() {}
                account::reap(main)
            }
            Self::Unseen => Some(Exit::unseen(Timestamp::now())),
            Self::Stranger { process, fd } => {
                let status = process::exit_status(process, fd);
                Some(Exit {
                    code: status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status)),
                    signal: status.filter(|s| libc::WIFSIGNALED(*s)).map(|s| Signal::from_number(libc::WTERMSIG(s))),
                    is_out_of_memory: false,
                    core_dumped: status.is_some_and(|status| libc::WIFSIGNALED(status) && libc::WCOREDUMP(status)),
                    at: Timestamp::now(),
                })
            }
        }
    }
}

//! How the end of the main process is learnt of: by being its parent, or as a stranger who has its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::account::{self, Exit};
use crate::clock::Timestamp;
use crate::record::ProcessId;
use crate::signal::Signal;
use crate::sys::process;

#[derive(Debug)]
pub(super) enum MainEnd {
    /// It is a child: SIGCHLD tells of it and of all others.
    Child(SignalFd),
    /// It is somebody else's.
    Stranger { process: ProcessId, fd: OwnedFd },
}

impl MainEnd {
    pub(super) fn of_child() -> io::Result<Self> {
        let mask = SigSet::from_iter([NixSignal::SIGCHLD]);
        Ok(Self::Child(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Watches a process that is no child; nothing if it is gone.
    pub(super) fn of_stranger(process: &ProcessId) -> Option<Self> {
        Some(Self::Stranger { fd: process::open(process)?, process: process.clone() })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Child(signals) => signals.as_fd(),
            Self::Stranger { fd, .. } => fd.as_fd(),
        }
    }

    /// Returns whether there is nothing more to be told when the main process has ended.
    pub(super) fn is_told_once(&self) -> bool {
        matches!(self, Self::Stranger { .. })
    }

    /// Reaps what there is to reap, and returns how the main process ended if it has. To be called when the descriptor
    /// says that there is something.
    pub(super) fn collect(&self, main: i32) -> Option<Exit> {
        match self {
            Self::Child(signals) => {
                while let Ok(Some(_)) = signals.read_signal() {}
                account::reap(main)
            }
            Self::Stranger { process, fd } => {
                let status = process::exit_status(process, fd);
                Some(Exit {
                    code: status.filter(|status| libc::WIFEXITED(*status)).map(|status| libc::WEXITSTATUS(status)),
                    signal: status.filter(|s| libc::WIFSIGNALED(*s)).map(|s| Signal::from_number(libc::WTERMSIG(s))),
                    core_dumped: status.is_some_and(|status| libc::WIFSIGNALED(status) && libc::WCOREDUMP(status)),
                    at: Timestamp::now(),
                })
            }
        }
    }
}

//! The process that a job ends with, if its spec names one.

use std::os::fd::OwnedFd;

use crate::clock::Timestamp;
use crate::record::Ended;
use crate::state::{Cause, Outcome};
use crate::sys::process::{self, ProcessId, Seen};

/// The recorded requester when a job is stopped because its companion has ended.
pub(crate) const SESSION_END: &str = "the end of its session";

/// What is known about the process that a job ends with.
#[derive(Debug)]
pub(crate) enum Companion {
    /// There is none, or none that is visible from here.
    None,
    /// It is alive; its descriptor can be read when it ends.
    Alive(OwnedFd),
    /// It has ended.
    Gone,
}

impl Companion {
    /// Looks for the process that a spec names.
    pub(crate) fn of(process: Option<&ProcessId>) -> Self {
        let Some(process) = process else { return Self::None };
        match (process::open(process), process::look(process)) {
            (Some(fd), _) => Self::Alive(fd),
            (None, Seen::Gone | Seen::Stragglers | Seen::NamespaceEnded | Seen::Rebooted) => Self::Gone,
            (None, Seen::Alive(_) | Seen::Paused(_) | Seen::Unknown) => Self::None,
        }
    }

    /// Returns the end of a job whose companion ended before it was started.
    pub(crate) fn unstarted() -> Ended {
        let mut outcome = Outcome::new(Cause::NeverStarted, Timestamp::now());
        outcome.stopped_by = Some(SESSION_END.to_owned());
        Ended::new(None, outcome)
    }
}

//! What a job is doing and how it ended: the parts of a [`State`] and an [`Outcome`].

// In the order in which to read them:
// - `status.rs`, `outcome.rs`: what a job is doing, and how it ended
// - `machine.rs`: which step may follow which
// - `hook.rs`: the commands that were run at its end

mod hook;
pub(crate) mod machine;
pub(crate) mod outcome;
pub(crate) mod status;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

pub use hook::{HookOf, HookRun};
pub(crate) use machine::{Event, State};
pub(crate) use outcome::{Cause, Outcome};
pub(crate) use status::Status;

/// A job that is running.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// When the command was started; absent while the supervisor is starting.
    pub started_at: Option<Timestamp>,
    /// Whether a living supervisor watches it. Without one, its end is not observed.
    pub supervised: bool,
}

/// A job that has ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct End {
    /// When the command was started; absent if it never was.
    pub started_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A process that outlived a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Survivor {
    /// Its process id.
    pub pid: i32,
    /// Its name in the kernel (`comm`).
    pub name: String,
    /// Why it could not be stopped.
    pub reason: String,
}

impl Survivor {
    /// Records a process that could not be stopped.
    pub fn new(pid: i32, name: String, reason: String) -> Self {
        Self { pid, name, reason }
    }
}

//! Jobs that others wait for before they are started.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::parse_error::ParseError;
use crate::state::Status;

/// A job that another one is started after.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct After {
    /// The job.
    pub job_id: JobId,
    /// What must have happened to it.
    pub when: AfterWhen,
}

impl After {
    /// Waits for this to happen to a job.
    pub fn new(job_id: JobId, when: AfterWhen) -> Self {
        Self { job_id, when }
    }
}

/// What must have happened to a job before another one is started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AfterWhen {
    /// It has ended in any way.
    #[default]
    Ended,
    /// It has completed.
    Ok,
    /// It has failed, timed out or been orphaned.
    Failed,
    /// It has become ready, as the conditions of its spec say.
    Ready,
}

impl AfterWhen {
    /// Returns whether a job that ended with this status, without having become ready, meets this.
    pub fn is_met_by(self, status: Status) -> bool {
        match self {
            Self::Ended => true,
            Self::Ok => status == Status::Completed,
            // A job that was never tried has not failed, and a requested stop needs no repair.
            Self::Failed => matches!(status, Status::Failed | Status::TimedOut | Status::Orphaned),
            Self::Ready => false,
        }
    }

    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Ready => "ready",
        }
    }
}

impl fmt::Display for AfterWhen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AfterWhen {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        [Self::Ended, Self::Ok, Self::Failed, Self::Ready].into_iter().find(|when| when.as_str() == text).ok_or_else(
            || {
                ParseError::new(format!(
                    "`{text}` is not something to wait for: use `ended`, `ok`, `failed` or `ready`"
                ))
            },
        )
    }
}

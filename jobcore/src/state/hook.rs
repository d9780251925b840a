//! What was run at the end of a job, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::signal::Signal;

/// Who set a line that is run at the end of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HookOf {
    /// The settings for callers of its host.
    Caller,
    /// The job's own spec.
    Job,
    /// The settings of its group.
    Group,
    /// The settings of the store.
    Store,
}

/// A line that was run at the end of a job. What is not known or does not apply is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookRun {
    /// Who set the line.
    pub of: HookOf,
    /// When it was started. Put on record before that.
    pub begun_at: Timestamp,
    /// When it had ended, and all that it had started was gone; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What it exited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that it died of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// What there is to say in words, such as that its time was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The end of what it printed, on standard output and error; what is no UTF-8 is replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

impl HookRun {
    /// Says that a line is about to be run.
    pub(crate) fn begin(of: HookOf, at: Timestamp) -> Self {
        let output = String::new();
        Self { of, begun_at: at, ended_at: None, exit_code: None, signal: None, message: None, output }
    }
}

/// What came of it in one line, with the last line that it printed.
impl fmt::Display for HookRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            HookOf::Caller => "that of its caller's host ",
            HookOf::Job => "the job's own ",
            HookOf::Group => "that of its group ",
            HookOf::Store => "that of the store ",
        })?;
        match (&self.message, self.exit_code, self.signal) {
            _ if self.ended_at.is_none() => f.write_str("has been started")?,
            (Some(message), ..) => f.write_str(message)?,
            (None, Some(code), _) => write!(f, "exited with {code}")?,
            (None, None, Some(signal)) => write!(f, "died of {signal}")?,
            (None, None, None) => f.write_str("ended")?,
        }
        match self.output.trim_end().lines().next_back() {
            Some(line) => write!(f, ": {line}"),
            None => Ok(()),
        }
    }
}

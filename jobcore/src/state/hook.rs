//! Commands that are run at the end of a job, and their results.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::signal::Signal;

/// Where a command that is run at the end of a job was set.
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

/// A command that was run at the end of a job. Values that are unknown or do not apply are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HookRun {
    /// Where it was set.
    pub of: HookOf,
    /// When it was started. Recorded before the start.
    pub begun_at: Timestamp,
    /// When it and all processes that it started had ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// More about its end, in words, such as that it timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The end of its standard output and error; bytes that are not UTF-8 are replaced.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

impl HookRun {
    /// Records that the command is about to be run.
    pub(crate) fn begin(of: HookOf, at: Timestamp) -> Self {
        let output = String::new();
        Self { of, begun_at: at, ended_at: None, exit_code: None, signal: None, message: None, output }
    }
}

/// Its result in one line, with the last line that it printed.
impl fmt::Display for HookRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            HookOf::Caller => "the host's on_end ",
            HookOf::Job => "the job's on_end ",
            HookOf::Group => "the group's on_end ",
            HookOf::Store => "the store's on_end ",
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

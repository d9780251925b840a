//! The status of a job in one word.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::parse_error::ParseError;

/// The status of a job, the same in every interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Not started yet.
    Queued,
    /// Running.
    Running,
    /// Stopped by a signal; it can be continued.
    Paused,
    /// Ended with exit code 0.
    Completed,
    /// Ended with another exit code or by a signal that was not requested, or could not be started.
    Failed,
    /// Ended on request through jobcore.
    Killed,
    /// Ended because a time limit was reached.
    TimedOut,
    /// Ended unobserved.
    Orphaned,
    /// Not started, because a job that it was to be started after ended in another way.
    Skipped,
}

impl Status {
    /// All statuses, in the order of a job's life.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Killed,
        Self::TimedOut,
        Self::Orphaned,
        Self::Skipped,
    ];

    /// Returns whether the job has ended.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Paused => false,
            Self::Completed | Self::Failed | Self::Killed | Self::TimedOut | Self::Orphaned | Self::Skipped => true,
        }
    }

    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::TimedOut => "timed_out",
            Self::Orphaned => "orphaned",
            Self::Skipped => "skipped",
        }
    }
}

impl Status {
    /// Returns the status as the end of a sentence: `timed out`.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Queued => "is queued",
            Self::Running => "is running",
            Self::Paused => "is paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Killed => "was killed",
            Self::TimedOut => "timed out",
            Self::Orphaned => "was orphaned",
            Self::Skipped => "was skipped",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            ParseError::new(format!("`{text}` is not a status; use one of {known}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_serialized_ones() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}

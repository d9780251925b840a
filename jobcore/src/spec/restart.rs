//! Whether the command of a job is restarted when it has ended.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use humantime::format_duration;
use serde::{Deserialize, Serialize};

use super::millis;
use crate::parse_error::ParseError;
use crate::words::counted;

/// The rule for restarting the command of a job, unless the job was stopped. Each run of the command is an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Restart {
    /// Which attempts are followed by another.
    pub when: RestartWhen,
    /// How many attempts may follow the first. If absent, any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The exit codes that are retried. If empty, all failures are retried, whatever the exit code.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exit_codes: BTreeSet<u8>,
    /// The delay before the second attempt, in milliseconds. It doubles with each further attempt.
    pub backoff_ms: u64,
    /// The longest delay, in milliseconds. An attempt that runs for at least this long resets the delay to the first
    /// one.
    pub backoff_max_ms: u64,
}

/// Which attempts are followed by another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RestartWhen {
    /// Those that failed, that timed out, or whose end was not observed.
    #[default]
    OnFailure,
    /// Every attempt.
    Always,
}

impl Restart {
    /// The default first delay.
    pub const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);
    /// The default longest delay.
    pub const DEFAULT_BACKOFF_MAX: Duration = Duration::from_secs(300);

    /// Creates a rule that restarts a command any number of times, with the default delays.
    pub fn new(when: RestartWhen) -> Self {
        Self { when, ..Self::default() }
    }

    /// Limits how many attempts may follow the first.
    #[must_use]
    pub fn with_limit(self, limit: Option<u32>) -> Self {
        Self { limit, ..self }
    }

    /// Sets the first and the longest delay.
    #[must_use]
    pub fn with_backoff(self, first: Duration, longest: Duration) -> Self {
        Self { backoff_ms: millis(first), backoff_max_ms: millis(longest), ..self }
    }

    /// Sets the exit codes that are retried.
    #[must_use]
    pub fn with_exit_codes(self, exit_codes: impl IntoIterator<Item = u8>) -> Self {
        Self { exit_codes: exit_codes.into_iter().collect(), ..self }
    }

    /// Returns the longest delay.
    pub fn backoff_max(&self) -> Duration {
        Duration::from_millis(self.backoff_max_ms)
    }

    /// Returns the delay before the next attempt after this many short attempts in a row.
    pub(crate) fn delay(&self, short: u32) -> Duration {
        let factor = 1_u64.checked_shl(short.saturating_sub(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.backoff_ms.saturating_mul(factor)).min(self.backoff_max())
    }
}

/// A description in words: `on failure, up to 3 times, after 1s to 5m`.
impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.when, self.exit_codes.is_empty()) {
            (RestartWhen::Always, true) => f.write_str("always")?,
            (RestartWhen::OnFailure, true) => f.write_str("on failure")?,
            (_, false) => {
                let codes: Vec<_> = self.exit_codes.iter().map(u8::to_string).collect();
                write!(f, "on exit codes {}", codes.join(", "))?;
            }
        }
        if let Some(limit) = self.limit {
            write!(f, ", up to {}", counted(limit, "time", "times"))?;
        }
        let (first, longest) = (Duration::from_millis(self.backoff_ms), self.backoff_max());
        match first == longest {
            true => write!(f, ", after {}", format_duration(first)),
            false => write!(f, ", after {} to {}", format_duration(first), format_duration(longest)),
        }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            when: RestartWhen::default(),
            limit: None,
            exit_codes: BTreeSet::new(),
            backoff_ms: millis(Self::DEFAULT_BACKOFF),
            backoff_max_ms: millis(Self::DEFAULT_BACKOFF_MAX),
        }
    }
}

impl RestartWhen {
    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnFailure => "on_failure",
            Self::Always => "always",
        }
    }
}

impl std::str::FromStr for RestartWhen {
    type Err = ParseError;

    fn from_str(text: &str) -> std::result::Result<Self, ParseError> {
        match text {
            "on_failure" | "on-failure" => Ok(Self::OnFailure),
            "always" => Ok(Self::Always),
            _ => Err(ParseError::new(format!("`{text}`: write `on-failure` or `always`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_the_longest() {
        let restart = Restart::default().with_backoff(Duration::from_secs(1), Duration::from_secs(5));
        let delays: Vec<_> = (1..6).map(|short| restart.delay(short).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5]);
        assert_eq!(restart.delay(u32::MAX).as_secs(), 5);
        assert!(Restart::default().with_backoff(Duration::ZERO, Duration::ZERO).delay(9).is_zero());
    }
}

//! Errors of agent runs, in addition to those of any job.

use std::time::Duration;

use crate::error::Error;
use crate::id::JobId;
use crate::words::counted;

/// Why an agent was not run, or why the worktree of a run was left as it is. As an [`Error`], it is an
/// [`Error::Layer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The agent is not installed, would fail at once, or is not allowed. Nothing was started and nothing is left
    /// behind.
    #[error("agent `{agent}`: {reason}")]
    Refused {
        /// The name of the agent.
        agent: String,
        /// Why, and what would help.
        reason: String,
    },
    /// Too many agents were started within a minute. Nothing is left behind.
    #[error(
        "{} started within a minute; try again in {} s",
        counted(*limit, "agent was", "agents were"),
        retry_after.as_secs().max(1)
    )]
    TooFast {
        /// How many are allowed in a minute.
        limit: u32,
        /// When the next one is allowed.
        retry_after: Duration,
    },
    /// Changes or commits would be lost with the git worktree of this job, which is left as it is.
    #[error("job {}: {reason}", id.short())]
    WouldLose {
        /// The job.
        id: JobId,
        /// What would be lost, and where it is.
        reason: String,
    },
    /// An operation on a git worktree failed.
    #[error("git: {reason}")]
    Git {
        /// The message of git.
        reason: String,
    },
}

impl AgentError {
    /// Returns the error of an agent run, if this is one.
    pub fn of(error: &Error) -> Option<&Self> {
        match error {
            Error::Layer(error) => error.downcast_ref(),
            _ => None,
        }
    }
}

impl From<AgentError> for Error {
    fn from(error: AgentError) -> Self {
        Self::Layer(Box::new(error))
    }
}

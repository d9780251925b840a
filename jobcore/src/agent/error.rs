//! What can go wrong with runs of agents beside what can go wrong with any job.

use std::time::Duration;

use crate::error::Error;
use crate::id::JobId;
use crate::words::counted;

/// Why an agent was not run, or what belongs to a run was left as it is. As an [`Error`] it is an [`Error::Layer`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The agent is not installed, would fail at once, or may not be started. Nothing was started and nothing is left behind.
    #[error("agent `{agent}`: {reason}")]
    Refused {
        /// The agent, by its name.
        agent: String,
        /// Why, and what would help.
        reason: String,
    },
    /// As many agents were started within a minute as may be. Nothing is left behind.
    #[error(
        "{} started within a minute; try again in {} s",
        counted(*limit, "agent was", "agents were"),
        retry_after.as_secs().max(1)
    )]
    TooFast {
        /// How many may be.
        limit: u32,
        /// When there is room for one again.
        retry_after: Duration,
    },
    /// Something would be lost with the git worktree of this job, which is left as it is.
    #[error("job {}: {reason}", id.short())]
    WouldLose {
        /// The job.
        id: JobId,
        /// What, and where it is.
        reason: String,
    },
    /// What was to be done with a git worktree did not work.
    #[error("git: {reason}")]
    Git {
        /// What git says.
        reason: String,
    },
}

impl AgentError {
    /// Returns the error that is about runs of agents, if this is one.
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

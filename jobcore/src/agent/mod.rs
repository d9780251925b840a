//! Runs of coding agents: jobs whose command is the CLI of an agent, and whose standard output tells what the agent does.
//!
//! What is said of a run when it is submitted is an [`AgentRun`]. Of what it writes, bytes become JSON values (`stream`),
//! values become events that are the same for all CLIs (`event`, `format`), and events become a [`Digest`] for programs or a
//! [`Transcript`] for people. Nothing here does I/O or asks for the time.

mod adapter;
mod agents;
mod bytes;
mod delegation;
mod digest;
mod error;
mod event;
mod fold;
mod format;
mod last_words;
#[cfg(test)]
mod properties;
mod report;
mod run;
mod settings;
mod stderr;
mod stream;
#[cfg(test)]
mod tests;
mod transcript;
mod words;
mod worktree;

pub use agents::{AGENT_OUTPUT_LIMIT, Agent, AgentTable, Agents};
pub use delegation::{Delegation, NewWorktree, Schema};
pub use digest::{Denial, Digest, Failure, Usage};
pub use error::AgentError;
pub use fold::Fold;
pub use format::Format;
pub use last_words::last_words;
pub use report::{AgentShape, Progress, Spent};
pub use run::{AGENT_DEPTH, AgentRun, PermissionMode, Worktree};
pub use settings::{AGENTS, AgentSettings};
pub use transcript::Transcript;
pub use words::dollars;
pub(crate) use worktree::{Names as WorktreeNames, REPOSITORY_VARIABLES};

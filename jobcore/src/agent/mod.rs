//! Agent runs: jobs whose command is the CLI of a coding agent, and whose standard output reports what the agent does.
//!
//! An [`AgentRun`] describes a run when it is submitted. Its output is processed in steps: bytes become JSON values
//! (`stream`), values become events that are the same for all CLIs (`event`, `format`), and events become a [`Digest`]
//! for programs or a [`Transcript`] for people. None of these steps does I/O or reads a clock.

// In the order in which to read them:
// - `run.rs`, `delegation.rs`: the description of a run, and the task for an agent
// - `settings.rs`, `agents.rs`, `adapter/`: the agents, and how the CLI of each is called
// - `worktree.rs`: git worktrees of runs
// - `stream.rs`, `stderr.rs`, `bytes.rs`: bytes to JSON values, and lines of standard error
// - `event.rs`, `format/`: what an agent does, and how each CLI reports it
// - `digest.rs`, `fold.rs`, `last_words.rs`: events to a digest, as the output grows
// - `error.rs`: errors
// - `transcript.rs`, `report.rs`, `words.rs`: what people and programs are shown
// - `tests.rs`, `properties.rs`: output of real CLIs, and arbitrary output

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

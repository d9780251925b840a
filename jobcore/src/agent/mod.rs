//! Runs of coding agents: jobs whose command is the CLI of an agent, and whose standard output tells what the agent does.

mod adapter;
mod agents;
mod delegation;
mod format;
mod run;
mod worktree;

pub use agents::{AGENT_OUTPUT_LIMIT, Agent, AgentTable, Agents};
pub use delegation::{Delegation, NewWorktree, Schema};
pub use format::Format;
pub use run::{AGENT_DEPTH, AgentRun, PermissionMode, Worktree};
pub(crate) use worktree::REPOSITORY_VARIABLES;

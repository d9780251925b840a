//! Runs of coding agents: jobs whose command is the CLI of an agent, and whose standard output tells what the agent does.

mod format;
mod run;

pub use format::Format;
pub use run::{AGENT_DEPTH, AgentRun, PermissionMode, Worktree};

//! Tasks for agents, in terms that mean the same for all of them.

use std::path::PathBuf;

use serde_json::Value;

use super::{AgentRun, PermissionMode};
use crate::error::{Error, Result};

/// A task for an agent. An adapter translates it for the agent's CLI, and refuses what the CLI does not support.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Delegation {
    /// What to do.
    pub prompt: String,
    /// The working directory, an absolute path.
    pub cwd: PathBuf,
    /// The model, by the CLI's name.
    pub model: Option<String>,
    /// The effort, by the CLI's name.
    pub effort: Option<String>,
    /// The maximum number of turns.
    pub max_turns: Option<u32>,
    /// The maximum cost, in US dollars.
    pub max_budget_usd: Option<f64>,
    /// What it may do without asking.
    pub permission_mode: PermissionMode,
    /// Additional tools that it may use, in the CLI's own syntax: `Bash(git *)`.
    pub allow_tools: Vec<String>,
    /// Directories in addition to `cwd` that it may work in.
    pub add_dirs: Vec<PathBuf>,
    /// The conversation to resume: the CLI's id, or the id, short id or name of the job that had it.
    pub resume: Option<String>,
    /// The id of the new conversation.
    pub session_id: Option<String>,
    /// Instructions in addition to the agent's own.
    pub system_prompt: Option<String>,
    /// The JSON schema of the answer.
    pub schema: Option<Schema>,
    /// Creates a git worktree and runs the agent in it.
    pub worktree: Option<NewWorktree>,
}

impl Delegation {
    /// Continues like an earlier run: with its limits, its model and its permissions, except [`PermissionMode::Full`],
    /// which has to be requested each time.
    pub fn go_on(&mut self, run: &AgentRun) {
        if run.permission_mode != PermissionMode::Full {
            self.permission_mode = run.permission_mode;
        }
        (self.model, self.effort) = (run.model.clone(), run.effort.clone());
        (self.allow_tools, self.add_dirs) = (run.allow_tools.clone(), run.add_dirs.clone());
        (self.max_turns, self.max_budget_usd) = (run.max_turns, run.max_budget_usd);
    }
}

/// A JSON schema.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a schema is either inline or in a file")]
pub enum Schema {
    /// The schema itself.
    Json(Value),
    /// The absolute path of a file that contains it, which must exist as long as the agent runs.
    File(PathBuf),
}

/// A git worktree to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its directory is derived from the repository")]
pub struct NewWorktree {
    /// The branch to create. The default is `jobcore/` and the name of the job.
    pub branch: Option<String>,
}

impl Delegation {
    /// Creates a task with this prompt in this directory.
    pub fn new(prompt: impl Into<String>, cwd: impl Into<PathBuf>) -> Self {
        Self { prompt: prompt.into(), cwd: cwd.into(), ..Self::default() }
    }

    /// Refuses tasks that no agent supports.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |field: &'static str, reason: &str| Err(Error::InvalidSpec { field, reason: reason.to_owned() });
        if self.prompt.trim().is_empty() {
            return refuse("prompt", "it is empty; describe the task");
        }
        let words = [
            ("model", self.model.as_deref()),
            ("effort", self.effort.as_deref()),
            ("resume", self.resume.as_deref()),
            ("session id", self.session_id.as_deref()),
            ("system prompt", self.system_prompt.as_deref()),
        ];
        let tools = self.allow_tools.iter().map(|tool| ("allow tool", Some(tool.as_str())));
        if let Some((field, _)) = words.into_iter().chain(tools).find(|(_, word)| word.is_some_and(str::is_empty)) {
            return refuse(field, "it is empty; leave it out");
        }
        if self.max_turns == Some(0) {
            return refuse("max turns", "0 means no limit to some agents; leave it out");
        }
        if self.max_budget_usd.is_some_and(|budget| !budget.is_finite() || budget <= 0.0) {
            return refuse("max budget", "must be more than 0");
        }
        if self.resume.is_some() && self.session_id.is_some() {
            return refuse("session id", "a resumed conversation keeps its own; leave it out");
        }
        if let Some(path) = self.add_dirs.iter().find(|path| !path.is_absolute()) {
            return refuse("add dir", &format!("`{}` is not an absolute path", path.display()));
        }
        Ok(())
    }
}

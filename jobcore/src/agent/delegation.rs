//! What an agent is asked, in words that mean the same for all.

use std::path::PathBuf;

use serde_json::Value;

use super::{AgentRun, PermissionMode};
use crate::error::{Error, Result};

/// What an agent is asked. An adapter translates it for the agent's CLI; what that has no way for is refused.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Delegation {
    /// What to do.
    pub prompt: String,
    /// Where, an absolute path.
    pub cwd: PathBuf,
    /// The model, as the CLI calls it.
    pub model: Option<String>,
    /// How hard it thinks, as the CLI calls it.
    pub effort: Option<String>,
    /// How many turns it may take.
    pub max_turns: Option<u32>,
    /// How much it may cost, in US dollars.
    pub max_budget_usd: Option<f64>,
    /// What it may do without asking.
    pub permission_mode: PermissionMode,
    /// Tools that it may use beside those, in the CLI's own words: `Bash(git *)`.
    pub allow_tools: Vec<String>,
    /// Directories beside `cwd` that it may work in.
    pub add_dirs: Vec<PathBuf>,
    /// The conversation to go on with: as the CLI calls it, or the id, short id or name of the job that had it.
    pub resume: Option<String>,
    /// The id of the new conversation.
    pub session_id: Option<String>,
    /// Instructions beside the agent's own.
    pub system_prompt: Option<String>,
    /// What the answer has to look like.
    pub schema: Option<Schema>,
    /// Makes a git worktree for it, in which it runs.
    pub worktree: Option<NewWorktree>,
}

impl Delegation {
    /// Goes on as an earlier run did: with its limits, its model and what it might do, but for [`PermissionMode::Full`],
    /// which has to be named each time.
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
#[expect(clippy::exhaustive_enums, reason = "it is here or there")]
pub enum Schema {
    /// The schema itself.
    Json(Value),
    /// The absolute path of a file that has it, for as long as the agent runs.
    File(PathBuf),
}

/// A git worktree to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the place follows from the repository")]
pub struct NewWorktree {
    /// The branch to make; `jobcore/` and the name of the job unless it is given.
    pub branch: Option<String>,
}

impl Delegation {
    /// Asks an agent to do this there.
    pub fn new(prompt: impl Into<String>, cwd: impl Into<PathBuf>) -> Self {
        Self { prompt: prompt.into(), cwd: cwd.into(), ..Self::default() }
    }

    /// Refuses what no agent can be asked.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |field: &'static str, reason: &str| Err(Error::InvalidSpec { field, reason: reason.to_owned() });
        if self.prompt.trim().is_empty() {
            return refuse("prompt", "it is empty; say what is to be done");
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
            return refuse("max turns", "0 would be no limit to some; leave it out");
        }
        if self.max_budget_usd.is_some_and(|budget| !budget.is_finite() || budget <= 0.0) {
            return refuse("max budget", "it has to be more than 0");
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

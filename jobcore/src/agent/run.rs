//! The description of an agent run when it is submitted.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AGENTS, AgentError, AgentSettings, Format};
use crate::job::Job;
use crate::parse_error::ParseError;
use crate::spec::{JobSpec, JobSpecBuilder};

/// The name of the annotation, [`Annotations`](crate::annotations::Annotations).
pub(crate) const ANNOTATION: &str = "agent";

/// The variable that holds the nesting depth of an agent for its commands, [`AgentRun::depth`].
pub const AGENT_DEPTH: &str = "JOBCORE_AGENT_DEPTH";

/// How much of a prompt is kept in the record, which others can read, in characters.
const SHOWN: usize = 500;

/// The facts that make a job an agent run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentRun {
    /// The name of the agent in the settings: `claude`.
    pub agent: String,
    /// The format of its output.
    #[serde(default)]
    pub format: Format,
    /// What it may do without asking.
    pub permission_mode: PermissionMode,
    /// The beginning of the prompt, at most 500 characters.
    pub prompt: String,
    /// The size of the whole prompt, in bytes.
    pub prompt_bytes: u64,
    /// A checksum of the whole prompt, which tells prompts apart.
    #[serde(default)]
    pub prompt_crc32: u32,
    /// The requested model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The requested effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Tools that it may use in addition to those of its permission mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_tools: Vec<String>,
    /// Directories in addition to its own that it may work in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_dirs: Vec<PathBuf>,
    /// The maximum number of turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// The maximum cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_budget_usd: Option<f64>,
    /// Whether its answer has to follow a schema.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub schema: bool,
    /// The conversation that it resumes, by the CLI's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
    /// How deeply nested it is: an agent that was not started by another agent has depth 1.
    #[serde(default = "first")]
    pub depth: u32,
    /// The git worktree that was created for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
}

/// What an agent may do without asking. There is no user to ask: everything else is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "the modes are the same for all agents")]
pub enum PermissionMode {
    /// Only look.
    ReadOnly,
    /// Change files below its working directory.
    #[default]
    Edit,
    /// Everything that the user may do.
    Full,
}

impl PermissionMode {
    /// All modes, from the most to the least restricted.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Edit, Self::Full];

    /// Returns the word, which is the same everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Edit => "edit",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for PermissionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PermissionMode {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        let reason = || format!("`{text}` is not a permission mode; use `read_only`, `edit` or `full`");
        found.ok_or_else(|| ParseError::new(reason()))
    }
}

/// The git worktree of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Worktree {
    /// The repository's main worktree.
    pub repository: PathBuf,
    /// Its directory.
    pub path: PathBuf,
    /// The branch that was created for it.
    pub branch: String,
}

fn first() -> u32 {
    1
}

impl AgentRun {
    /// Describes a run of an agent with this prompt.
    pub fn new(agent: impl Into<String>, format: Format, permission_mode: PermissionMode, prompt: &str) -> Self {
        Self {
            agent: agent.into(),
            format,
            permission_mode,
            prompt: prompt.chars().take(SHOWN).collect(),
            prompt_bytes: prompt.len() as u64,
            prompt_crc32: crc32fast::hash(prompt.as_bytes()),
            model: None,
            effort: None,
            allow_tools: Vec::new(),
            add_dirs: Vec::new(),
            max_turns: None,
            max_budget_usd: None,
            schema: false,
            resumes: None,
            depth: first(),
            worktree: None,
        }
    }

    /// Refuses a run that the settings of the store do not allow.
    pub(crate) fn check(&self, settings: &AgentSettings) -> Result<(), AgentError> {
        let refuse = |reason: String| Err(AgentError::Refused { agent: self.agent.clone(), reason });
        if self.permission_mode == PermissionMode::Full && !settings.full {
            return refuse(
                "the settings of the store do not allow agents full permissions; use another permission mode, or ask \
                 the user to set `agents.full`"
                    .to_owned(),
            );
        }
        if settings.depth != 0 && self.depth > settings.depth {
            let allowed = match settings.depth {
                1 => "an agent may not start another agent".to_owned(),
                depth => format!("agents may be nested {depth} deep"),
            };
            return refuse(format!("{allowed}, unless the user sets `agents.depth` to more"));
        }
        Ok(())
    }
}

impl JobSpec {
    /// Returns the description of the agent run, if the job is one.
    pub fn agent_run(&self) -> Option<AgentRun> {
        self.annotations.get(ANNOTATION)
    }

    /// Changes the description of the agent run, if the job is one.
    pub(crate) fn change_agent_run(&mut self, change: impl FnOnce(&mut AgentRun)) {
        if let Some(mut run) = self.agent_run() {
            change(&mut run);
            self.annotations.set(ANNOTATION, &run);
        }
    }
}

impl Job {
    /// Returns the description of the agent run, if the job is one.
    pub fn agent_run(&self) -> Option<AgentRun> {
        self.spec.agent_run()
    }

    /// Returns whether the job is an agent run.
    pub fn is_agent_run(&self) -> bool {
        self.spec.annotations.contains(ANNOTATION)
    }
}

impl JobSpecBuilder {
    /// Makes the job an agent run, in the group of agents.
    pub fn agent(self, run: &AgentRun) -> Self {
        let group = AGENTS.parse().ok();
        let spec = self.annotation(ANNOTATION, run);
        group.into_iter().fold(spec, Self::group)
    }
}

impl Worktree {
    /// Describes a worktree.
    pub fn new(repository: PathBuf, path: PathBuf, branch: impl Into<String>) -> Self {
        Self { repository, path, branch: branch.into() }
    }
}

//! What is said of a run when it is submitted.

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

/// The variable that tells an agent's commands how deep that agent is, [`AgentRun::depth`].
pub const AGENT_DEPTH: &str = "JOBCORE_AGENT_DEPTH";

/// How much of a prompt is kept where everybody sees it, in characters.
const SHOWN: usize = 500;

/// What is known of a job as the run of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentRun {
    /// The agent, by the name that it has in the settings: `claude`.
    pub agent: String,
    /// What its output is read as.
    #[serde(default)]
    pub format: Format,
    /// What it may do without asking.
    pub permission_mode: PermissionMode,
    /// The beginning of what it was asked, at most 500 characters.
    pub prompt: String,
    /// How many bytes it was asked in all.
    pub prompt_bytes: u64,
    /// A checksum of all of it, by which one prompt is told from another.
    #[serde(default)]
    pub prompt_crc32: u32,
    /// The model that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The effort that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// Tools that it may use beside those of its permission mode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_tools: Vec<String>,
    /// Directories beside its own that it may work in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add_dirs: Vec<PathBuf>,
    /// How many turns it may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// How much it may cost, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_budget_usd: Option<f64>,
    /// Whether a schema says what its answer has to look like.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub schema: bool,
    /// The conversation that it goes on with, as the agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
    /// How many agents are between it and whoever is no agent; the first has 1.
    #[serde(default = "first")]
    pub depth: u32,
    /// The git worktree that was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
}

/// What an agent may do without asking. Nobody is there to be asked: the rest is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "one word for all agents is the point of it")]
pub enum PermissionMode {
    /// Look.
    ReadOnly,
    /// Change files below its working directory.
    #[default]
    Edit,
    /// All that the user may.
    Full,
}

impl PermissionMode {
    /// All modes, from the least to the most.
    pub const ALL: [Self; 3] = [Self::ReadOnly, Self::Edit, Self::Full];

    /// Returns the word for the mode, which is the same everywhere.
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
        let reason = || format!("`{text}` is no permission mode; use `read_only`, `edit` or `full`");
        found.ok_or_else(|| ParseError::new(reason()))
    }
}

/// A git worktree of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Worktree {
    /// The repository's main worktree.
    pub repository: PathBuf,
    /// Where it is.
    pub path: PathBuf,
    /// The branch that was made for it.
    pub branch: String,
}

fn first() -> u32 {
    1
}

impl AgentRun {
    /// Describes a run of an agent that was asked this.
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
                "the settings of the store let no agent do everything; name another permission mode, or ask the user to \
                 set `agents.full`"
                    .to_owned(),
            );
        }
        if settings.depth != 0 && self.depth > settings.depth {
            let allowed = match settings.depth {
                1 => "an agent may start no other".to_owned(),
                depth => format!("agents may be {depth} deep"),
            };
            return refuse(format!("{allowed}, unless the user sets `agents.depth` to more"));
        }
        Ok(())
    }
}

impl JobSpec {
    /// Returns what is known of the job as the run of a coding agent, if it is one.
    pub fn agent_run(&self) -> Option<AgentRun> {
        self.annotations.get(ANNOTATION)
    }

    /// Changes what is known of the job as the run of a coding agent, if it is one.
    pub(crate) fn change_agent_run(&mut self, change: impl FnOnce(&mut AgentRun)) {
        if let Some(mut run) = self.agent_run() {
            change(&mut run);
            self.annotations.set(ANNOTATION, &run);
        }
    }
}

impl Job {
    /// Returns what is known of the job as the run of a coding agent, if it is one.
    pub fn agent_run(&self) -> Option<AgentRun> {
        self.spec.agent_run()
    }

    /// Returns whether the job is the run of a coding agent.
    pub fn is_agent_run(&self) -> bool {
        self.spec.annotations.contains(ANNOTATION)
    }
}

impl JobSpecBuilder {
    /// Makes the job a run of a coding agent, in the group of those.
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

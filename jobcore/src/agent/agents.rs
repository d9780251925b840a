//! The known agents and their settings.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::adapter::{ADAPTERS, Adapter, Declared, Place};
use super::{AGENT_DEPTH, AgentRun, Delegation, Format};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::program;
use crate::signal::Signal;
use crate::spec::{JobSpec, JobSpecBuilder};

/// How many bytes of an agent's output are kept. The output is all that reports what the agent did, and what it cost.
pub const AGENT_OUTPUT_LIMIT: u64 = 256 * 1024 * 1024;

/// An agent that tasks can be delegated to.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its program: a path, or a name to be found in the `PATH` of the job.
    pub program: String,
    /// The default model.
    pub model: Option<String>,
    /// The default effort.
    pub effort: Option<String>,
    /// Additional arguments.
    pub arguments: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Known(&'static Adapter),
    Declared(Declared),
}

/// The settings of an agent in a settings file: `[agents.NAME]`. A template is a list of arguments in which `{}` stands
/// for the value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AgentTable {
    /// Its program. The default is the name of the agent.
    pub program: Option<String>,
    /// The default model.
    pub model: Option<String>,
    /// The default effort.
    pub effort: Option<String>,
    /// Additional arguments; for a declared agent, the first ones.
    pub arguments: Option<Vec<String>>,
    /// The output format of a declared agent: `claude`, `codex`, `gemini`, `opencode` or `text`.
    pub format: Option<String>,
    /// The template for the prompt of a declared agent. Without one, the prompt is passed on standard input.
    pub prompt_arguments: Option<Vec<String>>,
    /// The template for the model of a declared agent.
    pub model_arguments: Option<Vec<String>>,
    /// The template for the effort of a declared agent.
    pub effort_arguments: Option<Vec<String>>,
    /// The template for the conversation to resume, for a declared agent.
    pub resume_arguments: Option<Vec<String>>,
    /// The arguments of a declared agent for this permission mode.
    pub read_only: Option<Vec<String>>,
    /// The arguments of a declared agent for this permission mode.
    pub edit: Option<Vec<String>>,
    /// The arguments of a declared agent for this permission mode.
    pub full: Option<Vec<String>>,
    /// The signal that is sent first to stop a declared agent.
    pub stop_signal: Option<Signal>,
}

/// All known and declared agents, by name.
#[derive(Debug, Clone)]
pub struct Agents(BTreeMap<String, Agent>);

impl Default for Agents {
    /// Returns the agents that this library knows: `claude`, `codex`, `gemini`, `opencode`.
    fn default() -> Self {
        let known = |adapter: &'static Adapter| Agent::new(adapter.name, Kind::Known(adapter));
        Self(ADAPTERS.into_iter().map(|adapter| (adapter.name.to_owned(), known(adapter))).collect())
    }
}

impl Agents {
    /// Returns the names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns all agents in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.0.values()
    }

    /// Returns the agent with this name.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`], naming the known agents.
    pub fn get(&self, name: &str) -> Result<&Agent> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<_> = self.names().collect();
            let reason = format!(
                "`{name}` is not known; use one of {}, or one that the settings file declares as `[agents.NAME]`",
                names.join(", ")
            );
            Error::InvalidSpec { field: "agent", reason }
        })
    }

    /// Applies the settings of an agent from a settings file, and declares the agent if it is not known.
    ///
    /// # Errors
    /// Says which setting is wrong.
    pub fn set(&mut self, name: &str, table: AgentTable) -> Result<(), String> {
        let _: Name = name.parse()?;
        let mut agent = match ADAPTERS.into_iter().find(|adapter| adapter.name == name) {
            Some(adapter) => {
                if let Some(key) = table.declares() {
                    return Err(format!("`{key}` is fixed for {} and cannot be set", adapter.title));
                }
                Agent::new(name, Kind::Known(adapter))
            }
            None => Agent::new(name, Kind::Declared(table.declared()?)),
        };
        if let Some(program) = table.program {
            agent.program = program;
        }
        agent.arguments = table.arguments.unwrap_or_default();
        (agent.model, agent.effort) = (table.model, table.effort);
        self.0.insert(name.to_owned(), agent);
        Ok(())
    }
}

impl AgentTable {
    /// Returns a key that is set but allowed only for declared agents.
    fn declares(&self) -> Option<&'static str> {
        let keys = [
            ("format", self.format.is_some()),
            ("prompt_arguments", self.prompt_arguments.is_some()),
            ("model_arguments", self.model_arguments.is_some()),
            ("effort_arguments", self.effort_arguments.is_some()),
            ("resume_arguments", self.resume_arguments.is_some()),
            ("read_only", self.read_only.is_some()),
            ("edit", self.edit.is_some()),
            ("full", self.full.is_some()),
            ("stop_signal", self.stop_signal.is_some()),
        ];
        keys.into_iter().find(|(_, is_set)| *is_set).map(|(key, _)| key)
    }

    fn declared(&self) -> Result<Declared, String> {
        let format = match self.format.as_deref() {
            None | Some("text") => Format::Text,
            Some("claude") => Format::Claude,
            Some("codex") => Format::Codex,
            Some("gemini") => Format::Gemini,
            Some("opencode") => Format::Opencode,
            Some(other) => {
                return Err(format!("format: `{other}` is not known; use claude, codex, gemini, opencode or text"));
            }
        };
        let templates = [
            ("prompt_arguments", &self.prompt_arguments),
            ("model_arguments", &self.model_arguments),
            ("effort_arguments", &self.effort_arguments),
            ("resume_arguments", &self.resume_arguments),
        ];
        for (key, template) in templates {
            if template.as_ref().is_some_and(|words| !words.iter().any(|word| word.contains("{}"))) {
                return Err(format!("{key}: the placeholder `{{}}` for the value is missing"));
            }
        }
        Ok(Declared {
            prompt: self.prompt_arguments.clone(),
            model: self.model_arguments.clone(),
            effort: self.effort_arguments.clone(),
            resume: self.resume_arguments.clone(),
            read_only: self.read_only.clone(),
            edit: self.edit.clone(),
            full: self.full.clone(),
            format,
            stop_signal: self.stop_signal,
        })
    }
}

impl Agent {
    /// Returns whether its program exists for a job in this directory and with this environment.
    pub fn is_installed(&self, cwd: &Path, environment: &Environment) -> bool {
        program::find(self.program.as_ref(), cwd, environment).is_ok()
    }

    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), program: name.to_owned(), model: None, effort: None, arguments: Vec::new(), kind }
    }

    /// Describes the job that runs this agent. `environment` is that of the job, and records how deeply nested the
    /// caller is. Nothing is looked up: a conversation to resume has to be given by the CLI's own id, and no worktree
    /// is created.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`] for requests that this agent does not support, saying what would work.
    pub fn spec(&self, asked: &Delegation, mut environment: Environment) -> Result<JobSpecBuilder> {
        asked.check()?;
        let mut asked = asked.clone();
        asked.model = asked.model.or_else(|| self.model.clone());
        asked.effort = asked.effort.or_else(|| self.effort.clone());
        let (invocation, format, stop_signal) = match &self.kind {
            Kind::Known(adapter) => ((adapter.invocation)(&asked)?, adapter.format, adapter.stop_signal),
            Kind::Declared(declared) => {
                (declared.invocation(&self.name, &asked)?, declared.format, declared.stop_signal)
            }
        };
        let mut run = AgentRun::new(&self.name, format, asked.permission_mode, &asked.prompt);
        (run.model, run.effort, run.resumes) = (asked.model, asked.effort, asked.resume);
        (run.allow_tools, run.add_dirs) = (asked.allow_tools, asked.add_dirs);
        (run.max_turns, run.max_budget_usd) = (asked.max_turns, asked.max_budget_usd);
        run.schema = asked.schema.is_some();
        run.depth = depth(&environment).saturating_add(1);
        environment.set(AGENT_DEPTH, run.depth.to_string());
        for (name, value) in invocation.environment {
            environment.set(name, value);
        }
        environment.enter(&asked.cwd);
        // The arguments of a declared agent are the beginning of its command, such as a verb.
        let words = [invocation.first, self.arguments.clone(), invocation.arguments].concat();
        let mut spec = JobSpec::command([self.program.clone()].into_iter().chain(words))
            .cwd(&asked.cwd)
            .environment(environment)
            .output_limit(AGENT_OUTPUT_LIMIT)
            .agent(&run);
        if let Some(input) = invocation.input {
            spec = spec.given(input);
        }
        if let Some(signal) = stop_signal {
            spec = spec.stop_signal(signal);
        }
        Ok(spec)
    }

    /// Returns whether a conversation can be resumed only in its original directory.
    pub(crate) fn stays_where_it_was(&self) -> bool {
        matches!(&self.kind, Kind::Known(adapter) if adapter.stays_where_it_was)
    }

    /// Returns whether this can be the CLI's id of a conversation.
    pub(crate) fn is_session(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Known(adapter) => (adapter.is_session)(text),
            Kind::Declared(_) => true,
        }
    }

    /// Returns why the agent would fail at once, as far as that is known without running it.
    pub(crate) fn obstacle(&self, asked: &Delegation, environment: &Environment) -> Option<String> {
        let Kind::Known(adapter) = &self.kind else { return None };
        // A program with another name may be a wrapper that takes care of it.
        let is_known = Path::new(&self.program).file_name().is_some_and(|name| name == adapter.name);
        let place = Place {
            asked,
            environment,
            has_own_arguments: !self.arguments.is_empty(),
            is_root: crate::sys::user::is_root(),
        };
        is_known.then(|| (adapter.obstacle)(&place)).flatten()
    }

    /// Says how to get the program.
    pub fn remedy(&self) -> String {
        let setting = format!("`agents.{}.program` in the settings file says where it is", self.name);
        match &self.kind {
            Kind::Known(adapter) => format!("`{}` installs {}, or {setting}", adapter.install, adapter.title),
            Kind::Declared(_) => setting,
        }
    }
}

/// Returns how deeply nested the agent with this environment is.
fn depth(environment: &Environment) -> u32 {
    let said = environment.get(AGENT_DEPTH).map(|depth| depth.to_string_lossy().into_owned());
    // Whatever the value is, an agent set it.
    said.map_or(0, |depth| depth.parse().unwrap_or(1))
}

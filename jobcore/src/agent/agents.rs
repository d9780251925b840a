//! Which agents there are, and how each is set.

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

/// Output of an agent is kept up to this many bytes: it tells what a person would have seen, and what it cost.
pub const AGENT_OUTPUT_LIMIT: u64 = 256 * 1024 * 1024;

/// An agent that can be asked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its program: a path, or a name to be found on the `PATH` of the job.
    pub program: String,
    /// The model, unless another is asked for.
    pub model: Option<String>,
    /// The effort, unless another is asked for.
    pub effort: Option<String>,
    /// Further arguments.
    pub arguments: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Known(&'static Adapter),
    Declared(Declared),
}

/// What a settings file says of an agent: `[agents.NAME]`. Templates are arguments in which `{}` stands for the value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AgentTable {
    /// Its program; the name of the agent unless it is given.
    pub program: Option<String>,
    /// The model, unless another is asked for.
    pub model: Option<String>,
    /// The effort, unless another is asked for.
    pub effort: Option<String>,
    /// Further arguments; of an agent that is declared here, the first ones.
    pub arguments: Option<Vec<String>>,
    /// What it prints, of an agent that is declared here: `claude`, `codex`, `gemini`, `opencode` or `text`.
    pub format: Option<String>,
    /// The template for the prompt, of an agent that is declared here. Without one it is given on standard input.
    pub prompt_arguments: Option<Vec<String>>,
    /// The template for the model, of an agent that is declared here.
    pub model_arguments: Option<Vec<String>>,
    /// The template for the effort, of an agent that is declared here.
    pub effort_arguments: Option<Vec<String>>,
    /// The template for the conversation to go on with, of an agent that is declared here.
    pub resume_arguments: Option<Vec<String>>,
    /// The arguments for this permission mode, of an agent that is declared here.
    pub read_only: Option<Vec<String>>,
    /// The arguments for this permission mode, of an agent that is declared here.
    pub edit: Option<Vec<String>>,
    /// The arguments for this permission mode, of an agent that is declared here.
    pub full: Option<Vec<String>>,
    /// What it is sent first when it is stopped, of an agent that is declared here.
    pub stop_signal: Option<Signal>,
}

/// All agents that can be asked, by name.
#[derive(Debug, Clone)]
pub struct Agents(BTreeMap<String, Agent>);

impl Default for Agents {
    /// Returns those that this library knows: `claude`, `codex`, `gemini`, `opencode`.
    fn default() -> Self {
        let known = |adapter: &'static Adapter| Agent::new(adapter.name, Kind::Known(adapter));
        Self(ADAPTERS.into_iter().map(|adapter| (adapter.name.to_owned(), known(adapter))).collect())
    }
}

impl Agents {
    /// Returns their names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns all of them, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Agent> {
        self.0.values()
    }

    /// Returns the agent of this name.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`], naming those there are.
    pub fn get(&self, name: &str) -> Result<&Agent> {
        self.0.get(name).ok_or_else(|| {
            let names: Vec<_> = self.names().collect();
            let reason = format!(
                "there is none called `{name}`; there are {}, and those that the settings file declares as `[agents.NAME]`",
                names.join(", ")
            );
            Error::InvalidSpec { field: "agent", reason }
        })
    }

    /// Sets what a settings file says of an agent, and declares it if it is not known.
    ///
    /// # Errors
    /// Says which part of it is wrong.
    pub fn set(&mut self, name: &str, table: AgentTable) -> Result<(), String> {
        let _: Name = name.parse()?;
        let mut agent = match ADAPTERS.into_iter().find(|adapter| adapter.name == name) {
            Some(adapter) => {
                if let Some(key) = table.declares() {
                    return Err(format!("`{key}` is known of {}, and cannot be set", adapter.title));
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
    /// Returns a key that is set and that only agents have that are declared.
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
                return Err(format!("format: `{other}` is none; there are claude, codex, gemini, opencode and text"));
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
                return Err(format!("{key}: `{{}}` is missing, which stands for the value"));
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
    /// Returns whether its program is there, for a job in this directory and with this environment.
    pub fn is_installed(&self, cwd: &Path, environment: &Environment) -> bool {
        program::find(self.program.as_ref(), cwd, environment).is_ok()
    }

    fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), program: name.to_owned(), model: None, effort: None, arguments: Vec::new(), kind }
    }

    /// Describes the job that asks this agent. `environment` is that of the job, and says how many agents deep the caller
    /// is. Nothing is looked up: a resumed conversation has to be called as the CLI calls it, and no worktree is made.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`] for what cannot be asked, or not of this agent, with what would work.
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
        // What a settings file declares is the beginning of the command, such as a verb.
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

    /// Returns whether a conversation goes on only in the directory where it was.
    pub(crate) fn stays_where_it_was(&self) -> bool {
        matches!(&self.kind, Kind::Known(adapter) if adapter.stays_where_it_was)
    }

    /// Returns whether this may be what the CLI calls a conversation.
    pub(crate) fn is_session(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Known(adapter) => (adapter.is_session)(text),
            Kind::Declared(_) => true,
        }
    }

    /// Says why the agent would fail at once, as far as that can be known without asking it.
    pub(crate) fn obstacle(&self, asked: &Delegation, environment: &Environment) -> Option<String> {
        let Kind::Known(adapter) = &self.kind else { return None };
        // A program of another name may well see to it.
        let is_known = Path::new(&self.program).file_name().is_some_and(|name| name == adapter.name);
        let place = Place {
            asked,
            environment,
            has_own_arguments: !self.arguments.is_empty(),
            is_root: crate::sys::user::is_root(),
        };
        is_known.then(|| (adapter.obstacle)(&place)).flatten()
    }

    /// Says how people get the program.
    pub fn remedy(&self) -> String {
        let setting = format!("`agents.{}.program` in the settings file says where it is", self.name);
        match &self.kind {
            Kind::Known(adapter) => format!("`{}` installs {}, or {setting}", adapter.install, adapter.title),
            Kind::Declared(_) => setting,
        }
    }
}

/// Returns how many agents deep whoever has this environment is.
fn depth(environment: &Environment) -> u32 {
    let said = environment.get(AGENT_DEPTH).map(|depth| depth.to_string_lossy().into_owned());
    // Whatever it says, an agent wrote it.
    said.map_or(0, |depth| depth.parse().unwrap_or(1))
}

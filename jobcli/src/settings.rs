//! Settings: a flag, then the environment, then a file, then the default. The one place that reads any of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy;
use jobcore::agent::{AgentTable, Agents};
use jobcore::environment::EnvironmentPolicy;
use jobcore::policy::{Pattern, parse_list};
use jobcore::units::parse_size;
use jobcore::{FileStore, JobId, JobManager, JobSpecBuilder, LocalRunner, PermissionMode, Policy};
use serde::Deserialize;

use crate::error::{Failure, codes};

/// The variables that are read, and what each sets. `docs/cli.md` is made from this list.
pub const VARIABLES: [(&str, &str); 17] = [
    ("JOBCORE_STORE", "where jobs are kept; the default is `jobcore` in the user's state directory"),
    ("JOBCORE_CONFIG", "the settings file; the default is `jobcore/config.toml` in the user's config directory"),
    ("JOBCORE_SHELL", "`shell`: the shell for shell lines; the default is `bash` if there is one, else `sh`"),
    ("JOBCORE_TIMEOUT", "`timeout`: how long a job may run, such as `2h`; the default is no limit"),
    ("JOBCORE_GRACE", "`grace`: how long a job may take to end when it is stopped; the default is `5s`"),
    ("JOBCORE_OUTPUT_LIMIT", "`output_limit`: how much output of a job is kept, 0 for all; the default is `10M`"),
    ("JOBCORE_SCRUB", "`scrub`: names of variables that jobs do not get, with commas; `*` at the end is any rest"),
    ("JOBCORE_KEEP", "`keep`: names of variables that jobs get although they would be scrubbed"),
    (
        "JOBCORE_ALLOW",
        "`allow`: patterns of the only commands that may be submitted from here, with commas; see policy.md",
    ),
    ("JOBCORE_DENY", "`deny`: patterns of commands that may not be submitted from here, with commas"),
    (
        "JOBCORE_UNATTENDED",
        "`unattended`: `true` or `false`, whether jobs are told that nobody is there; \
      the default is whether standard error is no terminal",
    ),
    ("JOBCORE_AGENT", "`agent`: the agent that `delegate` asks; the default is `claude`"),
    ("JOBCORE_PERMISSION_MODE", "`permission_mode`: what agents may do, `read_only` or `edit`; the default is `edit`"),
    ("CLAUDE_CLI_PATH", "`agents.claude.program`: the program of Claude Code; the default is `claude`"),
    ("CLAUDE_ASYNC_DEFAULT_MODEL", "`agents.claude.model`: the model of Claude Code"),
    ("CLAUDE_ASYNC_DEFAULT_EFFORT", "`agents.claude.effort`: the effort of Claude Code"),
    ("CLAUDE_ASYNC_DEFAULT_CWD", "where agents run; the default is the current directory"),
];

/// The agent that is asked unless another is named.
const DEFAULT_AGENT: &str = "claude";

/// The settings of one call.
#[derive(Debug)]
pub struct Settings {
    /// Where jobs are kept.
    pub store: PathBuf,
    /// The shell for shell lines.
    pub shell: Option<PathBuf>,
    /// How long a job may run.
    pub timeout: Option<Duration>,
    /// How long a job may take to end when it is stopped.
    pub grace: Option<Duration>,
    /// How much output of a job is kept.
    pub output_limit: Option<u64>,
    /// Which environment a job gets.
    pub environment: EnvironmentPolicy,
    /// The job that this call runs in.
    pub own_job: Option<JobId>,
    /// Which commands may be submitted from here.
    pub policy: Policy,
    /// The agents that can be asked.
    pub agents: Agents,
    /// The one that is asked unless another is named.
    pub agent: String,
    /// What agents may do unless another mode is named.
    pub permission_mode: PermissionMode,
    /// Where agents run unless another directory is named.
    pub agent_cwd: Option<PathBuf>,
}

/// The settings file. `docs/cli.md` describes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    store: Option<PathBuf>,
    shell: Option<PathBuf>,
    timeout: Option<String>,
    grace: Option<String>,
    output_limit: Option<toml::Value>,
    scrub: Option<Vec<String>>,
    keep: Option<Vec<String>>,
    allow: Option<Vec<Pattern>>,
    deny: Option<Vec<Pattern>>,
    unattended: Option<bool>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    agent: Option<String>,
    permission_mode: Option<String>,
    #[serde(default)]
    agents: BTreeMap<String, AgentTable>,
}

impl Settings {
    /// Reads the settings for a call with these flags: the store and the settings file.
    ///
    /// # Errors
    /// Where something that is set is wrong, naming the place.
    pub fn read(store: Option<PathBuf>, config: Option<PathBuf>) -> Result<Self, Failure> {
        let directories = etcetera::choose_base_strategy().ok();
        let (file, path) = read_file(config, directories.as_ref())?;
        let place = |name: &str| format!("`{name}` in {}", path.display());
        let store = store
            .or_else(|| variable("JOBCORE_STORE").map(PathBuf::from))
            .or(file.store)
            .or_else(|| {
                directories.as_ref().map(|base| base.state_dir().unwrap_or_else(|| base.data_dir()).join("jobcore"))
            })
            .ok_or_else(|| Failure::new(codes::FAILED, "there is no home directory; name the store with `--store`"))?;
        let duration = |name, key, value: Option<String>| {
            chosen(name, text(name)?, key, value, place, |text| {
                humantime::parse_duration(text).map_err(|e| e.to_string())
            })
        };
        let limit = file.output_limit.map(|value| match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        });
        let list = |name, value: Option<Vec<String>>| -> Result<Vec<String>, Failure> {
            let split =
                |text: String| text.split(',').map(|name| name.trim().to_owned()).filter(|n| !n.is_empty()).collect();
            Ok(text(name)?.map_or_else(|| value.unwrap_or_default(), split))
        };
        let patterns = |name: &str, value: Option<Vec<Pattern>>| match text(name)? {
            Some(text) => {
                parse_list(&text).map_err(|reason| Failure::new(codes::USAGE, format!("variable `{name}`: {reason}")))
            }
            None => Ok(value.unwrap_or_default()),
        };
        let policy = Policy::new(patterns("JOBCORE_ALLOW", file.allow)?, patterns("JOBCORE_DENY", file.deny)?);
        let unattended = chosen(
            "JOBCORE_UNATTENDED",
            text("JOBCORE_UNATTENDED")?,
            "unattended",
            file.unattended.map(|value| value.to_string()),
            place,
            |text| text.parse().map_err(|_| format!("`{text}` is neither `true` nor `false`")),
        )?;
        let agents = agents(file.agents, place)?;
        let agent = text("JOBCORE_AGENT")?.or(file.agent).unwrap_or_else(|| DEFAULT_AGENT.to_owned());
        let permission_mode = chosen(
            "JOBCORE_PERMISSION_MODE",
            text("JOBCORE_PERMISSION_MODE")?,
            "permission_mode",
            file.permission_mode,
            place,
            |text| match text.parse()? {
                PermissionMode::Full => Err("`full` has to be asked for with each run".to_owned()),
                mode => Ok(mode),
            },
        )?;
        Ok(Self {
            store,
            agents,
            agent,
            permission_mode: permission_mode.unwrap_or_default(),
            agent_cwd: variable("CLAUDE_ASYNC_DEFAULT_CWD").map(PathBuf::from),
            // Set by jobcore, not by people: what is no id says nothing.
            own_job: text(jobcore::supervisor::JOB_ID).ok().flatten().and_then(|id| id.parse().ok()),
            policy,
            shell: variable("JOBCORE_SHELL").map(PathBuf::from).or(file.shell),
            timeout: duration("JOBCORE_TIMEOUT", "timeout", file.timeout)?,
            grace: duration("JOBCORE_GRACE", "grace", file.grace)?,
            output_limit: chosen(
                "JOBCORE_OUTPUT_LIMIT",
                text("JOBCORE_OUTPUT_LIMIT")?,
                "output_limit",
                limit,
                place,
                parse_size,
            )?,
            environment: EnvironmentPolicy {
                scrub: list("JOBCORE_SCRUB", file.scrub)?,
                keep: list("JOBCORE_KEEP", file.keep)?,
                set: file.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                unattended: unattended.unwrap_or_else(|| !std::io::stderr().is_terminal()),
            },
        })
    }

    /// Opens the store. Stops are signed with `name`.
    ///
    /// # Errors
    /// If the store cannot be used.
    pub fn open(&self, name: &str) -> jobcore::Result<JobManager> {
        let store = Arc::new(FileStore::open(&self.store)?);
        let jobs = JobManager::new(store, Arc::new(LocalRunner::new()?))?;
        Ok(jobs
            .with_name(format!("{name}, process {}", std::process::id()))
            .with_own_job(self.own_job)
            .with_policy(self.policy.clone()))
    }

    /// Gives a job what is set here; what is said of the job itself comes after this.
    pub fn apply(&self, mut spec: JobSpecBuilder) -> JobSpecBuilder {
        if let Some(shell) = &self.shell {
            spec = spec.with_shell(shell);
        }
        if let Some(timeout) = self.timeout {
            spec = spec.timeout(timeout);
        }
        if let Some(grace) = self.grace {
            spec = spec.grace(grace);
        }
        if let Some(limit) = self.output_limit {
            spec = spec.output_limit(limit);
        }
        spec
    }
}

/// Returns the agents that can be asked, as the settings file and the environment say.
fn agents(mut tables: BTreeMap<String, AgentTable>, place: impl Fn(&str) -> String) -> Result<Agents, Failure> {
    let claude = tables.entry(DEFAULT_AGENT.to_owned()).or_default();
    for (name, value) in [
        ("CLAUDE_CLI_PATH", &mut claude.program),
        ("CLAUDE_ASYNC_DEFAULT_MODEL", &mut claude.model),
        ("CLAUDE_ASYNC_DEFAULT_EFFORT", &mut claude.effort),
    ] {
        if let Some(text) = text(name)? {
            *value = Some(text);
        }
    }
    let mut agents = Agents::default();
    for (name, table) in tables {
        let wrong = |reason| Failure::new(codes::USAGE, format!("{}: {reason}", place(&format!("agents.{name}"))));
        agents.set(&name, table).map_err(wrong)?;
    }
    Ok(agents)
}

fn read_file(config: Option<PathBuf>, directories: Option<&impl BaseStrategy>) -> Result<(File, PathBuf), Failure> {
    let named = config.or_else(|| variable("JOBCORE_CONFIG").map(PathBuf::from));
    let default = directories.map(|base| base.config_dir().join("jobcore").join("config.toml"));
    let Some(path) = named.clone().or(default) else { return Ok((File::default(), PathBuf::new())) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // Only a file that was asked for has to be there.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok((File::default(), path));
        }
        Err(error) => return Err(wrong(&path, &error.to_string())),
    };
    let file = toml::from_str(&text).map_err(|error| wrong(&path, error.to_string().trim_end()))?;
    Ok((file, path))
}

fn wrong(path: &Path, reason: &str) -> Failure {
    Failure::new(codes::USAGE, format!("settings file `{}`: {reason}", path.display()))
}

/// Parses what the environment says, or else the file, and names the place if it is wrong.
fn chosen<T>(
    name: &str,
    from_environment: Option<String>,
    key: &str,
    from_file: Option<String>,
    place: impl Fn(&str) -> String,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Failure> {
    let (text, place) = match (from_environment, from_file) {
        (Some(text), _) => (text, format!("variable `{name}`")),
        (None, Some(text)) => (text, place(key)),
        (None, None) => return Ok(None),
    };
    parse(&text).map(Some).map_err(|reason| Failure::new(codes::USAGE, format!("{place}: {reason}")))
}

/// Returns a variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &str) -> Result<Option<String>, Failure> {
    let not_text = |_| Failure::new(codes::USAGE, format!("variable `{name}`: it is not valid UTF-8"));
    variable(name).map(OsString::into_string).transpose().map_err(not_text)
}

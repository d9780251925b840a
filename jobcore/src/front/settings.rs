//! Settings: a flag, then the environment, then a file, then the default. The only place that reads any of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use etcetera::BaseStrategy;
use serde::Deserialize;

use super::{Failure, Notify, caller, codes};
use crate::agent::{AgentTable, Agents, PermissionMode};
use crate::environment::{EnvironmentPolicy, VariablePattern, expand_home, parse_patterns};
use crate::policy::{Pattern, Policy, parse_list};
use crate::spec::Stragglers;
use crate::units::parse_size;
use crate::{Caller, FileStore, JobId, JobManager, JobSpecBuilder, LocalRunner, ParseError};

/// The variables that are read, and what each of them sets. A table in `docs/settings.md` is generated from this list.
pub const VARIABLES: [(&str, &str); 22] = [
    (
        "JOBCORE_STORE",
        "where jobs are kept, an absolute path; the default is `jobcore` in the user's state directory. Jobs get it, so that \
         jobs that they submit are kept in the same store",
    ),
    ("JOBCORE_CONFIG", "the settings file; the default is `jobcore/config.toml` in the user's config directory"),
    (
        "JOBCORE_SHELL",
        "`shell`: the shell for shell lines, which may have options, such as `bash -o pipefail`; the default is `bash` if \
      there is one, else `sh`",
    ),
    (
        "JOBCORE_PIPEFAIL",
        "`pipefail`: `true` or `false`, whether a line in bash fails if any part of a pipe fails, or only if the last does; the \
      default is `true`",
    ),
    ("JOBCORE_TIMEOUT", "`timeout`: how long a job may run, such as `2h`; the default is no limit"),
    ("JOBCORE_GRACE", "`grace`: how long a job may take to end when it is stopped; the default is `5s`"),
    (
        "JOBCORE_OUTPUT_LIMIT",
        "`output_limit`: how much of the output of a job is kept, 0 for all; the default is `10M`",
    ),
    (
        "JOBCORE_STRAGGLERS",
        "`stragglers`: `stop` or `leave`, what happens to processes that a job leaves in the background when it ends; the \
      default is `stop`; those of agents are always stopped",
    ),
    (
        "JOBCORE_SCRUB",
        "`scrub`: names of variables that jobs do not get, separated by commas; `*` stands for any characters, `?` for one",
    ),
    ("JOBCORE_KEEP", "`keep`: names of variables that jobs get although other settings leave them out"),
    (
        "JOBCORE_ENV_ONLY",
        "`env_only`: names of the only variables that jobs get, besides the basic ones (`HOME`, `PATH`, `LANG` and so on; see \
      below)",
    ),
    (
        "JOBCORE_ALLOW",
        "`allow`: patterns of the only commands that may be submitted, separated by commas: [Restrict commands](policy.md)",
    ),
    ("JOBCORE_DENY", "`deny`: patterns of commands that may not be submitted, separated by commas"),
    (
        "JOBCORE_ALLOW_VARIABLES",
        "`allow_variables`: names of variables, separated by commas, that may be set although only some commands are allowed",
    ),
    (
        "JOBCORE_UNATTENDED",
        "`unattended`: `true` or `false`, whether jobs get defaults for programs without a person; \
      the default is `true` if standard error is not a terminal",
    ),
    (
        "JOBCORE_NOTIFY",
        "`notify`: how the terminal notifies you of the end of a job that you wait for and that ran for at least 10 s: `osc9`, \
      `osc777` or `bell`; by default it does not",
    ),
    ("JOBCORE_AGENT", "`agent`: the agent that `delegate` starts; the default is `claude`"),
    ("JOBCORE_PERMISSION_MODE", "`permission_mode`: what agents may do, `read_only` or `edit`; the default is `edit`"),
    ("CLAUDE_CLI_PATH", "`agents.claude.program`: the program of Claude Code; the default is `claude`"),
    ("CLAUDE_ASYNC_DEFAULT_MODEL", "`agents.claude.model`: the model of Claude Code"),
    ("CLAUDE_ASYNC_DEFAULT_EFFORT", "`agents.claude.effort`: the effort of Claude Code"),
    ("CLAUDE_ASYNC_DEFAULT_CWD", "where agents run; the default is the current directory"),
];

/// The default agent.
const DEFAULT_AGENT: &str = "claude";

/// The settings of one invocation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory of the store.
    pub store: PathBuf,
    /// Whether a flag or a variable named the store. If such a store does not exist, the name is taken for a mistake
    /// unless the store is to be created.
    pub names_store: bool,
    /// The shell for shell lines, with its options.
    pub shell: Option<String>,
    /// Whether a line in bash fails if any part of a pipe fails.
    pub pipefail: Option<bool>,
    /// How long a job may run.
    pub timeout: Option<Duration>,
    /// How long a job may take to end when it is stopped.
    pub grace: Option<Duration>,
    /// How much of a job's output is kept.
    pub output_limit: Option<u64>,
    /// What happens to stragglers of a job.
    pub stragglers: Option<Stragglers>,
    /// How the environment of a job is derived.
    pub environment: EnvironmentPolicy,
    /// The conversation that this program is called from.
    pub caller: Option<Caller>,
    /// The job that this program runs in.
    pub own_job: Option<JobId>,
    /// Which commands may be submitted from here.
    pub policy: Policy,
    /// How the terminal notifies the user of an end that was waited for.
    pub notify: Option<Notify>,
    /// The known and declared agents.
    pub agents: Agents,
    /// The default agent.
    pub agent: String,
    /// The default permission mode of agents.
    pub permission_mode: PermissionMode,
    /// The default working directory of agents.
    pub agent_cwd: Option<PathBuf>,
}

/// The settings file, which `docs/settings.md` describes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    store: Option<PathBuf>,
    shell: Option<String>,
    pipefail: Option<bool>,
    timeout: Option<String>,
    grace: Option<String>,
    output_limit: Option<toml::Value>,
    stragglers: Option<String>,
    scrub: Option<Vec<VariablePattern>>,
    keep: Option<Vec<VariablePattern>>,
    env_only: Option<Vec<VariablePattern>>,
    allow: Option<Vec<Pattern>>,
    deny: Option<Vec<Pattern>>,
    allow_variables: Option<Vec<VariablePattern>>,
    unattended: Option<bool>,
    notify: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    agent: Option<String>,
    permission_mode: Option<String>,
    #[serde(default)]
    agents: BTreeMap<String, AgentTable>,
}

impl Settings {
    /// Reads the settings for an invocation with these flags: the store and the settings file.
    ///
    /// # Errors
    /// If a setting is wrong; the failure names its place.
    pub fn read(store: Option<PathBuf>, config: Option<PathBuf>) -> Result<Self, Failure> {
        let directories = etcetera::choose_base_strategy().ok();
        let (file, path) = read_file(config, directories.as_ref())?;
        let place = |name: &str| format!("`{name}` in {}", path.display());
        let variable_store =
            variable(STORE).map(PathBuf::from).map(|path| same_everywhere(path, &format!("variable `{STORE}`")));
        let names_store = store.is_some() || variable_store.is_some();
        let default =
            directories.as_ref().map(|base| base.state_dir().unwrap_or_else(|| base.data_dir()).join("jobcore"));
        let store = match (store, variable_store, file.store) {
            (Some(path), ..) => absolute(path)?,
            (None, Some(path), _) => path?,
            (None, None, Some(path)) => same_everywhere(path, &place("store"))?,
            (None, None, None) => default.ok_or_else(|| {
                Failure::new(codes::FAILED, "there is no home directory; name the store with `--store`")
            })?,
        };
        let duration = |name, key, value: Option<String>| {
            chosen(name, text(name)?, key, value, place, |text| {
                humantime::parse_duration(text).map_err(|e| e.to_string())
            })
        };
        let limit = file.output_limit.map(|value| match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        });
        let variables = |name, value| list(name, parse_patterns, value);
        let policy =
            Policy::new(list("JOBCORE_ALLOW", parse_list, file.allow)?, list("JOBCORE_DENY", parse_list, file.deny)?)
                .with_variables(list("JOBCORE_ALLOW_VARIABLES", parse_list, file.allow_variables)?);
        let truth = |name, key, value: Option<bool>| {
            chosen(name, text(name)?, key, value.map(|value| value.to_string()), place, |text| {
                text.parse().map_err(|_| format!("`{text}` is neither `true` nor `false`"))
            })
        };
        let unattended = truth("JOBCORE_UNATTENDED", "unattended", file.unattended)?;
        let notify =
            chosen("JOBCORE_NOTIFY", text("JOBCORE_NOTIFY")?, "notify", file.notify, place, |text| Ok(text.parse()?))?;
        let agents = agents(file.agents, place)?;
        let agent = text("JOBCORE_AGENT")?.or(file.agent).unwrap_or_else(|| DEFAULT_AGENT.to_owned());
        let permission_mode = chosen(
            "JOBCORE_PERMISSION_MODE",
            text("JOBCORE_PERMISSION_MODE")?,
            "permission_mode",
            file.permission_mode,
            place,
            |text| match text.parse()? {
                PermissionMode::Full => Err("`full` has to be requested for each run".to_owned()),
                mode => Ok(mode),
            },
        )?;
        // First, so that the settings file can override it.
        let own = [(STORE.into(), store.clone().into())];
        let set =
            own.into_iter().chain(file.env.into_iter().map(|(name, value)| (name.into(), value.into()))).collect();
        Ok(Self {
            store,
            names_store,
            notify,
            agents,
            agent,
            permission_mode: permission_mode.unwrap_or_default(),
            agent_cwd: variable("CLAUDE_ASYNC_DEFAULT_CWD").map(PathBuf::from),
            caller: caller::of_environment(|| current_dir().ok().map(|directory| caller::project_of(&directory))),
            // Set by jobcore, not by people: an invalid id is ignored.
            own_job: text(crate::environment::JOB_ID).ok().flatten().and_then(|id| id.parse().ok()),
            policy,
            shell: text("JOBCORE_SHELL")?.or(file.shell),
            pipefail: truth("JOBCORE_PIPEFAIL", "pipefail", file.pipefail)?,
            timeout: duration("JOBCORE_TIMEOUT", "timeout", file.timeout)?,
            grace: duration("JOBCORE_GRACE", "grace", file.grace)?,
            output_limit: chosen(
                "JOBCORE_OUTPUT_LIMIT",
                text("JOBCORE_OUTPUT_LIMIT")?,
                "output_limit",
                limit,
                place,
                |text| Ok(parse_size(text)?),
            )?,
            stragglers: chosen(
                "JOBCORE_STRAGGLERS",
                text("JOBCORE_STRAGGLERS")?,
                "stragglers",
                file.stragglers,
                place,
                |text| match text {
                    "stop" => Ok(Stragglers::Stop),
                    "leave" => Ok(Stragglers::Leave),
                    other => Err(format!("`{other}` is neither `stop` nor `leave`")),
                },
            )?,
            environment: EnvironmentPolicy {
                only: variables("JOBCORE_ENV_ONLY", file.env_only)?,
                scrub: variables("JOBCORE_SCRUB", file.scrub)?,
                keep: variables("JOBCORE_KEEP", file.keep)?,
                set,
                unattended: unattended.unwrap_or_else(|| !std::io::stderr().is_terminal()),
            },
        })
    }

    /// Opens the store, and creates it if it does not exist. Stops are signed with `name`.
    ///
    /// # Errors
    /// If the store cannot be used or created.
    pub fn open(&self, name: &str) -> crate::Result<JobManager> {
        self.check_home()?;
        self.manage(FileStore::open(&self.store)?, name)
    }

    /// Opens the store for an operation that creates it when needed: submitting a job, changing a setting.
    ///
    /// # Errors
    /// If the store cannot be used or could not be created.
    pub fn open_to_write(&self, name: &str) -> crate::Result<JobManager> {
        self.check_home()?;
        self.manage(FileStore::at(&self.store)?, name)
    }

    /// Opens the store for reading. Nothing is created: without a store, there are no jobs.
    ///
    /// # Errors
    /// If the store cannot be used, or an explicitly named store does not exist.
    pub fn open_to_look(&self, name: &str) -> Result<JobManager, Failure> {
        let store = FileStore::at(&self.store)?;
        if self.names_store && !store.is_made()? {
            let message = format!("there is no store at `{}`", self.store.display());
            return Err(Failure::new(codes::FAILED, message)
                .with_hint("check its name; the first `jobcli run` there creates it"));
        }
        Ok(self.manage(store, name)?)
    }

    /// Prevents root from creating a store in the directory of another user, who could no longer use that directory.
    fn check_home(&self) -> crate::Result<()> {
        if self.names_store || !crate::sys::user::is_root() || self.store.exists() {
            return Ok(());
        }
        let owner = self.store.ancestors().find_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.uid());
        match owner {
            Some(user) if user != 0 => Err(crate::Error::StoreRefused {
                path: self.store.clone(),
                reason: format!(
                    "root would create it in a directory of user {user}, who could then not use it; run the command \
                     with `sudo -H`, or name a store with `--store`"
                ),
            }),
            _ => Ok(()),
        }
    }

    fn manage(&self, store: FileStore, name: &str) -> crate::Result<JobManager> {
        let jobs = JobManager::new(Arc::new(store), Arc::new(LocalRunner::new()?))?;
        Ok(jobs
            .with_name(format!("{name}, process {}", std::process::id()))
            .with_own_job(self.own_job)
            .with_policy(self.policy.clone()))
    }

    /// Records the caller of this program as the one that submits the job.
    pub fn sign(&self, spec: JobSpecBuilder) -> JobSpecBuilder {
        match &self.caller {
            Some(caller) => spec.caller(caller.clone()),
            None => spec,
        }
    }

    /// Applies the settings to a job; settings of the job itself are applied later.
    pub fn apply(&self, spec: JobSpecBuilder) -> JobSpecBuilder {
        let project = caller::project_of(spec.directory());
        let mut spec = spec.project(project);
        if let Some(shell) = &self.shell {
            spec = spec.with_shell(shell);
        }
        if self.pipefail == Some(false) {
            // If it is true, shells other than bash keep their own defaults.
            spec = spec.pipefail(false);
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
        if let Some(stragglers) = self.stragglers {
            spec = spec.stragglers(stragglers);
        }
        spec
    }
}

/// The variable that names the store, which jobs inherit.
const STORE: &str = "JOBCORE_STORE";

/// Refuses a relative path, which would mean another store in each directory.
fn same_everywhere(path: PathBuf, place: &str) -> Result<PathBuf, Failure> {
    if path.is_absolute() {
        return Ok(path);
    }
    let message = format!("{place}: `{}` would be a different store in each directory", path.display());
    Err(Failure::new(codes::USAGE, message).with_hint("use an absolute path; `--store` accepts relative paths as well"))
}

/// Replaces a leading `~` by the home directory even if no shell has done so, as in `--cwd=~/x`.
pub fn expanded(path: &Path) -> PathBuf {
    expand_home(path, std::env::var_os("HOME").as_deref())
}

/// Returns a typed path as an absolute one.
///
/// # Errors
/// If it is relative, and the current directory no longer exists.
pub fn absolute(path: PathBuf) -> crate::Result<PathBuf> {
    if path.is_absolute() { Ok(path) } else { Ok(current_dir()?.join(path)) }
}

/// Returns the current directory.
///
/// # Errors
/// If it no longer exists.
pub fn current_dir() -> crate::Result<PathBuf> {
    std::env::current_dir().map_err(|error| {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound => "the current directory no longer exists".to_owned(),
            _ => format!("the current directory cannot be read: {error}"),
        };
        let reason = format!("{reason}; change to another one, or name an absolute path");
        crate::Error::BadCwd { path: ".".into(), reason }
    })
}

/// Returns the agents with the settings of the file and the environment applied.
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
        // Only a file that was named explicitly has to exist.
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

/// Parses the value from the environment, or else from the file, and names its place if it is wrong.
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

/// Returns the patterns from the environment, or else from the file.
fn list<T>(
    name: &str,
    parse: impl Fn(&str) -> Result<Vec<T>, ParseError>,
    from_file: Option<Vec<T>>,
) -> Result<Vec<T>, Failure> {
    match text(name)? {
        Some(text) => parse(&text).map_err(|reason| Failure::new(codes::USAGE, format!("variable `{name}`: {reason}"))),
        None => Ok(from_file.unwrap_or_default()),
    }
}

/// Returns a variable that is set and not empty.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn text(name: &str) -> Result<Option<String>, Failure> {
    let not_text = |_| Failure::new(codes::USAGE, format!("variable `{name}`: it is not valid UTF-8"));
    variable(name).map(OsString::into_string).transpose().map_err(not_text)
}

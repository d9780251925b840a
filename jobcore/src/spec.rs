//! What to run: said once, at submit, and never changed.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::annotations::Annotations;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::name::Name;
use crate::signal::Signal;
use crate::sys;
use crate::sys::process::ProcessId;

pub use crate::output::MIN_OUTPUT_LIMIT;
pub use crate::sys::pty::TerminalSize;

/// Output of a job is kept up to this many bytes unless the spec says otherwise.
pub const DEFAULT_OUTPUT_LIMIT: u64 = 10 * 1024 * 1024;
/// How long a job that is asked to end may take before it is killed, unless the spec or the stop says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// The longest timeout and grace: ten years. Longer ones are slips of the keyboard.
pub const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The most bytes that can be given to a command to read.
pub const MAX_GIVEN: usize = 64 * 1024 * 1024;

/// The longest key: it becomes the name of a file, each byte as two digits.
const MAX_KEY: usize = 100;

/// `MAX_ARG_STRLEN` of Linux, execve(2): no single argument may be longer, its final NUL included.
const MAX_ARGUMENT: usize = 128 * 1024;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// A line for a shell.
    Shell(String),
    /// A program and its arguments, as they are.
    Argv(Vec<String>),
}

/// What the command reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stdin {
    /// Nothing: a read gets end of file at once, so that prompts fail fast.
    #[default]
    Closed,
    /// This file, from its beginning.
    File(PathBuf),
    /// What is sent to it while it runs, until its input is ended.
    Open,
    /// Bytes that were given with the spec, [`JobSpecBuilder::given`]. The store keeps them for as long as the job.
    Given,
}

/// What to do with processes that are left when the main process has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stragglers {
    /// They are stopped like the job itself: asked, then killed.
    #[default]
    Stop,
    /// They stay; the job is over, and its supervisor keeps their output until they are gone.
    Leave,
}

/// Bytes for a command to read. Private: printed by nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given(pub(crate) Vec<u8>);

impl Given {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Opens a file that holds them, and that nobody else can find.
    ///
    /// # Errors
    /// If none can be made.
    pub fn open(&self) -> io::Result<OwnedFd> {
        sys::file::in_memory(&self.0)
    }
}

impl From<Vec<u8>> for Given {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({} bytes)", self.0.len())
    }
}

/// What to run, and how. Made by [`JobSpec::shell`] or [`JobSpec::command`] and a [`JobSpecBuilder`].
///
/// Serialized without its environment, which a store keeps apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobSpec {
    /// What to run.
    pub command: Command,
    /// The shell for a shell line, and its options, as [`shell_words`] takes them apart: `bash -o pipefail`. At submit the
    /// program becomes the absolute path of the one to use; `bash` or else `sh` when this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// The whole environment of the command. Nothing is added but `JOBCORE_JOB_ID` and, for a job started by a job,
    /// `JOBCORE_PARENT_JOB_ID`.
    #[serde(skip)]
    pub environment: Environment,
    /// Which of its variables were set for this job, and not taken over from whoever submits it: a policy judges them as if
    /// the line had set them. Not part of what is read back.
    #[serde(skip)]
    pub explicit: BTreeSet<OsString>,
    /// What the command reads.
    #[serde(default)]
    pub stdin: Stdin,
    /// What there is to read with [`Stdin::Given`]. Not part of what is read back.
    #[serde(skip)]
    pub given: Given,
    /// Runs it on a terminal of this size, from which it reads and to which it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// Whether standard output and error share one pipe: their exact order is kept, and they cannot be told apart.
    #[serde(default)]
    pub merge: bool,
    /// What people want to find it by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long it may run before it is stopped, in milliseconds of the machine being awake. Absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long it may take to end when asked to, in milliseconds, before it is killed.
    pub grace_ms: u64,
    /// What the group of its main process is sent first when it is to end, for programs that clean up at another signal
    /// than SIGTERM. That follows after half the grace, and to what is left when the main process has ended. Absent:
    /// SIGTERM, to all of the job at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// How many bytes of output are kept on disk; 0 means no limit.
    pub output_limit: u64,
    /// What happens to processes that are left when the main process has ended.
    #[serde(default)]
    pub stragglers: Stragglers,
    /// What it is called. No two jobs that have not ended have the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Makes submitting it idempotent: as long as a job with this key is on record, there will be no second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The group in whose queue it waits, with a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// The process with which it ends: when that is gone, the job is stopped as if somebody had asked for it, and one that
    /// has not been started never is. Whoever watches the job holds this process open, so that its number cannot come to
    /// mean another. Absent: it outlives everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<ProcessId>,
    /// What layers above keep with it. In the record they stand beside the other fields, as they did in version 0.1.0.
    #[serde(flatten)]
    pub annotations: Annotations,
}

impl JobSpec {
    /// Describes a job that runs a line in a shell: `bash` if there is one, else `sh`.
    pub fn shell(line: impl Into<String>) -> JobSpecBuilder {
        JobSpecBuilder::new(Command::Shell(line.into()))
    }

    /// Describes a job that runs a program with arguments, without a shell.
    pub fn command<I>(argv: I) -> JobSpecBuilder
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        JobSpecBuilder::new(Command::Argv(argv.into_iter().map(Into::into).collect()))
    }

    /// Refuses annotations that would not be read back, since a field of the record has the same name.
    fn check_annotations(&self) -> Result<()> {
        if self.annotations.is_empty() {
            return Ok(());
        }
        let read = serde_json::to_string(self).and_then(|record| serde_json::from_str::<Self>(&record));
        if read.is_ok_and(|read| read.annotations.names().eq(self.annotations.names())) {
            return Ok(());
        }
        let names: Vec<_> = self.annotations.names().map(|name| format!("`{name}`")).collect();
        let reason =
            format!("a field of the record has the name of one of them: {}; use another name", names.join(", "));
        Err(invalid("annotations", reason))
    }

    /// Returns how long the job may run, if that is limited.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// Returns how long the job may take to end when asked to.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// Returns the variables that were set for this job, as text.
    pub(crate) fn set_variables(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let values = self.explicit.iter().map(|name| (name, self.environment.get(name).unwrap_or_default()));
        values.map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()))
    }

    /// Returns whether something can be sent to the job while it runs.
    pub fn takes_input(&self) -> bool {
        self.terminal.is_some() || self.stdin == Stdin::Open
    }

    /// Checks everything that can be known without looking at the machine.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`], naming the field.
    pub fn validate(&self) -> Result<()> {
        match &self.command {
            Command::Shell(line) if line.trim().is_empty() => {
                return Err(invalid("command", "the shell line is empty"));
            }
            Command::Shell(line) => check_argument("command", line.as_bytes())?,
            Command::Argv(argv) => {
                if argv.first().is_none_or(String::is_empty) {
                    return Err(invalid("argv", "there is no program to run"));
                }
                for argument in argv {
                    check_argument("argv", argument.as_bytes())?;
                }
            }
        }
        if let Some(shell) = &self.shell {
            for word in shell_words(shell).map_err(|reason| invalid("shell", reason))? {
                check_argument("shell", word.as_bytes())?;
            }
        }
        self.check_annotations()?;
        if !self.cwd.is_absolute() {
            return Err(invalid("cwd", format!("`{}` is not an absolute path", self.cwd.display())));
        }
        check_path("cwd", &self.cwd)?;
        if let Stdin::File(path) = &self.stdin {
            check_path("stdin", path)?;
        }
        if self.terminal.is_some() && matches!(self.stdin, Stdin::File(_) | Stdin::Given) {
            return Err(invalid("stdin", "a job on a terminal reads from that; let its command read the file"));
        }
        if self.given.0.len() > MAX_GIVEN {
            return Err(invalid("stdin", format!("more than {MAX_GIVEN} bytes; put them into a file and name that")));
        }
        if self.terminal.is_some_and(|size| size.columns == 0 || size.rows == 0) {
            return Err(invalid("terminal", "it has no room; give it at least one column and one row"));
        }
        for (name, value) in self.environment.iter() {
            check_variable(name, value)?;
        }
        for label in self.labels.iter().flat_map(|(name, value)| [name, value]) {
            if label.chars().any(char::is_control) || label.len() > 256 {
                return Err(invalid("labels", "a label has at most 256 bytes and no control characters"));
            }
        }
        if self.labels.keys().any(String::is_empty) {
            return Err(invalid("labels", "a label needs a name"));
        }
        if let Some(name) = self.name.as_ref().filter(|name| crate::id::looks_like_id(name.as_str())) {
            let reason = format!("`{name}` could be taken for a job id; add a `_`, a `.` or a letter from g to z");
            return Err(invalid("name", reason));
        }
        if let Some(key) = &self.key
            && !(1..=MAX_KEY).contains(&key.len())
        {
            return Err(invalid("key", format!("1 to {MAX_KEY} bytes")));
        }
        if let Some(process) = &self.ends_with
            && (process.pid <= 0 || process.boot_id.is_empty())
        {
            return Err(invalid("ends_with", format!("{} of boot `{}` is no process", process.pid, process.boot_id)));
        }
        if self.timeout_ms == Some(0) {
            return Err(invalid("timeout", "0 would end the job at once; leave it out for no limit"));
        }
        let longest = u64::try_from(MAX_DURATION.as_millis()).unwrap_or(u64::MAX);
        if self.timeout_ms.is_some_and(|timeout| timeout > longest) {
            return Err(invalid("timeout", "more than ten years; leave it out for no limit"));
        }
        if self.grace_ms > longest {
            return Err(invalid("grace", "more than ten years"));
        }
        if self.output_limit != 0 && self.output_limit < MIN_OUTPUT_LIMIT {
            return Err(invalid("output limit", format!("at least {MIN_OUTPUT_LIMIT} bytes, or 0 for no limit")));
        }
        Ok(())
    }
}

/// Takes a shell apart into words, as a POSIX shell would: its program, and its options.
///
/// # Errors
/// Says what is wrong with it: it has no word, or a quote without an end.
pub fn shell_words(shell: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(shell).ok_or_else(|| format!("`{shell}` has a quote or a backslash without an end"))?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err("there is no program in it; name one, such as `bash -o pipefail`".to_owned()),
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> Error {
    Error::InvalidSpec { field, reason: reason.into() }
}

fn check_argument(field: &'static str, bytes: &[u8]) -> Result<()> {
    if bytes.contains(&0) {
        return Err(invalid(field, "a NUL byte cannot be passed to a program"));
    }
    if bytes.len() >= MAX_ARGUMENT {
        let size = bytes.len();
        let reason = format!("{size} bytes in one argument, and the kernel takes {MAX_ARGUMENT}; put it into a file");
        return Err(invalid(field, reason));
    }
    Ok(())
}

fn check_path(field: &'static str, path: &Path) -> Result<()> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(invalid(field, "a path has no NUL byte"));
    }
    if path.to_str().is_none() {
        let reason = format!("`{}` is not valid UTF-8; use a shell line that changes into it", path.display());
        return Err(invalid(field, reason));
    }
    Ok(())
}

fn check_variable(name: &OsStr, value: &OsStr) -> Result<()> {
    let shown = name.to_string_lossy();
    if name.is_empty() || name.as_bytes().iter().skip(1).any(|byte| *byte == b'=') {
        return Err(invalid("environment", format!("`{shown}` cannot be the name of a variable")));
    }
    if name.as_bytes().contains(&0) || value.as_bytes().contains(&0) {
        return Err(invalid("environment", format!("variable `{shown}` has a NUL byte")));
    }
    if name.len() + value.len() + 2 > MAX_ARGUMENT {
        return Err(invalid(
            "environment",
            format!("variable `{shown}` is larger than the kernel takes, {MAX_ARGUMENT} bytes"),
        ));
    }
    Ok(())
}

/// Makes a [`JobSpec`].
///
/// ```
/// use std::time::Duration;
/// use jobcore::JobSpec;
///
/// let spec = JobSpec::command(["make", "-j4"]).cwd("/tmp").timeout(Duration::from_secs(300)).build()?;
/// assert_eq!(spec.grace(), Duration::from_secs(5));
/// # Ok::<(), jobcore::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct JobSpecBuilder {
    spec: JobSpec,
}

impl JobSpecBuilder {
    fn new(command: Command) -> Self {
        let spec = JobSpec {
            command,
            shell: None,
            cwd: PathBuf::from("/"),
            environment: Environment::default(),
            explicit: BTreeSet::new(),
            stdin: Stdin::default(),
            given: Given::default(),
            terminal: None,
            merge: false,
            labels: BTreeMap::new(),
            timeout_ms: None,
            grace_ms: millis(DEFAULT_GRACE),
            stop_signal: None,
            output_limit: DEFAULT_OUTPUT_LIMIT,
            stragglers: Stragglers::default(),
            name: None,
            key: None,
            group: None,
            ends_with: None,
            annotations: Annotations::default(),
        };
        Self { spec }
    }

    /// Uses this shell for a shell line: an absolute path or a name to be found on the `PATH` of the job, and options if it is
    /// to have any, such as `bash -o pipefail`. A path with a space or a quote in it is to be quoted as for a shell.
    pub fn with_shell(mut self, shell: impl Into<String>) -> Self {
        self.spec.shell = Some(shell.into());
        self
    }

    /// Runs in this directory, which must be absolute. The default is `/`.
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.spec.cwd = cwd.into();
        self
    }

    /// Replaces the whole environment, as one that is the submitter's own: no policy judges it. The default is empty, so that a
    /// program without a slash is not found.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.spec.environment = environment;
        self
    }

    /// Sets one variable for this job. A policy judges it like one that the line sets.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.spec.explicit.insert(name.clone());
        self.spec.environment.set(name, value);
        self
    }

    /// Takes over the environment that the calling program has now.
    pub fn inherit_env(self) -> Self {
        self.environment(std::env::vars_os().collect())
    }

    /// Sets what the command reads.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.spec.stdin = stdin;
        self
    }

    /// Lets the command read these bytes, and then the end of file.
    pub fn given(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        (self.spec.stdin, self.spec.given) = (Stdin::Given, Given(bytes.into()));
        self
    }

    /// Runs it on a terminal of this size. What kind it is, `TERM`, is up to the environment.
    pub fn terminal(mut self, size: TerminalSize) -> Self {
        self.spec.terminal = Some(size);
        self
    }

    /// Sends standard output and error through one pipe.
    pub fn merge(mut self, merge: bool) -> Self {
        self.spec.merge = merge;
        self
    }

    /// Adds a label.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.spec.labels.insert(name.into(), value.into());
        self
    }

    /// Limits how long the job may run.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.spec.timeout_ms = Some(millis(timeout));
        self
    }

    /// Sets how long the job may take to end when asked to.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.spec.grace_ms = millis(grace);
        self
    }

    /// Sends this signal first when the job is to end.
    pub fn stop_signal(mut self, signal: Signal) -> Self {
        self.spec.stop_signal = Some(signal);
        self
    }

    /// Limits how many bytes of output are kept; 0 means no limit.
    pub fn output_limit(mut self, bytes: u64) -> Self {
        self.spec.output_limit = bytes;
        self
    }

    /// Sets what happens to processes that are left when the main process has ended.
    pub fn stragglers(mut self, stragglers: Stragglers) -> Self {
        self.spec.stragglers = stragglers;
        self
    }

    /// Calls the job by this name.
    pub fn name(mut self, name: Name) -> Self {
        self.spec.name = Some(name);
        self
    }

    /// Makes submitting it idempotent.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.spec.key = Some(key.into());
        self
    }

    /// Puts the job into a group.
    pub fn group(mut self, group: Name) -> Self {
        self.spec.group = Some(group);
        self
    }

    /// Stops the job when this process ends, such as [`ProcessId::of_this_program`].
    pub fn ends_with(mut self, process: ProcessId) -> Self {
        self.spec.ends_with = Some(process);
        self
    }

    /// Keeps a value with the job, [`Annotations`].
    pub fn annotation(mut self, name: &str, value: &impl Serialize) -> Self {
        self.spec.annotations.set(name, value);
        self
    }

    /// Returns the spec.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`] for what [`JobSpec::validate`] refuses.
    pub fn build(self) -> Result<JobSpec> {
        self.spec.validate()?;
        Ok(self.spec)
    }
}

fn millis(duration: Duration) -> u64 {
    // A duration that is not zero never becomes zero, which would mean something else.
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(builder: JobSpecBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    #[test]
    fn an_annotation_cannot_take_the_place_of_a_field() {
        for field in ["cwd", "timeout_ms", "name", "ends_with"] {
            let refused = refusal(JobSpec::shell("x").annotation(field, &7).annotation("mine", &true));
            assert!(
                refused.starts_with("annotations: a field of the record has the name of one of them: `"),
                "{refused}"
            );
        }
        let spec = JobSpec::shell("x").annotation("mine", &0.1).build().unwrap();
        let record = serde_json::to_string(&spec).unwrap();
        assert!(record.contains(r#""mine":0.1"#), "{record}");
        assert_eq!(serde_json::from_str::<JobSpec>(&record).unwrap().annotations, spec.annotations);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert_eq!(refusal(JobSpec::shell("  \n")), "command: the shell line is empty");
        assert_eq!(refusal(JobSpec::command(Vec::<String>::new())), "argv: there is no program to run");
        assert_eq!(refusal(JobSpec::command(["", "x"])), "argv: there is no program to run");
        assert_eq!(refusal(JobSpec::command(["a", "b\0c"])), "argv: a NUL byte cannot be passed to a program");
        assert!(refusal(JobSpec::shell("x".repeat(2 << 20))).contains("2097152 bytes in one argument"));
        assert_eq!(refusal(JobSpec::shell("x").cwd("relative")), "cwd: `relative` is not an absolute path");
        assert_eq!(
            refusal(JobSpec::shell("x").with_shell("bash 'a")),
            "shell: `bash 'a` has a quote or a backslash without an end"
        );
        for empty in ["", " ", "'' -l"] {
            assert!(refusal(JobSpec::shell("x").with_shell(empty)).starts_with("shell: there is no program"));
        }
        assert!(refusal(JobSpec::shell("x").timeout(Duration::ZERO)).starts_with("timeout: 0"));
        assert!(refusal(JobSpec::shell("x").timeout(Duration::MAX)).starts_with("timeout: more than ten years"));
        assert!(refusal(JobSpec::shell("x").output_limit(1)).starts_with("output limit: at least 4096"));
        assert!(refusal(JobSpec::shell("x").label("", "y")).starts_with("labels"));
        let nobody = ProcessId { pid: 0, ..ProcessId::of_this_program().unwrap() };
        assert!(refusal(JobSpec::shell("x").ends_with(nobody)).starts_with("ends_with: 0 of boot"));
        assert!(refusal(JobSpec::shell("x").env("a=b", "y")).starts_with("environment: `a=b`"));
    }

    /// The job of that name was stopped where another was meant, by its short id.
    #[test]
    fn a_name_that_may_be_an_id_is_refused_and_read_back() {
        for name in ["cafe", "deadbeef", "0123-4567", "2026"] {
            let spec = JobSpec::shell("x").name(name.parse().unwrap());
            assert!(
                refusal(spec.clone()).starts_with(&format!("name: `{name}` could be taken for a job id")),
                "{name}"
            );
            let json = serde_json::to_string(&spec.spec).unwrap();
            assert_eq!(serde_json::from_str::<JobSpec>(&json).unwrap().name, spec.spec.name, "there may be such jobs");
        }
        JobSpec::shell("x").name("cafe.1".parse().unwrap()).build().unwrap();
    }

    #[test]
    fn a_short_duration_is_not_rounded_to_none() {
        let spec = JobSpec::shell("x").timeout(Duration::from_nanos(1)).build().unwrap();
        assert_eq!(spec.timeout(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn an_environment_survives_its_bytes_and_is_never_printed() {
        let environment: Environment =
            [("A", OsString::from("x=y")), ("=B", "".into()), ("S", OsStr::from_bytes(b"\xff").to_owned())]
                .into_iter()
                .collect();
        assert_eq!(Environment::from_bytes(&environment.to_bytes()), environment);
        assert_eq!(format!("{environment:?}"), "Environment(3 variables)");
        let spec = JobSpec::shell("x").environment(environment).build().unwrap();
        assert!(!serde_json::to_string(&spec).unwrap().contains("x=y"));
    }
}

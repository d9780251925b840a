//! The spec of a job, and the checks that need no look at the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Adoption, Annotations, Command, Given, JobSpecBuilder, Limits, MAX_DURATION, MAX_GIVEN, NotReady, Restart, Stdin,
    Stragglers, TerminalSize, shell_words,
};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::limit::Resource;
use crate::name::Name;
use crate::output::MIN_OUTPUT_LIMIT;
use crate::parse_error::ParseError;
use crate::queue::{After, LoadCondition, Place, Repeat, RepeatRule, RunOf};
use crate::signal::Signal;
use crate::sys::process::ProcessId;
use crate::until::Condition;

/// The longest key: it becomes the name of a file, with two digits for each byte.
const MAX_KEY: usize = 100;

/// `MAX_ARG_STRLEN` of Linux, execve(2): the longest single argument, including its final NUL.
const MAX_ARGUMENT: usize = 128 * 1024;

/// How many resources a job can take, and how long their names may be in total: the room for them in its row of the
/// queue.
const MAX_RESOURCES: usize = 4;
const MAX_RESOURCE_NAMES: usize = 48;
/// How many jobs a job can wait for. Its record is read as a whole.
const MAX_AFTER: usize = 1000;
/// How many conditions on the load of the machine a job can have.
const MAX_WHEN: usize = 16;

/// The shell for lines that are run at the end of a job.
pub(crate) const HOOK_SHELL: &str = "/bin/sh";

/// What to run, and how. Made by [`JobSpec::shell`] or [`JobSpec::command`] and a [`JobSpecBuilder`].
///
/// Serialized without its environment, which a store keeps separately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobSpec {
    /// What to run.
    pub command: Command,
    /// The shell for a shell line, with its options, as [`shell_words`] splits them: `bash -o pipefail`. At submit the
    /// program is replaced by its absolute path. If absent, `bash` is used, or else `sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Whether a shell line fails if any part of a pipe fails, and not only the last. At submit this becomes an option
    /// of the shell, `-o pipefail`, so that the line stays as it is. If absent, it is on for bash. Explicit options of
    /// the shell take precedence. Not read back.
    #[serde(skip)]
    pub pipefail: Option<bool>,
    /// The working directory, absolute.
    pub cwd: PathBuf,
    /// The whole environment of the command. Only these are added: `JOBCORE_JOB_ID` and `JOBCORE_SLOT`,
    /// `JOBCORE_PARENT_JOB_ID` if a job submitted this one, `JOBCORE_GROUP` in a group, `JOBCORE_RESOURCE_NAME` for
    /// each resource, and `JOBCORE_ATTEMPT` for a job that can be restarted.
    #[serde(skip)]
    pub environment: Environment,
    /// Which of its variables were set for this job and not inherited from the submitter: a policy judges them as if
    /// the line had set them. Not read back.
    #[serde(skip)]
    pub explicit: BTreeSet<OsString>,
    /// What the command reads as its standard input.
    #[serde(default)]
    pub stdin: Stdin,
    /// The input for [`Stdin::Given`]. Not read back.
    #[serde(skip)]
    pub given: Given,
    /// If present, the job runs on a terminal of this size, which is its standard input and output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// Whether standard output and error share one pipe: their exact order is kept, and they cannot be told apart.
    #[serde(default)]
    pub merge: bool,
    /// Labels to find the job by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// How long it may run before it is stopped, in milliseconds during which the machine is awake. If absent, there is
    /// no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long it runs unless its lease is renewed by [`JobManager::renew`](crate::JobManager::renew), in milliseconds
    /// during which the machine is awake. Then it is stopped. If absent, there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// How long it may be inactive before it counts as stalled, in milliseconds during which the machine is awake:
    /// without writing output, being given input, or using a thousandth of that time of CPU. A job that waits for input
    /// is inactive as well; a paused job does not count. A supervisor records the stall; a runner inside a program only
    /// stops the job, if `stall_stop` is set. If absent, there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall_ms: Option<u64>,
    /// Whether it is stopped when it has stalled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stall_stop: bool,
    /// How much its processes may use.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
    /// Whether its command is restarted when it has ended. If absent, it never is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// The conditions that make it ready once each has been met. If empty, readiness is not reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Condition>,
    /// How long it may take to become ready, in milliseconds during which the machine is awake. If absent, there is no
    /// limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_timeout_ms: Option<u64>,
    /// What happens if it is not ready in that time.
    #[serde(default, skip_serializing_if = "NotReady::is_stop")]
    pub not_ready: NotReady,
    /// How long it may take to end when asked to, in milliseconds, before it is killed.
    pub grace_ms: u64,
    /// The signal that is sent first to the process group of the main process when the job is to end, for programs that
    /// clean up on another signal than SIGTERM. SIGTERM follows after half the grace, and to the remaining processes
    /// when the main process has ended. If absent, SIGTERM is sent to the whole job at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<Signal>,
    /// How many bytes of output are kept on disk; 0 means no limit.
    pub output_limit: u64,
    /// What happens to processes that outlive the main process.
    #[serde(default)]
    pub stragglers: Stragglers,
    /// The name of the job. No two unfinished jobs of a project have the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Makes submitting it idempotent: while a job with this key is on record, no second one is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The group that it belongs to, which has its own queue and limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Name>,
    /// How many slots of the store and of its group it takes. A job that takes more than there are runs alone.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub slots: u32,
    /// The resources that it takes in addition to slots when it is started, and gives back when it ends.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<Resource, u32>,
    /// Jobs of a higher priority are started first. This and the next two fields are initial values: [`Place`] has the
    /// current ones.
    ///
    /// [`Place`]: crate::queue::Place
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Whether it is not started until it is released.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_hold: bool,
    /// The earliest time at which it may be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Jobs that it is started after. If one of them ends in another way than required, this job is skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<After>,
    /// Conditions on the load of the machine, all of which must hold for it to be started. A condition on a figure that
    /// the system does not provide counts as met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<LoadCondition>,
    /// When it is run repeatedly. This makes it a schedule: it stays in the queue and is never started itself. At each
    /// of its times a copy is started, an ordinary job without this field, [`JobSpec::not_before`], the name and the
    /// key. Its `not_before` is its first time; [`JobManager::submit`](crate::JobManager::submit) sets it if it is
    /// absent. A hold pauses the schedule, and a stop removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The schedule that it is a run of, if it is one. Set by the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_of: Option<RunOf>,
    /// The job whose command submitted it, according to its environment. Set at submit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<JobId>,
    /// The conversation, thread or program that submitted it, to which its end is delivered. Absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
    /// The project that it belongs to, as an absolute path: the top of the git worktree that contains its working
    /// directory, or else that directory itself. Absent if the submitter did not set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<PathBuf>,
    /// The process that it ends with: when that process is gone, the job is stopped as if on request, and a job that
    /// has not been started never will be. The job's supervisor holds this process open, so that its number cannot come
    /// to mean another process. If absent, the job outlives every process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_with: Option<ProcessId>,
    /// The process that the job adopted, if it was not started for this job: [`JobSpec::adopt`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopts: Option<Box<Adoption>>,
    /// A shell line that is run once the end of the job is on record, in addition to those that its group and the store
    /// set for all jobs: see [`StoreSettings::on_end`](crate::store::StoreSettings). An empty line keeps those of the
    /// group and the store from being run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<String>,
    /// Values that layers above keep with it. The record has them beside the other fields, as in version 0.1.0.
    #[serde(flatten)]
    pub annotations: Annotations,
}

impl JobSpec {
    /// Describes a job that runs a line in a shell: `bash` if there is one, or else `sh`.
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

    /// Describes a job that adopts a running process: its command, its directory, and its output from now on if that
    /// can be read without taking it away from another process. A supervisor takes charge of the process and its
    /// descendants. It does not become their parent, so descendants that leave the process group and the session and
    /// lose their parents are not tracked, and the exit code is known only if the kernel reports it to processes other
    /// than the parent: since Linux 6.15.
    ///
    /// The job has a key, so that all callers that adopt one process at the same time get the same job.
    ///
    /// # Errors
    /// If there is no such process, or `/proc` does not show its owner and its command.
    pub fn adopt(pid: i32) -> Result<JobSpecBuilder> {
        let (adoption, argv, cwd) = Adoption::of(pid)?;
        let ProcessId { boot_id, pid, start_time, .. } = &adoption.process;
        let key = format!("process {pid} {start_time} {boot_id}");
        Ok(Self::command(argv).cwd(cwd).key(key).adopts(adoption))
    }

    /// Refuses annotations that would not be read back because a field of the record has the same name.
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
            format!("the record already has a field with one of these names: {}; use another name", names.join(", "));
        Err(invalid("annotations", reason))
    }

    /// Refuses values that no queue could honour.
    fn check_queue(&self) -> Result<()> {
        if self.slots == 0 {
            return Err(invalid("slots", "a job takes at least one slot"));
        }
        if self.resources.values().any(|amount| *amount == 0) {
            return Err(invalid("resources", "0 of a resource is nothing; leave it out"));
        }
        let names: usize = self.resources.keys().map(|resource| resource.as_str().len()).sum();
        if self.resources.len() > MAX_RESOURCES || names > MAX_RESOURCE_NAMES {
            let reason = format!("at most {MAX_RESOURCES}, with names of {MAX_RESOURCE_NAMES} bytes in all");
            return Err(invalid("resources", reason));
        }
        if self.when.len() > MAX_WHEN {
            return Err(invalid("when", format!("at most {MAX_WHEN} conditions")));
        }
        for condition in &self.when {
            // It must be readable from its recorded form.
            condition.to_string().parse::<LoadCondition>().map_err(|error| invalid("when", error.to_string()))?;
        }
        if self.after.len() > MAX_AFTER {
            return Err(invalid("after", format!("at most {MAX_AFTER} jobs; let one job wait for some of them")));
        }
        Ok(())
    }

    fn check_restart(&self) -> Result<()> {
        let Some(restart) = &self.restart else { return Ok(()) };
        if restart.limit == Some(0) {
            return Err(invalid("restart", "a limit of 0 allows no restart; leave out the restart"));
        }
        if restart.backoff_ms > restart.backoff_max_ms || restart.backoff_max() > MAX_DURATION {
            return Err(invalid("backoff", "the first delay must not exceed the longest, which is at most ten years"));
        }
        if self.stragglers == Stragglers::Leave {
            let reason = "stragglers of one attempt would run beside the next; stop them instead";
            return Err(invalid("stragglers", reason));
        }
        Ok(())
    }

    /// Refuses a schedule that could not be followed.
    fn check_repeat(&self) -> Result<()> {
        let Some(repeat) = &self.repeat else { return Ok(()) };
        repeat.check().map_err(invalid_repeat(repeat))?;
        if !self.after.is_empty() {
            return Err(invalid("after", "a schedule cannot wait for other jobs, only for its times"));
        }
        if self.ends_with.is_some() {
            return Err(invalid("ends_with", "a schedule outlives the program that submits it; leave it out"));
        }
        Ok(())
    }

    /// Refuses settings that cannot be applied to a process that is already running.
    fn check_adoption(&self) -> Result<()> {
        if self.adopts.is_none() {
            return Ok(());
        }
        let wanted = [
            ("restart", self.restart.is_some(), "started again"),
            ("repeat", self.repeat.is_some(), "run at other times"),
            (
                "after",
                !self.after.is_empty() || self.not_before.is_some() || self.on_hold || !self.when.is_empty(),
                "started later",
            ),
            ("terminal", self.terminal.is_some(), "given a terminal"),
            ("stdin", self.stdin != Stdin::Closed, "given another standard input"),
            ("limits", !self.limits.is_empty(), "given limits"),
        ];
        match wanted.into_iter().find(|(_, is_wanted, _)| *is_wanted) {
            Some((field, _, what)) => {
                Err(invalid(field, format!("a process that is already running cannot be {what}")))
            }
            None => Ok(()),
        }
    }

    /// Sets the first time of a schedule.
    ///
    /// # Errors
    /// [`Error::InvalidSpec`] if there is none, or the time zone is not known on this machine.
    pub(crate) fn set_first_time(&mut self, now: Timestamp) -> Result<()> {
        if let Some(repeat) = &self.repeat {
            self.not_before = Some(repeat.first(self.not_before, now).map_err(invalid_repeat(repeat))?);
        }
        Ok(())
    }

    /// Returns the first scheduled time after this moment.
    ///
    /// # Errors
    /// See [`JobSpec::set_first_time`].
    pub(crate) fn time_after(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.repeat.as_ref().map(|repeat| repeat.next(now, now).map_err(invalid_repeat(repeat))).transpose()
    }

    /// Returns the spec of a run of this schedule.
    pub(crate) fn of_run(&self, run_of: RunOf, environment: Environment, given: Given) -> Self {
        let spec = Self { environment, given, run_of: Some(run_of), repeat: None, ..self.clone() };
        Self { name: None, key: None, not_before: None, on_hold: false, ..spec }
    }

    /// Returns the initial place of the job in the queue.
    pub(crate) fn first_place(&self) -> Place {
        let mut place = Place::default();
        (place.priority, place.on_hold, place.not_before) = (self.priority, self.on_hold, self.not_before);
        place
    }

    /// Returns the timeout, if there is one.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    /// Returns the length of the lease, if there is one.
    pub fn lease(&self) -> Option<Duration> {
        self.lease_ms.map(Duration::from_millis)
    }

    /// Returns when a lease ends that begins at this time.
    pub(crate) fn lease_from(&self, at: Timestamp) -> Option<Timestamp> {
        self.lease().map(|lease| at.checked_add(lease).unwrap_or(Timestamp::MAX))
    }

    /// Returns how long the job may be inactive before it counts as stalled, if that is limited.
    pub fn stall(&self) -> Option<Duration> {
        self.stall_ms.map(Duration::from_millis)
    }

    /// Returns how long the job may take to become ready, if that is limited.
    pub fn ready_timeout(&self) -> Option<Duration> {
        self.ready_timeout_ms.map(Duration::from_millis)
    }

    /// Returns how long the job may take to end when asked to.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// Returns the variables that were set for this job, as text.
    #[cfg(feature = "policy")]
    pub(crate) fn set_variables(&self) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)> {
        let values = self.explicit.iter().map(|name| (name, self.environment.get(name).unwrap_or_default()));
        values.map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()))
    }

    /// Returns the job that the hook line at the end of this one amounts to, for a policy to judge.
    pub(crate) fn of_its_end(&self) -> Option<Self> {
        let line = self.on_end.clone().filter(|line| !line.trim().is_empty())?;
        let (command, shell) = (Command::Shell(line), Some(HOOK_SHELL.to_owned()));
        Some(Self { command, shell, pipefail: None, explicit: BTreeSet::new(), on_end: None, ..self.clone() })
    }

    /// Returns the jobs that the readiness checks of this one amount to, for a policy to judge.
    #[cfg(feature = "policy")]
    pub(crate) fn of_its_readiness(&self) -> impl Iterator<Item = Self> + '_ {
        let lines = self.ready.iter().filter_map(|condition| match condition {
            Condition::Command(line) => Some(line.clone()),
            _ => None,
        });
        let shell = match self.command {
            Command::Shell(_) => self.shell.clone(),
            Command::Argv(_) => Some(HOOK_SHELL.to_owned()),
        };
        lines.map(move |line| Self {
            command: Command::Shell(line),
            shell: shell.clone(),
            ready: Vec::new(),
            ..self.clone()
        })
    }

    /// Returns whether input can be sent to the job while it runs.
    pub fn takes_input(&self) -> bool {
        self.terminal.is_some() || self.stdin == Stdin::Open
    }

    /// Checks everything that can be checked without looking at the machine.
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
        if let Some(line) = &self.on_end {
            check_argument("on_end", line.as_bytes())?;
        }
        self.check_annotations()?;
        self.limits.validate()?;
        self.check_queue()?;
        self.check_restart()?;
        self.check_repeat()?;
        self.check_adoption()?;
        if !self.cwd.is_absolute() {
            return Err(invalid("cwd", format!("`{}` is not an absolute path", self.cwd.display())));
        }
        check_path("cwd", &self.cwd)?;
        if let Some(project) = &self.project {
            check_path("project", project)?;
        }
        if let Stdin::File(path) = &self.stdin {
            check_path("stdin", path)?;
        }
        if self.terminal.is_some() && matches!(self.stdin, Stdin::File(_) | Stdin::Given) {
            return Err(invalid("stdin", "a job on a terminal reads from the terminal; let its command read the file"));
        }
        if self.given.0.len() > MAX_GIVEN {
            return Err(invalid(
                "stdin",
                format!("more than {MAX_GIVEN} bytes; put them into a file and name the file"),
            ));
        }
        if self.terminal.is_some_and(|size| size.columns == 0 || size.rows == 0) {
            return Err(invalid("terminal", "a terminal needs at least one column and one row"));
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
            return Err(invalid(
                "ends_with",
                format!("{} of boot `{}` is not a process", process.pid, process.boot_id),
            ));
        }
        if self.timeout_ms == Some(0) {
            return Err(invalid("timeout", "0 would end the job at once; leave it out for no limit"));
        }
        let longest = u64::try_from(MAX_DURATION.as_millis()).unwrap_or(u64::MAX);
        if self.timeout_ms.is_some_and(|timeout| timeout > longest) {
            return Err(invalid("timeout", "more than ten years; leave it out for no limit"));
        }
        match self.lease_ms {
            Some(0) => return Err(invalid("lease", "0 would end the lease at once; leave it out for no limit")),
            Some(lease) if lease > longest => {
                return Err(invalid("lease", "more than ten years; leave it out for no limit"));
            }
            Some(_) | None => {}
        }
        match self.stall_ms {
            Some(0) => return Err(invalid("stall", "0 would be reached at once; leave it out for no limit")),
            Some(stall) if stall > longest => {
                return Err(invalid("stall", "more than ten years; leave it out for no limit"));
            }
            None if self.stall_stop => {
                return Err(invalid("stall_stop", "needs `stall`, the time after which the job counts as stalled"));
            }
            Some(_) | None => {}
        }
        for condition in &self.ready {
            let text = condition.to_string();
            check_argument("ready", text.as_bytes())?;
            // It must be readable from its recorded form.
            text.parse::<Condition>().map_err(|error| invalid("ready", error.to_string()))?;
        }
        match self.ready_timeout_ms {
            Some(_) if self.ready.is_empty() => {
                return Err(invalid("ready_timeout", "needs `ready`, a condition that makes the job ready"));
            }
            Some(0) => return Err(invalid("ready_timeout", "0 would be reached at once; leave it out for no limit")),
            Some(timeout) if timeout > longest => {
                return Err(invalid("ready_timeout", "more than ten years; leave it out for no limit"));
            }
            None if self.not_ready != NotReady::Stop => {
                return Err(invalid("not_ready", "needs `ready_timeout`, the time that it may take"));
            }
            Some(_) | None => {}
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

fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_one(number: &u32) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

fn invalid(field: &'static str, reason: impl Into<String>) -> Error {
    Error::InvalidSpec { field, reason: reason.into() }
}

fn invalid_repeat(repeat: &Repeat) -> impl FnOnce(ParseError) -> Error {
    let field = match repeat.rule {
        RepeatRule::EveryMs(_) => "every",
        RepeatRule::Cron { .. } => "cron",
    };
    move |error| invalid(field, error.to_string())
}

fn check_argument(field: &'static str, bytes: &[u8]) -> Result<()> {
    if bytes.contains(&0) {
        return Err(invalid(field, "a NUL byte cannot be passed to a program"));
    }
    if bytes.len() >= MAX_ARGUMENT {
        let size = bytes.len();
        let reason = format!("{size} bytes in one argument, but the kernel accepts {MAX_ARGUMENT}; put it into a file");
        return Err(invalid(field, reason));
    }
    Ok(())
}

fn check_path(field: &'static str, path: &Path) -> Result<()> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(invalid(field, "a path cannot contain a NUL byte"));
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
            format!("variable `{shown}` is larger than the kernel accepts, {MAX_ARGUMENT} bytes"),
        ));
    }
    Ok(())
}

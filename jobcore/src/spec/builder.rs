//! Building a spec.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
#[cfg(feature = "front")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{
    Adoption, Annotations, Command, DEFAULT_GRACE, DEFAULT_OUTPUT_LIMIT, Given, JobSpec, Limits, NotReady, Restart,
    Stdin, Stragglers, TerminalSize, millis,
};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::Result;
use crate::id::JobId;
use crate::limit::Resource;
use crate::name::Name;
use crate::queue::{After, AfterWhen, LoadCondition, Repeat};
use crate::signal::Signal;
use crate::sys::process::ProcessId;
use crate::until::Condition;

/// Builds a [`JobSpec`].
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
    pub(super) spec: JobSpec,
}

impl JobSpecBuilder {
    pub(super) fn new(command: Command) -> Self {
        let spec = JobSpec {
            command,
            shell: None,
            pipefail: None,
            cwd: PathBuf::from("/"),
            environment: Environment::default(),
            explicit: BTreeSet::new(),
            stdin: Stdin::default(),
            given: Given::default(),
            terminal: None,
            merge: false,
            labels: BTreeMap::new(),
            timeout_ms: None,
            lease_ms: None,
            stall_ms: None,
            stall_stop: false,
            limits: Limits::default(),
            restart: None,
            ready: Vec::new(),
            ready_timeout_ms: None,
            not_ready: NotReady::Stop,
            grace_ms: millis(DEFAULT_GRACE),
            stop_signal: None,
            output_limit: DEFAULT_OUTPUT_LIMIT,
            stragglers: Stragglers::default(),
            name: None,
            key: None,
            group: None,
            slots: 1,
            resources: BTreeMap::new(),
            priority: 0,
            on_hold: false,
            not_before: None,
            after: Vec::new(),
            when: Vec::new(),
            parent: None,
            caller: None,
            project: None,
            repeat: None,
            run_of: None,
            ends_with: None,
            adopts: None,
            on_end: None,
            annotations: Annotations::default(),
        };
        Self { spec }
    }

    /// Uses this shell for a shell line: an absolute path or a name to be found in the `PATH` of the job, optionally
    /// followed by options, as in `bash -o pipefail`. A path with a space or a quote in it must be quoted as for a
    /// shell.
    pub fn with_shell(mut self, shell: impl Into<String>) -> Self {
        self.spec.shell = Some(shell.into());
        self
    }

    /// Sets whether a shell line fails if any part of a pipe fails, or only if the last one does. The default is the
    /// former in bash, and the latter in other shells.
    pub fn pipefail(mut self, pipefail: bool) -> Self {
        self.spec.pipefail = Some(pipefail);
        self
    }

    /// Runs in this directory, which must be absolute. The default is `/`.
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.spec.cwd = cwd.into();
        self
    }

    /// Returns the directory that it runs in.
    #[cfg(feature = "front")]
    pub(crate) fn directory(&self) -> &Path {
        &self.spec.cwd
    }

    /// Replaces the whole environment with the submitter's own, which no policy judges. The default is empty, so a
    /// program without a slash in its name is not found.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.spec.environment = environment;
        self
    }

    /// Adds a condition: the job is ready once each of its conditions has been met. The supervisor checks them even if
    /// nothing waits for the job, and records when it became ready.
    pub fn ready(mut self, condition: Condition) -> Self {
        self.spec.ready.push(condition);
        self
    }

    /// Limits how long it may take to become ready. The default is no limit.
    pub fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.spec.ready_timeout_ms = Some(millis(timeout));
        self
    }

    /// Sets what happens if it is not ready in time. The default is to stop it.
    pub fn not_ready(mut self, rule: NotReady) -> Self {
        self.spec.not_ready = rule;
        self
    }

    /// Sets one variable for this job. A policy judges it as if the line had set it.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.spec.explicit.insert(name.clone());
        self.spec.environment.set(name, value);
        self
    }

    /// Inherits the current environment of the calling program.
    pub fn inherit_env(self) -> Self {
        self.environment(std::env::vars_os().collect())
    }

    /// Sets what the command reads as its standard input.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.spec.stdin = stdin;
        self
    }

    /// Gives these bytes to the command to read, followed by the end of file.
    pub fn given(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        (self.spec.stdin, self.spec.given) = (Stdin::Given, Given(bytes.into()));
        self
    }

    /// Runs it on a terminal of this size. The terminal type, `TERM`, is left to the environment.
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

    /// Stops the job if its lease is not renewed for this long: [`JobSpec::lease_ms`].
    pub fn lease(mut self, lease: Duration) -> Self {
        self.spec.lease_ms = Some(millis(lease));
        self
    }

    /// Limits how much its processes may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.spec.limits = limits;
        self
    }

    /// Restarts the command by this rule when it has ended. Timeouts, stalls and readiness apply to each attempt
    /// separately. The default is never.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.spec.restart = Some(restart);
        self
    }

    /// Reports a job as stalled when it has been inactive for this long.
    pub fn stall(mut self, stall: Duration) -> Self {
        self.spec.stall_ms = Some(millis(stall));
        self
    }

    /// Sets whether the job is stopped when it has stalled.
    pub fn stall_stop(mut self, stop: bool) -> Self {
        self.spec.stall_stop = stop;
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

    /// Sets what happens to processes that outlive the main process.
    pub fn stragglers(mut self, stragglers: Stragglers) -> Self {
        self.spec.stragglers = stragglers;
        self
    }

    /// Names the job.
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

    /// Makes the job take more than one slot of the store and of its group.
    pub fn slots(mut self, slots: u32) -> Self {
        self.spec.slots = slots;
        self
    }

    /// Makes the job take this much of a resource while it runs.
    pub fn resource(mut self, resource: Resource, amount: u32) -> Self {
        self.spec.resources.insert(resource, amount);
        self
    }

    /// Sets the priority: the job is started before those of a lower priority. The default is 0.
    pub fn priority(mut self, priority: i32) -> Self {
        self.spec.priority = priority;
        self
    }

    /// Keeps the job in the queue until it is released.
    pub fn on_hold(mut self) -> Self {
        self.spec.on_hold = true;
        self
    }

    /// Keeps the job in the queue until this time.
    pub fn not_before(mut self, at: Timestamp) -> Self {
        self.spec.not_before = Some(at);
        self
    }

    /// Starts the job after another one. If there are several, it is started after all of them.
    pub fn after(mut self, job: JobId, when: AfterWhen) -> Self {
        self.spec.after.push(After::new(job, when));
        self
    }

    /// Starts the job only if this condition on the load of the machine is met. If there are several, all must be met.
    pub fn when(mut self, condition: LoadCondition) -> Self {
        self.spec.when.push(condition);
        self
    }

    /// Runs the job repeatedly: it becomes a schedule.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.spec.repeat = Some(repeat);
        self
    }

    /// Sets the caller that submits the job, to which its end is delivered.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.spec.caller = Some(caller);
        self
    }

    /// Sets the project that the job belongs to, as an absolute path.
    pub fn project(mut self, project: impl Into<PathBuf>) -> Self {
        self.spec.project = Some(project.into());
        self
    }

    /// Stops the job when this process ends, such as [`ProcessId::of_this_program`].
    pub fn ends_with(mut self, process: ProcessId) -> Self {
        self.spec.ends_with = Some(process);
        self
    }

    pub(super) fn adopts(mut self, adoption: Adoption) -> Self {
        self.spec.adopts = Some(Box::new(adoption));
        self
    }

    /// Does not follow the output of an adopted process.
    pub fn without_output(mut self) -> Self {
        self.spec.adopts = self.spec.adopts.map(|adoption| Box::new(adoption.without_output()));
        self
    }

    /// Runs a shell line once the end of the job is on record: [`JobSpec::on_end`].
    pub fn on_end(mut self, line: impl Into<String>) -> Self {
        self.spec.on_end = Some(line.into());
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
    /// [`Error::InvalidSpec`](crate::Error::InvalidSpec) for what [`JobSpec::validate`] refuses.
    pub fn build(self) -> Result<JobSpec> {
        self.spec.validate()?;
        Ok(self.spec)
    }
}

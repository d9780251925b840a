//! How a spec is made.

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

    /// Uses this shell for a shell line: an absolute path or a name to be found on the `PATH` of the job, and options if it is
    /// to have any, such as `bash -o pipefail`. A path with a space or a quote in it is to be quoted as for a shell.
    pub fn with_shell(mut self, shell: impl Into<String>) -> Self {
        self.spec.shell = Some(shell.into());
        self
    }

    /// Lets a shell line fail if any part of a pipe fails, or only if the last does. The default is the former in bash, and the
    /// latter in other shells.
    pub fn pipefail(mut self, pipefail: bool) -> Self {
        self.spec.pipefail = Some(pipefail);
        self
    }

    /// Runs in this directory, which must be absolute. The default is `/`.
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.spec.cwd = cwd.into();
        self
    }

    /// Returns the directory in which it runs.
    #[cfg(feature = "front")]
    pub(crate) fn directory(&self) -> &Path {
        &self.spec.cwd
    }

    /// Replaces the whole environment, as one that is the submitter's own: no policy judges it. The default is empty, so that a
    /// program without a slash is not found.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.spec.environment = environment;
        self
    }

    /// Adds a condition: the job is ready when each of its conditions was met once. Whoever watches it looks for that without
    /// anybody waiting, and puts on record when it was.
    pub fn ready(mut self, condition: Condition) -> Self {
        self.spec.ready.push(condition);
        self
    }

    /// Limits how long it may take to be ready. The default is no limit.
    pub fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.spec.ready_timeout_ms = Some(millis(timeout));
        self
    }

    /// Sets what happens when it is not ready in time. The default is to stop it.
    pub fn not_ready(mut self, rule: NotReady) -> Self {
        self.spec.not_ready = rule;
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

    /// Stops the job when it has not been renewed for so long: [`JobSpec::lease_ms`].
    pub fn lease(mut self, lease: Duration) -> Self {
        self.spec.lease_ms = Some(millis(lease));
        self
    }

    /// Limits how much its processes may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.spec.limits = limits;
        self
    }

    /// Starts the command again when it has ended, by this rule. Timeouts, stalls and readiness count for each attempt by itself.
    /// The default is never.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.spec.restart = Some(restart);
        self
    }

    /// Reports a job that does nothing for so long as stalled.
    pub fn stall(mut self, stall: Duration) -> Self {
        self.spec.stall_ms = Some(millis(stall));
        self
    }

    /// Stops the job when it is stalled.
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

    /// Lets the job take more than one slot of the store and of its group.
    pub fn slots(mut self, slots: u32) -> Self {
        self.spec.slots = slots;
        self
    }

    /// Lets the job take so much of a resource while it runs.
    pub fn resource(mut self, resource: Resource, amount: u32) -> Self {
        self.spec.resources.insert(resource, amount);
        self
    }

    /// Starts the job before those of a lower priority, which is 0 unless set.
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

    /// Starts the job after another one; of several, after all of them.
    pub fn after(mut self, job: JobId, when: AfterWhen) -> Self {
        self.spec.after.push(After::new(job, when));
        self
    }

    /// Starts the job only while the machine is like this; of several conditions, all have to hold.
    pub fn when(mut self, condition: LoadCondition) -> Self {
        self.spec.when.push(condition);
        self
    }

    /// Runs the job again and again: it becomes a schedule.
    pub fn repeat(mut self, repeat: Repeat) -> Self {
        self.spec.repeat = Some(repeat);
        self
    }

    /// Says who submits the job: its end is delivered to that caller.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.spec.caller = Some(caller);
        self
    }

    /// Says which project the job belongs to: an absolute path.
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

    /// Leaves the output of a process alone that was started elsewhere.
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

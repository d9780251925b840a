//! The records of a job. Everything else is derived from them and from the state of the lock.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::attempt;
use crate::clock::{Timestamp, to_milliseconds};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::output::OutputSize;
use crate::queue::{Place, RunOf};
use crate::spec::{Given, JobSpec, Restart};
use crate::state::{Cause, Event, Outcome, State};
use crate::sys::process;

pub use crate::attempt::Attempt;
pub use crate::job::Waiting;
pub use crate::sys::process::{ProcessId, Seen};
pub use crate::sys::world::World;

/// The version that this library writes into its records. Records of later versions are read but not rewritten.
pub const RECORD_VERSION: u32 = 1;

/// The submission: written once, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Submission {
    /// The format of this record.
    pub v: u32,
    /// The job.
    pub job_id: JobId,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// What to run.
    pub spec: Box<JobSpec>,
    /// The program to execute: the shell, or the program that the first word of the argv resolved to.
    pub program: std::path::PathBuf,
    /// The environment of the submitter: namespaces, umask, limits and the like.
    pub world: World,
}

impl Submission {
    /// Creates the record of a submission.
    pub fn new(
        job_id: JobId,
        submitted_at: Timestamp,
        spec: JobSpec,
        program: std::path::PathBuf,
        world: World,
    ) -> Self {
        Self { v: RECORD_VERSION, job_id, submitted_at, spec: Box::new(spec), program, world }
    }

    /// Returns the submission of a run of this schedule, for one of its scheduled times.
    pub(crate) fn of_run(&self, id: JobId, at: Timestamp, now: Timestamp, secrets: (Environment, Given)) -> Self {
        let (environment, given) = secrets;
        let spec = self.spec.of_run(RunOf::new(self.job_id, at), environment, given);
        Self::new(id, now, spec, self.program.clone(), self.world.clone())
    }

    /// Returns the submission as it will be read back: without the environment of the command and without its given
    /// input.
    pub(crate) fn as_recorded(&mut self) -> Self {
        // Both may be large, so they are moved out instead of cloned.
        let apart = (std::mem::take(&mut self.spec.environment), std::mem::take(&mut self.spec.given));
        let recorded = self.clone();
        (self.spec.environment, self.spec.given) = apart;
        recorded
    }
}

/// The holder that took charge of an attempt. Written before the command is started: once this record exists, the
/// command may have run. The record of a later attempt invalidates the [`Running`] record of the previous one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Start {
    /// The format of this record.
    pub v: u32,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// The supervisor, or the program that runs the job itself.
    pub holder: ProcessId,
    /// Whether the holder is a separate process that ends with the job.
    pub dedicated: bool,
    /// When.
    pub at: Timestamp,
    /// When the command is to be started, if that is later. While this is present, the command has not been started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The attempts before this one, the oldest first. If there are very many, some are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Attempt>,
}

impl Start {
    /// Records that `holder` took charge of the first attempt.
    pub fn new(holder: ProcessId, dedicated: bool, at: Timestamp) -> Self {
        Self { v: RECORD_VERSION, attempt: 1, holder, dedicated, at, due_at: None, before: Vec::new() }
    }

    /// Returns the record of the attempt that follows this one, given how it ended, or `None` if none follows.
    pub(crate) fn next(&self, restart: Option<&Restart>, ended: &Ended, now: Timestamp) -> Option<Self> {
        let restart = restart?;
        let mut before = self.before.clone();
        let mut outcome = ended.outcome.clone();
        let (output_start, output_end) = (attempt::output_start(&before), outcome.output_bytes);
        outcome.output_bytes = output_end.saturating_sub(output_start);
        let attempt = Attempt { number: self.attempt, started_at: ended.started_at, outcome, output_end };
        attempt::add(&mut before, attempt);
        let due_at = Some(later(now, attempt::delay(restart, &before)?));
        Some(Self { attempt: self.attempt + 1, at: now, due_at, before, ..self.clone() })
    }

    /// Returns the record of this attempt with its command being started now.
    pub(crate) fn now_due(&self, now: Timestamp) -> Self {
        Self { at: now, due_at: None, ..self.clone() }
    }

    /// Returns the offset at which the output of this attempt begins.
    pub(crate) fn output_start(&self) -> u64 {
        attempt::output_start(&self.before)
    }

    /// Returns when the first attempt was started, if this is a later one.
    pub(crate) fn first_started_at(&self) -> Option<Timestamp> {
        self.before.first()?.started_at
    }
}

fn later(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// The main process of the command. Written right after it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Running {
    /// The format of this record.
    pub v: u32,
    /// The main process.
    pub process: ProcessId,
    /// When it was started.
    pub at: Timestamp,
    /// Set when the job was seen waiting for input, until it writes output or gets input. Only a supervisor records
    /// this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Since when the job has been stalled, while it is. Only a supervisor records this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled_at: Option<Timestamp>,
    /// Since when the job has been paused, while it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// How long it was paused before that, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub paused_ms: u64,
    /// When the job became ready, by the conditions of its spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_at: Option<Timestamp>,
    /// When the lease of the job ends, if it has been renewed since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Running {
    /// Records that the command runs as `process`.
    pub fn new(process: ProcessId, at: Timestamp) -> Self {
        Self {
            v: RECORD_VERSION,
            process,
            at,
            waiting: None,
            stalled_at: None,
            paused_at: None,
            paused_ms: 0,
            ready_at: None,
            lease_until: None,
        }
    }
}

impl Running {
    /// Records since when the job has been paused (or that it continues), and how long it was paused before.
    pub(crate) fn pause(&mut self, since: Option<Timestamp>, before: Duration) -> Note {
        self.paused_at = since.map(to_milliseconds);
        self.paused_ms = u64::try_from(before.as_millis()).unwrap_or(u64::MAX);
        if since.is_some() { Note::Paused } else { Note::Resumed }
    }

    /// Records when the job became ready.
    pub(crate) fn become_ready(&mut self, at: Timestamp) -> Note {
        self.ready_at = Some(to_milliseconds(at));
        Note::Ready
    }

    /// Records how much of the lease is left.
    pub(crate) fn renew(&mut self, now: Timestamp, rest: Duration) -> Note {
        self.lease_until = now.checked_add(rest).ok().map(to_milliseconds);
        Note::Renewed
    }
}

/// A stop that is under way. Written before the first signal, so that a new supervisor can continue it if this one is
/// killed meanwhile, and knows who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stopping {
    /// The format of this record.
    pub(crate) v: u32,
    /// Why: it was requested, or a time limit was reached.
    pub(crate) cause: Cause,
    /// Who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) requester: Option<String>,
    /// When.
    pub(crate) at: Timestamp,
    /// How long after that the remaining processes are killed.
    pub(crate) grace_ms: u64,
}

impl Stopping {
    /// Returns how much of the grace period is left.
    pub(crate) fn rest(&self, now: Timestamp) -> Duration {
        let age = Duration::try_from(now.duration_since(self.at)).unwrap_or_default();
        Duration::from_millis(self.grace_ms).saturating_sub(age)
    }
}

/// The end of the job. Published before the lock is released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ended {
    /// The format of this record.
    pub v: u32,
    /// When the command was started, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// How.
    pub outcome: Outcome,
}

impl Ended {
    /// Records an outcome.
    pub fn new(started_at: Option<Timestamp>, outcome: Outcome) -> Self {
        Self { v: RECORD_VERSION, started_at, outcome }
    }
}

/// A record that the holder of a job writes.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
#[expect(clippy::exhaustive_enums, reason = "a store that does not know a record would lose it")]
pub enum Record<'r> {
    /// The holder: once this is recorded, the command may have run.
    Start(&'r Start),
    /// The main process.
    Running(&'r Running),
    /// The main process again, with an addition, and what was added.
    #[serde(serialize_with = "serialize_noted")]
    Noted(&'r Running, Note),
    /// The end. There is only one: it is never replaced.
    Ended(&'r Ended),
}

/// What was recorded about a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// It is paused.
    Paused,
    /// It was resumed.
    Resumed,
    /// It is ready.
    Ready,
    /// It was not ready in time, and continues.
    NotReady,
    /// Its lease was renewed.
    Renewed,
}

fn serialize_noted<S: Serializer>(running: &Running, _: &Note, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    running.serialize(serializer)
}

/// The message of a job that was withdrawn. No end is reported for a job whose submission was refused.
pub(crate) const WITHDRAWN: &str = "its submission failed";
/// The message of a job whose pid namespace has ended.
const NAMESPACE_ENDED: &str = "the container or sandbox that it ran in has ended";

/// Everything that a store knows of a job at one moment.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Evidence {
    /// What was submitted.
    pub submission: Submission,
    /// The holder that took charge of it, if any.
    pub start: Option<Start>,
    /// The main process, if it was started.
    pub running: Option<Running>,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// Whether the job's lock is held.
    pub held: bool,
    /// What is visible of the main process. Only looked up if no end is on record.
    pub seen: Seen,
    /// How much output was written.
    pub output: OutputSize,
    /// Its place in the queue, and what it was assigned when it left the queue.
    pub place: Place,
    /// The stop that was requested and had begun, for a job that may be restarted.
    pub(crate) stopping: Option<Stopping>,
}

impl Evidence {
    /// Creates the evidence of a submission alone.
    pub fn new(submission: Submission) -> Self {
        let (output, place) = (OutputSize::default(), submission.spec.first_place());
        Self {
            submission,
            start: None,
            running: None,
            ended: None,
            held: false,
            seen: Seen::Gone,
            output,
            place,
            stopping: None,
        }
    }

    /// Returns whether the supervisor on record is alive, whatever the lock says: its lock file may have been replaced,
    /// and a job must not have two supervisors.
    pub(crate) fn has_living_supervisor(&self) -> bool {
        let dedicated = self.start.as_ref().filter(|start| start.dedicated);
        dedicated.is_some_and(|start| !matches!(process::look(&start.holder), Seen::Gone | Seen::Rebooted))
    }

    /// Returns whether the job has become ready, whatever has happened to it since.
    pub(crate) fn has_become_ready(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.ready_at.is_some())
    }

    /// Returns whether none of the job's processes lives although its lock is held: another process is about to record
    /// the end.
    pub(crate) fn is_being_settled(&self) -> bool {
        let is_lost = self.ended.is_none() && matches!(self.seen, Seen::Gone | Seen::NamespaceEnded | Seen::Rebooted);
        let holder = self.start.as_ref().filter(|_| self.held && is_lost);
        holder.is_some_and(|start| matches!(process::look(&start.holder), Seen::Gone | Seen::Rebooted))
    }

    /// Returns whether the command runs without a supervisor, and a process of this world should start one for it.
    ///
    /// # Errors
    /// See [`Evidence::judge`].
    pub(crate) fn is_to_be_adopted_by(&self, own: &World) -> Result<bool> {
        let is_understood = self.submission.v <= RECORD_VERSION;
        let (job, _) = self.judge(Timestamp::now())?;
        Ok(is_understood
            && job.is_unsupervised()
            && own.may_act_for(&self.submission.world)
            && !self.has_living_supervisor())
    }

    /// Returns the job that this evidence describes, and whether its end is on record or was only found out now. In the
    /// latter case a caller that may write should record it.
    ///
    /// The state is derived step by step, one step for each known fact.
    ///
    /// # Errors
    /// [`Error::Refused`] if the records contradict each other.
    pub fn judge(&self, now: Timestamp) -> Result<(Job, Verdict)> {
        let (events, verdict) = self.events(now);
        let id = self.submission.job_id;
        let state = events
            .into_iter()
            .try_fold(State::Queued, State::apply)
            .map_err(|error| Error::Refused { id, reason: error.to_string() })?;
        let pid = match (self.seen, &state) {
            (Seen::Alive(pid) | Seen::Paused(pid), State::Running(_) | State::Paused(_)) => Some(pid),
            _ => None,
        };
        let Submission { submitted_at, spec, .. } = self.submission.clone();
        let start = self.start.as_ref();
        let attempts = start.map(|start| start.before.clone()).unwrap_or_default();
        let next_attempt_at = start.filter(|_| self.ended.is_none()).and_then(|start| start.due_at);
        let attempt = start.map_or(0, |start| start.attempt);
        let running = self.running.as_ref().filter(|_| pid.is_some());
        let waiting = running.and_then(|running| running.waiting);
        let stalled_at = running.and_then(|running| running.stalled_at);
        let ready_at = self.running.as_ref().and_then(|running| running.ready_at);
        let renewed = running.and_then(|running| running.lease_until);
        let lease_until = running.and_then(|running| renewed.or(spec.lease_from(running.at)));
        let (held, output, place, paused) = (self.held, self.output, self.place.clone(), self.paused(&state, now));
        let job = Job {
            id,
            submitted_at,
            spec,
            state,
            pid,
            held,
            output,
            waiting,
            stalled_at,
            place,
            paused,
            ready_at,
            lease_until,
            attempt,
            attempts,
            next_attempt_at,
        };
        Ok((job, verdict))
    }

    /// Returns how long the job was paused until now, or until its end.
    fn paused(&self, state: &State, now: Timestamp) -> Duration {
        if let Some(outcome) = state.outcome() {
            return Duration::from_millis(outcome.paused_ms);
        }
        let Some(running) = &self.running else { return Duration::ZERO };
        let this = running.paused_at.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
        Duration::from_millis(running.paused_ms).saturating_add(this.unwrap_or_default())
    }

    /// Returns the outcome of a job whose end was not observed.
    pub(crate) fn lost(&self, cause: Cause, message: Option<String>, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::new(cause, now);
        outcome.message = message;
        outcome.output_bytes = self.output.bytes;
        outcome.dropped_bytes = self.output.dropped;
        outcome
    }

    /// Returns when the first attempt was started, if that is on record.
    fn started_at(&self) -> Option<Timestamp> {
        let first = self.start.as_ref().and_then(Start::first_started_at);
        first.or(self.running.as_ref().map(|running| running.at))
    }

    /// Returns the stop that was requested and had begun.
    fn requested_stop(&self) -> Option<&Stopping> {
        self.stopping.as_ref().filter(|stopping| stopping.cause == Cause::Stopped)
    }

    /// Returns the attempt that the next holder is to start when no process of the recorded attempt is left, or `None`
    /// if there is none.
    pub(crate) fn next_attempt(&self, now: Timestamp) -> Option<Start> {
        let is_left = self.ended.is_some() || !matches!(self.seen, Seen::Gone | Seen::NamespaceEnded | Seen::Rebooted);
        let (start, restart) = (self.start.as_ref().filter(|_| !is_left)?, self.submission.spec.restart.as_ref()?);
        if self.requested_stop().is_some() {
            return None;
        }
        if start.due_at.is_some() {
            return Some(start.clone());
        }
        let cause = if self.seen == Seen::Rebooted { Cause::Rebooted } else { Cause::SupervisorLost };
        let started_at = self.running.as_ref().map(|running| running.at);
        start.next(Some(restart), &Ended::new(started_at, self.lost(cause, None, now)), now)
    }

    fn events(&self, now: Timestamp) -> (Vec<Event>, Verdict) {
        let mut events = Vec::new();
        if let Some(ended) = &self.ended {
            if ended.started_at.is_some() {
                events.push(Event::Started(ended.started_at));
            }
            events.push(Event::Ended(ended.outcome.clone()));
            return (events, Verdict::OnRecord);
        }
        // The holder of a schedule's lock is changing the schedule or queueing a run of it.
        if self.start.is_none() && (!self.held || self.submission.spec.repeat.is_some()) {
            return (events, Verdict::OnRecord);
        }
        events.push(Event::Started(self.started_at()));
        let lost = |cause, message: Option<&str>, events: &mut Vec<Event>| {
            let mut outcome = self.lost(cause, message.map(str::to_owned), now);
            let is_between_attempts = self.start.as_ref().is_some_and(|start| start.due_at.is_some());
            if let Some(stopping) = self.requested_stop().filter(|_| is_between_attempts) {
                // Nothing was running, so the stop was complete as soon as it had begun.
                (outcome.cause, outcome.stopped_by) = (Cause::Stopped, stopping.requester.clone());
            }
            if self.next_attempt(now).is_some() {
                events.push(Event::SupervisorLost);
                return Verdict::OnRecord;
            }
            events.push(Event::Ended(outcome));
            Verdict::FoundOut
        };
        let verdict = match (self.held, self.seen) {
            (true, _) => Verdict::OnRecord,
            (false, Seen::Alive(_) | Seen::Paused(_)) => {
                events.push(Event::SupervisorLost);
                Verdict::OnRecord
            }
            (false, Seen::Gone) => lost(Cause::SupervisorLost, None, &mut events),
            (false, Seen::NamespaceEnded) => lost(Cause::SupervisorLost, Some(NAMESPACE_ENDED), &mut events),
            (false, Seen::Rebooted) => lost(Cause::Rebooted, None, &mut events),
            // Nothing is final while a process of the job is alive.
            (false, Seen::Stragglers) => {
                events.push(Event::SupervisorLost);
                Verdict::OnRecord
            }
            // Only the lock can be judged from here, and a free lock does not prove an end: a process that can see the
            // job's processes will decide.
            (false, Seen::Unknown) => {
                events.push(Event::SupervisorLost);
                Verdict::OnRecord
            }
        };
        let is_paused = self.running.as_ref().is_some_and(|running| running.paused_at.is_some());
        if verdict == Verdict::OnRecord && (is_paused || matches!(self.seen, Seen::Paused(_))) {
            events.push(Event::Paused);
        }
        (events, verdict)
    }
}

/// Whether there is something to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Everything is on record.
    OnRecord,
    /// The job has ended, and no record says so yet.
    FoundOut,
}

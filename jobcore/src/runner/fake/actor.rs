//! Plays a script, and drives the life of a job with it.

use std::time::Duration;

use super::script::{End, Gate, Script, Step};
use super::{FakeRunner, failure};
use crate::clock::{Clock, Timestamp};
use crate::control::{Answer, Request};
use crate::life::{Action, Exit, Life};
use crate::output::Stream;
use crate::record::{Ended, Note, Running, Start};
use crate::signal::Signal;
use crate::state::{Cause, Outcome};
use crate::store::{Incoming, JobClaim};
use crate::sys::process::ProcessId;
use crate::testing::{ManualClock, later};

/// The signals with the default actions `Ign` and `Stop` in signal(7): a process dies of all others unless it handles
/// them.
const HARMLESS: [&str; 4] = ["SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH"];
const PAUSING: [&str; 4] = ["SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"];

/// Plays one job to its end.
pub(super) struct Actor {
    claim: Box<dyn JobClaim>,
    runner: FakeRunner,
    /// Which attempt this is, and how earlier ones went.
    start: Start,
    script: Script,
    pause: Option<Pause>,
    /// Why the command of a later attempt could not be started.
    failure: Option<Outcome>,
    life: Life,
    running: Running,
    /// Since which age the job has been paused, if it is.
    stands_since: Option<Duration>,
    started_at: Timestamp,
    /// Its current age: never past the clock, but behind it after the clock has been moved far at once.
    age: Duration,
}

/// What holds up a script.
#[derive(Debug, Clone)]
enum Pause {
    Until(Duration),
    Gate(Gate),
    Forever,
}

impl Actor {
    pub(super) fn new(
        claim: Box<dyn JobClaim>,
        runner: FakeRunner,
        start: Start,
        script: Script,
        process: ProcessId,
    ) -> Self {
        let life = Life::new(&claim.submission().spec);
        let (started_at, age) = (start.at, Duration::ZERO);
        let running = Running::new(process, started_at);
        let (pause, failure, stands_since) = (None, None, None);
        Self { claim, runner, start, script, pause, failure, life, running, stands_since, started_at, age }
    }

    pub(super) async fn act(mut self) {
        self.record_running().await;
        let mut ended = self.attempt().await;
        let restart = self.claim.submission().spec.restart.clone();
        while let Some(next) = self.start.next(restart.as_ref(), &ended, ended.outcome.ended_at) {
            self.start = next;
            if let Err(error) = self.claim.start(&self.start).await {
                tracing::warn!(%error, "the end of an attempt is not on record");
            }
            self.rest(ended.outcome.ended_at);
            ended = self.attempt().await;
        }
        ended.started_at = self.start.first_started_at().or(ended.started_at);
        if let Err(error) = self.claim.finish(&ended).await {
            tracing::error!(%error, "the end of a job is not on record");
        }
    }

    async fn record_running(&mut self) {
        if let Err(error) = self.claim.running(&self.running).await {
            tracing::warn!(%error, "the main process is not on record");
        }
    }

    /// Begins the delay before the next attempt.
    fn rest(&mut self, now: Timestamp) {
        let due_at = self.start.due_at.unwrap_or(now);
        let delay = Duration::try_from(due_at.duration_since(now)).unwrap_or_default();
        let life = Life::between_attempts(&self.claim.submission().spec, delay);
        self.begin(life.with_lease_of(&self.life, self.age), now);
        self.pause = Some(Pause::Forever);
    }

    fn begin(&mut self, life: Life, now: Timestamp) {
        (self.life, self.started_at, self.age) = (life, now, Duration::ZERO);
        (self.pause, self.stands_since) = (None, None);
    }

    /// Follows the script of the command from the beginning again.
    async fn start_again(&mut self) {
        let now = later(self.started_at, self.age);
        self.start = self.start.now_due(now);
        self.script = self.runner.script_for(&self.claim.submission().spec);
        if let Err(error) = self.claim.start(&self.start).await {
            tracing::warn!(%error, "an attempt is not on record");
        }
        if let End::CannotStart(reason) = &self.script.end {
            self.failure = Some(failure(reason.clone(), now));
            return;
        }
        let life = Life::new(&self.claim.submission().spec);
        self.begin(life.with_lease_of(&self.life, self.age), now);
        self.running = Running::new(self.running.process.clone(), now);
        self.record_running().await;
    }

    /// Plays one attempt to its end, including the delay before it if that is not over.
    async fn attempt(&mut self) -> Ended {
        let mut outcome = self.play().await;
        (outcome.output_bytes, outcome.dropped_bytes) = (self.claim.output().bytes, self.claim.output().dropped);
        let was_started = outcome.cause != Cause::SpawnFailed;
        Ended::new(was_started.then_some(self.started_at), outcome)
    }

    async fn play(&mut self) -> Outcome {
        loop {
            if self.pause.is_none() && !self.life.has_exited() {
                self.go_on().await;
            }
            self.obey().await;
            if let Some(outcome) = self.failure.take().or_else(|| self.life.end(|| true)) {
                return outcome;
            }
            if let Some(pause) = self.pause.clone() {
                self.wait(pause).await;
            }
        }
    }

    /// Does everything that is due now to the one simulated process.
    async fn obey(&mut self) {
        while let Some(action) = self.life.next(self.age) {
            match action {
                Action::RecordStop { .. } | Action::NoteStall { .. } => {}
                Action::LookAtUse => self.life.used(Some(Duration::ZERO), self.age),
                Action::NotePause { since, before } => {
                    let note = self.running.pause(since.map(|age| later(self.started_at, age)), before);
                    self.note(note).await;
                }
                Action::NoteLease { rest } => {
                    let note = self.running.renew(later(self.started_at, self.age), rest);
                    self.note(note).await;
                }
                Action::NoteReady => {
                    let note = self.running.become_ready(later(self.started_at, self.age));
                    self.note(note).await;
                }
                Action::NoteNotReady => self.note(Note::NotReady).await,
                Action::Pause => {
                    self.stands_since = self.stands_since.or(Some(self.age));
                    self.life.stands_still(Vec::new(), self.age);
                }
                Action::StartAgain => {
                    self.start_again().await;
                    return;
                }
                Action::CallOff => self.life.called_off(later(self.started_at, self.age), self.age),
                Action::Continue => {
                    let stood = self.stands_since.take().map(|since| self.age.saturating_sub(since));
                    if let (Some(stood), Some(Pause::Until(age))) = (stood, &mut self.pause) {
                        *age = age.saturating_add(stood);
                    }
                }
                Action::Count => self.life.counted(0),
                Action::Ask(signal) => self.receive(signal),
                Action::Terminate => self.receive(Signal::TERM),
                Action::Kill | Action::KillAgain | Action::GiveUp => self.receive(Signal::KILL),
            }
        }
    }

    async fn note(&mut self, note: Note) {
        if let Err(error) = self.claim.note(&self.running, note).await {
            tracing::warn!(%error, "a note about a job was not recorded");
        }
    }

    /// Waits until the script continues, something is due, or a request comes: in this order, so that what was due
    /// before a request is done before it.
    async fn wait(&mut self, pause: Pause) {
        let (clock, started_at) = (self.runner.clock.clone(), self.started_at);
        let deadline = self.life.deadline();
        let is_paused = self.life.is_paused();
        tokio::select! {
            biased;
            age = pause_has_ended(&pause, &clock, started_at, deadline), if !is_paused => {
                self.age = self.age.max(age);
                self.pause = None;
            }
            age = reached(&clock, started_at, deadline) => self.age = self.age.max(age),
            incoming = self.claim.next_request() => {
                self.age = age_at(clock.now(), started_at);
                self.serve(incoming).await;
            }
        }
    }

    /// Follows the script until it has to wait, or to its end.
    async fn go_on(&mut self) {
        while let Some(step) = self.script.steps.pop_front() {
            match step {
                Step::Write(stream, bytes) => {
                    let stream = if self.claim.submission().spec.merge { Stream::Stdout } else { stream };
                    self.claim.append(stream, later(self.started_at, self.age), &bytes).await;
                }
                Step::BeReady => self.life.is_ready(),
                Step::Do(effect) => (effect.0)(&self.claim.submission().spec),
                Step::Take(time) => {
                    self.pause = Some(Pause::Until(self.age.saturating_add(time)));
                    return;
                }
                Step::WaitFor(gate) => {
                    self.pause = Some(Pause::Gate(gate));
                    return;
                }
            }
        }
        match self.script.end {
            End::Exit(code) => self.end(Some(code), None),
            End::Die(signal) => self.end(None, Some(signal)),
            // A script that answers a signal was started long ago.
            End::Stay | End::CannotStart(_) => self.pause = Some(Pause::Forever),
        }
    }

    fn end(&mut self, code: Option<i32>, signal: Option<Signal>) {
        let exit = Exit { code, signal, ..Exit::unseen(later(self.started_at, self.age)) };
        self.life.main_ended(exit, self.age);
    }

    async fn serve(&mut self, incoming: Incoming) {
        let answer = match incoming.request.clone() {
            Request::Count => Answer::processes(1),
            Request::EndInput => {
                self.claim.end_input().await;
                Answer::Accepted
            }
            Request::Resize { .. } => Answer::Accepted,
            Request::Stop { grace_ms, requester } => {
                self.life.stop(grace_ms.map(Duration::from_millis), requester, self.age);
                self.obey().await;
                Answer::Accepted
            }
            Request::Signal { signal, .. } if PAUSING.contains(&signal.to_string().as_str()) => {
                Answer::Refused { reason: format!("a scripted job cannot be paused by {signal}") }
            }
            Request::Signal { signal, requester } => {
                let answer = self.life.signal(signal, requester, self.age, || Ok(()));
                self.receive(signal);
                answer
            }
            Request::Pause => match self.life.pause(self.age) {
                Ok(()) => {
                    self.obey().await;
                    self.life.pause_answer()
                }
                Err(reason) => Answer::Refused { reason },
            },
            Request::Renew => match self.life.renew(self.age) {
                Ok(()) => {
                    self.obey().await;
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused { reason },
            },
            Request::Resume => match self.life.resume(self.age) {
                Ok(()) => {
                    self.obey().await;
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused { reason },
            },
        };
        incoming.answer(answer);
    }

    /// Handles a signal: the job dies, switches to another script, or ignores it.
    fn receive(&mut self, signal: Signal) {
        let trap = self.script.traps.iter().rev().find(|(trapped, _)| *trapped == signal && signal != Signal::KILL);
        match trap.cloned() {
            None if HARMLESS.contains(&signal.to_string().as_str()) => {}
            None => self.end(None, Some(signal)),
            Some((_, None)) => {}
            Some((_, Some(script))) => (self.script, self.pause) = (script, None),
        }
    }
}

fn age_at(at: Timestamp, started_at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(started_at)).unwrap_or_default()
}

/// Returns when a job has reached this age, and the age.
async fn reached(clock: &ManualClock, started_at: Timestamp, age: Option<Duration>) -> Duration {
    let Some(age) = age else { return std::future::pending().await };
    clock.reached(later(started_at, age)).await;
    age
}

/// Returns when a pause is over, and the age of the job at that time; never if that is after `deadline`.
async fn pause_has_ended(
    pause: &Pause,
    clock: &ManualClock,
    started_at: Timestamp,
    deadline: Option<Duration>,
) -> Duration {
    let age = match pause {
        Pause::Until(age) => reached(clock, started_at, Some(*age)).await,
        Pause::Gate(gate) => age_at(gate.opened().await, started_at),
        Pause::Forever => std::future::pending().await,
    };
    match deadline {
        Some(deadline) if deadline < age => std::future::pending().await,
        _ => age,
    }
}

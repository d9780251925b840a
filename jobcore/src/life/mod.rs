//! The life of a job from the start of its command to its end, as a state machine without side effects: events go in,
//! actions come out.
//!
//! Whatever runs a job drives one [`Life`]. The driver knows how to signal, how to see the processes of the job, how to
//! keep output and how to write records; *when* any of that is done is decided here, and only here. A driver
//!
//! 1. reports events: [`Life::main_ended`], [`Life::stop`], [`Life::signal`], …
//! 2. performs what [`Life::next`] returns until that is `None`, and then answers the caller that requested a stop,
//!    because what is accepted must be on record;
//! 3. records the outcome that [`Life::end`] returns, once;
//! 4. waits for the next event, but no longer than until [`Life::deadline`].
//!
//! All times are ages of the job: how long ago its command was started, by a clock of the driver's choice.

// In the order in which to read them:
// - `stall.rs`: when a job does nothing
// - `pause.rs`: when it is paused
// - `readiness.rs`: when it is ready
// - `lease.rs`: how long it runs without being renewed
// - `tests.rs`, `properties.rs`: lives without processes, chosen and random

mod lease;
mod pause;
#[cfg(test)]
mod properties;
mod readiness;
mod stall;
#[cfg(test)]
mod tests;

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::control::Answer;
use crate::signal::Signal;
use crate::spec::{JobSpec, Stragglers};
use crate::state::{Cause, Outcome, Survivor};
use lease::{LEASE_END, Lease};
use pause::Pause;
use readiness::{Due, Readiness};
use stall::Stall;

/// How many survivors are named in a record; they must fit the room reserved for it.
pub(crate) const NAMED: usize = 8;
/// A process that ends on its own within this time after the main process is no straggler: the reader of a process
/// substitution, the last stage of a pipeline.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long a pause may hold up everything else at a time.
pub(crate) const STANDING_STILL: Duration = Duration::from_millis(200);
/// How often to look for what is left of a job when nothing reports its end.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long killed processes may take to end before they count as survivors.
const DYING: Duration = Duration::from_secs(5);
/// How often the rest is killed until then: a process killed while the list was being read may have children that got
/// no signal of their own.
const KILL_AGAIN: Duration = Duration::from_millis(20);

/// How the main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<Signal>,
    pub(crate) core_dumped: bool,
    /// Whether the kernel killed it because memory ran out.
    pub(crate) is_out_of_memory: bool,
    pub(crate) at: Timestamp,
}

impl Exit {
    /// Returns the end that a status describes.
    pub(crate) fn new(status: ExitStatus, at: Timestamp) -> Self {
        Self {
            code: status.code(),
            signal: status.signal().map(Signal::from_number),
            core_dumped: status.core_dumped(),
            ..Self::unseen(at)
        }
    }

    /// Returns an end that no process saw, discovered at this time.
    pub(crate) fn unseen(at: Timestamp) -> Self {
        Self { code: None, signal: None, core_dumped: false, is_out_of_memory: false, at }
    }
}

/// What a driver should do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Record that the job is being stopped: before the stop has any visible effect.
    RecordStop { cause: Cause, requester: Option<String>, grace: Duration },
    /// Send this signal to the process group of the main process. If that is impossible: [`Life::cannot_ask`].
    Ask(Signal),
    /// Ask all processes of the job to end, and let paused ones continue.
    Terminate,
    /// Check how much CPU time the processes of the job have used: [`Life::used`].
    LookAtUse,
    /// Record since when the job has been stalled, or that it no longer is.
    NoteStall { since: Option<Duration> },
    /// Record since when the job has been paused, or that it no longer is, and how long it was paused before.
    NotePause { since: Option<Duration>, before: Duration },
    /// Stop all processes of the job by a signal until none of them runs, as far as that takes no time:
    /// [`Life::stands_still`].
    Pause,
    /// Let all processes of the job continue.
    Continue,
    /// Record that the job is ready.
    NoteReady,
    /// Report that the job is not ready in time, and continues.
    NoteNotReady,
    /// Record how much is left of the lease of the job.
    NoteLease { rest: Duration },
    /// Start the command again: its next attempt, with a life of its own.
    StartAgain,
    /// Report when the job was stopped before its next attempt: [`Life::called_off`].
    CallOff,
    /// Count the processes that outlived the main process: [`Life::counted`].
    Count,
    /// Kill all processes of the job.
    Kill,
    /// Kill what is left of the job.
    KillAgain,
    /// Kill what is left of the job, and name what even that cannot end: [`Life::survived`].
    GiveUp,
}

/// A stop in progress.
#[derive(Debug, Clone, Copy)]
struct Stop {
    stage: Stage,
    /// When everything is killed, and later when it is killed again.
    kill_at: Duration,
    /// The grace that has yet to be recorded.
    unrecorded: Option<Duration>,
}

/// How far a stop has come.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Begun,
    /// The main process was asked with the signal of its spec; everything is asked at this time.
    MainAsked {
        until: Duration,
    },
    Terminated,
    /// Everything was killed; what is still there at this time has survived.
    Killing {
        gives_up_at: Duration,
    },
}

impl Stop {
    fn is_killing(&self) -> bool {
        matches!(self.stage, Stage::Killing { .. })
    }
}

/// Returns what to record about a stop, once for each grace.
fn record_stop(stop: &mut Stop, cause: Option<&(Cause, Option<String>)>) -> Option<Action> {
    let (grace, (cause, requester)) = (stop.unrecorded.take()?, cause?);
    Some(Action::RecordStop { cause: *cause, requester: requester.clone(), grace })
}

/// Why nothing can be sent to a job between two attempts.
const BETWEEN_ATTEMPTS: &str = "its command is not running: it is about to be started again";

/// The life of one job.
#[derive(Debug)]
pub(crate) struct Life {
    grace: Duration,
    stop_signal: Option<Signal>,
    stragglers_rule: Stragglers,
    times_out_at: Option<Duration>,
    stall: Option<Stall>,
    pause: Pause,
    readiness: Option<Readiness>,
    lease: Option<Lease>,
    /// When the command is started again; until then there is no main process.
    starts_again_at: Option<Duration>,
    exit: Option<Exit>,
    exited_at: Duration,
    /// When remaining processes begin to count as stragglers.
    last_words_until: Option<Duration>,
    stop: Option<Stop>,
    /// Why the job ends, if not on its own, and the requester.
    cause: Option<(Cause, Option<String>)>,
    /// Signals sent on request: dying of one of them counts as requested.
    sent: Vec<(Signal, String)>,
    stragglers: Option<u32>,
    survivors: Vec<Survivor>,
    has_ended: bool,
}

impl Life {
    /// Begins the life of a job whose command has been started.
    pub(crate) fn new(spec: &JobSpec) -> Self {
        Self {
            grace: spec.grace(),
            stop_signal: spec.stop_signal,
            stragglers_rule: spec.stragglers,
            times_out_at: spec.timeout(),
            stall: Stall::of(spec),
            pause: Pause::default(),
            readiness: Readiness::of(spec),
            lease: Lease::of(spec),
            starts_again_at: None,
            exit: None,
            exited_at: Duration::ZERO,
            last_words_until: None,
            stop: None,
            cause: None,
            sent: Vec::new(),
            stragglers: None,
            survivors: Vec::new(),
            has_ended: false,
        }
    }

    /// Begins the delay between two attempts of a job.
    pub(crate) fn between_attempts(spec: &JobSpec, delay: Duration) -> Self {
        Self { starts_again_at: Some(delay), ..Self::new(spec) }
    }

    /// Returns this life with the lease of the previous one, which ends now.
    pub(crate) fn with_lease_of(self, before: &Self, now: Duration) -> Self {
        Self { lease: before.lease.map(|lease| lease.carried_on(now)), ..self }
    }

    /// Returns whether the command has yet to be started again.
    pub(crate) fn is_between_attempts(&self) -> bool {
        self.starts_again_at.is_some()
    }

    /// Returns whether the main process has ended.
    pub(crate) fn has_exited(&self) -> bool {
        self.exit.is_some()
    }

    /// Returns whether the main process runs and is not being stopped.
    pub(crate) fn is_wanted(&self) -> bool {
        self.stop.is_none() && self.exit.is_none()
    }

    /// Returns whether the job is paused.
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_on()
    }

    /// Returns whether the main process is running, and is neither being stopped nor paused.
    pub(crate) fn is_active(&self) -> bool {
        self.is_wanted() && !self.is_paused() && !self.is_between_attempts()
    }

    /// Returns whether the end of the main process was requested, or its time was up.
    pub(crate) fn was_stopped(&self) -> bool {
        self.cause.is_some()
    }

    /// Returns whether the rest of the job has been killed and may be named as survivors.
    pub(crate) fn is_killing(&self) -> bool {
        self.stop.is_some_and(|stop| stop.is_killing())
    }

    /// The main process has ended. A later process with its number is a different one.
    pub(crate) fn main_ended(&mut self, exit: Exit, now: Duration) {
        if self.exit.is_some() {
            return;
        }
        (self.exit, self.exited_at) = (Some(exit), now);
        self.pause.look_again(now);
        self.last_words_until = Some(now.saturating_add(LAST_WORDS));
        if let Some(stop) = self.stop.as_mut().filter(|stop| stop.is_killing()) {
            // It may itself have been a survivor, and have kept others from ending.
            (stop.stage, stop.kill_at) = (Stage::Terminated, now);
            self.survivors.clear();
        }
    }

    /// The job was stopped before its next attempt.
    pub(crate) fn called_off(&mut self, at: Timestamp, now: Duration) {
        if self.starts_again_at.take().is_some() {
            self.main_ended(Exit::unseen(at), now);
        }
    }

    /// A process of the job has ended, which may have left the driver children that have not been killed.
    pub(crate) fn child_ended(&mut self, now: Duration) {
        self.pause.look_again(now);
        if let Some(stop) = self.stop.as_mut().filter(|stop| stop.is_killing()) {
            stop.kill_at = now;
        }
    }

    /// The job should end, within the grace of its spec if no other is given. The first requester is recorded; the
    /// shortest grace applies.
    pub(crate) fn stop(&mut self, grace: Option<Duration>, requester: String, now: Duration) {
        // A job that ended on its own before any request did so, even while its stragglers are still being stopped.
        if self.exit.is_none() {
            self.cause.get_or_insert((Cause::Stopped, Some(requester)));
        }
        self.begin_stop(grace.unwrap_or(self.grace), now);
    }

    /// The previous driver had begun a stop, and this much of its grace is left.
    pub(crate) fn resume_stop(&mut self, cause: Cause, requester: Option<String>, grace: Duration, now: Duration) {
        self.cause = Some((cause, requester));
        self.begin_stop(grace, now);
    }

    /// The job should pause, with all its processes, until it is resumed or stopped. A paused job stays paused.
    ///
    /// # Errors
    /// Why it cannot be paused, for people.
    pub(crate) fn pause(&mut self, now: Duration) -> Result<(), String> {
        if self.is_between_attempts() {
            return Err(BETWEEN_ATTEMPTS.to_owned());
        }
        match (self.has_ended, self.stop) {
            (true, _) => Err("it has ended".to_owned()),
            (false, Some(_)) => Err("it is being stopped".to_owned()),
            (false, None) => {
                self.pause.begin(now);
                Ok(())
            }
        }
    }

    /// The job should continue, including processes that others have stopped. The time that it was paused does not
    /// count.
    ///
    /// # Errors
    /// Why it cannot, for people.
    pub(crate) fn resume(&mut self, now: Duration) -> Result<(), String> {
        if self.has_ended {
            return Err("it has ended".to_owned());
        }
        self.end_pause(now);
        Ok(())
    }

    fn end_pause(&mut self, now: Duration) {
        if let Some(time) = self.pause.end(now) {
            self.not_counted(time);
            self.moved(now);
            self.last_words_until = self.exit.map(|_| now.saturating_add(LAST_WORDS));
        }
    }

    fn not_counted(&mut self, time: Duration) {
        self.times_out_at = self.times_out_at.map(|at| at.saturating_add(time));
        if let Some(readiness) = &mut self.readiness {
            readiness.not_counted(time);
        }
    }

    /// The previous driver had paused the job at age `since`, unless it had resumed it, and for `before` in all before
    /// that.
    pub(crate) fn resume_pause(&mut self, since: Option<Duration>, before: Duration, now: Duration) {
        self.not_counted(before);
        self.pause.resume(since, before, now);
    }

    /// The job is wanted for the length of its lease from now on.
    ///
    /// # Errors
    /// Why that changes nothing, for people.
    pub(crate) fn renew(&mut self, now: Duration) -> Result<(), String> {
        match &mut self.lease {
            _ if self.has_ended => Err("it has ended".to_owned()),
            _ if self.stop.is_some() => Err("it is being stopped".to_owned()),
            None => Err("it has no lease to renew".to_owned()),
            Some(lease) => {
                lease.renew(now);
                Ok(())
            }
        }
    }

    /// The previous driver had this much left of the lease of the job.
    pub(crate) fn resume_lease(&mut self, rest: Duration, now: Duration) {
        if let Some(lease) = &mut self.lease {
            lease.resume(rest, now);
        }
    }

    /// Returns whether the driver should find out if the job is ready.
    pub(crate) fn awaits_readiness(&self) -> bool {
        self.is_active() && matches!(self.readiness, Some(Readiness::Awaited { .. }))
    }

    /// The job is ready.
    pub(crate) fn is_ready(&mut self) {
        if self.awaits_readiness() {
            self.readiness = Some(Readiness::Come);
        }
    }

    /// The previous driver had seen whether the job is ready, and had reported what was due before this age.
    pub(crate) fn resume_readiness(&mut self, was_ready: bool, now: Duration) {
        match &mut self.readiness {
            _ if was_ready => self.readiness = None,
            Some(readiness) => readiness.resume(now),
            None => {}
        }
    }

    /// All processes of the job are stopped except these.
    pub(crate) fn stands_still(&mut self, but: Vec<Survivor>, now: Duration) {
        self.pause.looked(but, now);
    }

    /// Returns the answer to a pause request: how many processes are not stopped yet, and which.
    pub(crate) fn pause_answer(&self) -> Answer {
        let moving = &self.pause.moving;
        let count = u32::try_from(moving.len()).unwrap_or(u32::MAX);
        Answer::Processes { count, survivors: moving.iter().take(NAMED).cloned().collect() }
    }

    /// The previous driver had reported the job as stalled.
    pub(crate) fn resume_stall(&mut self) {
        if let Some(stall) = &mut self.stall {
            stall.resume();
        }
    }

    /// The job has written or received something.
    pub(crate) fn moved(&mut self, now: Duration) {
        if let Some(stall) = &mut self.stall {
            stall.moved(now);
        }
    }

    /// The processes of the job have used this much CPU time; `None` if it is paused.
    pub(crate) fn used(&mut self, cpu: Option<Duration>, now: Duration) {
        match (&mut self.stall, cpu) {
            (Some(stall), Some(cpu)) => stall.used(cpu, now),
            (Some(stall), None) => stall.moved(now),
            (None, _) => {}
        }
    }

    /// The main process should get a signal, which `send` sends. After its end, the number of its process group may
    /// belong to another one. A paused job continues on SIGCONT.
    ///
    /// # Errors
    /// From `send`: why the signal cannot be sent.
    pub(crate) fn signal(
        &mut self,
        signal: Signal,
        requester: String,
        now: Duration,
        send: impl FnOnce() -> Result<(), String>,
    ) -> Answer {
        let sent = match self.exit {
            None if self.is_between_attempts() => Err(BETWEEN_ATTEMPTS.to_owned()),
            Some(_) => Err("its main process has ended".to_owned()),
            None => send(),
        };
        match sent {
            Ok(()) => {
                self.sent.push((signal, requester));
                if signal == Signal::CONT && self.is_paused() {
                    self.end_pause(now);
                }
                Answer::Accepted
            }
            Err(reason) => Answer::Refused { reason },
        }
    }

    /// The main process could not be asked: everything is asked at once instead.
    pub(crate) fn cannot_ask(&mut self) {
        if let Some(Stop { stage: Stage::MainAsked { until }, .. }) = &mut self.stop {
            *until = Duration::ZERO;
        }
    }

    /// This many processes outlived the main process.
    pub(crate) fn counted(&mut self, stragglers: usize) {
        self.stragglers = Some(u32::try_from(stragglers).unwrap_or(u32::MAX));
    }

    /// These processes were killed and are still there.
    pub(crate) fn survived(&mut self, survivors: Vec<Survivor>) {
        self.survivors = survivors;
    }

    /// Returns when there is something to do even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let lease = self.lease.filter(|_| self.is_wanted()).map(|lease| lease.ends_at());
        if let Some(starts_again_at) = self.starts_again_at {
            return if self.stop.is_some() {
                Some(Duration::ZERO)
            } else {
                lease.into_iter().chain([starts_again_at]).min()
            };
        }
        let due = match self.stop.map(|stop| (stop.stage, stop.kill_at)) {
            Some((Stage::Begun, _)) => Some(Duration::ZERO),
            Some((Stage::MainAsked { until }, kill_at)) => Some(until.min(kill_at)),
            Some((Stage::Terminated | Stage::Killing { .. }, kill_at)) => Some(kill_at),
            None if self.is_paused() => None,
            None if self.exit.is_none() => {
                let readiness = self.readiness.as_ref().and_then(Readiness::due);
                self.times_out_at.into_iter().chain(self.stall.as_ref().map(Stall::looks_at)).chain(readiness).min()
            }
            None => self.last_words_until,
        };
        due.into_iter().chain(self.pause.due()).chain(lease).min()
    }

    /// Returns the next thing to do now.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Action> {
        if let Some(rest) = self.lease.as_mut().and_then(|lease| lease.note(now)) {
            return Some(Action::NoteLease { rest });
        }
        if self.is_wanted() && self.lease.is_some_and(|lease| lease.ends_at() <= now) {
            self.stop(None, LEASE_END.to_owned(), now);
        }
        if let Some(starts_again_at) = self.starts_again_at {
            return match &mut self.stop {
                Some(stop) => record_stop(stop, self.cause.as_ref()).or(Some(Action::CallOff)),
                None => (starts_again_at <= now).then_some(Action::StartAgain),
            };
        }
        if self.is_active() && self.times_out_at.is_some_and(|at| at <= now) {
            self.cause = Some((Cause::TimedOut, None));
            self.begin_stop(self.grace, now);
        }
        if self.is_active()
            && let Some(stall) = &mut self.stall
        {
            if stall.is_due(now) {
                return Some(Action::LookAtUse);
            }
            match stall.report() {
                Some(Some(_)) if stall.stops => {
                    self.cause = Some((Cause::Stalled, None));
                    self.begin_stop(self.grace, now);
                }
                Some(since) => return Some(Action::NoteStall { since }),
                None => {}
            }
        }
        let is_active = self.is_active();
        match Readiness::next(&mut self.readiness, is_active, now) {
            Some(Due::NoteReady) => return Some(Action::NoteReady),
            Some(Due::NoteNotReady) => return Some(Action::NoteNotReady),
            Some(Due::Stop) => {
                self.cause = Some((Cause::NotReady, None));
                self.begin_stop(self.grace, now);
            }
            None => {}
        }
        let may_stop = self.stop.is_none() && !self.is_paused();
        if may_stop && !self.leaves_stragglers() && self.last_words_until.is_some_and(|at| at <= now) {
            self.begin_stop(self.grace, now);
        }
        let are_counted = self.stop.is_some() || self.leaves_stragglers() && !self.is_paused();
        if self.stragglers.is_none() && self.ended_by_itself() && are_counted {
            self.stragglers = Some(0);
            return Some(Action::Count);
        }
        let has_exited = self.exit.is_some();
        // The requests of a stop come before the continuation: they are the first thing that the processes notice.
        let is_asked = self.stop.is_none_or(|stop| !matches!(stop.stage, Stage::Begun));
        if is_asked && let Some(action) = self.pause.next(now) {
            return Some(action);
        }
        let stop = self.stop.as_mut()?;
        // The stop of stragglers is not recorded: the job ended on its own.
        let cause = self.cause.as_ref().filter(|_| !self.has_ended);
        if let Some(action) = record_stop(stop, cause) {
            return Some(action);
        }
        let (stage, action) = match stop.stage {
            Stage::Begun => match self.stop_signal.filter(|_| !has_exited) {
                Some(signal) => {
                    let until = now.saturating_add(stop.kill_at.saturating_sub(now) / 2);
                    (Stage::MainAsked { until }, Action::Ask(signal))
                }
                None => (Stage::Terminated, Action::Terminate),
            },
            Stage::MainAsked { until } if has_exited || until <= now => (Stage::Terminated, Action::Terminate),
            _ if now < stop.kill_at => return None,
            Stage::Killing { gives_up_at } if gives_up_at <= now => {
                // It is tried again from time to time while the main process is among them: the job cannot end before
                // that one.
                stop.kill_at = now.saturating_add(DYING);
                (stop.stage, Action::GiveUp)
            }
            Stage::Killing { .. } => {
                stop.kill_at = now.saturating_add(KILL_AGAIN);
                (stop.stage, Action::KillAgain)
            }
            Stage::MainAsked { .. } | Stage::Terminated => {
                stop.kill_at = now.saturating_add(KILL_AGAIN);
                (Stage::Killing { gives_up_at: now.saturating_add(DYING) }, Action::Kill)
            }
        };
        stop.stage = stage;
        Some(action)
    }

    /// Returns the outcome, once, when the job has ended: its main process has ended, and no other process is left, or
    /// the others are to be left, or cannot be stopped. `is_empty` returns whether no process is left, and is called
    /// only if that decides.
    pub(crate) fn end(&mut self, is_empty: impl FnOnce() -> bool) -> Option<Outcome> {
        let exit = self.exit.filter(|_| !self.has_ended)?;
        let stays = self.is_paused() || !self.leaves_stragglers();
        if stays && self.survivors.is_empty() && !is_empty() {
            return None;
        }
        self.has_ended = true;
        self.last_words_until = None;
        // A stop that was given up has ended. A stop that came with the end continues: it is for the stragglers.
        self.stop.take_if(|stop| stop.is_killing());
        let (cause, stopped_by) = self.why(exit);
        let mut outcome = Outcome::new(cause, exit.at);
        (outcome.exit_code, outcome.signal, outcome.core_dumped) = (exit.code, exit.signal, exit.core_dumped);
        outcome.stopped_by = stopped_by;
        outcome.paused_ms = u64::try_from(self.pause.total(self.exited_at).as_millis()).unwrap_or(u64::MAX);
        outcome.stragglers = *self.stragglers.get_or_insert(0);
        outcome.survivors = std::mem::take(&mut self.survivors);
        Some(outcome)
    }

    fn begin_stop(&mut self, grace: Duration, now: Duration) {
        if self.is_paused() {
            self.end_pause(now);
        }
        let (kill_at, unrecorded) = (now.saturating_add(grace), Some(grace));
        match &mut self.stop {
            Some(stop) if stop.is_killing() || stop.kill_at <= kill_at => {}
            Some(stop) => (stop.kill_at, stop.unrecorded) = (kill_at, unrecorded),
            None => self.stop = Some(Stop { stage: Stage::Begun, kill_at, unrecorded }),
        }
    }

    fn ended_by_itself(&self) -> bool {
        self.exit.is_some() && self.cause.is_none()
    }

    /// Returns whether stragglers are left alone after a main process that ended on its own.
    fn leaves_stragglers(&self) -> bool {
        self.stragglers_rule == Stragglers::Leave && self.ended_by_itself()
    }

    /// Returns why the job ended, and the requester.
    fn why(&self, exit: Exit) -> (Cause, Option<String>) {
        let asked_for = self.sent.iter().find(|(sent, _)| Some(*sent) == exit.signal).map(|(_, who)| who.clone());
        match (&self.cause, exit.signal, asked_for) {
            (Some(cause), ..) => cause.clone(),
            (None, None, _) if exit.code.is_none() => (Cause::SupervisorLost, None),
            (None, Some(_), Some(who)) => (Cause::Stopped, Some(who)),
            (None, ..) if exit.is_out_of_memory => (Cause::Oom, None),
            (None, None, _) => (Cause::Exited, None),
            (None, Some(_), None) => (Cause::Signalled, None),
        }
    }
}

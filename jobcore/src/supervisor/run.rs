//! The loop of a supervisor: output, requests, ends of processes and deadlines, until no process of the job is left.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::command::Input;
use super::companion::{Companion, SESSION_END};
use super::outcome::{end_of, error_chain, failure, record};
use super::pipe::OutputPipe;
use super::quiet::Quiet;
use super::ready::Readiness;
use super::tree::Family;
use super::watched::Watched;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::life::{Action, LOOK_AGAIN, Life, STANDING_STILL};
use crate::output::Cursor;
use crate::record::{Ended, RECORD_VERSION, Start, Stopping, Submission};
use crate::signal::Signal;
use crate::spec::Restart;
use crate::state::Outcome;
use crate::store::EventKind;
use crate::store::file::Records;
use crate::store::file::supervisors::is_other_supervisor;
use crate::sys::oom::OomKills;
use crate::sys::pausing::Standstill;
use crate::sys::ready::{self, Wanted};

/// What is ready to be handled.
struct Ready {
    /// Which of the output pipes are readable.
    pipes: Vec<bool>,
    is_asked: bool,
    has_ended: bool,
    /// Whether the process that the job ends with has ended.
    companion_ended: bool,
    /// Whether input has come that should be typed, or there is room for it.
    is_typed_to: bool,
    /// Whether a readiness probe has a result.
    is_tried: bool,
}

/// Watches one command to its end.
pub(super) struct Supervisor<'a> {
    pub(super) records: &'a Records,
    submission: &'a Submission,
    /// Which attempt this is, and how earlier ones went.
    start: Start,
    pub(super) control: File,
    pub(super) watched: Watched,
    pub(super) life: Life,
    companion: Companion,
    /// How long a job that takes input has been quiet; `None` for other jobs.
    pub(super) quiet: Option<Quiet>,
    /// What must still happen before the job is ready; `None` if it has no conditions or is ready.
    pub(super) readiness: Option<Readiness>,
    /// When this process took over the command, and how old the command was then.
    since: Instant,
    age_then: Duration,
    /// Whether nothing reports the end of what is left of the job, so that it has to be checked again and again.
    looks_again: bool,
    /// What keeps the job from running while it is paused.
    standstill: Option<Standstill>,
    /// Why the command of a later attempt could not be started.
    failure: Option<Outcome>,
}

impl<'a> Supervisor<'a> {
    /// Watches a command that was started `age` ago.
    pub(super) fn new(
        records: &'a Records,
        submission: &'a Submission,
        start: Start,
        control: File,
        watched: Watched,
        age: Duration,
    ) -> Self {
        let spec = &submission.spec;
        let quiet = quiet_of(&watched);
        let readiness = Readiness::of(spec, Cursor(start.output_start()));
        Self {
            records,
            submission,
            start,
            control,
            watched,
            life: Life::new(spec),
            companion: Companion::of(spec.ends_with.as_ref()),
            quiet,
            readiness,
            since: Instant::now(),
            age_then: age,
            looks_again: false,
            standstill: None,
            failure: None,
        }
    }

    /// Takes over a job whose next attempt has to be started.
    pub(super) fn between_attempts(
        records: &'a Records,
        submission: &'a Submission,
        start: Start,
        control: File,
    ) -> Result<Self> {
        let watched = Watched::between_attempts(records, submission.spec.output_limit)?;
        let mut supervisor = Self::new(records, submission, start, control, watched, Duration::ZERO);
        supervisor.rest();
        Ok(supervisor)
    }

    /// Returns how long ago the command was started.
    pub(super) fn age(&self) -> Duration {
        self.age_then + self.since.elapsed()
    }

    /// Runs the job to its end, and then stays with its stragglers.
    pub(super) fn run(&mut self) {
        let mut ended = self.attempt();
        while let Some(next) = self.start.next(self.submission.spec.restart.as_ref(), &ended, Timestamp::now()) {
            // Without this record the job still runs.
            let _ = self.records.start(&next);
            self.start = next;
            self.rest();
            ended = self.attempt();
        }
        ended.started_at = self.start.first_started_at().or(ended.started_at);
        record(self.records, &ended);
        // Their output is kept, and they are stopped on request.
        while !is_empty(&self.watched.family, &mut self.looks_again) {
            self.turn();
            self.act();
        }
        self.drain();
    }

    /// Runs one attempt to its end, including the delay before it if that is not over.
    fn attempt(&mut self) -> Ended {
        let outcome = loop {
            self.act();
            let end = || self.life.end(|| is_empty(&self.watched.family, &mut self.looks_again));
            if let Some(outcome) = self.failure.take().or_else(end) {
                break outcome;
            }
            self.look_for_ready();
            self.turn();
            self.look_for_waiting();
        };
        self.readiness = None;
        self.drain();
        end_of(&self.watched, self.life.was_stopped(), outcome)
    }

    /// Begins the delay before the next attempt.
    fn rest(&mut self) {
        self.watched.let_go();
        let due_at = self.start.due_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let delay = Duration::try_from(due_at.duration_since(Timestamp::now())).unwrap_or_default();
        // A clock that was set back must not make the delay longer than the rule allows.
        let longest = self.submission.spec.restart.as_ref().map(Restart::backoff_max).unwrap_or_default();
        let life = Life::between_attempts(&self.submission.spec, delay.min(longest));
        self.begin(life.with_lease_of(&self.life, self.age()));
    }

    /// Starts the command again.
    // A function of its own, so that a supervisor that starts its command once spends no stack on it.
    #[inline(never)]
    fn start_again(&mut self) {
        self.start = self.start.now_due(Timestamp::now());
        let start = || {
            // Before it is started: a successor of this process must not start it a second time.
            self.records.start(&self.start)?;
            Watched::start(self.records, &self.records.read()?, self.submission, self.start.attempt)
        };
        match start() {
            Ok(Ok(watched)) => {
                self.watched = watched;
                self.begin(Life::new(&self.submission.spec).with_lease_of(&self.life, self.age()));
                self.quiet = quiet_of(&self.watched);
                self.readiness = Readiness::of(&self.submission.spec, Cursor(self.start.output_start()));
            }
            Ok(Err(reason)) => self.failure = Some(failure(&reason)),
            Err(error) => self.failure = Some(failure(&error_chain(&error))),
        }
    }

    fn begin(&mut self, life: Life) {
        (self.life, self.quiet, self.readiness) = (life, None, None);
        (self.since, self.age_then, self.looks_again) = (Instant::now(), Duration::ZERO, false);
    }

    /// Continues a stop that the previous supervisor had begun.
    pub(super) fn resume_stop(&mut self, stopping: Stopping) {
        let (rest, now) = (stopping.rest(Timestamp::now()), self.age());
        self.life.resume_stop(stopping.cause, stopping.requester, rest, now);
    }

    /// Waits until there is something to do, and returns it.
    fn wait(&self) -> Ready {
        let now = Instant::now();
        let deadlines = [
            self.life.deadline().map(|age| age.saturating_sub(self.age())),
            self.looks_again.then_some(LOOK_AGAIN),
            self.has_lost_companion().then_some(Duration::ZERO),
        ];
        let shrinking = self.watched.pipes.iter().filter_map(OutputPipe::shrinks_at);
        let looking = self.quiet.as_ref().filter(|_| self.life.is_active()).and_then(Quiet::looks_at);
        let trying = self.readiness.as_ref().filter(|_| self.life.awaits_readiness()).and_then(Readiness::due);
        let distant = shrinking.chain(looking).chain(trying).map(|at| at.saturating_duration_since(now));
        let timeout = deadlines.into_iter().flatten().chain(distant).min();
        let watched = &self.watched;
        let main_end = watched.main_end.as_fd(self.life.has_exited());
        let typing = match &watched.input {
            Input::Terminal(terminal) => Some(terminal.waits_for()),
            Input::None | Input::Pipe(_) => None,
        };
        let outputs = watched.pipes.iter().map(OutputPipe::as_fd);
        let readable = outputs.chain([self.control.as_fd()]).chain(main_end).map(Wanted::Read);
        let companion = match &self.companion {
            Companion::Alive(fd) if self.life.is_wanted() => Some(Wanted::Read(fd.as_fd())),
            _ => None,
        };
        let tried = self.readiness.as_ref().and_then(Readiness::as_fd).map(Wanted::Read);
        let mut ready = ready::wait(readable.chain(typing).chain(companion).chain(tried), timeout);
        let is_tried = tried.is_some() && ready.pop() == Some(true);
        let companion_ended = self.has_lost_companion() || companion.is_some() && ready.pop() == Some(true);
        let is_typed_to = typing.is_some() && ready.pop() == Some(true);
        let has_ended = main_end.is_some() && ready.pop() == Some(true);
        let is_asked = ready.pop() == Some(true);
        Ready { pipes: ready, is_asked, has_ended, companion_ended, is_typed_to, is_tried }
    }

    /// Returns whether the job is still running although the process that it ends with has ended.
    fn has_lost_companion(&self) -> bool {
        self.life.is_wanted() && matches!(self.companion, Companion::Gone)
    }

    /// Waits until something happens, and handles it.
    fn turn(&mut self) {
        let ready = self.wait();
        let now = Instant::now();
        let is_active = ready.is_typed_to || ready.pipes.contains(&true);
        for (pipe, is_ready) in self.watched.pipes.iter_mut().zip(&ready.pipes) {
            if *is_ready {
                // What cannot be read now is retried at the next turn.
                let _ = pipe.pump(&mut self.watched.log);
            } else {
                pipe.shrink_if_quiet(now);
            }
        }
        if ready.is_tried
            && let Some(readiness) = &mut self.readiness
        {
            readiness.collect();
        }
        if ready.has_ended {
            // What it wrote before its end comes first.
            self.look_for_ready();
            self.reap();
            self.look_for_ready();
        }
        if ready.is_typed_to
            && let Input::Terminal(terminal) = &mut self.watched.input
        {
            // What cannot be typed now is retried at the next turn.
            let _ = terminal.pump(self.watched.log.size().bytes);
        }
        if is_active {
            self.note_activity();
        }
        if ready.is_asked {
            self.answer_requests();
        }
        if ready.companion_ended && self.life.is_wanted() {
            let now = self.age();
            self.life.stop(None, SESSION_END.to_owned(), now);
        }
    }

    /// Checks whether the job is ready.
    fn look_for_ready(&mut self) {
        let Some(readiness) = &mut self.readiness else { return };
        if self.life.is_paused() {
            return readiness.stop();
        }
        let is_awaited = self.life.awaits_readiness();
        if is_awaited && readiness.look(self.records, &mut self.watched) {
            self.life.is_ready();
        } else if is_awaited {
            return;
        }
        self.readiness = None;
    }

    /// Reaps what has ended.
    pub(super) fn reap(&mut self) {
        let now = self.age();
        if let Some(mut exit) = self.watched.main_end.collect(self.watched.main) {
            // In a group of its own, nothing but the job is killed: a shell reports a killed child by its exit code.
            let may_be = exit.signal == Some(Signal::KILL) || self.watched.memory.is_some() && exit.code != Some(0);
            exit.is_out_of_memory = may_be && self.watched.oom_kills.as_ref().is_some_and(OomKills::have_risen);
            self.life.main_ended(exit, now);
        }
        self.life.child_ended(now);
    }

    /// Performs all actions that are due now.
    pub(super) fn act(&mut self) {
        let now = self.age();
        while let Some(action) = self.life.next(now) {
            let Watched { family, main, .. } = &self.watched;
            match action {
                Action::RecordStop { cause, requester, grace } => {
                    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
                    let at = Timestamp::now();
                    self.records.stopping(&Stopping { v: RECORD_VERSION, cause, requester, at, grace_ms });
                }
                Action::Ask(signal) => {
                    self.standstill = None;
                    if family.signal_main_even_stopped(*main, signal).is_err() {
                        self.life.cannot_ask();
                    }
                }
                Action::Terminate => {
                    self.standstill = None;
                    family.terminate((!self.life.has_exited()).then_some(*main));
                }
                Action::LookAtUse => self.look_at_use(),
                Action::NoteStall { since } => self.note_stall(since),
                Action::NotePause { since, before } => self.note_pause(since, before),
                Action::NoteLease { rest } => self.note_lease(rest),
                Action::NoteReady => self.note_ready(),
                Action::NoteNotReady => self.records.note(|_| {}, Some(EventKind::NotReady)),
                Action::Pause => {
                    if let Some(readiness) = &mut self.readiness {
                        readiness.stop();
                    }
                    let until = Instant::now() + STANDING_STILL;
                    let main = (!self.life.has_exited()).then_some(*main);
                    let moving = family.pause(&mut self.standstill, main, until);
                    self.life.stands_still(moving, self.age());
                }
                Action::StartAgain => {
                    self.start_again();
                    return;
                }
                Action::CallOff => self.life.called_off(Timestamp::now(), now),
                Action::Continue => {
                    self.standstill = None;
                    family.go_on();
                }
                Action::Count => self.life.counted(family.members().len()),
                Action::Kill => {
                    family.kill_all();
                    family.kill_remaining();
                }
                Action::KillAgain => {
                    family.kill_remaining();
                }
                Action::GiveUp => {
                    if family.kill_remaining() > 0 {
                        self.life.survived(family.survivors());
                    }
                }
            }
        }
    }

    /// Moves what is still in the pipes into the log. A turn moves more than a pipe can hold, and no writer is left; if
    /// one is left, it might keep writing forever.
    fn drain(&mut self) {
        let pipes = self.watched.pipes.iter().map(|pipe| Wanted::Read(pipe.as_fd()));
        // A log is created for the first byte, not to find out that there is none.
        let ready = ready::wait(pipes, Some(Duration::ZERO));
        for (pipe, _) in self.watched.pipes.iter_mut().zip(ready).filter(|(pipe, is_ready)| *is_ready || pipe.is_file())
        {
            let _ = pipe.pump(&mut self.watched.log);
        }
    }
}

/// Returns the state for noticing whether a job waits for input, if it takes any.
fn quiet_of(watched: &Watched) -> Option<Quiet> {
    (!matches!(watched.input, Input::None)).then(Quiet::new)
}

/// Returns whether no process of the job is left, and sets whether to check again without notice.
fn is_empty(family: &Family, looks_again: &mut bool) -> bool {
    let remaining = family.remaining();
    let is_adopted = matches!(family, Family::Adopted { .. });
    // An adopter is not notified of their end, nor is there a notice when a starting supervisor of another job gets on
    // record.
    *looks_again = !remaining.is_empty() && (is_adopted || remaining.iter().all(is_other_supervisor));
    remaining.is_empty()
}

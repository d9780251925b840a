//! The loop of a supervisor: output, requests, ends of processes and deadlines, until nothing of the job is left.

use std::fs::File;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::command::Input;
use super::companion::{Companion, SESSION_END};
use super::outcome::record_end;
use super::pipe::OutputPipe;
use super::quiet::Quiet;
use super::ready::Readiness;
use super::tree::Family;
use super::watched::Watched;
use crate::clock::Timestamp;
use crate::life::{Action, LOOK_AGAIN, Life, STANDING_STILL};
use crate::record::{RECORD_VERSION, Stopping};
use crate::signal::Signal;
use crate::spec::JobSpec;
use crate::store::EventKind;
use crate::store::file::Records;
use crate::store::file::supervisors::is_other_supervisor;
use crate::sys::oom::OomKills;
use crate::sys::process;
use crate::sys::ready::{self, Wanted};

/// What there is to do.
struct Ready {
    /// Which of the output pipes can be read.
    pipes: Vec<bool>,
    is_asked: bool,
    has_ended: bool,
    /// Whether the process that the job ends with is gone.
    companion_ended: bool,
    /// Whether something came to be typed, or there is room for it.
    is_typed_to: bool,
    /// Whether something has come of what is tried out of the job.
    is_tried: bool,
}

/// Watches one command to its end.
pub(super) struct Supervisor<'a> {
    pub(super) records: &'a Records,
    pub(super) control: File,
    pub(super) watched: Watched,
    pub(super) life: Life,
    companion: Companion,
    /// How long a job that takes input has been quiet; nothing for any other.
    pub(super) quiet: Option<Quiet>,
    /// What the job is yet to come to before it is ready; nothing if nobody is told, or it is.
    pub(super) readiness: Option<Readiness>,
    /// When this process took charge of the command, and how old that was then.
    since: Instant,
    age_then: Duration,
    /// Whether nobody tells when what is left of the job is gone, so that it is looked for again and again.
    looks_again: bool,
}

impl<'a> Supervisor<'a> {
    /// Watches a command that was started this long ago.
    pub(super) fn new(records: &'a Records, spec: &JobSpec, control: File, watched: Watched, age: Duration) -> Self {
        let (life, companion) = (Life::new(spec), Companion::of(spec.ends_with.as_ref()));
        let quiet = (!matches!(watched.input, Input::None)).then(Quiet::new);
        let (since, readiness) = (Instant::now(), Readiness::of(spec));
        Self { records, control, watched, life, companion, quiet, readiness, since, age_then: age, looks_again: false }
    }

    /// Returns how long ago the command was started.
    pub(super) fn age(&self) -> Duration {
        self.age_then + self.since.elapsed()
    }

    /// Runs the job to its end, and stays with what is left of it then.
    pub(super) fn run(&mut self) {
        let outcome = loop {
            self.act();
            if let Some(outcome) = self.life.end(|| is_empty(&self.watched.family, &mut self.looks_again)) {
                break outcome;
            }
            self.look_for_ready();
            self.turn();
            self.look_for_waiting();
        };
        self.readiness = None;
        self.drain();
        record_end(self.records, &self.watched, self.life.was_stopped(), outcome);
        // Its output is kept, and it is stopped when that is asked for.
        while !is_empty(&self.watched.family, &mut self.looks_again) {
            self.turn();
            self.act();
        }
        self.drain();
    }

    /// Goes on with a stop that the supervisor before had begun.
    pub(super) fn resume_stop(&mut self, stopping: Stopping) {
        let (rest, now) = (stopping.rest(Timestamp::now()), self.age());
        self.life.resume_stop(stopping.cause, stopping.requester, rest, now);
    }

    /// Waits until there is something to do, and returns what.
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
        let outputs = watched.pipes.iter().map(|pipe| pipe.file.as_fd());
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

    /// Returns whether the job goes on although the process that it ends with is gone.
    fn has_lost_companion(&self) -> bool {
        self.life.is_wanted() && matches!(self.companion, Companion::Gone)
    }

    /// Waits until something happens, and takes note of it.
    fn turn(&mut self) {
        let ready = self.wait();
        let now = Instant::now();
        let is_active = ready.is_typed_to || ready.pipes.contains(&true);
        for (pipe, is_ready) in self.watched.pipes.iter_mut().zip(&ready.pipes) {
            if *is_ready {
                // What cannot be read now is tried again at the next turn.
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
            // What it wrote before its end came before that.
            self.look_for_ready();
            self.reap();
            self.look_for_ready();
        }
        if ready.is_typed_to
            && let Input::Terminal(terminal) = &mut self.watched.input
        {
            // What cannot be typed now is tried again at the next turn.
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

    /// Looks whether the job is ready.
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
            exit.is_out_of_memory =
                exit.signal == Some(Signal::KILL) && self.watched.oom_kills.as_ref().is_some_and(OomKills::have_risen);
            self.life.main_ended(exit, now);
        }
        self.life.child_ended(now);
    }

    /// Does all that is to be done now.
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
                    if process::signal_group_even_stopped(*main, signal).is_err() {
                        self.life.cannot_ask();
                    }
                }
                Action::Terminate => family.terminate((!self.life.has_exited()).then_some(*main)),
                Action::LookAtUse => self.look_at_use(),
                Action::NoteStall { since } => self.note_stall(since),
                Action::NotePause { since, before } => self.note_pause(since, before),
                Action::NoteReady => self.note_ready(),
                Action::NoteNotReady => self.records.note(|_| {}, Some(EventKind::NotReady)),
                Action::Pause => {
                    if let Some(readiness) = &mut self.readiness {
                        readiness.stop();
                    }
                    let until = Instant::now() + STANDING_STILL;
                    let moving = family.pause((!self.life.has_exited()).then_some(*main), until);
                    self.life.stands_still(moving, self.age());
                }
                Action::Continue => family.go_on(),
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

    /// Moves into the log what is still in the pipes. A turn moves more than a pipe can hold, and nobody is left to
    /// write; or somebody was left, and goes on writing for ever.
    fn drain(&mut self) {
        let pipes = self.watched.pipes.iter().map(|pipe| Wanted::Read(pipe.file.as_fd()));
        // A log is made for the first byte, and not to find out that there is none.
        let ready = ready::wait(pipes, Some(Duration::ZERO));
        for (pipe, _) in self.watched.pipes.iter_mut().zip(ready).filter(|(_, is_ready)| *is_ready) {
            let _ = pipe.pump(&mut self.watched.log);
        }
    }
}

/// Returns whether no process of the job is left, and whether it is to be looked again although nobody says so.
fn is_empty(family: &Family, looks_again: &mut bool) -> bool {
    let remaining = family.remaining();
    let is_adopted = matches!(family, Family::Adopted { .. });
    // Nobody tells a stranger that they are gone, nor that another supervisor which is coming up is on record.
    *looks_again = !remaining.is_empty() && (is_adopted || remaining.iter().all(is_other_supervisor));
    remaining.is_empty()
}

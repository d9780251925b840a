//! What a supervisor observes of a quiet job: whether a job that takes input waits for it, and whether a job with a
//! stall limit is stalled.
//!
//! The kernel does not report when a job begins to wait, so the supervisor looks: only at a job that has been quiet for
//! a while, at growing intervals and a few times, so that an idle job eventually costs nothing.

use std::time::{Duration, Instant};

use super::command::Input;
use super::run::Supervisor;
use super::tend;
use super::terminal::Terminal;
use crate::clock::Timestamp;
use crate::record::{Running, Waiting};
use crate::store::EventKind;
use crate::sys::members::cpu_time;
use crate::sys::pty::LineMode;
use crate::sys::reading::{self, Source};

/// How long after the last output or input to look, in seconds.
const LOOKS: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];

/// How long a job has been quiet, and what was observed since.
#[derive(Debug)]
pub(super) struct Quiet {
    since: Instant,
    /// The number of looks so far.
    looks: usize,
    /// Whether the job is on record as waiting.
    is_noted: bool,
}

impl Quiet {
    /// Begins to watch for quiet.
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), looks: 0, is_noted: false }
    }

    /// Returns when to look next; `None` once there is nothing more to learn.
    pub(super) fn looks_at(&self) -> Option<Instant> {
        let after = LOOKS.get(self.looks).filter(|_| !self.is_noted)?;
        Some(self.since + Duration::from_secs(*after))
    }
}

impl Supervisor<'_> {
    /// Notes that the job has written or received something.
    pub(super) fn note_activity(&mut self) {
        let now = self.age();
        self.life.moved(now);
        let Some(quiet) = &mut self.quiet else { return };
        if quiet.is_noted {
            // The terminal echoes the beginning of a typed line, but the job gets nothing until the line is finished.
            if matches!(&self.watched.input, Input::Terminal(terminal)
                if terminal.line_began().is_some() && terminal.line_mode() != LineMode::Raw)
            {
                return;
            }
            self.records.note(|running| running.waiting = None, None);
        }
        *quiet = Quiet::new();
    }

    /// Checks how much CPU time the job has used.
    pub(super) fn look_at_use(&mut self) {
        let (members, now) = (self.watched.family.members(), self.age());
        self.life.used(cpu_time(&members, self.watched.main), now);
    }

    /// Records since which age the job has been paused, or that it no longer is, and how long it was paused before.
    pub(super) fn note_pause(&self, since: Option<Duration>, before: Duration) {
        let since = since.map(|age| self.time_at(age));
        let event = if since.is_some() { EventKind::Paused } else { EventKind::Resumed };
        let change = |running: &mut Running| {
            running.pause(since, before);
        };
        self.records.note(change, Some(event));
    }

    /// Records that the job is ready.
    pub(super) fn note_ready(&self) {
        let change = |running: &mut Running| {
            running.become_ready(Timestamp::now());
        };
        self.records.note(change, Some(EventKind::Ready));
        // Other jobs may have waited for that.
        tend::tend_all(&self.records.layout, None);
    }

    pub(super) fn note_lease(&self, rest: Duration) {
        let change = |running: &mut Running| {
            running.renew(Timestamp::now(), rest);
        };
        self.records.note(change, None);
    }

    /// Returns the time at which the job was of this age.
    fn time_at(&self, age: Duration) -> Timestamp {
        let before = self.age().saturating_sub(age);
        Timestamp::now().checked_sub(before).unwrap_or(self.watched.started_at)
    }

    /// Records since which age the job has been stalled, or that it no longer is.
    pub(super) fn note_stall(&self, since: Option<Duration>) {
        let since = since.map(|age| self.time_at(age));
        self.records.note(|running| running.stalled_at = since, since.map(|_| EventKind::Stalled));
    }

    /// Checks whether the job waits for input, if it is time for that, and records it.
    pub(super) fn look_for_waiting(&mut self) {
        let Some(quiet) = &mut self.quiet else { return };
        if quiet.looks_at().is_none_or(|at| at > Instant::now()) || !self.life.is_active() {
            return;
        }
        quiet.looks += 1;
        let pipe = self.records.job.stdin();
        let (source, terminal) = match &self.watched.input {
            Input::Terminal(terminal) => (Source::Terminal, Some(terminal)),
            Input::Pipe(_) => (Source::Pipe(&pipe), None),
            Input::None => return,
        };
        // A program of another user, such as sudo, shows only that its terminal hides typed input.
        let hides = || terminal.is_some_and(|terminal| terminal.line_mode() == LineMode::Hidden);
        if reading::is_awaited(self.watched.main, source).unwrap_or_else(hides) {
            let mut waiting = Waiting::new(Timestamp::now(), self.watched.log.size().bytes);
            waiting.typed_from = terminal.and_then(Terminal::line_began);
            self.records.note(|running| running.waiting = Some(waiting), Some(EventKind::WaitingForInput));
            quiet.is_noted = true;
        }
    }
}

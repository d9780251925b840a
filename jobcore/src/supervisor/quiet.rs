//! What a supervisor sees of a job that is quiet: whether one that takes input waits for it, and whether one that may not is
//! stalled.
//!
//! Nobody tells when a job begins to wait, so it looks, and only at a job
//! that has been quiet for a while, at growing distances and a few times: a job that does nothing costs nothing for ever.

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

/// How long after the last output or input it is looked, in seconds.
const LOOKS: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];

/// How long a job has been quiet, and what was seen of it since.
#[derive(Debug)]
pub(super) struct Quiet {
    since: Instant,
    /// How often it has been looked.
    looks: usize,
    /// Whether it is on record that it waits.
    is_noted: bool,
}

impl Quiet {
    /// Begins to watch for quiet.
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), looks: 0, is_noted: false }
    }

    /// Returns when to look next; nothing once there is no more to learn.
    pub(super) fn looks_at(&self) -> Option<Instant> {
        let after = LOOKS.get(self.looks).filter(|_| !self.is_noted)?;
        Some(self.since + Duration::from_secs(*after))
    }
}

impl Supervisor<'_> {
    /// Takes note that the job has written, or was given, something.
    pub(super) fn note_activity(&mut self) {
        let now = self.age();
        self.life.moved(now);
        let Some(quiet) = &mut self.quiet else { return };
        if quiet.is_noted {
            // The terminal shows what is typed of a line. Until that is finished, the job gets nothing of it.
            if matches!(&self.watched.input, Input::Terminal(terminal)
                if terminal.line_began().is_some() && terminal.line_mode() != LineMode::Raw)
            {
                return;
            }
            self.records.note(|running| running.waiting = None, None);
        }
        *quiet = Quiet::new();
    }

    /// Looks how much CPU time the job has used.
    pub(super) fn look_at_use(&mut self) {
        let (members, now) = (self.watched.family.members(), self.age());
        self.life.used(cpu_time(&members, self.watched.main), now);
    }

    /// Puts on record since when the job is paused, by its age, or that it no longer is, and for how long it was before.
    pub(super) fn note_pause(&self, since: Option<Duration>, before: Duration) {
        let since = since.map(|age| self.time_at(age));
        let event = if since.is_some() { EventKind::Paused } else { EventKind::Resumed };
        let change = |running: &mut Running| {
            running.pause(since, before);
        };
        self.records.note(change, Some(event));
    }

    /// Puts on record that the job is ready.
    pub(super) fn note_ready(&self) {
        let change = |running: &mut Running| {
            running.become_ready(Timestamp::now());
        };
        self.records.note(change, Some(EventKind::Ready));
        // Others may have waited for that.
        tend::tend_all(&self.records.layout, None);
    }

    pub(super) fn note_lease(&self, rest: Duration) {
        let change = |running: &mut Running| {
            running.renew(Timestamp::now(), rest);
        };
        self.records.note(change, None);
    }

    /// Returns when the job was of this age.
    fn time_at(&self, age: Duration) -> Timestamp {
        let before = self.age().saturating_sub(age);
        Timestamp::now().checked_sub(before).unwrap_or(self.watched.started_at)
    }

    /// Puts on record since when the job is stalled, by its age, or that it is no longer.
    pub(super) fn note_stall(&self, since: Option<Duration>) {
        let since = since.map(|age| self.time_at(age));
        self.records.note(|running| running.stalled_at = since, since.map(|_| EventKind::Stalled));
    }

    /// Looks whether the job waits for input, if it is time for that, and puts it on record then.
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
        // A program of another user, such as sudo, shows nothing but that its terminal hides what is typed.
        let hides = || terminal.is_some_and(|terminal| terminal.line_mode() == LineMode::Hidden);
        if reading::is_awaited(self.watched.main, source).unwrap_or_else(hides) {
            let mut waiting = Waiting::new(Timestamp::now(), self.watched.log.size().bytes);
            waiting.typed_from = terminal.and_then(Terminal::line_began);
            self.records.note(|running| running.waiting = Some(waiting), Some(EventKind::WaitingForInput));
            quiet.is_noted = true;
        }
    }
}

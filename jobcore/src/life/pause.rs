//! The pause of a job: its processes and its clock stand still.

use std::time::Duration;

use super::Action;
use crate::state::Survivor;

/// How soon to stop processes again that were not seen to be stopped.
const AGAIN: Duration = Duration::from_millis(20);
/// How long to keep trying: a process of another user never stops.
const TRIED: Duration = Duration::from_secs(5);

/// Whether a job is paused, and what remains to be done for that.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Since when it has been paused; `None` while it is not.
    since: Option<Duration>,
    /// How long it was paused before.
    before: Duration,
    step: Option<Step>,
    /// The processes that were still running at the last look.
    pub(super) moving: Vec<Survivor>,
}

/// What to do.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Record that the job is paused, before any process of it is stopped.
    Record,
    /// Stop its processes at this time, and again until all are stopped or the time for that is up.
    Stop { at: Duration, until: Duration },
    /// Let its processes continue, whether or not the job was paused.
    Continue { was_on: bool },
    /// Record that the job continues: after its processes do, so that no process is ever stopped without a pause on
    /// record.
    RecordEnd,
}

impl Pause {
    /// Returns whether the job is paused.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Returns how long it has been paused in all at this age.
    pub(super) fn total(&self, now: Duration) -> Duration {
        self.before.saturating_add(self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since)))
    }

    /// Pauses the job, or, if it is already paused, stops processes that others may have continued.
    pub(super) fn begin(&mut self, now: Duration) {
        if self.since.is_none() {
            (self.since, self.step) = (Some(now), Some(Step::Record));
        } else if !matches!(self.step, Some(Step::Record)) {
            self.look_again(now);
        }
    }

    /// Continues what the previous driver had on record: since when the job has been paused, and for how long before
    /// that.
    pub(super) fn resume(&mut self, since: Option<Duration>, before: Duration, now: Duration) {
        (self.since, self.before) = (since, before);
        if since.is_some() {
            self.look_again(now);
        }
    }

    /// Processes may be running again: the end of another process may have released them.
    pub(super) fn look_again(&mut self, now: Duration) {
        if self.is_on() && !matches!(self.step, Some(Step::Record)) {
            self.step = Some(Step::Stop { at: now, until: now.saturating_add(TRIED) });
        }
    }

    /// Ends the pause, and returns its length; `None` if there was none. Processes stopped by others continue, too.
    pub(super) fn end(&mut self, now: Duration) -> Option<Duration> {
        self.step = Some(Step::Continue { was_on: self.is_on() });
        self.moving.clear();
        let time = now.saturating_sub(self.since.take()?);
        self.before = self.before.saturating_add(time);
        Some(time)
    }

    /// These processes are not stopped yet, each with the reason as far as it is known.
    pub(super) fn looked(&mut self, moving: Vec<Survivor>, now: Duration) {
        if let Some(Step::Stop { at, until }) = &mut self.step {
            match moving.is_empty() || *until <= now {
                true => self.step = None,
                false => *at = now.saturating_add(AGAIN),
            }
        }
        self.moving = moving;
    }

    /// Returns when there is something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        self.step.map(|step| match step {
            Step::Stop { at, .. } => at,
            Step::Record | Step::Continue { .. } | Step::RecordEnd => Duration::ZERO,
        })
    }

    /// Returns what to do now.
    pub(super) fn next(&mut self, now: Duration) -> Option<Action> {
        let note = |since, before| Some(Action::NotePause { since, before });
        match self.step? {
            Step::Record => {
                self.step = Some(Step::Stop { at: now, until: now.saturating_add(TRIED) });
                note(self.since, self.before)
            }
            Step::Stop { at, .. } => (at <= now).then_some(Action::Pause),
            Step::Continue { was_on } => {
                self.step = was_on.then_some(Step::RecordEnd);
                Some(Action::Continue)
            }
            Step::RecordEnd => {
                self.step = None;
                note(None, self.before)
            }
        }
    }
}

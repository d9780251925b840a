//! The pause of a job: its processes stand still, and so does its time.

use std::time::Duration;

use super::Action;
use crate::state::Survivor;

/// How soon processes are stopped again that were not seen to stand still.
const AGAIN: Duration = Duration::from_millis(20);
/// How long that is tried: what belongs to another user never stops.
const TRIED: Duration = Duration::from_secs(5);

/// Whether a job is paused, and what is yet to be done for that.
#[derive(Debug, Default)]
pub(super) struct Pause {
    /// Since when it is paused; nothing while it is not.
    since: Option<Duration>,
    /// For how long it was paused before.
    before: Duration,
    step: Option<Step>,
    /// What was not seen to stand still at the last look.
    pub(super) moving: Vec<Survivor>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It is put on record that the job is paused: before anything of it stands still.
    Record,
    /// Its processes are stopped at this time, and again until all of them stand still, or the time for that is up.
    Stop { at: Duration, until: Duration },
    /// Its processes continue, whether or not it was paused.
    Continue { was_on: bool },
    /// It is put on record that the job goes on: after its processes do, so that none is stopped and has no pause on record.
    RecordEnd,
}

impl Pause {
    /// Returns whether the job is paused.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// Returns for how long it has been paused in all at this age.
    pub(super) fn total(&self, now: Duration) -> Duration {
        self.before.saturating_add(self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since)))
    }

    /// Pauses the job, or, if it is paused already, stops what may have been let go on by others.
    pub(super) fn begin(&mut self, now: Duration) {
        if self.since.is_none() {
            (self.since, self.step) = (Some(now), Some(Step::Record));
        } else if !matches!(self.step, Some(Step::Record)) {
            self.look_again(now);
        }
    }

    /// Goes on with what the driver before had on record. Returns for how long the job had been paused before that.
    pub(super) fn resume(&mut self, since: Option<Duration>, before: Duration, now: Duration) {
        (self.since, self.before) = (since, before);
        if since.is_some() {
            self.look_again(now);
        }
    }

    /// Processes may have come to run: the end of another can have let go of them.
    pub(super) fn look_again(&mut self, now: Duration) {
        if self.is_on() && !matches!(self.step, Some(Step::Record)) {
            self.step = Some(Step::Stop { at: now, until: now.saturating_add(TRIED) });
        }
    }

    /// Ends the pause, and returns how long it was; nothing if there was none. What was stopped by others continues, too.
    pub(super) fn end(&mut self, now: Duration) -> Option<Duration> {
        self.step = Some(Step::Continue { was_on: self.is_on() });
        self.moving.clear();
        let time = now.saturating_sub(self.since.take()?);
        self.before = self.before.saturating_add(time);
        Some(time)
    }

    /// These processes do not stand still yet, with the reason as far as it is known.
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

    /// Returns what is to be done now.
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

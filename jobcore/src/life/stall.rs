//! When a job is stalled: for the time set in its spec it has written nothing, received no input, and used no CPU time.
//!
//! A driver reports output as it comes. CPU time has to be checked, at intervals of a quarter of that time and only for
//! jobs with a stall limit.

use std::time::Duration;

use crate::spec::JobSpec;

/// The number of parts that the time is divided into, with a check after each.
const LOOKS: u32 = 4;
/// Less than this fraction of the time does not count as work: a heartbeat, a timer that finds nothing to do.
const IDLE: u32 = 1000;

/// The state of a job that may not be idle for long.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    /// Whether it is then stopped.
    pub(super) stops: bool,
    /// When it was last active.
    moved_at: Duration,
    /// When its CPU time was last checked, and how much it was; `None` after other activity.
    used: Option<(Duration, Duration)>,
    looks_at: Duration,
    is_stalled: bool,
    /// What was last reported.
    is_reported: bool,
}

impl Stall {
    /// Begins to watch a new job.
    pub(super) fn of(spec: &JobSpec) -> Option<Self> {
        let limit = spec.stall()?;
        let looks_at = limit / LOOKS;
        let moved_at = Duration::ZERO;
        Some(Self {
            limit,
            stops: spec.stall_stop,
            moved_at,
            used: None,
            looks_at,
            is_stalled: false,
            is_reported: false,
        })
    }

    /// Continues a job that the previous driver had reported as stalled.
    pub(super) fn resume(&mut self) {
        (self.is_stalled, self.is_reported) = (true, true);
    }

    /// The job was active.
    pub(super) fn moved(&mut self, now: Duration) {
        (self.moved_at, self.used, self.is_stalled) = (now, None, false);
        self.looks_at = now.saturating_add(self.limit / LOOKS);
    }

    /// Its processes have used this much CPU time by now.
    pub(super) fn used(&mut self, cpu: Duration, now: Duration) {
        let before = self.used.replace((now, cpu));
        self.looks_at = now.saturating_add(self.limit / LOOKS);
        match before {
            // Its use before this check is unknown.
            None if self.is_stalled => {}
            None => self.moved_at = now,
            // It also drops when a process ends that was never waited for.
            Some((at, used)) if cpu.abs_diff(used) * IDLE > now.saturating_sub(at) => {
                (self.moved_at, self.is_stalled) = (now, false);
            }
            Some(_) => self.is_stalled |= now.saturating_sub(self.moved_at) >= self.limit,
        }
    }

    /// Returns when its CPU time should be checked.
    pub(super) fn looks_at(&self) -> Duration {
        self.looks_at
    }

    /// Returns whether it is time for a check, once.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let is_due = self.looks_at <= now;
        if is_due {
            self.looks_at = now.saturating_add(self.limit / LOOKS);
        }
        is_due
    }

    /// Returns what to report, once: since when it has been stalled, or that it no longer is.
    pub(super) fn report(&mut self) -> Option<Option<Duration>> {
        let is_new = self.is_stalled != self.is_reported;
        self.is_reported = self.is_stalled;
        is_new.then(|| self.is_stalled.then_some(self.moved_at))
    }
}

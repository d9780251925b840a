//! When a job is stalled: for as long as its spec says it has written nothing, was typed nothing, and has used no CPU time.
//!
//! A driver reports what was written as it comes. CPU time has to be looked at, at distances of a quarter of that time and
//! only in jobs that are to be watched for this.

use std::time::Duration;

use crate::spec::JobSpec;

/// Into how many parts the time is divided, with a look after each.
const LOOKS: u32 = 4;
/// Less than this part of the time is no work: a heartbeat, a timer that finds nothing to do.
const IDLE: u32 = 1000;

/// How a job is getting on that may not stand still for long.
#[derive(Debug)]
pub(super) struct Stall {
    limit: Duration,
    /// Whether it is stopped then.
    pub(super) stops: bool,
    /// When it was last seen to do anything.
    moved_at: Duration,
    /// When its CPU time was looked at last, and how much that was; nothing since it did something else.
    used: Option<(Duration, Duration)>,
    looks_at: Duration,
    is_stalled: bool,
    /// What was reported of that.
    is_reported: bool,
}

impl Stall {
    /// Begins to watch a job that is new.
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

    /// Goes on with a job that the driver before had called stalled.
    pub(super) fn resume(&mut self) {
        (self.is_stalled, self.is_reported) = (true, true);
    }

    /// The job did something.
    pub(super) fn moved(&mut self, now: Duration) {
        (self.moved_at, self.used, self.is_stalled) = (now, None, false);
        self.looks_at = now.saturating_add(self.limit / LOOKS);
    }

    /// Its processes have used so much CPU time by now.
    pub(super) fn used(&mut self, cpu: Duration, now: Duration) {
        let before = self.used.replace((now, cpu));
        self.looks_at = now.saturating_add(self.limit / LOOKS);
        match before {
            // What it used before this look is not known.
            None if self.is_stalled => {}
            None => self.moved_at = now,
            // It also becomes less, with the end of a process that nobody waited for.
            Some((at, used)) if cpu.abs_diff(used) * IDLE > now.saturating_sub(at) => {
                (self.moved_at, self.is_stalled) = (now, false);
            }
            Some(_) => self.is_stalled |= now.saturating_sub(self.moved_at) >= self.limit,
        }
    }

    /// Returns when its CPU time is to be looked at.
    pub(super) fn looks_at(&self) -> Duration {
        self.looks_at
    }

    /// Returns whether it is time for that, once.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let is_due = self.looks_at <= now;
        if is_due {
            self.looks_at = now.saturating_add(self.limit / LOOKS);
        }
        is_due
    }

    /// Returns what is to be reported, once: since when it is stalled, or that it is no longer.
    pub(super) fn report(&mut self) -> Option<Option<Duration>> {
        let is_new = self.is_stalled != self.is_reported;
        self.is_reported = self.is_stalled;
        is_new.then(|| self.is_stalled.then_some(self.moved_at))
    }
}

//! Whether a job is ready as its spec defines it, and what happens if it is not in time.

use std::time::Duration;

use crate::spec::{JobSpec, NotReady};

/// The state of a job that should become ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum Readiness {
    /// It is not ready, and has until then, if there is a limit.
    Awaited { until: Option<Duration>, rule: NotReady },
    /// It is ready, and that has to be recorded.
    Come,
}

/// What has to be done.
pub(super) enum Due {
    NoteReady,
    NoteNotReady,
    Stop,
}

impl Readiness {
    /// Begins to wait for a new job; `None` if its spec has no conditions.
    pub(super) fn of(spec: &JobSpec) -> Option<Self> {
        (!spec.ready.is_empty()).then(|| Self::Awaited { until: spec.ready_timeout(), rule: spec.not_ready })
    }

    /// Returns when there is something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        match self {
            Self::Awaited { until, .. } => *until,
            Self::Come => Some(Duration::ZERO),
        }
    }

    /// This much time does not count.
    pub(super) fn not_counted(&mut self, time: Duration) {
        if let Self::Awaited { until: Some(until), .. } = self {
            *until = until.saturating_add(time);
        }
    }

    /// Continues a job of the previous driver, which has reported what was due before this age.
    pub(super) fn resume(&mut self, now: Duration) {
        if let Self::Awaited { until, rule: NotReady::Continue } = self {
            until.take_if(|until| *until <= now);
        }
    }

    /// Returns what to do now, each thing once. Readiness is recorded whatever happened to the job since.
    pub(super) fn next(readiness: &mut Option<Self>, is_active: bool, now: Duration) -> Option<Due> {
        match readiness {
            Some(Self::Come) => {
                *readiness = None;
                Some(Due::NoteReady)
            }
            Some(Self::Awaited { until, rule }) if is_active => {
                until.take_if(|until| *until <= now)?;
                Some(if *rule == NotReady::Stop { Due::Stop } else { Due::NoteNotReady })
            }
            Some(Self::Awaited { .. }) | None => None,
        }
    }
}

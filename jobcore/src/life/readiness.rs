//! Whether a job is ready, as its spec says when it is, and what happens when it is not in time.

use std::time::Duration;

use crate::spec::{JobSpec, NotReady};

/// How a job is getting on that is to be ready some time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Readiness {
    /// It is not ready, and has until then, if that is limited.
    Awaited { until: Option<Duration>, rule: NotReady },
    /// It is, and that is to be put on record.
    Come,
}

/// What is to be done about it.
pub(super) enum Due {
    NoteReady,
    NoteNotReady,
    Stop,
}

impl Readiness {
    /// Begins to wait for a job that is new; nothing if nobody is told of its readiness.
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

    /// So much time does not count.
    pub(super) fn not_counted(&mut self, time: Duration) {
        if let Self::Awaited { until: Some(until), .. } = self {
            *until = until.saturating_add(time);
        }
    }

    /// Goes on with a job of the driver before, which has reported what came before this age.
    pub(super) fn resume(&mut self, now: Duration) {
        if let Self::Awaited { until, rule: NotReady::Continue } = self {
            until.take_if(|until| *until <= now);
        }
    }

    /// Returns what is to be done now; each thing is returned once. What has come is put on record, whatever became of the job since.
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

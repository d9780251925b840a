//! How long a job runs without being renewed.

use std::time::Duration;

use crate::spec::JobSpec;

/// The recorded requester when a job is stopped because it was not renewed.
pub(super) const LEASE_END: &str = "the end of its lease";

/// The lease of a job. It keeps running while the job is paused and between two attempts, since it shows whether the
/// job is still wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lease {
    length: Duration,
    ends_at: Duration,
    /// Whether its end differs from the one that follows from the start of the command.
    is_to_be_noted: bool,
}

impl Lease {
    pub(super) fn of(spec: &JobSpec) -> Option<Self> {
        spec.lease().map(|length| Self { length, ends_at: length, is_to_be_noted: false })
    }

    pub(super) fn renew(&mut self, now: Duration) {
        (self.ends_at, self.is_to_be_noted) = (now.saturating_add(self.length), true);
    }

    /// Returns this lease for a life that begins now.
    pub(super) fn carried_on(self, now: Duration) -> Self {
        Self { ends_at: self.ends_at.saturating_sub(now), is_to_be_noted: true, ..self }
    }

    /// The previous driver had this much left of it.
    pub(super) fn resume(&mut self, rest: Duration, now: Duration) {
        self.ends_at = now.saturating_add(rest);
    }

    pub(super) fn ends_at(&self) -> Duration {
        self.ends_at
    }

    /// Returns how much is left of it, once after each change.
    pub(super) fn note(&mut self, now: Duration) -> Option<Duration> {
        std::mem::take(&mut self.is_to_be_noted).then(|| self.ends_at.saturating_sub(now))
    }
}

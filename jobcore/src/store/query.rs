//! Which jobs somebody wants to see.

use jiff::SignedDuration;

use crate::clock::Timestamp;
use crate::id::{IdPrefix, JobId};
use crate::job::Job;
use crate::name::Name;
use crate::state::Status;

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Only those with one of these statuses; all, if empty.
    pub statuses: Vec<Status>,
    /// Only those of this name.
    pub name: Option<Name>,
    /// Only those that have all these labels; an empty value stands for any.
    pub labels: Vec<(String, String)>,
    /// Only those of this group.
    pub group: Option<Name>,
    /// Only those that were submitted at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that were submitted before this time.
    pub until: Option<Timestamp>,
    /// Only those whose id has this part.
    pub prefix: Option<IdPrefix>,
    /// At most so many, the newest; all, if absent.
    pub limit: Option<usize>,
    /// Only those of which something runs or may run: jobs that are not over, and those whose stragglers were left.
    pub live: bool,
}

impl Query {
    /// Lists at most `limit` jobs.
    #[must_use]
    pub fn with_limit(self, limit: Option<usize>) -> Self {
        Self { limit, ..self }
    }

    /// Lists only jobs of which something runs or may run.
    #[must_use]
    pub fn live(self) -> Self {
        Self { live: true, ..self }
    }

    /// Lists only jobs with one of these statuses.
    #[must_use]
    pub fn with_statuses(self, statuses: Vec<Status>) -> Self {
        Self { statuses, ..self }
    }

    /// Lists only jobs of this name.
    #[must_use]
    pub fn with_name(self, name: Option<Name>) -> Self {
        Self { name, ..self }
    }

    /// Lists only jobs with all these labels.
    #[must_use]
    pub fn with_labels(self, labels: Vec<(String, String)>) -> Self {
        Self { labels, ..self }
    }

    /// Lists only jobs of this group.
    #[must_use]
    pub fn with_group(self, group: Option<Name>) -> Self {
        Self { group, ..self }
    }

    /// Lists only jobs that were submitted at `since` or later, and before `until`.
    #[must_use]
    pub fn with_times(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since, until, ..self }
    }

    /// Lists only jobs whose id has this part.
    #[must_use]
    pub fn with_prefix(self, prefix: IdPrefix) -> Self {
        Self { prefix: Some(prefix), ..self }
    }

    /// Returns whether a job is one of those that are wanted.
    pub fn matches(&self, job: &Job) -> bool {
        let has = |(name, value): &(String, String)| {
            job.spec.labels.get(name).is_some_and(|there| value.is_empty() || there == value)
        };
        (self.statuses.is_empty() || self.statuses.contains(&job.status()))
            && self.labels.iter().all(has)
            && (self.name.is_none() || self.name == job.spec.name)
            && (self.group.is_none() || self.group == job.spec.group)
            && (!self.live || !job.status().is_final() || job.held)
            && self.may_be(job.id)
            && self.since.is_none_or(|since| job.submitted_at >= since)
            && self.until.is_none_or(|until| job.submitted_at < until)
    }

    /// Returns whether the id alone does not exclude a job. An id tells the time to the millisecond.
    pub fn may_be(&self, id: JobId) -> bool {
        let minted_at = id.minted_at();
        self.prefix.as_ref().is_none_or(|prefix| prefix.matches(id))
            && self.since.is_none_or(|since| since.duration_since(minted_at) < SignedDuration::from_millis(1))
            && self.until.is_none_or(|until| minted_at < until)
    }
}

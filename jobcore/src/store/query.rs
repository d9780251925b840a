//! Which jobs somebody wants to see.

use std::path::PathBuf;

use jiff::SignedDuration;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::id::{IdPrefix, JobId};
use crate::job::Job;
use crate::name::Name;
use crate::record::{Ended, Submission};
use crate::spec::JobSpec;
use crate::state::Status;

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Query {
    /// Only those with one of these statuses; all, if empty.
    pub statuses: Vec<Status>,
    /// Only those of this name.
    pub name: Option<Name>,
    /// Only that of this key.
    pub key: Option<String>,
    /// Only those that have all these labels; an empty value stands for any.
    pub labels: Vec<(String, String)>,
    /// Only those of this group.
    pub group: Option<Name>,
    /// Only those of this caller.
    pub caller: Option<Caller>,
    /// Only those of this project.
    pub project: Option<PathBuf>,
    /// Only those that were submitted at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that were submitted before this time.
    pub until: Option<Timestamp>,
    /// Only those whose id has this part.
    pub prefix: Option<IdPrefix>,
    /// Leaves out so many, the newest.
    pub skip: usize,
    /// At most so many of the others, the newest; all, if absent.
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

    /// Leaves out the `skip` newest jobs of those that are wanted.
    #[must_use]
    pub fn with_skip(self, skip: usize) -> Self {
        Self { skip, ..self }
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

    /// Lists only the job of this key.
    #[must_use]
    pub fn with_key(self, key: Option<String>) -> Self {
        Self { key, ..self }
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

    /// Lists only jobs of this caller.
    #[must_use]
    pub fn with_caller(self, caller: Option<Caller>) -> Self {
        Self { caller, ..self }
    }

    /// Lists only jobs of this project.
    #[must_use]
    pub fn with_project(self, project: Option<PathBuf>) -> Self {
        Self { project, ..self }
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

    /// Returns whether every job is wanted.
    pub(crate) fn wants_all(&self) -> bool {
        *self == Self { skip: self.skip, limit: self.limit, ..Self::default() }
    }

    /// Returns whether a job is one of those that are wanted.
    pub fn matches(&self, job: &Job) -> bool {
        let status = job.status();
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (!self.live || !status.is_final() || job.held)
            && self.wants(job.id, job.submitted_at, &job.spec)
    }

    /// Returns whether a job may be one of those that are wanted, by what never changes of it: what was submitted, and how
    /// it ended, if it has.
    pub fn may_want(&self, submission: &Submission, ended: Option<&Ended>, held: bool) -> bool {
        let end = ended.map(|ended| ended.outcome.status());
        (self.statuses.is_empty() || end.is_none_or(|end| self.statuses.contains(&end)))
            && (!self.live || end.is_none() || held)
            && self.wants(submission.job_id, submission.submitted_at, &submission.spec)
    }

    fn wants(&self, id: JobId, submitted_at: Timestamp, spec: &JobSpec) -> bool {
        let has = |(name, value): &(String, String)| {
            spec.labels.get(name).is_some_and(|there| value.is_empty() || there == value)
        };
        self.labels.iter().all(has)
            && (self.name.is_none() || self.name == spec.name)
            && (self.key.is_none() || self.key == spec.key)
            && (self.group.is_none() || self.group == spec.group)
            && (self.caller.is_none() || self.caller == spec.caller)
            && (self.project.is_none() || self.project == spec.project)
            && self.may_be(id)
            && self.since.is_none_or(|since| submitted_at >= since)
            && self.until.is_none_or(|until| submitted_at < until)
    }

    /// Returns whether the id alone does not exclude a job. An id tells the time to the millisecond.
    pub fn may_be(&self, id: JobId) -> bool {
        self.prefix.as_ref().is_none_or(|prefix| prefix.matches(id))
            && self.since.is_none_or(|since| since.duration_since(id.minted_at()) < SignedDuration::from_millis(1))
            && self.until.is_none_or(|until| id.minted_at() < until)
    }
}

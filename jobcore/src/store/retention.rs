//! How long ended jobs are kept.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::id::JobId;
use crate::state::Status;

/// A job that has ended, with what retention goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedJob {
    /// The job.
    pub id: JobId,
    /// How it ended.
    pub status: Status,
    /// When it ended.
    pub ended_at: Timestamp,
    /// About how many bytes it takes: its output, and 40 KiB for its records.
    pub bytes: u64,
}

impl EndedJob {
    /// The size of a job's records on most file systems.
    const RECORDS: u64 = 40 * 1024;

    pub(crate) fn new(id: JobId, status: Status, ended_at: Timestamp, output: u64) -> Self {
        Self { id, status, ended_at, bytes: Self::RECORDS + output }
    }
}

/// Which ended jobs are kept. A job is removed as soon as one of these limits is exceeded, the oldest first. An absent
/// value sets no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// How long they are kept after their end.
    pub max_age: Option<Duration>,
    /// How many are kept.
    pub max_jobs: Option<u64>,
    /// How many bytes are kept in all.
    pub max_bytes: Option<u64>,
    /// Only jobs with one of these statuses may be removed, and only they are counted; all, if empty.
    pub statuses: Vec<Status>,
}

impl Retention {
    /// Keeps jobs for this long after their end.
    #[must_use]
    pub fn with_max_age(self, max_age: Option<Duration>) -> Self {
        Self { max_age, ..self }
    }

    /// Keeps this many jobs.
    #[must_use]
    pub fn with_max_jobs(self, max_jobs: Option<u64>) -> Self {
        Self { max_jobs, ..self }
    }

    /// Keeps this many bytes.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: Option<u64>) -> Self {
        Self { max_bytes, ..self }
    }

    /// Applies only to jobs with one of these statuses.
    #[must_use]
    pub fn with_statuses(self, statuses: Vec<Status>) -> Self {
        Self { statuses, ..self }
    }

    /// Returns which of these jobs are to be removed, the oldest first.
    pub fn excess(&self, mut jobs: Vec<EndedJob>, now: Timestamp) -> Vec<EndedJob> {
        jobs.retain(|job| self.statuses.is_empty() || self.statuses.contains(&job.status));
        jobs.sort_unstable_by(|a, b| b.ended_at.cmp(&a.ended_at).then(b.id.cmp(&a.id)));
        let is_old = |job: &EndedJob| {
            let age = Duration::try_from(now.duration_since(job.ended_at)).unwrap_or_default();
            self.max_age.is_some_and(|limit| age > limit)
        };
        let mut bytes = 0_u64;
        let mut kept = 0_u64;
        // From the newest on, until a limit is reached: every older job is removed.
        let border = jobs.iter().position(|job| {
            kept += 1;
            bytes = bytes.saturating_add(job.bytes);
            is_old(job)
                || self.max_jobs.is_some_and(|limit| kept > limit)
                || self.max_bytes.is_some_and(|limit| bytes > limit)
        });
        let mut excess = border.map(|border| jobs.split_off(border)).unwrap_or_default();
        excess.reverse();
        excess
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemRandom;

    fn job(seconds_ago: i64, status: Status, output: u64) -> EndedJob {
        let at = Timestamp::from_second(1_795_000_000 - seconds_ago).unwrap();
        EndedJob::new(JobId::mint(at, &SystemRandom).unwrap(), status, at, output)
    }

    fn gone(retention: &Retention, jobs: &[EndedJob]) -> Vec<usize> {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let excess = retention.excess(jobs.to_vec(), now);
        excess.iter().map(|gone| jobs.iter().position(|job| job == gone).unwrap()).collect()
    }

    #[test]
    fn the_first_limit_reached_decides_and_the_oldest_go_first() {
        let minutes = |index: i64| job(60 * index, Status::Completed, 1000 * 1024);
        let jobs: Vec<_> = (0..5).map(minutes).collect();
        let all = Retention::default();
        assert_eq!(gone(&all, &jobs), [0_usize; 0]);
        let age = all.clone().with_max_age(Some(Duration::from_secs(150)));
        assert_eq!(gone(&age, &jobs), [4, 3]);
        assert_eq!(gone(&age.clone().with_max_jobs(Some(1)), &jobs), [4, 3, 2, 1]);
        let bytes = age.with_max_jobs(Some(4)).with_max_bytes(Some(2 * 1040 * 1024));
        assert_eq!(gone(&bytes, &jobs), [4, 3, 2]);
        assert_eq!(gone(&all.with_max_jobs(Some(0)), &jobs), [4, 3, 2, 1, 0]);
    }

    #[test]
    fn only_the_named_statuses_are_considered() {
        let jobs = [job(3, Status::Failed, 0), job(2, Status::Completed, 0), job(1, Status::Failed, 0)];
        let failed = Retention::default().with_statuses(vec![Status::Failed]);
        assert_eq!(gone(&failed.clone().with_max_jobs(Some(1)), &jobs), [0]);
        assert_eq!(gone(&failed.with_max_jobs(Some(0)), &jobs), [0, 2]);
    }

    #[test]
    fn a_clock_that_went_back_makes_nothing_old() {
        let future = [job(-500, Status::Completed, 0)];
        assert_eq!(gone(&Retention::default().with_max_age(Some(Duration::from_secs(1))), &future), [0_usize; 0]);
    }
}

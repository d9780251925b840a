//! Schedules: listing them, and starting a run outside the rule.

use serde::{Deserialize, Serialize};

use super::JobManager;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::shape::JobShape;

/// A schedule with its last run.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Schedule {
    /// The schedule: a queued job with [`JobSpec::repeat`](crate::JobSpec::repeat).
    pub job: Job,
    /// Its last run, if that is still on record.
    pub last_run: Option<Job>,
}

impl Schedule {
    /// Returns the next time; `None` while the schedule is on hold.
    pub fn next(&self) -> Option<Timestamp> {
        self.job.place.not_before.filter(|_| !self.job.place.on_hold)
    }
}

/// The shape in which a schedule is printed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScheduleShape {
    /// The schedule.
    pub schedule: JobShape,
    /// Its last run, if that is still on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<JobShape>,
}

impl JobManager {
    /// Returns the schedules, the one with the earliest next time first. [`JobManager::submit`] adds one, for a spec
    /// with [`JobSpec::repeat`](crate::JobSpec::repeat); [`JobManager::hold`] pauses it, [`JobManager::release`]
    /// resumes it, [`JobManager::edit`] and [`JobManager::delay`] change it, and [`JobManager::stop`] removes it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn schedules(&self) -> Result<Vec<Schedule>> {
        self.offload(|jobs| async move {
            jobs.tend().await;
            let mut schedules = Vec::new();
            for slot in jobs.store.load().await?.waiting.into_iter().filter(|slot| slot.repeats) {
                // A job that was removed or cannot be read is not a schedule that could run.
                let Ok(job) = jobs.job(slot.id).await else { continue };
                let last_run = match job.place.last_run {
                    Some(run) => jobs.job(run).await.ok(),
                    None => None,
                };
                schedules.push(Schedule { job, last_run });
            }
            schedules.sort_by_key(|schedule| (schedule.next().is_none(), schedule.next(), schedule.job.id));
            Ok(schedules)
        })
        .await
    }

    /// Returns the shapes in which schedules are printed.
    pub async fn schedule_shapes(&self, schedules: &[Schedule]) -> Vec<ScheduleShape> {
        let mut shapes = Vec::with_capacity(schedules.len());
        for Schedule { job, last_run } in schedules {
            let schedule = self.report(job).await.unwrap_or_else(|_| self.shape(job));
            shapes.push(ScheduleShape { schedule, last_run: last_run.as_ref().map(|run| self.shape(run)) });
        }
        shapes
    }

    /// Starts a run of a schedule now, outside its rule, and returns the run. The next time of the schedule does not
    /// change.
    ///
    /// # Errors
    /// As [`JobManager::job`] and [`JobManager::submit`]; [`Error::Refused`] if the job is not a schedule, if its last
    /// run has not ended, or if this program may not change it.
    pub async fn run_schedule(&self, id: JobId) -> Result<Job> {
        self.offload(move |jobs| async move {
            let refused = |reason: String| Error::Refused { id, reason };
            let mut claim = jobs.claim_queued(id).await?;
            let schedule = claim.submission().clone();
            if schedule.spec.repeat.is_none() {
                return Err(refused("it is not a schedule".to_owned()));
            }
            let mut place = claim.place().await?;
            if let Some(last) = place.last_run
                && !jobs.has_ended(last).await?
            {
                return Err(refused(format!(
                    "its last run, {last}, has not ended, and runs of a schedule never overlap"
                )));
            }
            let now = jobs.clock.now();
            let run = jobs.mint(now)?;
            let submission = schedule.of_run(run, now, now, claim.secrets().await?);
            jobs.check_permitted(&submission.spec).await?;
            // First, as the store does: a process that looks for what is due must not start another run meanwhile.
            place.last_run = Some(run);
            claim.set_place(&place).await?;
            jobs.store.create(submission).await?;
            drop(claim);
            jobs.tend().await;
            jobs.job(run).await
        })
        .await
    }
}

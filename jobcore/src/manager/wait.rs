//! Waiting for jobs to end or to meet another condition.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::reach::Reached;
use super::{JobManager, UNSUPERVISED};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::JobId;
use crate::job::Job;
use crate::output::Cursor;
use crate::shape::JobShape;
use crate::state::Status;
use crate::store::{Change, Lending};
use crate::until::Until;

/// How often a waiter checks whether it should start a queued job.
const QUEUED: Duration = Duration::from_secs(1);

/// Whether to wait for all jobs or for any one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between one and all")]
pub enum WaitFor {
    /// For all jobs.
    #[default]
    All,
    /// For any one job.
    Any,
}

/// How to wait.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct WaitOptions {
    /// Whether to wait for all jobs or for any one.
    pub what: WaitFor,
    /// The condition to wait for.
    pub until: Until,
    /// Where to begin looking at output; at its first byte if absent.
    pub cursor: Option<Cursor>,
    /// The longest time to wait.
    pub timeout: Option<Duration>,
    notice: Option<Notice>,
    arrival: Option<Arrival>,
}

/// Called at once when something stands in the way of a job.
type Notice = Arc<dyn Fn(JobId, &str) + Send + Sync>;
/// Called at once when a job has met the condition, or no longer can.
type Arrival = Arc<dyn Fn(&Job) + Send + Sync>;

impl WaitOptions {
    /// Waits for all of the jobs, or for any one.
    #[must_use]
    pub fn with_what(self, what: WaitFor) -> Self {
        Self { what, ..self }
    }

    /// Waits for this condition.
    #[must_use]
    pub fn with_until(self, until: Until) -> Self {
        Self { until, ..self }
    }

    /// Looks at output only from this cursor.
    #[must_use]
    pub fn with_cursor(self, cursor: Option<Cursor>) -> Self {
        Self { cursor, ..self }
    }

    /// Gives up after this time.
    #[must_use]
    pub fn with_timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// Calls this during the wait when something stands in the way of a job: once for each reason.
    #[must_use]
    pub fn with_notice(self, notice: impl Fn(JobId, &str) + Send + Sync + 'static) -> Self {
        Self { notice: Some(Arc::new(notice)), ..self }
    }

    /// Calls this for each job as soon as it has met the condition, or no longer can because it has ended, while the
    /// others are still waited for. In a wait for any job, it is called only for the first.
    #[must_use]
    pub fn with_arrival(self, arrival: impl Fn(&Job) + Send + Sync + 'static) -> Self {
        Self { arrival: Some(Arc::new(arrival)), ..self }
    }

    fn arrived(&self, job: &Job) {
        if let Some(arrival) = &self.arrival {
            arrival(job);
        }
    }

    pub(super) fn tell(&self, id: JobId, note: &str) {
        if let Some(notice) = &self.notice {
            notice(id, note);
        }
    }
}

impl fmt::Debug for WaitOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, until, cursor, timeout, .. } = self;
        let mut shown = f.debug_struct("WaitOptions");
        shown.field("what", what).field("until", until).field("cursor", cursor).field("timeout", timeout);
        shown.finish_non_exhaustive()
    }
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitReason {
    /// The condition was met.
    Met,
    /// The condition can no longer be met: jobs that it depends on have ended.
    Impossible,
    /// The time was up first.
    TimedOut,
}

/// The result of a wait.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Waited {
    /// The jobs as they are now, in the order in which they were given.
    pub jobs: Vec<Job>,
    /// How far each of them has come.
    pub reached: Vec<Reached>,
    /// Which of them met the condition first, by its index in `jobs`, if one was enough.
    pub first: Option<usize>,
    /// Whether the time was up first.
    pub timed_out: bool,
    what: WaitFor,
}

/// The result of a wait, as every interface prints it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitShape {
    /// Why the wait has ended.
    pub reason: WaitReason,
    /// The jobs, in the order in which they were given.
    pub jobs: Vec<WaitedJob>,
}

/// A job that was waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WaitedJob {
    /// The job as it is now.
    #[serde(flatten)]
    pub job: JobShape,
    /// Whether it met the condition.
    pub met: bool,
    /// Where to continue reading, or waiting for output.
    pub cursor: Cursor,
    /// The line that was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Why the condition was not met although it looks that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Waited {
    /// Returns the shape in which it is printed.
    pub fn shape(&self, now: Timestamp) -> WaitShape {
        let jobs = self.jobs.iter().zip(&self.reached).map(|(job, reached)| {
            let Reached { met, cursor, line, note } = reached.clone();
            WaitedJob { job: job.shape(now), met, cursor, line, note }
        });
        WaitShape { reason: self.reason(), jobs: jobs.collect() }
    }

    /// Returns why the wait has ended.
    pub fn reason(&self) -> WaitReason {
        let is_met = match self.what {
            WaitFor::Any => self.first.is_some() || self.jobs.is_empty(),
            WaitFor::All => self.reached.iter().all(|reached| reached.met),
        };
        match (is_met, self.timed_out) {
            (true, _) => WaitReason::Met,
            (false, true) => WaitReason::TimedOut,
            (false, false) => WaitReason::Impossible,
        }
    }
}

impl JobManager {
    /// Waits for one job to end, however long it takes.
    ///
    /// # Errors
    /// As [`JobManager::job`]; the job may also be removed meanwhile. For a queued job, also that this process lacks
    /// the resources to start it.
    pub async fn wait_for(&self, id: JobId) -> Result<Job> {
        let mut lending = None;
        loop {
            let tended = self.try_to_tend().await;
            let job = self.job(id).await?;
            if job.status().is_final() {
                return Ok(job);
            }
            if lending.is_none() {
                lending = self.lend_own_slot().await;
                // A job that waits for a slot may get this one.
                if lending.is_some() {
                    continue;
                }
            }
            // Without free descriptors, for example, this process starts nothing however long it waits.
            if let (Status::Queued, Err(error)) = (job.status(), tended)
                && error.lacks_resources()
            {
                return Err(error);
            }
            self.until_supervised(&job).await?;
            self.store.changed(Change::Settled(id)).await?;
        }
    }

    /// Lends the slot of the job that this program runs in: otherwise jobs could wait forever if all slots belonged to
    /// jobs that wait for others. Returns `None` if it runs in no job, or if this is impossible: then it keeps its
    /// slot.
    pub(super) async fn lend_own_slot(&self) -> Option<Arc<Lending>> {
        let own = self.own_job?;
        let shared = || self.lending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lending) = shared().upgrade() {
            return Some(lending);
        }
        let lending = Arc::new(self.store.lend(own).await.ok()?);
        *shared() = Arc::downgrade(&lending);
        Some(lending)
    }

    /// Waits while no holder's end could be waited for: the job is queued, or runs without a supervisor. Returns after
    /// a while at the latest, so that what has become due gets started.
    pub(super) async fn until_supervised(&self, job: &Job) -> Result<()> {
        if job.status() == Status::Queued {
            self.check_wait(job).await?;
            // The process that should start it may have been killed: then its waiters do so.
            return timeout(QUEUED, self.store.changed(Change::LeftQueue(job.id))).await.unwrap_or(Ok(()));
        }
        if job.is_unsupervised() {
            // No supervisor could be started from here, and other processes are not notified of the end.
            tokio::time::sleep(UNSUPERVISED).await;
        }
        Ok(())
    }

    /// Waits for one or all of several jobs to end, for `timeout` at most.
    ///
    /// # Errors
    /// As [`JobManager::wait_until`].
    pub async fn wait(&self, ids: &[JobId], what: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        self.wait_until(ids, &WaitOptions::default().with_what(what).with_timeout(timeout)).await
    }

    /// Waits for one or all of several jobs to meet a condition. Returns as soon as it is met, can no longer be met
    /// because jobs that it depends on have ended, or the time is up.
    ///
    /// # Errors
    /// As [`JobManager::job`], for the first job that fails.
    pub async fn wait_until(&self, ids: &[JobId], options: &WaitOptions) -> Result<Waited> {
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            jobs.push(self.job(*id).await?);
        }
        let mut first = None;
        if matches!((options.what, &options.until), (WaitFor::Any, Until::Exit)) {
            // Among jobs that have already ended, the order of the arguments decides.
            first = jobs.iter().position(|job| job.status().is_final());
            if let Some(first) = first {
                options.arrived(&jobs[first]);
            }
        }
        let mut reached: Vec<Option<Reached>> = vec![None; ids.len()];
        let mut timed_out = false;
        if first.is_none() {
            let waiting = self.collect(ids, options, &mut jobs, &mut reached);
            match options.timeout {
                None => first = waiting.await?,
                Some(time) => match timeout(time, waiting).await {
                    Ok(decided) => first = decided?,
                    Err(_) => timed_out = true,
                },
            }
        }
        let mut progress = Vec::with_capacity(ids.len());
        for (job, reached) in jobs.iter_mut().zip(reached) {
            progress.push(match reached {
                Some(reached) => reached,
                None => {
                    *job = self.job(job.id).await?;
                    let met = options.until.is_exit() && job.status().is_final();
                    let note = self.obstacle(job, &options.until).await;
                    Reached { note, ..Reached::now(job, met) }
                }
            });
        }
        Ok(Waited { jobs, reached: progress, what: options.what, first, timed_out })
    }

    /// Collects how far jobs come, until the outcome is decided. Returns which came first, if one is enough.
    async fn collect(
        &self,
        ids: &[JobId],
        options: &WaitOptions,
        jobs: &mut [Job],
        reached: &mut [Option<Reached>],
    ) -> Result<Option<usize>> {
        let mut waiting = JoinSet::new();
        for (index, id) in ids.iter().copied().enumerate() {
            let (jobs, options) = (self.clone(), options.clone());
            waiting.spawn(async move { (index, jobs.reach(id, &options).await) });
        }
        while let Some(joined) = waiting.join_next().await {
            let (index, came) = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            let (job, came) = came?;
            let met = came.met;
            options.arrived(&job);
            jobs[index] = job;
            reached[index] = Some(came);
            match options.what {
                WaitFor::Any if met => return Ok(Some(index)),
                WaitFor::All if !met => return Ok(None),
                WaitFor::Any | WaitFor::All => {}
            }
        }
        Ok(None)
    }
}

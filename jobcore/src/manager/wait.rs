//! Waiting for jobs to end.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{JobManager, UNSUPERVISED};
use crate::error::Result;
use crate::id::JobId;
use crate::job::Job;
use crate::state::Status;

/// How often somebody who waits for a queued job looks whether it is for him to start it.
const QUEUED: Duration = Duration::from_secs(1);

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between one and all")]
pub enum WaitFor {
    /// All of them have ended.
    All,
    /// One of them has ended.
    Any,
}

/// What a wait came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Waited {
    /// The jobs as they are now, in the order in which they were given.
    pub jobs: Vec<Job>,
    /// Which of them ended first, by its place in `jobs`, when one was enough.
    pub first: Option<usize>,
    /// Whether the time was up before.
    pub timed_out: bool,
}

impl JobManager {
    /// Waits for one job to end, however long it takes.
    ///
    /// # Errors
    /// As [`JobManager::job`]; the job may also be removed meanwhile.
    pub async fn wait_for(&self, id: JobId) -> Result<Job> {
        loop {
            self.tend().await;
            let job = self.job(id).await?;
            if job.status().is_final() {
                return Ok(job);
            }
            self.until_attended(&job).await?;
            self.store.settled(id).await?;
        }
    }

    /// Waits while there is nobody whose end could be waited for: a job that is queued, or one that runs without a
    /// supervisor. Returns after a while at the latest, so that what has become due is seen to.
    pub(super) async fn until_attended(&self, job: &Job) -> Result<()> {
        if job.status() == Status::Queued {
            // Whoever should start it may have been killed: then it is for those who wait to do so.
            return tokio::time::timeout(QUEUED, self.store.left_queue(job.id)).await.unwrap_or(Ok(()));
        }
        if job.is_unsupervised() {
            // Nobody could be put in charge from here, and nobody tells a stranger of the end.
            tokio::time::sleep(UNSUPERVISED).await;
        }
        Ok(())
    }

    /// Waits for one or all of several jobs to end, for `timeout` at most.
    ///
    /// # Errors
    /// As [`JobManager::job`], for the first job of which that is true.
    pub async fn wait(&self, ids: &[JobId], what: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        // What has ended already is told by the order of the arguments.
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            jobs.push(self.job(*id).await?);
        }
        let first = jobs.iter().position(|job| job.status().is_final());
        if ids.is_empty() || (what == WaitFor::Any && first.is_some()) {
            return Ok(Waited { jobs, first, timed_out: false });
        }
        let mut waiting = JoinSet::new();
        for id in ids.iter().copied() {
            let jobs = self.clone();
            waiting.spawn(async move { jobs.wait_for(id).await });
        }
        let collected = async {
            let mut ended = HashMap::new();
            while let Some(joined) = waiting.join_next().await {
                let job = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
                ended.insert(job.id, job);
                if what == WaitFor::Any {
                    break;
                }
            }
            Ok(ended)
        };
        let (ended, timed_out) = match timeout {
            None => (collected.await?, false),
            Some(timeout) => match tokio::time::timeout(timeout, collected).await {
                Ok(ended) => (ended?, false),
                Err(_) => (HashMap::new(), true),
            },
        };
        let mut jobs = Vec::with_capacity(ids.len());
        for id in ids {
            match ended.get(id) {
                Some(job) => jobs.push(job.clone()),
                None => jobs.push(self.job(*id).await?),
            }
        }
        let first = (what == WaitFor::Any).then(|| ids.iter().position(|id| ended.contains_key(id))).flatten();
        Ok(Waited { jobs, first, timed_out })
    }
}

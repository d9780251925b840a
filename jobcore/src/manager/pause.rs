//! Pausing and resuming jobs, and renewing their leases.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::JobManager;
use crate::control::{Answer, Request};
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::state::{State, Survivor};
use crate::words::counted;

/// How long processes may take to stop.
const STANDING_STILL: Duration = Duration::from_secs(5);
/// How soon to ask again while some have not stopped.
const AGAIN: Duration = Duration::from_millis(50);

impl JobManager {
    /// Pauses a job, and returns when all of its processes are stopped. Its clocks for timeout and stall stop too; its
    /// slot stays taken. It continues when it is resumed, and ends when it is stopped. A paused job stays paused.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a job that has not started or has ended; [`Error::Refused`] for one that is being
    /// stopped, one with processes of other users, which are named, and one whose supervisor is of a version without
    /// this feature;
    /// [`Error::Unsupervised`]; [`Error::NoAnswer`].
    pub async fn pause(&self, id: JobId) -> Result<Job> {
        let until = Instant::now() + STANDING_STILL;
        loop {
            match self.ask_of_running(id, Request::Pause).await? {
                Answer::Processes { count: 1.., survivors } if Instant::now() >= until => {
                    return Err(Error::Refused { id, reason: cannot_pause(&survivors) });
                }
                Answer::Processes { count: 1.., .. } => sleep(AGAIN).await,
                _ => return self.job(id).await,
            }
        }
    }

    /// Lets a job continue that was paused by [`JobManager::pause`] or by a signal. A running job keeps running.
    ///
    /// # Errors
    /// As [`JobManager::pause`].
    pub async fn resume(&self, id: JobId) -> Result<Job> {
        self.ask_of_running(id, Request::Resume).await?;
        self.job(id).await
    }

    /// Restarts the lease of a running job.
    ///
    /// # Errors
    /// As [`JobManager::pause`]; [`Error::Refused`] for a job that has no lease.
    pub async fn renew(&self, id: JobId) -> Result<Job> {
        self.ask_of_running(id, Request::Renew).await?;
        self.job(id).await
    }

    /// Pauses several jobs at the same time, and returns the results in the order of the ids. The job that this program
    /// runs in comes last, since this program is paused with it.
    pub async fn pause_all(&self, ids: &[JobId]) -> Vec<(JobId, Result<Job>)> {
        self.each(ids, |jobs, id| async move { jobs.pause(id).await }).await
    }

    /// Resumes several jobs at the same time, and returns the results in the order of the ids.
    pub async fn resume_all(&self, ids: &[JobId]) -> Vec<(JobId, Result<Job>)> {
        self.each(ids, |jobs, id| async move { jobs.resume(id).await }).await
    }

    /// Renews the leases of several jobs at the same time, and returns the results in the order of the ids.
    pub async fn renew_all(&self, ids: &[JobId]) -> Vec<(JobId, Result<Job>)> {
        self.each(ids, |jobs, id| async move { jobs.renew(id).await }).await
    }

    /// Asks the supervisor of a running job, or its successor if it was killed meanwhile.
    async fn ask_of_running(&self, id: JobId, request: Request) -> Result<Answer> {
        let mut is_first = true;
        loop {
            let job = self.job(id).await?;
            match &job.state {
                State::Queued | State::Ended(_) => return Err(Error::NotRunning { id, status: job.status() }),
                State::Running(run) | State::Paused(run) if !run.supervised => {
                    return Err(Error::Unsupervised { id, pid: job.pid });
                }
                State::Running(_) | State::Paused(_) => {}
            }
            match self.store.request(id, request.clone()).await {
                Ok(Answer::Refused { reason }) => return Err(Error::Refused { id, reason }),
                Err(Error::NoAnswer { .. }) if is_first => is_first = false,
                answer => return answer,
            }
        }
    }
}

fn cannot_pause(moving: &[Survivor]) -> String {
    let name = |process: &Survivor| format!("process {} ({}) {}", process.pid, process.name, process.reason);
    let named: Vec<_> = moving.iter().map(name).collect();
    let count = counted(named.len(), "process", "processes");
    format!("all of its processes are paused except {count}: {}", named.join("; "))
}

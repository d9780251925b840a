//! Stopping jobs, and sending them signals.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::JobManager;
use crate::control::{Answer, Request};
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::record::{Ended, Running};
use crate::signal::Signal;
use crate::state::{Cause, Outcome, State, Survivor};
use crate::store::file::supervisors::{freezer, visible_members};
use crate::store::tend::evidence_of_own;
use crate::sys::pausing;
use crate::sys::process::{self, Seen};

/// How long to wait for a stop beyond its grace.
const BEYOND_GRACE: Duration = Duration::from_secs(2);
/// How many jobs are stopped at a time: each needs a few descriptors, of which many shells allow 1,024.
const AT_ONCE: usize = 200;

/// Why a job cannot be declared gone.
const SUPERVISED: &str = "its supervisor is alive, perhaps in another container or sandbox";

/// How to stop a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopOptions {
    /// How long it may take to end on its own before it is killed; if absent, the grace in its spec.
    pub grace: Option<Duration>,
    /// Whether to wait for proof that none of its processes is left, for the grace and two seconds.
    pub wait: bool,
}

impl Default for StopOptions {
    fn default() -> Self {
        Self { grace: None, wait: true }
    }
}

impl StopOptions {
    /// Gives the job this long to end on its own.
    #[must_use]
    pub fn with_grace(self, grace: Option<Duration>) -> Self {
        Self { grace, ..self }
    }

    /// Sets whether to wait for the proof.
    #[must_use]
    pub fn with_wait(self, wait: bool) -> Self {
        Self { wait, ..self }
    }
}

/// The result of a stop.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StopReport {
    /// The job has ended and none of its processes is left, except the survivors in its outcome.
    Stopped(Job),
    /// It had already ended, and none of its processes is left.
    AlreadyEnded(Job),
    /// It had already ended, and its stragglers are stopped.
    StragglersStopped {
        /// The job.
        job: Job,
        /// How many stragglers there were.
        processes: u32,
    },
    /// It has been asked to end, and has not ended yet; or it has ended, and its stragglers have been asked to end.
    Stopping {
        /// The job.
        job: Job,
        /// How many processes are left, if known.
        processes: Option<u32>,
        /// Some of those that were already killed, and why they are still there.
        survivors: Vec<Survivor>,
    },
    /// Its supervisor does not answer (a signal may have stopped it). The visible processes were signalled from here;
    /// the end will be recorded when the supervisor continues.
    Bypassed {
        /// The job.
        job: Job,
        /// How many processes are left.
        processes: u32,
    },
}

impl JobManager {
    /// Stops a job: its whole tree is asked to end, and killed after the grace.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unsupervised`] for a job whose supervisor was killed.
    pub async fn stop(&self, id: JobId, options: &StopOptions) -> Result<StopReport> {
        loop {
            let job = self.job(id).await?;
            match &job.state {
                State::Queued => {
                    if let Some(job) = self.end_unstarted(id).await? {
                        return Ok(StopReport::Stopped(job));
                    }
                }
                State::Running(run) | State::Paused(run) if !run.supervised => {
                    return Err(Error::Unsupervised { id, pid: job.pid });
                }
                State::Running(_) | State::Paused(_) => return self.stop_running(job, options).await,
                State::Ended(_) if job.held => return self.stop_stragglers(job, options).await,
                State::Ended(_) => return Ok(StopReport::AlreadyEnded(job)),
            }
        }
    }

    /// Stops several jobs at the same time, and returns the reports in the order of the ids. The job that this program
    /// runs in is stopped after the others have ended: [`JobManager::with_own_job`].
    pub async fn stop_all(&self, ids: &[JobId], options: &StopOptions) -> Vec<(JobId, Result<StopReport>)> {
        let options = *options;
        self.each(ids, move |jobs, id| async move { jobs.stop(id, &options).await }).await
    }

    /// Applies `what` to several jobs at the same time, and returns the results in the order of the ids. The job that
    /// this program runs in comes last.
    pub(super) async fn each<T, Doing>(
        &self,
        ids: &[JobId],
        what: impl Fn(Self, JobId) -> Doing,
    ) -> Vec<(JobId, Result<T>)>
    where
        T: Send + 'static,
        Doing: Future<Output = Result<T>> + Send + 'static,
    {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut doing = JoinSet::new();
        let is_own = |id: &JobId| Some(*id) == self.own_job;
        for (index, id) in ids.iter().copied().enumerate().filter(|(_, id)| !is_own(id)) {
            let (room, what) = (Arc::clone(&room), what(self.clone(), id));
            doing.spawn(async move {
                let _permit = room.acquire().await;
                (index, id, what.await)
            });
        }
        let mut done = doing.join_all().await;
        for (index, id) in ids.iter().copied().enumerate().filter(|(_, id)| is_own(id)) {
            done.push((index, id, what(self.clone(), id).await));
        }
        done.sort_unstable_by_key(|(index, ..)| *index);
        done.into_iter().map(|(_, id, came)| (id, came)).collect()
    }

    /// Ends a job that has not been started; `None` if another process is starting it at this moment.
    async fn end_unstarted(&self, id: JobId) -> Result<Option<Job>> {
        let Some(claim) = self.store.claim(id).await? else { return Ok(None) };
        let (job, _) = evidence_of_own(self.store.as_ref(), claim.as_ref()).await?.judge(self.clock.now())?;
        if job.state != State::Queued {
            return Ok(None);
        }
        let mut outcome = Outcome::new(Cause::NeverStarted, self.clock.now());
        outcome.stopped_by = Some(self.name.clone());
        self.finish(claim, &Ended::new(None, outcome)).await?;
        self.job(id).await.map(Some)
    }

    /// Records the end of a job because a person says that the container or sandbox it ran in no longer exists: it
    /// becomes orphaned, and its slot and name are free. Nothing is signalled. A job that has ended is returned as it
    /// is.
    ///
    /// For a job whose lock is free and whose processes are not visible from here, so that only a person can tell
    /// whether they are alive.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Refused`] for a job that was not started, that is supervised, or whose processes
    /// are visible from here.
    pub async fn declare_gone(&self, id: JobId) -> Result<Job> {
        let refused = |reason: &str| Err(Error::Refused { id, reason: reason.to_owned() });
        let job = self.job(id).await?;
        match &job.state {
            State::Ended(_) => return Ok(job),
            State::Queued => return refused("it is queued and has no processes"),
            State::Running(run) | State::Paused(run) if run.supervised => return refused(SUPERVISED),
            State::Running(_) | State::Paused(_) => {}
        }
        let Some(claim) = self.store.claim(id).await? else { return refused(SUPERVISED) };
        let evidence = evidence_of_own(self.store.as_ref(), claim.as_ref()).await?;
        let now = self.clock.now();
        let (job, _) = evidence.judge(now)?;
        if job.status().is_final() || evidence.seen != Seen::Unknown {
            return refused("its processes can be seen from here");
        }
        let message = format!("{} said that the container or sandbox it ran in no longer exists", self.name);
        let outcome = evidence.lost(Cause::SupervisorLost, Some(message), now);
        self.finish(claim, &Ended::new(job.state.started_at(), outcome)).await?;
        self.job(id).await
    }

    async fn stop_running(&self, job: Job, options: &StopOptions) -> Result<StopReport> {
        let id = job.id;
        let mut answer = self.store.request(id, Request::stop(options.grace, &self.name)).await;
        if matches!(answer, Err(Error::NoAnswer { .. })) && !self.job(id).await?.status().is_final() {
            // Its supervisor may have been killed meanwhile: the look has started another one.
            answer = self.store.request(id, Request::stop(options.grace, &self.name)).await;
        }
        match answer {
            Ok(Answer::Refused { reason }) => return Err(Error::Refused { id, reason }),
            Ok(_) => {}
            Err(Error::NoAnswer { .. }) => return self.stop_unanswered(id, options).await,
            Err(error) => return Err(error),
        }
        if options.wait {
            let limit = options.grace.unwrap_or(job.spec.grace()) + BEYOND_GRACE;
            if let Ok(ended) = tokio::time::timeout(limit, self.wait_for(id)).await {
                return ended.map(StopReport::Stopped);
            }
        }
        let (processes, survivors) = self.what_is_left(id).await;
        let job = self.job(id).await?;
        Ok(match job.status().is_final() {
            true => StopReport::Stopped(job),
            false => StopReport::Stopping { job, processes, survivors },
        })
    }

    /// Stops the stragglers of an ended job.
    async fn stop_stragglers(&self, job: Job, options: &StopOptions) -> Result<StopReport> {
        let id = job.id;
        let (before, _) = self.what_is_left(id).await;
        if let Err(Error::NoAnswer { .. }) = self.store.request(id, Request::stop(options.grace, &self.name)).await {
            // No process was left: its supervisor was about to exit.
            return Ok(StopReport::AlreadyEnded(job));
        }
        let limit = options.grace.unwrap_or(job.spec.grace()) + BEYOND_GRACE;
        if options.wait && self.is_released(id, limit).await? {
            return Ok(match before {
                Some(processes) if processes > 0 => StopReport::StragglersStopped { job, processes },
                Some(_) | None => StopReport::AlreadyEnded(job),
            });
        }
        let (processes, survivors) = self.what_is_left(id).await;
        Ok(StopReport::Stopping { job, processes, survivors })
    }

    /// Asks how many processes of a job are left, and which of them survived being killed.
    async fn what_is_left(&self, id: JobId) -> (Option<u32>, Vec<Survivor>) {
        match self.store.request(id, Request::Count).await {
            Ok(Answer::Processes { count, survivors }) => (Some(count), survivors),
            Ok(_) | Err(_) => (None, Vec::new()),
        }
    }

    /// Continues without the supervisor's answer.
    async fn stop_unanswered(&self, id: JobId, options: &StopOptions) -> Result<StopReport> {
        let job = self.job(id).await?;
        match &job.state {
            // It was asked, and ended before its answer was read.
            State::Ended(end) if end.outcome.stopped_by.as_deref() == Some(&self.name) => {
                return Ok(StopReport::Stopped(job));
            }
            // It ended during the request.
            State::Ended(_) => return Ok(StopReport::AlreadyEnded(job)),
            State::Queued => return Err(Error::NoAnswer { id }),
            State::Running(run) | State::Paused(run) if !run.supervised => {
                return Err(Error::Unsupervised { id, pid: job.pid });
            }
            State::Running(_) | State::Paused(_) => {}
        }
        let running = self.store.evidence(id).await?.running;
        let (Some(_), Some(running)) = (job.pid, running) else { return Err(Error::NoAnswer { id }) };
        let mut processes = self.signal_all(id, &running, &[Signal::TERM, Signal::CONT]).await?;
        if options.wait && processes > 0 {
            // Nothing reaps them while their supervisor is stopped, but dead processes are not counted.
            tokio::time::sleep(options.grace.unwrap_or(job.spec.grace())).await;
            self.signal_all(id, &running, &[Signal::KILL]).await?;
            processes = self.signal_all(id, &running, &[]).await?;
        }
        Ok(StopReport::Bypassed { job: self.job(id).await?, processes })
    }

    /// Sends signals to all visible processes of a job, and returns how many there are.
    async fn signal_all(&self, id: JobId, running: &Running, signals: &'static [Signal]) -> Result<u32> {
        let main = running.process.clone();
        let sending = move |_| async move {
            let members = visible_members(Some(&main), id);
            if signals.contains(&Signal::CONT) {
                pausing::thaw(&members, &freezer(id));
            }
            for stat in &members {
                for signal in signals {
                    let _ = process::signal(stat, *signal);
                }
            }
            Ok(u32::try_from(members.len()).unwrap_or(u32::MAX))
        };
        self.offload(sending).await
    }

    /// Sends one signal to the process group of a job's main process, and nothing more.
    ///
    /// # Errors
    /// [`Error::NotRunning`] for a job that has ended or was not started; [`Error::Unsupervised`]; [`Error::NoAnswer`].
    pub async fn signal(&self, id: JobId, signal: Signal) -> Result<()> {
        let job = self.job(id).await?;
        match &job.state {
            State::Queued | State::Ended(_) => return Err(Error::NotRunning { id, status: job.status() }),
            State::Running(run) | State::Paused(run) if !run.supervised => {
                return Err(Error::Unsupervised { id, pid: job.pid });
            }
            State::Running(_) | State::Paused(_) => {}
        }
        self.ask(id, Request::signal(signal, &self.name)).await
    }
}

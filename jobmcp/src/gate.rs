//! The server's own limits on new jobs, in addition to the rules of the store.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use jobcore::agent::{Agent, Delegation};
use jobcore::environment::Environment;
use jobcore::words::counted;
use jobcore::{Job, JobManager, JobSpec, JobSpecBuilder, Query, Status};
use tokio::sync::MutexGuard;

use crate::failure::Failure;
use crate::settings::Background;

/// An agent run to submit: the prompt and its options, the environment, and the key of the job.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) asked: Delegation,
    pub(crate) environment: Environment,
    pub(crate) key: Option<String>,
}

/// The limits of this server on its own submissions.
#[derive(Debug)]
pub(crate) struct Gate {
    background: Background,
    /// Held from counting jobs until the new one is on record, so that two calls do not take the same place.
    turn: tokio::sync::Mutex<()>,
    cleaned: Mutex<Option<Instant>>,
}

impl Gate {
    pub(crate) fn new(background: Background) -> Self {
        Self { background, turn: tokio::sync::Mutex::default(), cleaned: Mutex::default() }
    }

    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    /// Submits a job, if the limits permit it.
    pub(crate) async fn submit(&self, jobs: &JobManager, spec: JobSpec) -> Result<Job, Failure> {
        let permitted = self.background.allowed_commands.check(&spec);
        self.pass(jobs, permitted, spec.key.clone(), || jobs.submit(spec)).await
    }

    /// Submits an agent run, if the limits permit it.
    pub(crate) async fn delegate(
        &self,
        jobs: &JobManager,
        Question { agent, asked, environment, key }: Question<'_>,
        described: impl FnOnce(JobSpecBuilder) -> JobSpecBuilder,
    ) -> Result<Job, Failure> {
        let spec = agent.spec(&asked, environment.clone()).and_then(JobSpecBuilder::build);
        let permitted = spec.and_then(|spec| self.background.allowed_commands.check(&spec));
        self.pass(jobs, permitted, key, || jobs.delegate(agent, asked, environment, described)).await
    }

    /// Submits a permitted job when it is its turn.
    async fn pass<F: Future<Output = jobcore::Result<Job>>>(
        &self,
        jobs: &JobManager,
        permitted: jobcore::Result<()>,
        key: Option<String>,
        submit: impl FnOnce() -> F,
    ) -> Result<Job, Failure> {
        self.clean(jobs).await;
        let submitted = match permitted {
            Ok(()) => {
                let _turn = match self.background.max_jobs {
                    Some(limit) => Some(self.turn(jobs, key.as_deref(), limit).await?),
                    None => None,
                };
                submit().await
            }
            Err(error) => Err(error),
        };
        match submitted {
            Ok(job) => Ok(job),
            Err(error) => Err(Failure::of(error, jobs).await),
        }
    }

    /// Refuses a job over the limit. Servers that submit at the same moment may exceed it together.
    async fn turn(&self, jobs: &JobManager, key: Option<&str>, limit: usize) -> Result<MutexGuard<'_, ()>, Failure> {
        let turn = self.turn.lock().await;
        let statuses = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
        let live = match jobs.list(&Query::default().live().with_statuses(statuses)).await {
            // Schedules do not run themselves.
            Ok(listing) => listing.jobs.into_iter().filter(|job| job.spec.repeat.is_none()).collect::<Vec<_>>(),
            Err(error) => return Err(Failure::of(error, jobs).await),
        };
        if live.len() < limit {
            return Ok(turn);
        }
        // If a job on record has the key, no new one is submitted.
        if let Some(key) = key {
            match jobs.store().keyed(key).await {
                Ok(Some(_)) => return Ok(turn),
                Ok(None) => {}
                Err(error) => return Err(Failure::of(error, jobs).await),
            }
        }
        Err(Failure::new(format!(
            "Job limit reached: {} unfinished, and MCP_BG_MAX_JOBS is {limit}. Wait for one with wait, or stop one \
             with kill; list {{\"status\": [\"running\"]}} shows them.",
            counted(live.len(), "job is", "jobs are")
        )))
    }

    /// Prunes by the settings of the store, if an interval is set and has passed.
    async fn clean(&self, jobs: &JobManager) {
        let Some(interval) = self.background.cleanup_interval else { return };
        {
            let mut cleaned = self.cleaned.lock().unwrap_or_else(PoisonError::into_inner);
            if cleaned.is_some_and(|cleaned| cleaned.elapsed() < interval) {
                return;
            }
            *cleaned = Some(Instant::now());
        }
        let pruned = match jobs.store().settings().await {
            Ok(settings) => jobs.prune(&settings.retention(), false).await,
            Err(error) => Err(error),
        };
        match pruned {
            Ok(removed) => tracing::info!(removed = removed.len(), "cleaned up"),
            // The job is submitted anyway.
            Err(error) => tracing::warn!(%error, "cannot clean up"),
        }
    }
}

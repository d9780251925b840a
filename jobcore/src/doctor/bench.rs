//! The doctor's own jobs: marked with a label, short, and removed whatever happens to them.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, timeout};

use super::report::{Doubt, WHEN_FREE};
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::manager::{JobManager, StopOptions};
use crate::output::{OutputQuery, Position, Stream};
use crate::queue;
use crate::record::Evidence;
use crate::signal::Signal;
use crate::spec::{JobSpec, JobSpecBuilder};
use crate::state::Status;
use crate::store::Query;
use crate::sys::load::Readings;
use crate::sys::process::ProcessId;
use crate::words::counted;

/// The label of the doctor's jobs.
pub const LABEL: &str = "jobcore.doctor";

/// The time limit of each step: far longer than it takes, because a machine under load is not a broken one.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How often conditions are checked.
const PAUSE: Duration = Duration::from_millis(2);
/// The timeout of these jobs: should this process be killed, they end by themselves, and the next examination removes
/// them.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How long after that such jobs are considered abandoned at the latest.
const ABANDONED: SignedDuration = SignedDuration::from_secs(120);

/// Runs until it is signalled, and then exits with [`CODE`]. The signal reaches the whole group, including `sleep`.
pub(super) const UNTIL_ASKED: &str = "trap 'exit 42' USR1; echo ready; while :; do sleep 1; done";
pub(super) const CODE: i32 = 42;

/// The setting in which jobs are run to test something.
#[derive(Clone)]
pub(super) struct Bench<'a> {
    pub(super) jobs: &'a JobManager,
    /// The environment of the jobs.
    pub(super) environment: &'a Environment,
    /// The value of the label, which tells the jobs of this examination from those of others.
    pub(super) mark: String,
    pub(super) patience: Duration,
}

impl Bench<'_> {
    /// Limits the time of a step, whatever it waits for.
    pub(super) async fn within<T>(&self, step: impl Future<Output = Result<T, Doubt>>) -> Result<T, Doubt> {
        let limit = self.patience * 2;
        let time = || counted(limit.as_secs_f32(), "second", "seconds");
        let late = |_| Err(Doubt::failed(format!("not done within {}", time())));
        timeout(limit, step).await.unwrap_or_else(late)
    }

    /// Checks repeatedly until something is found.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>, Doubt>,
    ) -> Result<T, Doubt> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let time = counted(self.patience.as_secs_f32(), "second", "seconds");
                return Err(Doubt::failed(format!("{what} did not appear within {time}")));
            }
            sleep(PAUSE).await;
        }
    }

    /// Returns the reason if no job would be started at present.
    pub(super) async fn full(&self) -> Option<Doubt> {
        let load = self.jobs.store().load().await.ok()?;
        if let Some(unmet) = queue::unmet(&load.settings.guard, &Readings::now()) {
            let detail = format!("not tested: the store starts jobs only when {unmet}");
            return Some(Doubt::degraded(detail).advise("try again then, or remove the setting `guard`"));
        }
        let (running, limit) = (load.running.len(), load.settings.max_running);
        let is_full = limit != 0 && u32::try_from(running).is_ok_and(|running| running >= limit);
        let detail = || format!("not tested: {running} of {limit} jobs are already running");
        is_full.then(|| Doubt::degraded(detail()).advise(WHEN_FREE))
    }

    pub(super) fn spec(&self, line: &str) -> JobSpecBuilder {
        JobSpec::shell(line)
            .with_shell("/bin/sh")
            .environment(self.environment.clone())
            .label(LABEL, &self.mark)
            .timeout(TIME_LIMIT)
            .grace(Duration::ZERO)
    }

    /// Submits a job, and returns it when its command is running or has ended.
    pub(super) async fn submit(&self, spec: JobSpecBuilder) -> Result<Job, Doubt> {
        let job = self.jobs.submit(spec.build()?).await?;
        self.until_started(job.id).await
    }

    pub(super) async fn until_started(&self, id: JobId) -> Result<Job, Doubt> {
        self.until("a supervisor for a job", async || {
            let job = self.jobs.job(id).await?;
            if job.status() == Status::Queued
                && let Some(doubt) = self.full().await
            {
                return Err(doubt);
            }
            Ok((job.status() != Status::Queued && job.state.started_at().is_some() || job.status().is_final())
                .then_some(job))
        })
        .await
    }

    pub(super) async fn ended(&self, id: JobId) -> Result<Job, Doubt> {
        let late = |_| Doubt::failed("the job has not ended");
        Ok(timeout(self.patience, self.jobs.wait_for(id)).await.map_err(late)??)
    }

    /// Runs a job to its end.
    pub(super) async fn run(&self, spec: JobSpecBuilder) -> Result<Job, Doubt> {
        self.ended(self.submit(spec).await?.id).await
    }

    /// Ends a job that runs [`UNTIL_ASKED`], and returns it.
    pub(super) async fn let_end(&self, id: JobId) -> Result<Job, Doubt> {
        self.until("the first line of a job", async || {
            Ok((self.read(id, Stream::Stdout).await? == b"ready\n").then_some(()))
        })
        .await?;
        self.jobs.signal(id, Signal::USR1).await?;
        self.ended(id).await
    }

    pub(super) async fn read(&self, id: JobId, stream: Stream) -> Result<Vec<u8>, Doubt> {
        let query = OutputQuery::from(Position::Start).with_stream(Some(stream));
        Ok(self.jobs.output(id, &query).await?.bytes(Some(stream)))
    }

    pub(super) async fn evidence(&self, id: JobId) -> Result<Evidence> {
        self.jobs.store().evidence(id).await
    }

    /// Returns the supervisor and the main process of a running job.
    pub(super) async fn processes(&self, id: JobId) -> Result<(ProcessId, ProcessId), Doubt> {
        let evidence = self.evidence(id).await?;
        match (evidence.start, evidence.running) {
            (Some(start), Some(running)) => Ok((start.holder, running.process)),
            _ => Err(Doubt::failed("the records of a running job do not name its processes")),
        }
    }

    /// Stops and removes all jobs of this examination, and removes those of an earlier one that was killed.
    pub(super) async fn remove_all(&self) -> Result<(), Doubt> {
        let labelled = |mark: &str| Query::default().with_labels(vec![(LABEL.to_owned(), mark.to_owned())]);
        let until = Timestamp::now().checked_sub(ABANDONED).ok();
        for query in [labelled(&self.mark), labelled("").with_times(None, until)] {
            // Not with a list, which would start jobs that are due: a job whose supervisor dies would be held for a
            // moment by the next one, again and again.
            for id in self.jobs.store().ids(&query, None, usize::MAX).await? {
                if self.jobs.job(id).await.is_ok_and(|job| query.matches(&job)) {
                    self.until("the removal of a test job", async || Ok(self.remove(id).await.then_some(()))).await?;
                }
            }
        }
        Ok(())
    }

    /// Stops and removes a job, and returns whether it no longer exists.
    pub(super) async fn remove(&self, id: JobId) -> bool {
        let _ = self.jobs.stop(id, &StopOptions::default().with_grace(Some(Duration::ZERO))).await;
        matches!(self.jobs.remove(id).await, Ok(()) | Err(Error::NotFound { .. }))
    }
}

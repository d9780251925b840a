//! Jobs as every interface prints them, with everything that has to be looked up for that.

use super::JobManager;
use crate::error::Result;
use crate::job::Job;
use crate::queue::InQueue;
use crate::shape::JobShape;
use crate::state::{HookRun, Status};
use crate::store::file::layout::Layout;
use crate::store::file::on_end::EndHooks;

impl JobManager {
    /// Returns the shape in which a job is printed, as of now: including the report of its agent, why it is queued,
    /// whether it waits for input, what its processes use, and what was run at its end, as far as these apply.
    ///
    /// # Errors
    /// As [`JobManager::output`] and [`JobManager::job`], and only for an agent run, a queued job, or a job that takes
    /// input.
    pub async fn report(&self, job: &Job) -> Result<JobShape> {
        let on_end = self.hook_runs(job);
        let shape = self.report_with(job, self.why_queued(job).await?).await?;
        Ok(JobShape { on_end, ..self.with_used(job, shape).await? })
    }

    /// Adds what the processes of a job use at this moment to its shape, if it is running.
    ///
    /// # Errors
    /// As [`JobManager::used`].
    pub async fn with_used(&self, job: &Job, mut shape: JobShape) -> Result<JobShape> {
        if let Some(used) = self.used(job).await? {
            shape.cpu_ms = u64::try_from(used.cpu.as_millis()).ok();
            (shape.memory_bytes, shape.processes) = (Some(used.memory_bytes), Some(used.processes));
        }
        Ok(shape)
    }

    /// Returns the shapes of many jobs, as [`JobManager::report`]. A job that was removed meanwhile or cannot be read
    /// is reported as given.
    pub async fn reports(&self, jobs: &[Job]) -> Vec<JobShape> {
        // One look at the queue for all of them.
        let is_queued = |job: &Job| job.status() == Status::Queued;
        let load = match jobs.iter().any(is_queued) {
            true => self.store.load().await.ok(),
            false => None,
        };
        let mut shapes = Vec::with_capacity(jobs.len());
        for job in jobs {
            let queued = match &load {
                Some(load) if is_queued(job) => self.in_queue(job, load).await.ok(),
                _ => None,
            };
            shapes.push(self.report_with(job, queued).await.unwrap_or_else(|_| self.shape(job)));
        }
        shapes
    }

    /// Returns what was run at the end of a job, as far as it can be read.
    fn hook_runs(&self, job: &Job) -> Vec<HookRun> {
        let root = self.store.directory().filter(|_| job.status().is_final());
        root.and_then(|root| EndHooks::new(&Layout::new(root)).runs(job.id).ok()).unwrap_or_default()
    }

    async fn report_with(&self, job: &Job, queued: Option<InQueue>) -> Result<JobShape> {
        Ok(JobShape {
            queued,
            waiting_for_input: self.waiting_for_input(job).await?,
            #[cfg(feature = "agents")]
            agent: self.agent_shape(job).await?,
            ..self.shape(job)
        })
    }
}

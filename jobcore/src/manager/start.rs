//! Starting what is due.

use super::JobManager;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::record::{Ended, RECORD_VERSION};
use crate::state::{Cause, Outcome};
use crate::store::JobClaim;
use crate::store::tend::evidence_of_own;
use crate::sys::world;

/// How often to start a job whose start is never recorded, before it is ended as impossible to start.
const TRIES: u32 = 3;

impl JobManager {
    /// Starts a queued job now, past the limits and before all others, even if its group is paused. It then takes a
    /// slot, so that others wait longer. A job that another program is just starting is left to that program.
    ///
    /// # Errors
    /// As [`JobManager::job`]; [`Error::Refused`] if the job is not queued or this program may not start it; any error
    /// of the start, after which the job is still queued.
    pub async fn start_now(&self, id: JobId) -> Result<Job> {
        self.offload(move |jobs| async move {
            let Some(mut claim) = jobs.store.claim(id).await? else {
                let job = jobs.job(id).await?;
                return if job.status().is_final() { Err(not_queued(id)) } else { Ok(job) };
            };
            let evidence = evidence_of_own(jobs.store.as_ref(), claim.as_ref()).await?;
            let submission = &evidence.submission;
            if evidence.start.is_some() || evidence.ended.is_some() {
                return Err(not_queued(id));
            }
            if !world::capture()?.may_act_for(&submission.world) || submission.v > RECORD_VERSION {
                let reason = "it was submitted in another namespace or sandbox, or by a later version, and can only be started from there".to_owned();
                return Err(Error::Refused { id, reason });
            }
            if submission.spec.repeat.is_some() {
                let reason = "it is a schedule, which is not started itself; start a run of it instead".to_owned();
                return Err(Error::Refused { id, reason });
            }
            claim.take_slot().await?;
            jobs.start(claim).await?;
            jobs.job(id).await
        })
        .await
    }

    /// Starts a supervisor for a job that is due. A job that is due again and again, because its supervisors ended
    /// before they started the command, is ended: its waiters would wait forever.
    pub(super) async fn start(&self, claim: Box<dyn JobClaim>) -> Result<()> {
        let id = claim.submission().job_id;
        if self.starts.of(id) >= TRIES {
            let mut outcome = Outcome::new(Cause::SpawnFailed, self.clock.now());
            outcome.message = Some(format!("its supervisor ended {TRIES} times before it had started the command"));
            return self.finish(claim, &Ended::new(None, outcome)).await;
        }
        self.runner.start(&self.store, claim).await?;
        self.starts.add(id);
        Ok(())
    }
}

pub(super) fn not_queued(id: JobId) -> Error {
    Error::Refused { id, reason: "it is not queued".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use crate::manager::view::tests::block_on;
    use crate::runner::Runner;
    use crate::store::JobStore;
    use crate::{JobSpec, MemoryStore, Status};

    /// A runner whose supervisors end at once without doing anything.
    #[derive(Debug, Default)]
    struct Dies(AtomicU32);

    #[async_trait]
    impl Runner for Dies {
        fn check(&self, _: &dyn JobStore) -> Result<()> {
            Ok(())
        }

        async fn start(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
            unreachable!("nothing runs");
        }
    }

    #[test]
    fn a_job_ends_if_all_its_supervisors_end_before_its_command_is_started() {
        block_on(async {
            let runner = Arc::new(Dies::default());
            let jobs = JobManager::new(Arc::new(MemoryStore::new()), runner.clone()).unwrap();
            let submitted = jobs.submit(JobSpec::command(["/bin/true"]).build().unwrap()).await.unwrap();
            // Another attempt may succeed.
            assert_eq!((submitted.status(), runner.0.load(Ordering::Relaxed)), (Status::Queued, 1));
            let waiting = tokio::time::timeout(Duration::from_secs(60), jobs.wait_for(submitted.id));
            let job = waiting.await.expect("the wait ends").unwrap();
            let outcome = job.state.outcome().unwrap();
            assert_eq!((job.status(), outcome.cause), (Status::Failed, Cause::SpawnFailed));
            assert!(outcome.message.as_ref().unwrap().contains("its supervisor ended 3 times"), "{outcome:?}");
            assert_eq!(runner.0.load(Ordering::Relaxed), TRIES);
        });
    }
}

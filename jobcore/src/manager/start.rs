//! Starting what is due.

use super::JobManager;
use crate::error::Result;
use crate::record::Ended;
use crate::state::{Cause, Outcome};
use crate::store::JobClaim;

/// How often a job is started, of which nothing is on record then, before it is ended as one that cannot be.
const TRIES: u32 = 3;
impl JobManager {
    /// Puts somebody in charge of a job that is due. One that is due again and again, since whoever was put in charge ended
    /// before the command was started, is ended: whoever waits for it would wait for ever.
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

    /// A runner whose supervisors end at once, and do nothing.
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
    fn a_job_whose_supervisors_all_end_before_its_command_is_started_ends() {
        block_on(async {
            let runner = Arc::new(Dies::default());
            let jobs = JobManager::new(Arc::new(MemoryStore::new()), runner.clone()).unwrap();
            let submitted = jobs.submit(JobSpec::command(["/bin/true"]).build().unwrap()).await.unwrap();
            // There may be better luck at another time.
            assert_eq!((submitted.status(), runner.0.load(Ordering::Relaxed)), (Status::Queued, 1));
            let waiting = tokio::time::timeout(Duration::from_secs(60), jobs.wait_for(submitted.id));
            let job = waiting.await.expect("nobody waits for ever").unwrap();
            let outcome = job.state.outcome().unwrap();
            assert_eq!((job.status(), outcome.cause), (Status::Failed, Cause::SpawnFailed));
            assert!(outcome.message.as_ref().unwrap().contains("its supervisor ended 3 times"), "{outcome:?}");
            assert_eq!(runner.0.load(Ordering::Relaxed), TRIES);
        });
    }
}

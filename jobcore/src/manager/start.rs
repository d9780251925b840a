//! Starting what is due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::JobManager;
use crate::error::Result;
use crate::id::JobId;
use crate::record::Ended;
use crate::state::{Cause, Outcome};
use crate::store::JobClaim;

/// How often a job is started, of which nothing is on record then, before it is ended as one that cannot be.
const TRIES: u32 = 3;
/// Of how many jobs it is known that they were started. A job that is due again is due before those that have never been.
const REMEMBERED: usize = 512;

/// How often this program put somebody in charge of which job. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts(Arc<Mutex<VecDeque<(JobId, u32)>>>);

impl Starts {
    fn of(&self, id: JobId) -> u32 {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.iter().find(|(started, _)| *started == id).map_or(0, |(_, count)| *count)
    }

    fn add(&self, id: JobId) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match starts.iter_mut().find(|(started, _)| *started == id) {
            Some((_, count)) => *count += 1,
            None => {
                starts.truncate(REMEMBERED - 1);
                starts.push_front((id, 1));
            }
        }
    }
}

impl JobManager {
    /// Puts somebody in charge of a job that is due. One that is due again and again, since whoever was put in charge ended
    /// before the command was started, is ended: whoever waits for it would wait for ever.
    pub(super) async fn start(&self, mut claim: Box<dyn JobClaim>) -> Result<()> {
        let id = claim.submission().job_id;
        if self.starts.of(id) >= TRIES {
            let mut outcome = Outcome::new(Cause::SpawnFailed, self.clock.now());
            outcome.message = Some(format!("its supervisor ended {TRIES} times before it had started the command"));
            return claim.finish(&Ended::new(None, outcome)).await;
        }
        self.runner.start(&self.store, claim).await?;
        self.starts.add(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn only_the_last_starts_are_remembered() {
        let starts = Starts::default();
        let ids: Vec<_> = (0..=REMEMBERED)
            .map(|_| JobId::mint(jiff::Timestamp::now(), &crate::clock::SystemRandom).unwrap())
            .collect();
        for id in &ids {
            starts.add(*id);
            starts.add(*id);
        }
        let counts: Vec<_> = ids.iter().map(|id| starts.of(*id)).collect();
        assert_eq!((counts[0], counts[1], counts[REMEMBERED]), (0, 2, 2));
        assert_eq!(starts.0.lock().unwrap().len(), REMEMBERED);
    }
}

//! Where work that takes more than microseconds is done.

use std::convert::Infallible;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::JobManager;
use super::workplace::Workplace;
use crate::error::{Error, Result};

impl JobManager {
    /// Does all work on the calling thread.
    ///
    /// By default, work that takes more than some microseconds (reading and writing files, starting processes) runs on
    /// threads of the tokio runtime's blocking pool, so that other tasks can run meanwhile. A program with nothing else
    /// to do, such as a command line, saves the thread.
    #[must_use]
    pub fn with_inline_work(self) -> Self {
        Self { workplace: Workplace::Inline, ..self }
    }

    /// Does `work`, with a manager that works inline, on a thread where it blocks no other task of the runtime.
    ///
    /// Dropping the future drops the work at the next point where it waits for something; what it does without waiting,
    /// such as a submit to a store on disk, is completed.
    pub(super) async fn offload<T, F>(&self, work: impl FnOnce(Self) -> F + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        let jobs = Self { workplace: Workplace::Inline, ..self.clone() };
        // Without a runtime there are no other tasks to block.
        let (Workplace::Pool(room), Ok(runtime)) = (&self.workplace, Handle::try_current()) else {
            return work(jobs).await;
        };
        let _permit = room.acquire().await;
        let (_asker, asker_left) = oneshot::channel::<Infallible>();
        let working = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    done = work(jobs) => Some(done),
                    _ = asker_left => None,
                }
            })
        });
        match working.await {
            Ok(Some(done)) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Ok(None) | Err(_) => Err(Error::Unsupported { reason: "the tokio runtime is being shut down".to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, mpsc};
    use std::thread::ThreadId;
    use std::time::Duration;

    use async_trait::async_trait;
    use tokio::sync::mpsc as tasks;

    use super::*;
    use crate::clock::Timestamp;
    use crate::manager::view::tests::block_on;
    use crate::record::{Ended, Submission};
    use crate::runner::Runner;
    use crate::state::{Cause, Outcome};
    use crate::store::{JobClaim, JobStore, Retention};
    use crate::{JobId, JobSpec, MemoryStore, Query, Status};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn spec() -> JobSpec {
        JobSpec::command(["/bin/true"]).build().unwrap()
    }

    /// A runner that blocks its calling thread until another task of the runtime releases it.
    #[derive(Debug)]
    struct Blocks {
        entered: tasks::UnboundedSender<ThreadId>,
        go: Mutex<mpsc::Receiver<()>>,
    }

    #[async_trait]
    impl Runner for Blocks {
        fn check(&self, _: &dyn JobStore) -> Result<()> {
            Ok(())
        }

        async fn start(&self, _: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>) -> Result<()> {
            self.entered.send(std::thread::current().id()).unwrap();
            let waited = self.go.lock().unwrap().recv_timeout(PATIENCE);
            waited.map_err(|_| Error::Unsupported { reason: "no other task had a turn".to_owned() })?;
            claim.finish(&Ended::new(None, Outcome::new(Cause::Exited, Timestamp::now()))).await
        }

        async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
            unreachable!("nothing runs");
        }
    }

    /// A manager whose starts block, and both ends of the channels that control them.
    fn blocking() -> (JobManager, tasks::UnboundedReceiver<ThreadId>, mpsc::Sender<()>) {
        let (entered, entries) = tasks::unbounded_channel();
        let (sender, go) = mpsc::channel();
        let runner = Blocks { entered, go: Mutex::new(go) };
        (JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap(), entries, sender)
    }

    /// Releases each start once it has begun: a task that gets its turn only while the runtime's only thread is free.
    fn let_go(mut entries: tasks::UnboundedReceiver<ThreadId>, go: mpsc::Sender<()>) {
        tokio::spawn(async move {
            while let Some(thread) = entries.recv().await {
                assert_ne!(thread, std::thread::current().id());
                go.send(()).unwrap();
            }
        });
    }

    #[test]
    fn other_tasks_have_their_turns_during_a_submit() {
        block_on(async {
            let (jobs, entries, go) = blocking();
            let_go(entries, go);
            for _ in 0..20 {
                assert!(jobs.submit(spec()).await.unwrap().status().is_final());
            }
        });
    }

    #[test]
    fn other_tasks_have_their_turns_while_something_due_is_started() {
        block_on(async {
            let (jobs, entries, go) = blocking();
            let_go(entries, go);
            let looks = ["list", "count", "prune", "events", "settings", "wait"];
            for look in looks {
                let id = JobId::mint(Timestamp::now(), &crate::clock::SystemRandom).unwrap();
                let world = crate::sys::world::capture().unwrap();
                let submission = Submission::new(id, Timestamp::now(), spec(), "/bin/true".into(), world);
                jobs.store().create(submission).await.unwrap();
                assert_eq!(jobs.job(id).await.unwrap().status(), Status::Queued);
                match look {
                    "list" => drop(jobs.list(&Query::default()).await.unwrap()),
                    "count" => drop(jobs.count(&Query::default()).await.unwrap()),
                    "prune" => drop(jobs.prune(&Retention::default(), true).await.unwrap()),
                    "events" => drop(jobs.events(0, 1).await.unwrap()),
                    "settings" => drop(jobs.change_settings(|settings| settings.max_running = 7).await.unwrap()),
                    _ => drop(jobs.wait_for(id).await.unwrap()),
                }
                assert!(jobs.job(id).await.unwrap().status().is_final(), "{look} has started it");
            }
        });
    }

    #[test]
    fn inline_work_takes_no_other_thread() {
        block_on(async {
            let (jobs, mut entries, go) = blocking();
            go.send(()).unwrap();
            assert!(jobs.with_inline_work().submit(spec()).await.unwrap().status().is_final());
            assert_eq!(entries.recv().await, Some(std::thread::current().id()));
        });
    }

    #[test]
    fn waiting_work_ends_with_its_caller() {
        block_on(async {
            let (jobs, _entries, _go) = blocking();
            let (working, mut is_working) = tasks::unbounded_channel();
            let (dropped, is_dropped) = oneshot::channel::<()>();
            let work = jobs.offload(move |_| async move {
                let _dropped = dropped;
                working.send(()).unwrap();
                std::future::pending::<Result<()>>().await
            });
            tokio::select! {
                _ = work => unreachable!("it never ends"),
                _ = is_working.recv() => {}
            }
            tokio::time::timeout(PATIENCE, is_dropped).await.expect("the work is dropped").unwrap_err();
        });
    }
}

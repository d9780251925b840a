//! What holds when calls fail or coincide: a refused submission never runs, one that may run is returned, and a
//! reported end is final.

use std::os::fd::OwnedFd;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::control::{Answer, Request};
use crate::environment::Environment;
use crate::name::Name;
use crate::output::JobLog;
use crate::record::{Record, Start};
use crate::spec::Given;
use crate::store::{Admission, Created, Incoming, JobClaim, Load, Query, Tally};
use crate::sys::process::ProcessId;
use crate::{FileStore, JobSpec, MemoryStore};

fn broken<T>() -> Result<T> {
    Err(Error::Io { action: "read", path: "a disk".into(), source: std::io::ErrorKind::Other.into() })
}

/// A store in which some calls fail after a job was created: the first and the second of each kind, according to a
/// plan.
#[derive(Debug)]
struct Failing<S> {
    store: S,
    plan: Mutex<Option<Plan>>,
    /// Called when a job was created.
    created: fn(&S),
}

/// Which calls fail, by their place in [`CALLS`]; the second calls come after all first calls.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    fails: u32,
    seen: u32,
}

const CALLS: [&str; 5] = ["next_due", "claim", "evidence", "remove", "finish"];

impl<S> Failing<S> {
    fn check(&self, call: &str) -> Result<()> {
        let mut plan = self.plan.lock().unwrap();
        let Some(plan) = plan.as_mut().filter(|plan| plan.seen & 1 << 31 != 0) else { return Ok(()) };
        let place = CALLS.iter().position(|known| *known == call).unwrap();
        let bits = [place, place + CALLS.len()].map(|place| 1 << place);
        let Some(bit) = bits.into_iter().find(|bit| plan.seen & bit == 0) else { return Ok(()) };
        plan.seen |= bit;
        if plan.fails & bit == 0 { Ok(()) } else { broken() }
    }
}

#[async_trait]
impl<S: JobStore> JobStore for Failing<S> {
    async fn create(&self, submission: Submission) -> Result<Created> {
        let created = self.store.create(submission).await;
        if let Some(plan) = self.plan.lock().unwrap().as_mut() {
            plan.seen |= 1 << 31;
        }
        (self.created)(&self.store);
        created
    }

    async fn next_due(&self) -> Result<Option<Box<dyn JobClaim>>> {
        self.check("next_due")?;
        let fails_to_finish = self.plan.lock().unwrap().is_some_and(|plan| plan.fails & 1 << 4 != 0);
        let claim = self.store.next_due().await?;
        Ok(claim.map(|claim| Box::new(FailingClaim { claim, fails_to_finish }) as Box<dyn JobClaim>))
    }

    async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
        self.check("claim")?;
        let fails_to_finish = self.check("finish").is_err();
        let claim = self.store.claim(id).await?;
        Ok(claim.map(|claim| Box::new(FailingClaim { claim, fails_to_finish }) as Box<dyn JobClaim>))
    }

    async fn evidence(&self, id: JobId) -> Result<Evidence> {
        self.check("evidence")?;
        self.store.evidence(id).await
    }

    async fn remove(&self, id: JobId) -> Result<()> {
        self.check("remove")?;
        self.store.remove(id).await
    }

    async fn named(&self, name: &Name, project: Option<&std::path::Path>) -> Result<Option<JobId>> {
        self.store.named(name, project).await
    }

    async fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        self.store.keyed(key).await
    }

    async fn load(&self) -> Result<Load> {
        self.store.load().await
    }

    async fn unsupervised(&self) -> Result<Vec<JobId>> {
        self.store.unsupervised().await
    }

    async fn settings(&self) -> Result<StoreSettings> {
        self.store.settings().await
    }

    async fn change_settings(
        &self,
        change: &mut (dyn for<'s> FnMut(&'s mut StoreSettings) + Send),
    ) -> Result<StoreSettings> {
        self.store.change_settings(change).await
    }

    async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        self.store.ids(query, before, limit).await
    }

    async fn tally(&self) -> Result<Tally> {
        self.store.tally().await
    }

    async fn events(&self, since: u64, limit: usize) -> Result<Events> {
        self.store.events(since, limit).await
    }

    async fn changed(&self, change: Change) -> Result<()> {
        self.store.changed(change).await
    }

    async fn admit(&self) -> Result<Box<dyn Admission>> {
        self.store.admit().await
    }

    async fn ended_jobs(&self) -> Result<Vec<EndedJob>> {
        self.store.ended_jobs().await
    }

    async fn sweep(&self) -> Result<()> {
        self.store.sweep().await
    }

    async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
        self.store.log(id).await
    }

    async fn cached(&self, id: JobId, name: &'static str) -> Result<Option<Vec<u8>>> {
        self.store.cached(id, name).await
    }

    async fn cache(&self, id: JobId, name: &'static str, bytes: &[u8]) -> Result<()> {
        self.store.cache(id, name, bytes).await
    }

    async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
        self.store.send(id, bytes, patience).await
    }

    async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
        self.store.request(id, request).await
    }
}

#[derive(Debug)]
struct FailingClaim {
    claim: Box<dyn JobClaim>,
    fails_to_finish: bool,
}

#[async_trait]
impl JobClaim for FailingClaim {
    fn submission(&self) -> &Submission {
        self.claim.submission()
    }

    async fn secrets(&self) -> Result<(Environment, Given)> {
        self.claim.secrets().await
    }

    async fn record(&mut self, record: Record<'_>) -> Result<()> {
        if self.fails_to_finish && matches!(record, Record::Ended(_)) {
            broken()
        } else {
            self.claim.record(record).await
        }
    }

    async fn open_input(&mut self) -> Result<OwnedFd> {
        self.claim.open_input().await
    }

    async fn end_input(&mut self) {
        self.claim.end_input().await;
    }

    async fn append(&mut self, stream: Stream, at: crate::clock::Timestamp, bytes: &[u8]) {
        self.claim.append(stream, at, bytes).await;
    }

    fn output(&self) -> crate::output::OutputSize {
        self.claim.output()
    }

    async fn next_request(&mut self) -> Incoming {
        self.claim.next_request().await
    }
}

/// Starts nothing but records the start and holds the job; or fails to.
#[derive(Debug, Default)]
struct Starter {
    fails: bool,
    started: Mutex<Vec<Box<dyn JobClaim>>>,
}

impl Starter {
    fn started(&self) -> Vec<JobId> {
        self.started.lock().unwrap().iter().map(|claim| claim.submission().job_id).collect()
    }
}

#[async_trait]
impl Runner for Starter {
    fn check(&self, _: &dyn JobStore) -> Result<()> {
        Ok(())
    }

    async fn start(&self, _: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>) -> Result<()> {
        if self.fails {
            return broken();
        }
        claim.start(&Start::new(ProcessId::of_this_program()?, false, crate::clock::Timestamp::now())).await?;
        self.started.lock().unwrap().push(claim);
        Ok(())
    }

    async fn adopt(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()> {
        self.start(store, claim).await
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Submits while the calls of this plan fail, and checks that the answer is true and stays true.
fn check(fails: u32, runner_fails: bool) {
    let what = format!("{fails:010b}, {runner_fails}");
    let plan = Mutex::new(Some(Plan { fails, seen: 0 }));
    let store = Arc::new(Failing { store: MemoryStore::new(), plan, created: |_| {} });
    let runner = Arc::new(Starter { fails: runner_fails, ..Starter::default() });
    let jobs = JobManager::new(store.clone(), runner.clone()).unwrap();
    let submitted = block_on(jobs.submit(JobSpec::command(["/bin/true"]).cwd("/").build().unwrap()));
    // From here on nothing fails, and another program uses the store.
    *store.plan.lock().unwrap() = None;
    let other = Arc::new(Starter::default());
    let others = JobManager::new(store, other.clone()).unwrap();
    let listed = block_on(others.list(&Query::default())).unwrap().jobs;
    let started = [runner.started(), other.started()].concat();
    match submitted {
        Ok(job) => {
            assert_eq!(listed.iter().map(|job| job.id).collect::<Vec<_>>(), [job.id], "{what}");
            assert!(started.iter().all(|id| *id == job.id) && started.len() <= 1, "{what}: {started:?}");
            let has_ended = listed[0].status().is_final();
            assert!(has_ended != started.contains(&job.id), "{what}: {listed:?} {started:?}");
        }
        Err(error) => {
            assert_eq!(started, [], "{what}: it runs, and was refused: {error}");
            // One that could not be removed is on record as never started.
            for job in &listed {
                assert_eq!(job.state.outcome().map(|outcome| outcome.cause), Some(Cause::NeverStarted), "{what}");
            }
            let cannot_be_removed = fails & 1 << CALLS.iter().position(|call| *call == "remove").unwrap() != 0;
            assert!(listed.is_empty() || cannot_be_removed, "{what}: {listed:?}");
        }
    }
}

/// The job used to stay in the queue and run later, and to run twice if the submission was tried again.
#[test]
fn the_answer_to_a_submission_holds_whatever_fails_after_the_job_was_published() {
    for fails in 0..1 << (2 * CALLS.len()) {
        for runner_fails in [false, true] {
            check(fails, runner_fails);
        }
    }
}

#[test]
fn a_submission_that_finds_the_admission_lock_busy_after_publishing_leaves_nothing_that_would_run() {
    use std::fs::File;
    static HELD: Mutex<Option<File>> = Mutex::new(None);
    let directory = tempfile::tempdir().unwrap();
    let hold = |store: &FileStore| {
        let file = File::options().read(true).write(true).open(store.root().join("admission")).unwrap();
        assert!(crate::sys::lock::try_take(&file).unwrap());
        *HELD.lock().unwrap() = Some(file);
    };
    let store = FileStore::open(directory.path().join("store")).unwrap();
    let store = Arc::new(Failing { store, plan: Mutex::new(None), created: hold });
    let runner = Arc::new(Starter::default());
    let jobs = JobManager::new(store, runner.clone()).unwrap();
    let submitted = block_on(jobs.submit(JobSpec::command(["/bin/true"]).cwd("/").build().unwrap()));
    let error = submitted.unwrap_err().to_string();
    assert!(error.contains("it has been busy"), "{error}");
    HELD.lock().unwrap().take();
    let listed = block_on(jobs.list(&Query::default())).unwrap().jobs;
    assert!(listed.iter().all(|job| job.status().is_final()), "{listed:?}");
    assert_eq!(runner.started(), []);
}

/// A look that coincided with another one, which was about to record the end, used to report it too, and the next look
/// found the lock held and reported the job as running; or it reported the job as running itself.
#[test]
fn an_end_is_reported_only_once_it_is_on_record() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(FileStore::open(directory.path().join("store")).unwrap());
    let jobs = JobManager::new(store.clone(), Arc::new(Starter::default())).unwrap();
    let now = crate::clock::Timestamp::now();
    let spec = JobSpec::command(["/bin/true"]).cwd("/").build().unwrap();
    let id = JobId::mint(now, &SystemRandom).unwrap();
    let gone = ProcessId { start_time: 1, ..ProcessId::of_this_program().unwrap() };
    block_on(async {
        store.create(Submission::new(id, now, spec, "/bin/true".into(), world::capture().unwrap())).await.unwrap();
        let mut claim = store.claim(id).await.unwrap().unwrap();
        claim.start(&Start::new(gone, true, now)).await.unwrap();
        let recording = async {
            tokio::task::yield_now().await;
            claim.finish(&Ended::new(None, Outcome::new(Cause::SupervisorLost, now))).await.unwrap();
            drop(claim);
        };
        let (found, looked, ()) = tokio::join!(jobs.recorded_elsewhere(id), jobs.job(id), recording);
        assert_eq!(found.unwrap().status(), Status::Orphaned);
        assert_eq!(looked.unwrap().status(), Status::Orphaned);
    });
}

/// Fails to start a job while another thread of this program forks, whose child has a copy of the lock until it
/// executes.
#[derive(Debug)]
struct FailingAmongForks;

#[async_trait]
impl Runner for FailingAmongForks {
    fn check(&self, _: &dyn JobStore) -> Result<()> {
        Ok(())
    }

    async fn start(&self, _: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()> {
        let copy = claim.hand_over().unwrap().lock;
        tokio::spawn(async move {
            tokio::time::sleep(3 * LOOK_AGAIN).await;
            drop(copy);
        });
        broken()
    }

    async fn adopt(&self, store: &Arc<dyn JobStore>, claim: Box<dyn JobClaim>) -> Result<()> {
        self.start(store, claim).await
    }
}

/// The job used to stay in the queue, and its submission returned it as running.
#[test]
fn a_submission_is_withdrawn_while_another_thread_forks() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(FileStore::open(directory.path().join("store")).unwrap());
    let jobs = JobManager::new(store.clone(), Arc::new(FailingAmongForks)).unwrap();
    block_on(async {
        jobs.submit(JobSpec::command(["/bin/true"]).cwd("/").build().unwrap()).await.unwrap_err();
        assert_eq!(store.ids(&Query::default(), None, 1).await.unwrap(), []);
    });
}

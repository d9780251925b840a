//! How long a file store takes for operations that users wait for, with few jobs on record and with many.
//!
//! `JOBCORE_BENCH_DIR` names the directory in which the stores are created. By default they are in memory, so that this
//! library is measured and not a disk. About 6 GB are needed there.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use jobcore::clock::{Clock, SystemClock, SystemRandom, Timestamp};
use jobcore::output::{OutputQuery, Position, Stream};
use jobcore::query::{Order, SortKey};
use jobcore::record::{Ended, Start, Submission, World};
use jobcore::store::{JobClaim, JobStore};
use jobcore::{Cause, FileStore, InProcessRunner, JobId, JobManager, JobSpec, JobSpecBuilder, Outcome, Query, Status};
use tokio::runtime::Runtime;

const FEW: u32 = 10;
const MANY: u32 = 100_000;
/// One job in this many has failed.
const FAILED: u32 = 1000;
/// The time between two submissions: many jobs then span many days.
const APART: Duration = Duration::from_secs(86);
/// How much output the job with a lot of output has written.
const MUCH: usize = 1 << 30;

/// A store with jobs that have ended.
struct Jobs {
    count: u32,
    store: Arc<FileStore>,
    manager: JobManager,
    runtime: Runtime,
    /// The job in the middle: its id and its name.
    middle: (JobId, String),
}

impl Jobs {
    fn make(root: &Path, count: u32) -> Self {
        let runtime = runtime();
        let store = Arc::new(FileStore::open(root.join(count.to_string())).unwrap());
        let unlimited = &mut |settings: &mut jobcore::store::StoreSettings| settings.max_running = 0;
        runtime.block_on(store.change_settings(unlimited)).unwrap();
        let now = SystemClock.now();
        let next = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(|| {
                    let runtime = self::runtime();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return;
                        }
                        let submission = submission(now - APART * (count - number), spec().name(name(number)));
                        runtime.block_on(store.create(submission)).unwrap();
                        // It may be the job of another thread, which then gets this one.
                        if let Some(claim) = runtime.block_on(store.next_due()).unwrap() {
                            let code = i32::from(number.is_multiple_of(FAILED));
                            runtime.block_on(run(claim, code));
                        }
                    }
                });
            }
        });
        let waiting = runtime.block_on(store.load()).unwrap().waiting;
        assert!(waiting.is_empty(), "{} jobs have not been run", waiting.len());
        let manager = JobManager::new(store.clone(), Arc::new(InProcessRunner::new())).unwrap();
        let name = name(count / 2).to_string();
        let middle = (runtime.block_on(manager.find(&name)).unwrap(), name);
        Self { count, store, manager, runtime, middle }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn name(number: u32) -> jobcore::Name {
    format!("job-{number}").parse().unwrap()
}

fn spec() -> JobSpecBuilder {
    JobSpec::command(["true"]).cwd("/").env("PATH", "/usr/bin:/bin")
}

fn submission(at: Timestamp, spec: JobSpecBuilder) -> Submission {
    let id = JobId::mint(at, &SystemRandom).unwrap();
    Submission::new(id, at, spec.build().unwrap(), "/bin/true".into(), world())
}

/// A world for which this process may act: otherwise the jobs would not be due.
fn world() -> World {
    let namespace = |kind: &str| fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino();
    let mut world = World::default();
    world.pid_namespace = Some(namespace("pid"));
    world.mount_namespace = Some(namespace("mnt"));
    world.sandboxed = true;
    world
}

/// The record of the supervisor, as this process would write it: it supervises all of the jobs.
fn start() -> Start {
    let own = serde_json::json!({
        "boot_id": "00000000-0000-0000-0000-000000000000",
        "pid_namespace": 0,
        "pid": std::process::id(),
        "start_time": 0,
    });
    Start::new(serde_json::from_value(own).unwrap(), false, SystemClock.now())
}

fn ended(code: i32) -> Ended {
    let now = SystemClock.now();
    let mut outcome = Outcome::new(Cause::Exited, now);
    outcome.exit_code = Some(code);
    Ended::new(Some(now), outcome)
}

async fn run(mut claim: Box<dyn JobClaim>, code: i32) {
    claim.start(&start()).await.unwrap();
    claim.finish(&ended(code)).await.unwrap();
}

/// How many jobs have each status.
async fn count(jobs: &JobManager) -> BTreeMap<Status, u64> {
    jobs.count(&Query::default()).await.unwrap()
}

/// What depends on the number of jobs on record.
fn with_jobs(criterion: &mut Criterion, jobs: &Jobs) {
    let Jobs { store, manager, runtime, .. } = jobs;
    let mut group = criterion.benchmark_group("store");
    // Some take seconds.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(2));
    let id = |what| BenchmarkId::new(what, jobs.count);

    group.bench_function(id("submit record"), |bencher| {
        bencher.iter_custom(|times| {
            let once = || {
                let submission = submission(SystemClock.now(), spec());
                let (id, begin) = (submission.job_id, Instant::now());
                runtime.block_on(store.create(submission)).unwrap();
                let time = begin.elapsed();
                runtime.block_on(store.remove(id)).unwrap();
                time
            };
            (0..times).map(|_| once()).sum()
        });
    });
    group.bench_function(id("state change"), |bencher| {
        bencher.iter_custom(|times| {
            let once = || {
                let submission = submission(SystemClock.now(), spec());
                let id = submission.job_id;
                runtime.block_on(store.create(submission)).unwrap();
                let mut claim = runtime.block_on(store.next_due()).unwrap().expect("it is due");
                runtime.block_on(claim.start(&start())).unwrap();
                let (ended, begin) = (ended(0), Instant::now());
                runtime.block_on(claim.finish(&ended)).unwrap();
                let time = begin.elapsed();
                drop(claim);
                runtime.block_on(store.remove(id)).unwrap();
                time
            };
            (0..times).map(|_| once()).sum()
        });
    });
    group.bench_function(id("list newest 20"), |bencher| {
        let query = Query::default().with_limit(Some(20));
        bencher.iter(|| black_box(runtime.block_on(manager.list(&query)).unwrap()));
    });
    group.bench_function(id("list failed 20"), |bencher| {
        let query = Query::default().with_limit(Some(20)).with_statuses(vec![Status::Failed]);
        bencher.iter(|| black_box(runtime.block_on(manager.list(&query)).unwrap()));
    });
    group.bench_function(id("list last ended 20"), |bencher| {
        let query = Query::default().with_limit(Some(20)).with_order(Order::new(SortKey::Ended, false));
        bencher.iter(|| black_box(runtime.block_on(manager.list(&query)).unwrap()));
    });
    group.bench_function(id("count by status"), |bencher| {
        bencher.iter(|| {
            let counts = runtime.block_on(count(manager));
            assert_eq!(counts.values().sum::<u64>(), u64::from(jobs.count));
        });
    });
    let (middle, name) = &jobs.middle;
    for (what, reference) in [("find by short id", &middle.short()), ("find by name", name)] {
        group.bench_function(id(what), |bencher| {
            bencher.iter(|| assert_eq!(runtime.block_on(manager.find(reference)).unwrap(), *middle));
        });
    }
    group.finish();
}

/// What depends on the amount of output of a job.
fn with_output(criterion: &mut Criterion, jobs: &Jobs) {
    let Jobs { store, manager, runtime, .. } = jobs;
    let submission = submission(SystemClock.now(), spec().output_limit(0));
    let id = submission.job_id;
    runtime.block_on(store.create(submission)).unwrap();
    let line = "All work and no play makes Jack a dull boy, one line of output says to the next one.\n";
    let lines = line.repeat((1 << 20) / line.len());
    runtime.block_on(async {
        let mut claim = store.next_due().await.unwrap().expect("it is due");
        claim.start(&start()).await.unwrap();
        for _ in 0..MUCH.div_ceil(lines.len()) {
            claim.append(Stream::Stdout, SystemClock.now(), lines.as_bytes()).await;
        }
        assert_eq!(claim.output().dropped, 0, "there is no room for the output");
        claim.finish(&ended(0)).await.unwrap();
    });
    let query = OutputQuery::from(Position::TailLines(10));
    criterion.bench_function("output/tail 10 lines of 1 GiB", |bencher| {
        bencher.iter(|| {
            let tail = runtime.block_on(manager.output(id, &query)).unwrap();
            assert_eq!(tail.bytes(None).len(), 10 * line.len());
        });
    });
}

fn main() {
    let in_memory = || Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
    let parent = env::var_os("JOBCORE_BENCH_DIR").map(PathBuf::from).or_else(in_memory).unwrap_or_else(env::temp_dir);
    let directory = tempfile::Builder::new().prefix("jobcore-bench-").tempdir_in(parent).unwrap();
    let mut criterion = Criterion::default().configure_from_args();
    let few = Jobs::make(directory.path(), FEW);
    with_jobs(&mut criterion, &few);
    with_output(&mut criterion, &few);
    with_jobs(&mut criterion, &Jobs::make(directory.path(), MANY));
    criterion.final_summary();
}

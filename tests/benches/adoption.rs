//! Measures how long a command whose supervisor was killed is without one once a process looks.
//!
//! It is here and not with the other benches because it needs a program that can be a supervisor. `JOBCORE_BENCH_DIR`
//! names the directory for the store; without it, the store is in memory.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode};
use jobcore::stop::StopOptions;
use jobcore::{FileStore, JobId, JobManager, JobSpec, LocalRunner, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the supervisor of a running job, once it differs from `before`.
async fn supervisor(jobs: &JobManager, id: JobId, before: Option<i32>) -> i32 {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let is_supervised = matches!(jobs.job(id).await.unwrap().state, State::Running(run) if run.supervised);
        let evidence = jobs.store().evidence(id).await.unwrap();
        // Without the main process on record there is nothing to adopt.
        let start = evidence.start.filter(|_| is_supervised && evidence.running.is_some());
        if let Some(pid) = start.map(|start| start.holder.pid).filter(|pid| Some(*pid) != before) {
            return pid;
        }
        // Killed supervisors are children of this process, and a task of the runtime reaps them.
        tokio::task::yield_now().await;
    }
    panic!("waited {PATIENCE:?} for a supervisor");
}

fn main() {
    let in_memory = || Some(PathBuf::from("/dev/shm")).filter(|path| path.is_dir());
    let parent = env::var_os("JOBCORE_BENCH_DIR").map(PathBuf::from).or_else(in_memory).unwrap_or_else(env::temp_dir);
    let directory = tempfile::Builder::new().prefix("jobcore-bench-").tempdir_in(parent).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Arc::new(FileStore::open(directory.path().join("store")).unwrap());
    let runner = LocalRunner::with_program(env!("CARGO_BIN_EXE_jobcli-under-test"));
    let jobs = JobManager::new(store, Arc::new(runner)).unwrap();
    let spec = JobSpec::command(["sleep", "1000"]).cwd("/").inherit_env().build().unwrap();
    let id = runtime.block_on(jobs.submit(spec)).unwrap().id;

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("supervisor");
    group.sample_size(20).sampling_mode(SamplingMode::Flat).warm_up_time(Duration::from_millis(200));
    group.bench_function("adoption", |bencher| {
        bencher.iter_custom(|times| {
            let once = || {
                let before = runtime.block_on(supervisor(&jobs, id, None));
                let begin = Instant::now();
                kill(Pid::from_raw(before), Signal::SIGKILL).unwrap();
                runtime.block_on(supervisor(&jobs, id, Some(before)));
                begin.elapsed()
            };
            (0..times).map(|_| once()).sum()
        });
    });
    group.finish();
    criterion.final_summary();
    runtime.block_on(jobs.stop(id, &StopOptions::default())).unwrap();
}

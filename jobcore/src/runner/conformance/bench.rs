//! Where a runner is tested, with a cleanup after failed cases.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::job::Job;
use crate::manager::{JobManager, WaitFor};
use crate::output::{OutputQuery, Position, Stream};
use crate::runner::Runner;
use crate::signal::Signal;
use crate::spec::{JobSpec, JobSpecBuilder};
use crate::state::Outcome;
use crate::store::conformance::Backend;
use crate::store::file::supervisors::parse_arguments;
use crate::sys::stat::{self, Stat};
use crate::sys::{cgroup, members, process};

/// How long a wait that should end may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The variable that marks processes started by jobs of a bench.
pub(super) const BENCH: &str = "JOBCORE_CONFORMANCE";
/// How long a supervisor may take to exit after its command was killed.
const LETTING_GO: Duration = Duration::from_secs(5);

/// Where a runner is tested: a store of its own, and a working directory. A failed case leaves nothing running: when
/// this is dropped by a panic, it kills what its jobs started.
#[derive(Debug)]
pub struct Bench {
    pub(super) jobs: JobManager,
    /// Another handle of the same store.
    pub(super) other: JobManager,
    pub(super) directory: std::path::PathBuf,
}

impl Bench {
    /// Tests this runner.
    pub fn new(backend: &Backend, runner: &Arc<dyn Runner>) -> Self {
        let manager = || JobManager::new(backend.open(), Arc::clone(runner)).expect("the runner takes the store");
        let (jobs, other) = (manager(), manager());
        let unique = crate::id::JobId::mint(crate::clock::Timestamp::now(), &crate::clock::SystemRandom)
            .expect("there is randomness");
        let directory = std::env::temp_dir().join(format!("jobcore-conformance-{unique}"));
        std::fs::create_dir(&directory).expect("a directory can be made");
        Self { jobs, other, directory }
    }

    pub(super) fn shell(&self, line: &str) -> JobSpecBuilder {
        let spec = JobSpec::shell(line).with_shell("/bin/sh").cwd(&self.directory);
        spec.env("PATH", "/usr/local/bin:/usr/bin:/bin").env(BENCH, &self.directory)
    }

    pub(super) async fn submit(&self, spec: JobSpecBuilder) -> Job {
        self.jobs.submit(spec.build().expect("the spec is valid")).await.expect("the job is submitted")
    }

    pub(super) async fn ended(&self, job: &Job) -> (Job, Outcome) {
        let waited = self.jobs.wait(&[job.id], WaitFor::All, Some(PATIENCE)).await.expect("it is waited for");
        assert!(!waited.timed_out, "waited {PATIENCE:?} for the end of {:?}", job.spec.command);
        let job = waited.jobs[0].clone();
        let outcome = job.state.outcome().expect("it has ended").clone();
        (job, outcome)
    }

    pub(super) async fn finish(&self, spec: JobSpecBuilder) -> (Job, Outcome) {
        let job = self.submit(spec).await;
        self.ended(&job).await
    }

    pub(super) async fn output(&self, job: &Job, stream: Option<Stream>) -> String {
        let query = OutputQuery::from(Position::Start).with_stream(stream);
        let chunk = self.other.output(job.id, &query).await.expect("it is read");
        String::from_utf8_lossy(&chunk.bytes(None)).into_owned()
    }

    /// Waits for a file that a job writes when it is ready.
    pub(super) async fn file(&self, name: &str) {
        self.until(name, || self.directory.join(name).exists()).await;
    }

    pub(super) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns the process id that a job wrote into a file.
    pub(super) fn pid(&self, name: &str) -> i32 {
        let text = std::fs::read_to_string(self.directory.join(name)).expect("the job wrote it");
        text.trim().parse().expect("it is a number")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.kill_all();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Bench {
    /// Kills what jobs started, whatever their records say, and then the supervisors that do not exit.
    pub(super) fn kill_all(&self) {
        let begin = Instant::now();
        while begin.elapsed() < LETTING_GO * 2 {
            let (commands, supervisors) = (self.commands(), self.supervisors());
            if commands.is_empty() && supervisors.is_empty() {
                return;
            }
            let lingering = supervisors.iter().filter(|_| begin.elapsed() > LETTING_GO);
            for stat in commands.iter().chain(lingering) {
                let _ = process::signal(stat, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Returns the living processes that jobs of this bench started.
    pub(super) fn commands(&self) -> Vec<Stat> {
        let marker = format!("{BENCH}={}", self.directory.display());
        members::visible_tree(None, &marker, |_| false)
    }

    /// Returns the living supervisors of jobs of this bench.
    pub(super) fn supervisors(&self) -> Vec<Stat> {
        let Some(directory) = self.jobs.store().directory() else { return Vec::new() };
        let is_ours = |stat: &Stat| {
            let arguments = stat::arguments(stat);
            let root = parse_arguments(&arguments).map(|(root, _)| root);
            !stat.is_dead() && root == Some(directory.as_os_str().as_bytes())
        };
        stat::all().into_iter().filter(is_ours).collect()
    }
}

/// Returns whether another process of a case is alive.
pub(super) fn is_alive(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| !stat.is_dead())
}

/// Returns whether a process is stopped by a signal or frozen.
pub(super) fn stands(pid: i32) -> bool {
    Stat::read(pid).is_some_and(|stat| stat.state == b'T') || cgroup::is_frozen(pid)
}

//! The contract of runners, for the one that detaches: its supervisors are the real binary.

use std::sync::Arc;

use jobcore::store::conformance::Backend;
use jobcore::{FileStore, LocalRunner};

use crate::support::{JOBCLI, Ran, TestEnv, is_alive, script};

/// A program that calls the entry function when it already has threads.
const LATE_WITH_THREADS: &str = env!("CARGO_BIN_EXE_late-with-threads");

fn backend() -> Backend {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory)
}

jobcore::runner_conformance!(backend(), LocalRunner::with_program(JOBCLI));

mod construction {
    use std::path::{Path, PathBuf};

    use jobcore::wait::WaitFor;
    use jobcore::{Cause, FileStore, JobManager, JobSpec, LocalRunner, MemoryStore};

    use super::*;
    use crate::support::PATIENCE;

    /// The test binary is itself a program that forgot the call.
    #[test]
    fn a_program_that_cannot_be_a_supervisor_is_refused() {
        let error = LocalRunner::new().unwrap_err().to_string();
        assert!(error.contains("jobcore::supervisor::run_if_asked()"), "{error}");
    }

    #[test]
    fn a_detached_runner_over_a_store_without_directories_is_refused() {
        let runner = Arc::new(LocalRunner::with_program(JOBCLI));
        let error = JobManager::new(Arc::new(MemoryStore::new()), runner).unwrap_err().to_string();
        assert!(error.contains("InProcessRunner"), "{error}");
    }

    fn manager(store: &Path, program: impl Into<PathBuf>) -> Result<JobManager, jobcore::Error> {
        let store = Arc::new(FileStore::open(store).unwrap());
        JobManager::new(store, Arc::new(LocalRunner::with_program(program)))
    }

    /// A supervisor program that was probed, and has been replaced since.
    fn replaced(directory: &Path, replace: impl FnOnce(&Path)) -> JobManager {
        let program = directory.join("supervisor");
        std::os::unix::fs::symlink(JOBCLI, &program).unwrap();
        let jobs = manager(&directory.join("store"), &program).unwrap();
        std::fs::remove_file(&program).unwrap();
        replace(&program);
        jobs
    }

    fn job() -> JobSpec {
        JobSpec::command(["/bin/true"]).build().unwrap()
    }

    #[test]
    fn a_missing_supervisor_program_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let jobs = replaced(directory.path(), |_| {});
        jobcore::store::conformance::block_on(async {
            let error = jobs.submit(job()).await.unwrap_err();
            assert!(error.to_string().contains("supervisor"), "{error}");
            assert!(jobs.list(&jobcore::Query::default()).await.unwrap().jobs.is_empty());
        });
        let store = directory.path().join("store");
        for name in ["staging", "trash"] {
            assert_eq!(std::fs::read_dir(store.join(name)).unwrap().count(), 0, "{name}");
        }
        assert_eq!(crate::records::rows(&store), 0);
    }

    #[test]
    fn a_supervisor_program_that_does_nothing_is_detected() {
        let directory = tempfile::tempdir().unwrap();
        let stays = directory.path().join("stays");
        script(&stays, "#!/bin/sh\necho $$ > \"$0.pid\"\nsleep 1000\n");
        let programs = ["/bin/false", "/bin/true", "/bin/sleep", "/bin/cat", "/bin/echo", LATE_WITH_THREADS];
        for program in programs.map(Path::new).into_iter().chain([stays.as_path()]) {
            let error = manager(&directory.path().join("store"), program).unwrap_err().to_string();
            assert!(error.contains(program.to_str().unwrap()), "{error}");
            assert!(error.contains("jobcore::supervisor::run_if_asked()"), "{error}");
        }
        let pid = std::fs::read_to_string(directory.path().join("stays.pid")).unwrap().trim().parse().unwrap();
        assert!(!is_alive(pid), "a program that does not answer is killed");
        let error = manager(&directory.path().join("store"), "/nosuch/program").unwrap_err().to_string();
        assert!(error.contains("/nosuch/program"), "{error}");
    }

    #[test]
    fn a_job_whose_supervisors_do_nothing_ends_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let jobs = replaced(directory.path(), |program| std::os::unix::fs::symlink("/bin/true", program).unwrap());
        jobcore::store::conformance::block_on(async {
            let id = jobs.submit(job()).await.unwrap().id;
            let waited = jobs.wait(&[id], WaitFor::All, Some(PATIENCE)).await.unwrap();
            assert!(!waited.timed_out);
            let outcome = waited.jobs[0].state.outcome().unwrap();
            assert_eq!(outcome.cause, Cause::SpawnFailed);
            assert!(outcome.message.as_ref().unwrap().contains("supervisor"), "{outcome:?}");
        });
    }
}

/// Programs that call the entry function when there already is a runtime.
mod late {
    use super::*;

    #[test]
    fn a_program_that_already_has_threads_is_told_what_to_do() {
        let env = TestEnv::new();
        let mut program = env.command(LATE_WITH_THREADS);
        program.arg(env.store());
        let ran = Ran::of(program);
        assert_eq!(ran.code, Some(1), "{ran}");
        for words in ["#[tokio::main]", "plain `fn main`", "jobcore::supervisor::run_if_asked()"] {
            assert!(ran.stderr.contains(words), "{ran}");
        }
    }

    /// Whatever it is asked, and whichever program starts it.
    #[test]
    fn such_a_program_is_no_supervisor() {
        let env = TestEnv::without_store();
        let store = env.store().to_str().unwrap();
        for arguments in [vec!["probe"], vec![store, "01a1fdae-f732-79d8-863c-36d74826f0c8"]] {
            let mut program = env.command(LATE_WITH_THREADS);
            program.args(["__jobcore-supervisor", "1"]).args(arguments);
            let ran = Ran::of(program);
            assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(1), "", ""), "{ran}");
        }
        assert!(!env.store().exists());
    }

    #[test]
    fn a_program_that_has_a_runtime_without_threads_works() {
        let env = TestEnv::new();
        let mut program = env.command(env!("CARGO_BIN_EXE_late-without-threads"));
        program.arg(env.store());
        let ran = Ran::of(program);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Some(7)\n"), "{ran}");
        let jobs: serde_json::Value = serde_json::from_str(&env.ok(["list", "--json"])).unwrap();
        assert_eq!(env.ok(["output", jobs[0]["job_id"].as_str().unwrap()]), "ran");
    }
}

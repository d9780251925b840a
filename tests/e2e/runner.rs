//! The contract of runners, for the one that detaches: its supervisors are the real binary.

use std::sync::Arc;

use jobcore::store::conformance::Backend;
use jobcore::{FileStore, LocalRunner};

use crate::support::JOBCLI;

fn backend() -> Backend {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory)
}

jobcore::runner_conformance!(backend(), LocalRunner::with_program(JOBCLI));

mod construction {
    use jobcore::{FileStore, JobManager, LocalRunner, MemoryStore};

    use super::*;

    /// The tests themselves are a program that forgot the call.
    #[test]
    fn a_program_that_cannot_be_a_supervisor_is_told_so() {
        let error = LocalRunner::new().unwrap_err().to_string();
        assert!(error.contains("jobcore::supervisor::run_if_asked()"), "{error}");
    }

    #[test]
    fn a_detached_runner_over_a_store_without_directories_is_refused() {
        let runner = Arc::new(LocalRunner::with_program(JOBCLI));
        let error = JobManager::new(Arc::new(MemoryStore::new()), runner).unwrap_err().to_string();
        assert!(error.contains("InProcessRunner"), "{error}");
    }

    #[test]
    fn a_supervisor_program_that_is_not_there_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(FileStore::open(directory.path()).unwrap());
        let jobs = JobManager::new(store, Arc::new(LocalRunner::with_program("/nosuch/program"))).unwrap();
        jobcore::store::conformance::block_on(async {
            let error = jobs.submit(jobcore::JobSpec::command(["/bin/true"]).build().unwrap()).await.unwrap_err();
            assert!(error.to_string().contains("/nosuch/program"), "{error}");
            assert!(jobs.list(&jobcore::Query::default()).await.unwrap().jobs.is_empty());
        });
        for name in ["staging", "queue", "trash"] {
            assert_eq!(std::fs::read_dir(directory.path().join(name)).unwrap().count(), 0, "{name}");
        }
    }
}

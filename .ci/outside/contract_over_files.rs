//! Both contracts over a store on disk, with either runner. The program of the guide supplies the supervisors.

use std::sync::Arc;

use jobcore::store::conformance::Backend;
use jobcore::{FileStore, InProcessRunner, LocalRunner};

fn backend() -> Backend {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory)
}

mod store {
    jobcore::store_conformance!(super::backend());
}

mod in_process {
    jobcore::runner_conformance!(super::backend(), super::InProcessRunner::new());
}

mod supervised {
    jobcore::runner_conformance!(super::backend(), super::LocalRunner::with_program(env!("CARGO_BIN_EXE_outside")));
}

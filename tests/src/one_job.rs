//! What the programs that call `run_if_asked` late have in common.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use jobcore::{FileStore, JobManager, JobSpec, LocalRunner};

/// Runs `echo ran; exit 7` as a job of the store that the first argument names, and prints its exit code.
pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let store = std::env::args_os().nth(1).ok_or("usage: PROGRAM STORE")?;
    let jobs = JobManager::new(Arc::new(FileStore::open(store)?), Arc::new(LocalRunner::new()?))?;
    let job = jobs.submit(JobSpec::shell("echo ran; exit 7").inherit_env().build()?).await?;
    let ended = jobs.wait_for(job.id).await?;
    writeln!(std::io::stdout(), "{:?}", ended.state.outcome().and_then(|outcome| outcome.exit_code))?;
    Ok(())
}

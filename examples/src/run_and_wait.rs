//! The shortest way: submits one command, waits for its end, prints what it wrote, and exits with its code.
//!
//! `run_and_wait STORE PROGRAM [ARGUMENT...]` can be killed at any time: the job continues, and `jobcli --store STORE
//! list` finds it.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jobcore::output::{OutputQuery, Position, Stream};
use jobcore::{FileStore, JobManager, JobSpec, LocalRunner};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // First thing in main: this program is also started as the supervisor of the job.
    jobcore::supervisor::run_if_asked();
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().ok_or("usage: run_and_wait STORE PROGRAM [ARGUMENT...]")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(store.into(), arguments.collect()))
}

async fn run(store: PathBuf, command: Vec<String>) -> Result<ExitCode, Box<dyn Error>> {
    let jobs = JobManager::new(Arc::new(FileStore::open(store)?), Arc::new(LocalRunner::new()?))?;
    // Problems that can be known in advance, such as a program that does not exist, are refused here and leave nothing
    // behind.
    let spec = JobSpec::command(command).cwd(std::env::current_dir()?).inherit_env().build()?;
    let job = jobs.submit(spec).await?;
    writeln!(std::io::stderr(), "job {}", job.id)?;

    let ended = jobs.wait_for(job.id).await?;
    print(&jobs, &ended).await?;
    let outcome = ended.state.outcome().ok_or("a job that was waited for has ended")?;
    writeln!(std::io::stderr(), "{}: {}", ended.status(), outcome.cause.as_str())?;
    // The exit code, or 128 plus the number of the signal; unknown if the machine went down in the meantime.
    Ok(outcome.shell_code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Prints each stream separately, a part at a time: the log may be larger than memory.
async fn print(jobs: &JobManager, job: &jobcore::Job) -> Result<(), Box<dyn Error>> {
    let mut query = OutputQuery::from(Position::Start).with_max_bytes(1 << 20);
    loop {
        let chunk = jobs.output(job.id, &query).await?;
        std::io::stdout().write_all(&chunk.bytes(Some(Stream::Stdout)))?;
        std::io::stderr().write_all(&chunk.bytes(Some(Stream::Stderr)))?;
        if chunk.dropped() > 0 {
            writeln!(std::io::stderr(), "[{} bytes were not kept]", chunk.dropped())?;
        }
        if !chunk.more {
            return Ok(());
        }
        query.from = Position::Cursor(chunk.cursor);
    }
}

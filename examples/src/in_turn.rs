//! A program without tokio: runs lines one after another, each as a job, and prints their output as it is written.
//!
//! `in_turn STORE LINE...` stops at the first line that fails, and exits with its code. It uses the feature `blocking`.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use jobcore::blocking::JobManager;
use jobcore::output::{OutputQuery, Position, Stream};
use jobcore::{FileStore, JobSpec, LocalRunner, Status};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // First thing in main: this program is also started as the supervisor of each job.
    jobcore::supervisor::run_if_asked();
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().ok_or("usage: in_turn STORE LINE...")?;
    let jobs = JobManager::new(Arc::new(FileStore::open(store)?), Arc::new(LocalRunner::new()?))?;
    for line in arguments {
        let job = jobs.submit(JobSpec::shell(line).cwd(std::env::current_dir()?).inherit_env().build()?)?;
        for chunk in jobs.follow_output(job.id, OutputQuery::from(Position::Start)) {
            let chunk = chunk?;
            std::io::stdout().write_all(&chunk.bytes(Some(Stream::Stdout)))?;
            std::io::stderr().write_all(&chunk.bytes(Some(Stream::Stderr)))?;
        }
        let ended = jobs.wait_for(job.id)?;
        if ended.status() != Status::Completed {
            let code = ended.state.outcome().and_then(|outcome| outcome.shell_code());
            return Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from));
        }
    }
    Ok(ExitCode::SUCCESS)
}

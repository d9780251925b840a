use std::io::Write;
use std::process::ExitCode;

use jobcore::JobManager;

use super::{Result, print_json};
use crate::cli::StatusOf;

pub(super) async fn run(jobs: &JobManager, arguments: StatusOf) -> Result {
    let job = jobs.job(jobs.find(arguments.job.reference()).await?).await?;
    if arguments.active {
        return Ok(ExitCode::from(u8::from(job.status().is_final())));
    }
    if arguments.json {
        print_json(&jobs.report(&job).await?)?;
    } else {
        writeln!(std::io::stdout(), "{}", job.status())?;
    }
    Ok(ExitCode::SUCCESS)
}

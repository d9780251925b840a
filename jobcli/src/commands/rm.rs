use std::io::Write;
use std::process::ExitCode;

use jobcore::{Error, JobManager, StopOptions};

use super::Result;
use crate::cli::Rm;

pub(super) async fn run(jobs: &JobManager, arguments: Rm) -> Result {
    for reference in &arguments.ids {
        let id = jobs.find(reference).await?;
        if arguments.kill {
            match jobs.stop(id, &StopOptions::default()).await {
                // What cannot be read cannot be stopped either; whether it may be removed is not decided here.
                Ok(_) | Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // What cannot be read has no name that could be told.
        let label = jobs.job(id).await.map_or_else(|_| id.short(), |job| job.label());
        jobs.remove(id).await?;
        writeln!(std::io::stdout(), "{label}: removed")?;
    }
    Ok(ExitCode::SUCCESS)
}

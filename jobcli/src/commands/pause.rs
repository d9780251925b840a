//! Pausing jobs, resuming them, and renewing their leases.

use std::io::Write;
use std::process::ExitCode;

use jobcore::front::text::print_json;
use jobcore::front::{Failures, Settings};
use jobcore::{Error, Job, JobId, JobManager};

use super::Result;
use super::select::{Asked, Which, asked};
use crate::cli::{Pause, Renew, Resume, Running};

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Pause) -> Result {
    let mut failures = Failures::default();
    let ids = ids(jobs, settings, &arguments.which, &mut failures).await?;
    report(jobs, jobs.pause_all(&ids).await, arguments.which.json, failures)
}

pub(super) async fn resume(jobs: &JobManager, settings: &Settings, arguments: Resume) -> Result {
    let mut failures = Failures::default();
    let ids = ids(jobs, settings, &arguments.which, &mut failures).await?;
    report(jobs, jobs.resume_all(&ids).await, arguments.which.json, failures)
}

pub(super) async fn renew(jobs: &JobManager, settings: &Settings, arguments: Renew) -> Result {
    let mut failures = Failures::default();
    let ids = ids(jobs, settings, &arguments.which, &mut failures).await?;
    report(jobs, jobs.renew_all(&ids).await, arguments.which.json, failures)
}

async fn ids(jobs: &JobManager, settings: &Settings, which: &Running, failures: &mut Failures) -> Result<Vec<JobId>> {
    let Running { ids, selection, all, .. } = which;
    asked(jobs, settings, &Asked { references: ids, selection, all: *all, which: Which::Running }, failures).await
}

fn report(
    jobs: &JobManager,
    done: Vec<(JobId, std::result::Result<Job, Error>)>,
    json: bool,
    mut failures: Failures,
) -> Result {
    let mut shapes = Vec::new();
    for (_, came) in done {
        match came {
            Ok(job) if json => shapes.push(jobs.shape(&job)),
            Ok(job) => writeln!(std::io::stdout(), "{}: {}", job.label(), job.status())?,
            Err(error) => failures.add(error),
        }
    }
    if json {
        print_json(&shapes)?;
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

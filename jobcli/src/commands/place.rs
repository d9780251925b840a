//! Holding, releasing and moving queued jobs.

use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failures, Settings};
use jobcore::queue::MoveTo;
use jobcore::{Job, JobId, JobManager};

use super::Result;
use super::select::{Asked, Which, asked, find};
use crate::cli::{Hold, Move, Queued, Release};

pub(super) async fn hold(jobs: &JobManager, settings: &Settings, arguments: Hold) -> Result {
    let mut failures = Failures::default();
    for id in queued(jobs, settings, &arguments.which, &mut failures).await? {
        print(jobs, jobs.hold(id).await, &mut failures).await?;
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

pub(super) async fn release(jobs: &JobManager, settings: &Settings, arguments: Release) -> Result {
    let mut failures = Failures::default();
    for id in queued(jobs, settings, &arguments.which, &mut failures).await? {
        print(jobs, jobs.release(id).await, &mut failures).await?;
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

/// Returns the jobs in the order in which they are named, or oldest first if selected, since they are started in this
/// order.
async fn queued(
    jobs: &JobManager,
    settings: &Settings,
    queued: &Queued,
    failures: &mut Failures,
) -> Result<Vec<JobId>> {
    let Queued { ids, all, selection } = queued;
    let wanted = Asked { references: ids, selection, all: *all, which: Which::Queued };
    let mut asked = asked(jobs, settings, &wanted, failures).await?;
    if ids.is_empty() {
        asked.reverse();
    }
    Ok(asked)
}

pub(super) async fn move_to(jobs: &JobManager, arguments: &Move) -> Result {
    let id = find(jobs, &arguments.id).await?;
    let to = match &arguments.to {
        to if to.first => MoveTo::First,
        to if to.last => MoveTo::Last,
        to => match (&to.before, &to.after) {
            (Some(before), _) => MoveTo::Before(find(jobs, before).await?),
            (None, Some(after)) => MoveTo::After(find(jobs, after).await?),
            (None, None) => unreachable!("the parser requires one of them"),
        },
    };
    let mut failures = Failures::default();
    print(jobs, jobs.move_to(id, to).await, &mut failures).await?;
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

/// Prints the status of a job, and why it is queued.
pub(super) async fn print(jobs: &JobManager, job: jobcore::Result<Job>, failures: &mut Failures) -> Result<()> {
    let job = match job {
        Ok(job) => job,
        Err(error) => {
            failures.add(error);
            return Ok(());
        }
    };
    let reason = jobs.why_queued(&job).await?.map(|queued| format!(" ({queued})")).unwrap_or_default();
    Ok(writeln!(std::io::stdout(), "{}: {}{reason}", job.label(), job.status())?)
}

//! Where jobs stand in the queue: holding, releasing and moving them.

use std::io::Write;
use std::process::ExitCode;

use jobcore::front::{Failures, Settings};
use jobcore::{Job, JobId, JobManager, MoveTo};

use super::Result;
use super::select::{Asked, Which, asked, find};
use crate::cli::{Hold, Move, Release};

pub(super) async fn hold(jobs: &JobManager, settings: &Settings, arguments: Hold) -> Result {
    let Hold { ids, all, selection } = &arguments;
    let mut failures = Failures::default();
    let wanted = Asked { references: ids, selection, all: *all, which: Which::Queued };
    for id in asked(jobs, settings, &wanted, &mut failures).await? {
        print(jobs, jobs.hold(id).await, &mut failures).await?;
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

pub(super) async fn release(jobs: &JobManager, settings: &Settings, arguments: Release) -> Result {
    let Release { ids, all, selection } = &arguments;
    let mut failures = Failures::default();
    let wanted = Asked { references: ids, selection, all: *all, which: Which::Queued };
    // The oldest first: they are started in this order.
    let ids: Vec<JobId> = asked(jobs, settings, &wanted, &mut failures).await?.into_iter().rev().collect();
    for id in ids {
        print(jobs, jobs.release(id).await, &mut failures).await?;
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

pub(super) async fn move_to(jobs: &JobManager, arguments: &Move) -> Result {
    let id = find(jobs, &arguments.id).await?;
    let to = match &arguments.to {
        to if to.first => MoveTo::First,
        to if to.last => MoveTo::Last,
        to => match (&to.before, &to.after) {
            (Some(before), _) => MoveTo::Before(find(jobs, before).await?),
            (None, Some(after)) => MoveTo::After(find(jobs, after).await?),
            (None, None) => unreachable!("the parser asks for one of them"),
        },
    };
    let mut failures = Failures::default();
    print(jobs, jobs.move_to(id, to).await, &mut failures).await?;
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

/// Prints what a job does now, and why if it is still queued.
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

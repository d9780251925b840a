use std::io::Write;
use std::process::ExitCode;

use jobcore::front::caller::project_of;
use jobcore::front::settings::current_dir;
use jobcore::{Job, JobManager, Query, Status};

use super::Result;
use crate::cli::Statusline;

/// How many failed jobs are read, newest first.
const LOOKED_AT: usize = 100;

pub(super) async fn run(jobs: &JobManager, arguments: Statusline) -> Result {
    let project = match arguments.all {
        true => None,
        false => Some(project_of(&current_dir()?)),
    };
    let of_project = Query::default().with_project(project);
    let unfinished = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
    let unfinished = jobs.list(&of_project.clone().with_statuses(unfinished)).await?.jobs;
    let bad = vec![Status::Failed, Status::TimedOut, Status::Orphaned];
    let failed = jobs.list(&of_project.with_statuses(bad).with_limit(Some(LOOKED_AT))).await?.jobs;
    let is_new = |job: &&Job| job.state.outcome().is_some_and(|outcome| outcome.ended_at >= arguments.since);
    let failed = failed.iter().filter(is_new).count();
    let count = |status: Status| unfinished.iter().filter(|job| job.status() == status).count();
    let waiting = jobs.reports(&unfinished).await.iter().filter(|shape| shape.waiting_for_input.is_some()).count();
    let counts = [
        (count(Status::Running), "running"),
        (waiting, "waiting for input"),
        (count(Status::Paused), "paused"),
        (count(Status::Queued), "queued"),
        (failed, "failed"),
    ];
    let parts: Vec<_> = counts.iter().filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if !parts.is_empty() {
        writeln!(std::io::stdout(), "{}", parts.join(", "))?;
    }
    Ok(ExitCode::SUCCESS)
}

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use jobcore::agent::AgentError;
use jobcore::front::{Failure, Failures, Settings};
use jobcore::stop::StopOptions;
use jobcore::{Error, Job, JobId, JobManager};

use super::select::{Asked, Which, asked};
use super::{Result, tell};
use crate::cli::Rm;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Rm) -> Result {
    let mut failures = Failures::default();
    let which = if arguments.all { Which::Ended } else { Which::All };
    let (references, selection) = (&arguments.ids, &arguments.selection);
    let wanted = Asked { references, selection, all: arguments.all, which };
    let ids = asked(jobs, settings, &wanted, &mut failures).await?;
    for id in ids {
        if let Err(failure) = remove(jobs, id, &arguments).await {
            failures.add(failure);
        }
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

async fn remove(jobs: &JobManager, id: JobId, arguments: &Rm) -> Result<()> {
    if arguments.kill {
        match jobs.stop(id, &StopOptions::default()).await {
            // What cannot be read cannot be stopped either; whether it may be removed is not decided here.
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What cannot be read has no name that could be told.
    let job = jobs.job(id).await.ok();
    let label = job.as_ref().map_or_else(|| id.short(), Job::label);
    if arguments.worktree {
        let name = job.as_ref().and_then(|job| job.spec.name.as_ref());
        let name = name.map_or_else(|| id.short(), ToString::to_string);
        let environment = std::env::vars_os().collect();
        jobs.remove_worktree(id, arguments.force, &environment).await.map_err(|error| advised(error, &name))?;
    }
    jobs.remove(id).await?;
    writeln!(std::io::stdout(), "{label}: removed")?;
    if let Some(left) = job.as_ref().and_then(worktree_left).filter(|_| !arguments.worktree) {
        tell(&left);
    }
    Ok(())
}

/// Says what stays of the run of an agent when its job is removed, if anything does.
pub(crate) fn worktree_left(job: &Job) -> Option<String> {
    let left = job.agent_run()?.worktree?;
    let remove = format!("git -C {} worktree remove {}", quoted(&left.repository), quoted(&left.path));
    Some(format!("its worktree stays: {}, branch {}; `{remove}` removes it", left.path.display(), left.branch))
}

/// Says how to remove a worktree nevertheless, if nothing but what is lost with it speaks against that.
fn advised(error: Error, name: &str) -> Failure {
    let would_lose = matches!(AgentError::of(&error), Some(AgentError::WouldLose { .. }));
    let failure = Failure::from(error);
    match would_lose {
        true => failure.with_hint(format!("`jobcli rm --worktree --force {name}` removes it nevertheless")),
        false => failure,
    }
}

/// Returns a path as a word for a shell.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    match path.chars().all(|c| c.is_alphanumeric() || "/._-+,@%".contains(c)) {
        true => path.into_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

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
            // A job that cannot be read cannot be stopped either. Whether it can be removed is decided below.
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A job that cannot be read has no label.
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

/// Returns a note on the worktree that is kept when the job of an agent run is removed, if there is one.
pub(crate) fn worktree_left(job: &Job) -> Option<String> {
    let left = job.agent_run()?.worktree?;
    let remove = format!("git -C {} worktree remove {}", quoted(&left.repository), quoted(&left.path));
    Some(format!("its worktree is kept: {}, branch {}; `{remove}` removes it", left.path.display(), left.branch))
}

/// Adds a hint on how to remove a worktree anyway, if the only objection is that changes would be lost.
fn advised(error: Error, name: &str) -> Failure {
    let would_lose = matches!(AgentError::of(&error), Some(AgentError::WouldLose { .. }));
    let failure = Failure::from(error);
    match would_lose {
        true => failure.with_hint(format!("`jobcli rm --worktree --force {name}` removes it anyway")),
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

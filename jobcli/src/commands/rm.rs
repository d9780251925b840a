use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use jobcore::{Error, Job, JobManager, StopOptions};

use super::{Result, tell};
use crate::cli::Rm;
use crate::error::Failure;

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
        let job = jobs.job(id).await.ok();
        let label = job.as_ref().map_or_else(|| id.short(), Job::label);
        if arguments.worktree {
            let environment = std::env::vars_os().collect();
            jobs.remove_worktree(id, arguments.force, &environment).await.map_err(|error| advised(error, reference))?;
        }
        jobs.remove(id).await?;
        writeln!(std::io::stdout(), "{label}: removed")?;
        if let Some(left) = job.and_then(|job| job.spec.agent?.worktree).filter(|_| !arguments.worktree) {
            let remove = format!("git -C {} worktree remove {}", quoted(&left.repository), quoted(&left.path));
            tell(&format!(
                "its worktree stays: {}, branch {}; `{remove}` removes it",
                left.path.display(),
                left.branch
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says how to remove a worktree nevertheless, if nothing but what is lost with it speaks against that.
fn advised(error: Error, reference: &str) -> Failure {
    let would_lose = matches!(error, Error::WouldLose { .. });
    let failure = Failure::from(error);
    match would_lose {
        true => failure.with_hint(format!("`jobcli rm --worktree --force {reference}` removes it nevertheless")),
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

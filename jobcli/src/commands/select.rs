//! Which jobs a verb is about: those that are named, or those of a label or a group.

use jobcore::front::{Failure, Failures, codes};
use jobcore::{Error, JobId, JobManager, Query, Status};

use super::Result;
use crate::cli::Selection;

/// Finds a job. If there is none, what may have been meant is suggested.
pub(super) async fn find(jobs: &JobManager, reference: &str) -> Result<JobId> {
    match jobs.find(reference).await {
        Ok(id) => Ok(id),
        Err(error) => Err(suggesting(jobs, reference, error).await),
    }
}

async fn suggesting(jobs: &JobManager, reference: &str, error: Error) -> Failure {
    let is_unknown = matches!(error, Error::NotFound { .. });
    let failure = Failure::from(error);
    let near = if is_unknown { jobs.near(reference).await } else { Vec::new() };
    if near.is_empty() {
        return failure;
    }
    let near: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
    failure.with_hint(format!("did you mean {}? `jobcli list --all` shows all jobs", near.join(" or ")))
}

/// Finds several jobs, each once. Those that are not there are reported.
pub(super) async fn find_all(jobs: &JobManager, references: &[String], failures: &mut Failures) -> Vec<JobId> {
    let mut ids = Vec::with_capacity(references.len());
    for reference in references {
        match find(jobs, reference).await {
            Ok(id) if ids.contains(&id) => {}
            Ok(id) => ids.push(id),
            Err(failure) => failures.add(failure),
        }
    }
    ids
}

/// Which jobs of a label or a group are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// Those of which something runs or may run.
    Live,
    /// Those that have not ended.
    Unfinished,
}

/// Returns jobs of a label or a group, the newest first.
///
/// # Errors
/// If no job at all is one of these: the label may be misspelt.
pub(super) async fn select(jobs: &JobManager, selection: &Selection, which: Which) -> Result<Vec<JobId>> {
    let all = Query::default().with_labels(selection.label.clone()).with_group(selection.group.clone());
    let query = match which {
        Which::All => all.clone(),
        Which::Live => all.clone().live(),
        Which::Unfinished => all.clone().with_statuses(vec![Status::Queued, Status::Running, Status::Paused]),
    };
    let ids: Vec<_> = jobs.list(&query).await?.jobs.iter().map(|job| job.id).collect();
    if ids.is_empty() && (which == Which::All || jobs.list(&all.with_limit(Some(1))).await?.jobs.is_empty()) {
        let failure = Failure::new(codes::NO_SUCH_JOB, format!("no job has {selection}"));
        return Err(failure.with_hint("`jobcli show` shows the labels and the group of a job"));
    }
    Ok(ids)
}

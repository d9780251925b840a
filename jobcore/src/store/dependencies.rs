//! Whether the jobs that a job depends on have ended as required.

use crate::id::JobId;
use crate::queue::{After, AfterWhen};
use crate::record::Evidence;

/// What is known of the jobs that a job is to start after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dependencies {
    /// All conditions are met.
    Met,
    /// This job has not ended, and its end is awaited.
    Unfinished(JobId),
    /// One has not become ready yet, which may happen at any time.
    NotReady,
    /// The conditions can no longer be met, for this reason.
    Failed(String),
}

/// Decides about a job that is to start after others. `known` returns what is known of a job; nothing if there is no
/// such job.
///
/// # Errors
/// Those of `known`.
pub(crate) fn judge<E>(
    after: &[After],
    mut known: impl FnMut(JobId) -> Result<Option<Evidence>, E>,
) -> Result<Dependencies, E> {
    let (mut unfinished, mut is_any_not_ready) = (None, false);
    for After { job_id, when } in after {
        match known(*job_id)? {
            // Retention keeps jobs that others depend on, so it was removed on request.
            None => return Ok(Dependencies::Failed(format!("{} was removed", job_id.short()))),
            Some(evidence) if *when == AfterWhen::Ready && evidence.has_become_ready() => {}
            Some(Evidence { ended: Some(ended), submission, .. }) => {
                let status = ended.outcome.status();
                if !when.is_met_by(status) {
                    let name = submission.spec.name.map_or(String::new(), |name| format!("{name} "));
                    let early = if *when == AfterWhen::Ready { " before it was ready" } else { "" };
                    return Ok(Dependencies::Failed(format!("{name}({}) {}{early}", job_id.short(), status.phrase())));
                }
            }
            Some(_) if *when == AfterWhen::Ready => is_any_not_ready = true,
            Some(_) => unfinished = unfinished.or(Some(*job_id)),
        }
    }
    Ok(match unfinished {
        Some(id) => Dependencies::Unfinished(id),
        None if is_any_not_ready => Dependencies::NotReady,
        None => Dependencies::Met,
    })
}

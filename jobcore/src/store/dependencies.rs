//! Whether jobs that others are started after have ended as they must.

use crate::id::JobId;
use crate::queue::After;
use crate::record::Evidence;

/// What is known of the jobs that a job is started after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dependencies {
    /// All have become what they must.
    Met,
    /// This one has not ended.
    Unfinished(JobId),
    /// They never will, for this reason.
    Failed(String),
}

/// Returns what becomes of a job that is started after others. What is known of those is what `known` returns: nothing if there
/// is no such job.
///
/// # Errors
/// Those of `known`.
pub(crate) fn judge<E>(
    after: &[After],
    mut known: impl FnMut(JobId) -> Result<Option<Evidence>, E>,
) -> Result<Dependencies, E> {
    let mut unfinished = None;
    for After { job_id, when } in after {
        match known(*job_id)? {
            // Retention keeps what is waited for; somebody has removed it.
            None => return Ok(Dependencies::Failed(format!("{} was removed", job_id.short()))),
            Some(Evidence { ended: Some(ended), submission, .. }) => {
                let status = ended.outcome.status();
                if !when.is_met_by(status) {
                    let name = submission.spec.name.map_or(String::new(), |name| format!("{name} "));
                    return Ok(Dependencies::Failed(format!("{name}({}) {}", job_id.short(), status.phrase())));
                }
            }
            Some(_) => unfinished = unfinished.or(Some(*job_id)),
        }
    }
    Ok(unfinished.map_or(Dependencies::Met, Dependencies::Unfinished))
}

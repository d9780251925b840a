//! Whether jobs that others are started after have ended as they must.

use crate::id::JobId;
use crate::queue::{After, AfterWhen};
use crate::record::Evidence;

/// What is known of the jobs that a job is started after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dependencies {
    /// All have become what they must.
    Met,
    /// This one has not ended, and nothing else is waited for of it.
    Unfinished(JobId),
    /// One has not become ready, which may be at any time.
    NotReady,
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
    let (mut unfinished, mut is_any_not_ready) = (None, false);
    for After { job_id, when } in after {
        match known(*job_id)? {
            // Retention keeps what is waited for; somebody has removed it.
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

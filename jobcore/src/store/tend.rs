//! What every program that uses a store does for all of its jobs: starts what is due, and records ends that were not
//! observed.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{JobClaim, JobStore, look};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::record::{Ended, Evidence, Verdict};
use crate::state::State;
use crate::sys::world;

/// The jobs that were started, and the one that could not be.
#[derive(Debug, Default)]
pub(crate) struct Started {
    pub(crate) jobs: Vec<JobId>,
    /// The last job that was due.
    pub(crate) failed: Option<(JobId, Error)>,
}

/// Starts what is due until nothing is, or something cannot be started. Stops if a job that was just started is due
/// again: its supervisor has already died, and the next attempt, a moment later, may succeed.
///
/// # Errors
/// If what is due cannot be determined.
pub(crate) async fn start_due<S, F>(store: &S, start: impl Fn(Box<dyn JobClaim>) -> F + Send) -> Result<Started>
where
    S: JobStore + ?Sized,
    F: Future<Output = Result<()>> + Send,
{
    let mut started = Started::default();
    // Jobs are published first and slots are checked afterwards, because a process that frees a slot checks the queue
    // after that.
    while let Some(claim) = store.next_due().await? {
        let id = claim.submission().job_id;
        if started.jobs.last() == Some(&id) {
            break;
        }
        match start(claim).await {
            Ok(()) => started.jobs.push(id),
            Err(error) => {
                tracing::warn!(%id, %error, "a job that is due could not be started");
                started.failed = Some((id, error));
                break;
            }
        }
    }
    Ok(started)
}

/// A job that was found without a holder.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its lock is held elsewhere by now.
    Held,
    /// Its command is still running, and this process is to start a supervisor for it.
    Unsupervised(Box<dyn JobClaim>),
    /// Nothing is left to do. The flag says whether its end, if it has one, is on record.
    Settled(Box<Job>, bool),
}

/// Looks after a job that lost its holder. If its end was not observed, it is put on record.
///
/// # Errors
/// [`Error::NotFound`]; if its records cannot be read.
pub(crate) async fn look_after<S: JobStore + ?Sized>(store: &S, id: JobId, now: Timestamp) -> Result<Found> {
    let Some(mut claim) = store.claim(id).await? else { return Ok(Found::Held) };
    let evidence = evidence_of_own(store, claim.as_ref()).await?;
    if evidence.is_to_be_adopted_by(&world::capture()?)? {
        return Ok(Found::Unsupervised(claim));
    }
    let (job, verdict) = evidence.judge(now)?;
    let mut is_recorded = job.status().is_final();
    if let (Verdict::FoundOut, State::Ended(end)) = (verdict, &job.state) {
        // If there is no room for it, it will be found again.
        if let Err(error) = claim.finish(&Ended::new(end.started_at, end.outcome.clone())).await {
            tracing::warn!(%id, %error, "the end of a job could not be put on record");
            is_recorded = false;
        }
    }
    Ok(Found::Settled(Box::new(job), is_recorded))
}

/// Returns what is known of a job to the new holder of its lock: as if the lock were not held.
///
/// # Errors
/// As [`JobStore::evidence`].
pub(crate) async fn evidence_of_own<S: JobStore + ?Sized>(store: &S, claim: &dyn JobClaim) -> Result<Evidence> {
    let mut evidence = store.evidence(claim.submission().job_id).await?;
    evidence.held = false;
    evidence.seen = look(&evidence);
    Ok(evidence)
}

/// Starts supervisors for jobs that lost theirs, and starts what is due. What cannot be done here is left to the next
/// program that uses the store.
pub(crate) async fn tend<S, F>(
    store: &S,
    start: impl Fn(Box<dyn JobClaim>) -> F + Send + Sync,
    run_hooks: impl Fn(JobId) + Send + Sync,
) where
    S: JobStore + ?Sized,
    F: Future<Output = Result<()>> + Send,
{
    // Adoption comes first because it may free a slot.
    adopt(store, &start, run_hooks).await;
    let _ = start_due(store, start).await;
}

/// Starts supervisors for jobs that lost theirs, and runs the hooks that are due at the end of others.
pub(crate) async fn adopt<S, F>(
    store: &S,
    start: impl Fn(Box<dyn JobClaim>) -> F + Send + Sync,
    run_hooks: impl Fn(JobId) + Send + Sync,
) where
    S: JobStore + ?Sized,
    F: Future<Output = Result<()>> + Send,
{
    for id in store.unsupervised().await.unwrap_or_default() {
        match look_after(store, id, Timestamp::now()).await {
            Ok(Found::Unsupervised(claim)) => drop(start(claim).await),
            Ok(Found::Settled(_, true)) => run_hooks(id),
            Ok(Found::Settled(_, false) | Found::Held) | Err(_) => {}
        }
    }
}

/// Returns the value of a future that never waits: for a process without a runtime.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

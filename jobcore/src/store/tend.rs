//! What anybody who uses a store does for all: starts what is due, and puts ends on record that nobody saw.

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

/// What was started, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Started {
    pub(crate) jobs: Vec<JobId>,
    /// The last that was due.
    pub(crate) failed: Option<(JobId, Error)>,
}

/// Starts what is due, until nothing is, or something cannot be started. Nothing more is done if a job is due again that was
/// just started: whoever was put in charge of it has ended already, and the next look, a moment later, may have more luck.
///
/// # Errors
/// If what is due cannot be found out.
pub(crate) async fn start_due<S, F>(store: &S, start: impl Fn(Box<dyn JobClaim>) -> F + Send) -> Result<Started>
where
    S: JobStore + ?Sized,
    F: Future<Output = Result<()>> + Send,
{
    let mut started = Started::default();
    // Published first, and then looked for a slot: whoever frees one looks at the queue after that.
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
    /// Somebody else holds its lock by now.
    Held,
    /// Its command runs on, and this process is to put somebody in charge of it.
    Unsupervised(Box<dyn JobClaim>),
    /// It is as it is, and whether its end, if it has one, is on record.
    Settled(Box<Job>, bool),
}

/// Looks after a job that lost its holder. An end that nobody saw is put on record.
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
        // Should there be no room for it, it will be found out again.
        if let Err(error) = claim.finish(&Ended::new(end.started_at, end.outcome.clone())).await {
            tracing::warn!(%id, %error, "the end of a job could not be put on record");
            is_recorded = false;
        }
    }
    Ok(Found::Settled(Box::new(job), is_recorded))
}

/// Returns what is known of a job to whoever took its lock: as if nobody were in charge of it.
///
/// # Errors
/// As [`JobStore::evidence`].
pub(crate) async fn evidence_of_own<S: JobStore + ?Sized>(store: &S, claim: &dyn JobClaim) -> Result<Evidence> {
    let mut evidence = store.evidence(claim.submission().job_id).await?;
    evidence.held = false;
    evidence.seen = look(&evidence);
    Ok(evidence)
}

/// Puts supervisors in charge of jobs that lost theirs, and starts what is due. What cannot be done from here is left to
/// whoever uses the store next.
pub(crate) async fn tend<S, F>(
    store: &S,
    start: impl Fn(Box<dyn JobClaim>) -> F + Send + Sync,
    run_hooks: impl Fn(JobId) + Send + Sync,
) where
    S: JobStore + ?Sized,
    F: Future<Output = Result<()>> + Send,
{
    // Those first, since a slot may be free then.
    adopt(store, &start, run_hooks).await;
    let _ = start_due(store, start).await;
}

/// Puts supervisors in charge of jobs that lost theirs, and has run what is due at the end of others.
pub(crate) async fn adopt<S, F>(
    store: &S,
    start: impl Fn(Box<dyn JobClaim>) -> F + Send + Sync,
    run_hooks: impl Fn(JobId) + Send + Sync,
) where
    S: JobStore + ?Sized,
    F: Future<Output = Result<()>> + Send,
{
    for id in store.unattended().await.unwrap_or_default() {
        match look_after(store, id, Timestamp::now()).await {
            Ok(Found::Unsupervised(claim)) => drop(start(claim).await),
            Ok(Found::Settled(_, true)) => run_hooks(id),
            Ok(Found::Settled(_, false) | Found::Held) | Err(_) => {}
        }
    }
}

/// Returns what comes of a future that never waits: in a process without a runtime.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

//! The provided methods of a [`JobStore`], derived from the required ones for stores that have no faster way.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use super::dependencies::{Dependencies, judge};
use super::room::Room;
use super::{Change, Created, EndedJob, Holders, JobClaim, JobStore, LOOK_AT_LOAD, Load, Query, Slot, Tally, WhenFull};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::queue::{self, After};
use crate::record::{Ended, Evidence, RECORD_VERSION, Submission};
use crate::spec::JobSpec;
use crate::state::{Cause, Outcome};
use crate::sys::load::Readings;
use crate::sys::world;

/// How long polling for a change pauses: at first, and in the end.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// How many ancestors of a job are considered. Jobs are never nested that deeply.
pub(super) const MAX_ANCESTORS: usize = 64;
/// The period within which submissions are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Returns what is known of a job; nothing if it has been removed.
async fn known<S: JobStore + ?Sized>(store: &S, id: JobId) -> Result<Option<Evidence>> {
    match store.evidence(id).await {
        Err(Error::NotFound { .. }) => Ok(None),
        evidence => evidence.map(Some),
    }
}

/// Returns what is known of the jobs that a query may want, the newest first. Unreadable jobs are left out.
async fn evidence_of<S: JobStore + ?Sized>(store: &S, query: &Query) -> Result<Vec<Evidence>> {
    let mut found = Vec::new();
    for id in store.ids(query, None, usize::MAX).await? {
        match known(store, id).await {
            Err(Error::Damaged { .. }) => {}
            known => found.extend(known?),
        }
    }
    Ok(found)
}

/// Returns what is known of the jobs that have not ended: those that have a slot, and those that wait, in order.
async fn unfinished<S: JobStore + ?Sized>(store: &S) -> Result<(Vec<Evidence>, Vec<Evidence>)> {
    let mut found = evidence_of(store, &Query::default().live()).await?;
    found.reverse();
    found.retain(|evidence| evidence.ended.is_none());
    let (running, mut waiting): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|evidence| evidence.held || evidence.start.is_some());
    waiting.sort_by_key(|evidence| evidence.place.rank());
    Ok((running, waiting))
}

/// Returns what jobs take, and which of them have lent their slot.
async fn slots<S: JobStore + ?Sized>(store: &S, jobs: &[Evidence]) -> Vec<Slot> {
    let mut slots = Vec::with_capacity(jobs.len());
    for evidence in jobs {
        let mut slot = slot(evidence);
        slot.lent = store.is_lent(slot.id).await.unwrap_or(false);
        slots.push(slot);
    }
    slots
}

fn slot(evidence: &Evidence) -> Slot {
    Slot::of(evidence.submission.job_id, &evidence.submission.spec, evidence.place.clone())
}

/// Returns the chain of jobs by which a job was submitted, if that makes a difference to what it lacks.
async fn ancestors<S: JobStore + ?Sized>(store: &S, room: &Room<'_>, slot: &Slot) -> Result<Vec<JobId>> {
    let mut ancestors = Vec::new();
    if room.may_inherit(slot) {
        let mut next = slot.id;
        while let Some(parent) = known(store, next).await?.and_then(|evidence| evidence.submission.spec.parent)
            && ancestors.len() < MAX_ANCESTORS
        {
            ancestors.push(parent);
            next = parent;
        }
    }
    Ok(ancestors)
}

/// Returns the holders of the store's jobs; an error if there is no such job, or the store has no holders.
pub(super) async fn holders_of<S: JobStore + ?Sized>(store: &S, id: JobId) -> Result<&Holders> {
    store.evidence(id).await?;
    store.holders().ok_or(Error::NoAnswer { id })
}

pub(super) async fn changed<S: JobStore + ?Sized>(store: &S, change: Change) -> Result<()> {
    if let Some(holders) = store.holders() {
        return holders.until(store, change).await;
    }
    let mut distance = FIRST_LOOK;
    while !change.has_come(store).await? {
        tokio::time::sleep(distance).await;
        distance = (distance * 2).min(LAST_LOOK);
    }
    Ok(())
}

pub(super) async fn create<S: JobStore + ?Sized>(store: &S, submission: Submission) -> Result<Created> {
    if submission.spec.repeat.is_some() {
        return Err(Error::Unsupported { reason: "this store keeps no schedules".to_owned() });
    }
    let mut admission = store.admit().await?;
    let spec = &submission.spec;
    if let Some(key) = &spec.key
        && let Some(id) = store.keyed(key).await?
        && let Some(old) = known(store, id).await?
    {
        // A known key creates no second job, whatever its name would be.
        return super::same_key(&submission, &old.submission).map(Created::Existing);
    }
    if let Some(name) = &spec.name
        && let Some(id) = store.named(name, spec.project.as_deref()).await?
        && let Some(old) = known(store, id).await?
    {
        let (job, _) = old.judge(Timestamp::now())?;
        if !job.status().is_final() {
            return Err(super::name_taken(name, &job, &spec.cwd));
        }
    }
    let settings = store.settings().await?;
    if let Some(group) = spec.group.as_ref().filter(|group| settings.group_rate(group) != 0) {
        let now = submission.submitted_at;
        let query = Query::default().with_group(Some(group.clone())).with_times(Some(now - MINUTE), None);
        let times = evidence_of(store, &query).await?.into_iter().map(|evidence| evidence.submission.submitted_at);
        settings.check_rate(group, now, times.collect())?;
    }
    if settings.when_full == WhenFull::Refuse {
        let (mut before, waiting) = unfinished(store).await?;
        // Jobs that already wait come first.
        before.extend(waiting);
        let slot = Slot::of(submission.job_id, spec, spec.first_place());
        if let Some(reached) = Room::beside(&settings, &slots(store, &before).await).reached(&slot, &[]) {
            return Err(Error::Full(reached));
        }
    }
    admission.insert(submission).await?;
    Ok(Created::New)
}

/// Returns the newest job that has the name or key that a query asks for, and whose spec is as required.
pub(super) async fn find<S: JobStore + ?Sized>(
    store: &S,
    query: &Query,
    is_wanted: impl Fn(&JobSpec) -> bool + Send + Sync,
) -> Result<Option<JobId>> {
    for id in store.ids(query, None, usize::MAX).await? {
        match known(store, id).await {
            Err(Error::Damaged { .. }) => {}
            known => {
                if let Some(Evidence { submission, ended, held, .. }) = known?
                    && query.may_want(&submission, ended.as_ref(), held)
                    && is_wanted(&submission.spec)
                {
                    return Ok(Some(id));
                }
            }
        }
    }
    Ok(None)
}

pub(super) async fn next_due<S: JobStore + ?Sized>(store: &S) -> Result<Option<Box<dyn JobClaim>>> {
    let _admission = store.admit().await?;
    let (settings, own, now) = (store.settings().await?, world::capture()?, Timestamp::now());
    let (running, waiting) = unfinished(store).await?;
    let waiting = without_dependencies(store, waiting).await?;
    let taken = slots(store, &running).await;
    let mut room = Room::beside(&settings, &taken);
    let readings = Readings::now();
    if queue::unmet(&settings.guard, &readings).is_some() {
        return Ok(None);
    }
    for evidence in waiting {
        let (mut slot, submission) = (slot(&evidence), evidence.submission);
        if !slot.is_eligible(now)
            || settings.is_paused(slot.group.as_ref())
            || queue::unmet(&submission.spec.when, &readings).is_some()
        {
            continue;
        }
        let ancestors = ancestors(store, &room, &slot).await?;
        if !room.is_enough(&slot, &ancestors) {
            room.pass_over(&slot, &ancestors);
            continue;
        }
        // A sandbox or a container that this process is in is not the world that the submitter meant, and a record of a
        // later version is for a process of a later version.
        if !own.may_act_for(&submission.world) || submission.v > RECORD_VERSION {
            continue;
        }
        let claim = match store.claim(submission.job_id).await {
            Err(Error::NotFound { .. }) => continue,
            claim => claim?,
        };
        // It may have ended since it was checked.
        if let Some(mut claim) = claim
            && let Some(Evidence { start: None, ended: None, .. }) = known(store, submission.job_id).await?
        {
            room.give(&mut slot, &ancestors);
            match claim.set_place(&slot.place).await {
                // A store that keeps no places has jobs without slot numbers.
                Ok(()) | Err(Error::Unsupported { .. }) => return Ok(Some(claim)),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(None)
}

/// Leaves out jobs that wait for others that have not ended, and ends those that wait in vain, until no more are found.
async fn without_dependencies<S: JobStore + ?Sized>(store: &S, waiting: Vec<Evidence>) -> Result<Vec<Evidence>> {
    let mut waiting: Vec<_> = waiting.into_iter().map(|evidence| (evidence, true)).collect();
    loop {
        let (mut left, mut has_ended_any) = (Vec::with_capacity(waiting.len()), false);
        for (evidence, _) in waiting {
            let after = &evidence.submission.spec.after;
            let mut others = HashMap::new();
            for After { job_id, .. } in after {
                others.insert(*job_id, known(store, *job_id).await?);
            }
            match judge::<Infallible>(after, |id| Ok(others.remove(&id).flatten())) {
                Ok(Dependencies::Met) => left.push((evidence, true)),
                Ok(Dependencies::Unfinished(_) | Dependencies::NotReady) => left.push((evidence, false)),
                Ok(Dependencies::Failed(reason)) => {
                    has_ended_any |= skip(store, evidence.submission.job_id, reason).await?;
                }
            }
        }
        if !has_ended_any {
            return Ok(left.into_iter().filter_map(|(evidence, is_met)| is_met.then_some(evidence)).collect());
        }
        waiting = left;
    }
}

/// Ends a job that waits for others in vain, and returns whether it did so.
async fn skip<S: JobStore + ?Sized>(store: &S, id: JobId, reason: String) -> Result<bool> {
    let claim = match store.claim(id).await {
        Err(Error::NotFound { .. }) => None,
        claim => claim?,
    };
    let Some(mut claim) = claim else { return Ok(false) };
    let Some(Evidence { start: None, ended: None, .. }) = known(store, id).await? else { return Ok(false) };
    let mut outcome = Outcome::new(Cause::Skipped, Timestamp::now());
    outcome.message = Some(reason);
    claim.finish(&Ended::new(None, outcome)).await.map(|()| true)
}

pub(super) async fn next_start<S: JobStore + ?Sized>(store: &S) -> Result<Option<Timestamp>> {
    let (now, (running, waiting)) = (Timestamp::now(), unfinished(store).await?);
    let (settings, taken) = (store.settings().await?, slots(store, &running).await);
    let room = Room::beside(&settings, &taken);
    let mut look = None;
    for evidence in &waiting {
        let slot = slot(evidence);
        // The current load does not matter: the machine may have been busy when the queue was last checked.
        if (!evidence.submission.spec.when.is_empty() || !settings.guard.is_empty())
            && slot.is_eligible(now)
            && !settings.is_paused(slot.group.as_ref())
            && room.reached(&slot, &ancestors(store, &room, &slot).await?).is_none()
        {
            look = Some(now + LOOK_AT_LOAD);
            break;
        }
    }
    let places = waiting.iter().map(|evidence| &evidence.place).filter(|place| !place.on_hold);
    Ok(places.filter_map(|place| place.not_before).filter(|at| *at > now).chain(look).min())
}

pub(super) async fn load<S: JobStore + ?Sized>(store: &S) -> Result<Load> {
    let settings = store.settings().await?;
    let (running, waiting) = unfinished(store).await?;
    Ok(Load { settings, running: slots(store, &running).await, waiting: waiting.iter().map(slot).collect() })
}

pub(super) async fn unsupervised<S: JobStore + ?Sized>(store: &S) -> Result<Vec<JobId>> {
    let (running, _) = unfinished(store).await?;
    Ok(running.into_iter().filter(|evidence| !evidence.held).map(|evidence| evidence.submission.job_id).collect())
}

pub(super) async fn tally<S: JobStore + ?Sized>(store: &S) -> Result<Tally> {
    let mut tally = Tally::default();
    for id in store.ids(&Query::default(), None, usize::MAX).await? {
        match known(store, id).await {
            Ok(None) => {}
            Ok(Some(Evidence { ended: Some(ended), .. })) => {
                *tally.ended.entry(ended.outcome.status()).or_default() += 1;
            }
            Ok(Some(_)) | Err(_) => tally.others.push(id),
        }
    }
    Ok(tally)
}

pub(super) async fn ended_jobs<S: JobStore + ?Sized>(store: &S) -> Result<Vec<EndedJob>> {
    let over = |evidence: Evidence| {
        let outcome = evidence.ended?.outcome;
        let (id, bytes) = (evidence.submission.job_id, evidence.output.bytes.saturating_sub(evidence.output.dropped));
        Some(EndedJob::new(id, outcome.status(), outcome.ended_at, bytes))
    };
    let mut jobs: Vec<_> = evidence_of(store, &Query::default()).await?.into_iter().filter_map(over).collect();
    jobs.sort_unstable_by_key(|job| (job.ended_at, job.id));
    Ok(jobs)
}

pub(super) async fn sweep<S: JobStore + ?Sized>(store: &S) -> Result<()> {
    let retention = store.settings().await?.retention();
    // The outcomes of jobs that queued jobs depend on are still needed.
    let (_, waiting) = unfinished(store).await?;
    let waited_for: HashSet<JobId> =
        waiting.iter().flat_map(|evidence| &evidence.submission.spec.after).map(|after| after.job_id).collect();
    let mut excess = retention.excess(store.ended_jobs().await?, Timestamp::now());
    excess.retain(|job| !waited_for.contains(&job.id));
    for job in excess {
        // A job whose lock is held is removed later.
        let _ = store.remove(job.id).await;
    }
    Ok(())
}

impl Holders {
    /// Waits until `change` has happened, as seen by `store`. A store may implement [`JobStore::changed`] with this.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn until<S: JobStore + ?Sized>(&self, store: &S, change: Change) -> Result<()> {
        let bell = match change {
            Change::Event(_) => self.bell_of(None),
            Change::Settled(id) | Change::LeftQueue(id) | Change::Ready(id) | Change::Output { id, .. } => {
                self.bell_of(Some(id))
            }
        };
        loop {
            let mut rung = pin!(bell.notified());
            // Listens before checking, so that no change is missed in between.
            rung.as_mut().enable();
            if change.has_come(store).await? {
                return Ok(());
            }
            rung.await;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use async_trait::async_trait;

    use super::*;
    use crate::FileStore;
    use crate::control::{Answer, Request};
    use crate::output::JobLog;
    use crate::store::conformance::Backend;
    use crate::store::{Admission, Events, Lending, StoreSettings};

    /// A store on disk that implements only what must be implemented.
    #[derive(Debug)]
    struct Required(FileStore);

    #[async_trait]
    impl JobStore for Required {
        async fn admit(&self) -> Result<Box<dyn Admission>> {
            self.0.admit().await
        }

        async fn claim(&self, id: JobId) -> Result<Option<Box<dyn JobClaim>>> {
            self.0.claim(id).await
        }

        async fn evidence(&self, id: JobId) -> Result<Evidence> {
            self.0.evidence(id).await
        }

        async fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
            self.0.ids(query, before, limit).await
        }

        async fn remove(&self, id: JobId) -> Result<()> {
            self.0.remove(id).await
        }

        async fn log(&self, id: JobId) -> Result<Box<dyn JobLog>> {
            self.0.log(id).await
        }

        async fn settings(&self) -> Result<StoreSettings> {
            self.0.settings().await
        }

        async fn events(&self, since: u64, limit: usize) -> Result<Events> {
            self.0.events(since, limit).await
        }

        async fn send(&self, id: JobId, bytes: &[u8], patience: Duration) -> Result<usize> {
            self.0.send(id, bytes, patience).await
        }

        async fn request(&self, id: JobId, request: Request) -> Result<Answer> {
            self.0.request(id, request).await
        }

        async fn lend(&self, id: JobId) -> Result<Lending> {
            self.0.lend(id).await
        }

        async fn is_lent(&self, id: JobId) -> Result<bool> {
            self.0.is_lent(id).await
        }
    }

    pub(in crate::store) fn required(root: &Path) -> Arc<dyn JobStore> {
        Arc::new(Required(FileStore::open(root).unwrap()))
    }

    fn backend() -> Backend {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        Backend::new(move || Arc::new(Required(FileStore::open(&root).unwrap()))).keeping(directory)
    }

    crate::store_conformance!(backend());
}

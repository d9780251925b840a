//! What follows from the required methods of a [`JobStore`]: the others, for stores that know no faster way.

use std::pin::pin;
use std::time::Duration;

use super::{Change, Created, Disposable, Holders, JobClaim, JobStore, Load, Query, Slot, Tally, WhenFull};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::record::{Evidence, RECORD_VERSION, Submission};
use crate::sys::world;

/// At what distance it is looked again for a change: at first, and in the end.
const FIRST_LOOK: Duration = Duration::from_millis(1);
const LAST_LOOK: Duration = Duration::from_millis(100);
/// Of what time submissions are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Returns what is known of a job; nothing if it is gone.
async fn known<S: JobStore + ?Sized>(store: &S, id: JobId) -> Result<Option<Evidence>> {
    match store.evidence(id).await {
        Err(Error::NotFound { .. }) => Ok(None),
        evidence => evidence.map(Some),
    }
}

/// Returns what is known of the jobs that a query may want, the newest first. What cannot be read is left out.
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

/// Returns what is known of the jobs that have not ended: those that have a slot and those that wait, in order.
async fn unfinished<S: JobStore + ?Sized>(store: &S) -> Result<(Vec<Evidence>, Vec<Evidence>)> {
    let mut found = evidence_of(store, &Query::default().live()).await?;
    found.reverse();
    found.retain(|evidence| evidence.ended.is_none());
    Ok(found.into_iter().partition(|evidence| evidence.held || evidence.start.is_some()))
}

/// Returns those of the jobs that have a slot which is not lent.
async fn in_use<S: JobStore + ?Sized>(store: &S, running: Vec<Evidence>) -> Vec<Evidence> {
    let mut in_use = Vec::with_capacity(running.len());
    for evidence in running {
        if !store.is_lent(evidence.submission.job_id).await.unwrap_or(false) {
            in_use.push(evidence);
        }
    }
    in_use
}

/// Returns where the holder of a job is met; an error if there is no such job, or nowhere to meet.
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
    let mut admission = store.admit().await?;
    let spec = &submission.spec;
    if let Some(key) = &spec.key
        && let Some(id) = store.keyed(key).await?
        && let Some(old) = known(store, id).await?
    {
        // A key makes no second job, whatever name that would have.
        return super::same_key(&submission, &old.submission).map(Created::Existing);
    }
    if let Some(name) = &spec.name
        && let Some(id) = store.named(name).await?
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
        let (running, waiting) = unfinished(store).await?;
        let running = in_use(store, running).await;
        // Who waits already has the first claim on what is free.
        let taken = running.iter().chain(&waiting).map(|evidence| evidence.submission.spec.group.as_ref());
        if let Some(reached) = settings.reached(spec.group.as_ref(), taken) {
            return Err(reached.into());
        }
    }
    admission.insert(submission).await?;
    Ok(Created::New)
}

/// Returns the newest job of those that have the name or the key that a query asks for.
pub(super) async fn find<S: JobStore + ?Sized>(store: &S, query: &Query) -> Result<Option<JobId>> {
    for id in store.ids(query, None, usize::MAX).await? {
        match known(store, id).await {
            Err(Error::Damaged { .. }) => {}
            known => {
                if let Some(Evidence { submission, ended, held, .. }) = known?
                    && query.may_want(&submission, ended.as_ref(), held)
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
    let (settings, own) = (store.settings().await?, world::capture()?);
    let (running, waiting) = unfinished(store).await?;
    let running = in_use(store, running).await;
    for Evidence { submission, .. } in waiting {
        let taken = running.iter().map(|evidence| evidence.submission.spec.group.as_ref());
        // A sandbox or a container that this process is in is not the world that the submitter meant; and a record of
        // a later version is for a process of a later version.
        if !settings.has_room(submission.spec.group.as_ref(), taken)
            || !own.may_act_for(&submission.world)
            || submission.v > RECORD_VERSION
        {
            continue;
        }
        let claim = match store.claim(submission.job_id).await {
            Err(Error::NotFound { .. }) => continue,
            claim => claim?,
        };
        // It may have been ended since it was looked at.
        if let Some(claim) = claim
            && let Some(Evidence { start: None, ended: None, .. }) = known(store, submission.job_id).await?
        {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

pub(super) async fn load<S: JobStore + ?Sized>(store: &S) -> Result<Load> {
    let settings = store.settings().await?;
    let (running, waiting) = unfinished(store).await?;
    let (count, mut slots) = (running.len(), Vec::new());
    for evidence in running.into_iter().chain(waiting) {
        let Submission { job_id: id, spec, .. } = evidence.submission;
        slots.push(Slot { id, group: spec.group, lent: store.is_lent(id).await.unwrap_or(false) });
    }
    let waiting = slots.split_off(count);
    Ok(Load { settings, running: slots, waiting })
}

pub(super) async fn unattended<S: JobStore + ?Sized>(store: &S) -> Result<Vec<JobId>> {
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

pub(super) async fn disposable<S: JobStore + ?Sized>(store: &S) -> Result<Vec<Disposable>> {
    let over = |evidence: Evidence| {
        let outcome = evidence.ended?.outcome;
        let (id, bytes) = (evidence.submission.job_id, evidence.output.bytes.saturating_sub(evidence.output.dropped));
        Some(Disposable::new(id, outcome.status(), outcome.ended_at, bytes))
    };
    let mut jobs: Vec<_> = evidence_of(store, &Query::default()).await?.into_iter().filter_map(over).collect();
    jobs.sort_unstable_by_key(|job| (job.ended_at, job.id));
    Ok(jobs)
}

pub(super) async fn sweep<S: JobStore + ?Sized>(store: &S) -> Result<()> {
    let retention = store.settings().await?.retention();
    for job in retention.excess(store.disposable().await?, Timestamp::now()) {
        // One that somebody is in charge of goes later.
        let _ = store.remove(job.id).await;
    }
    Ok(())
}

impl Holders {
    /// Waits until `change` has come, as seen by `store`. A store may implement [`JobStore::changed`] by this.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn until<S: JobStore + ?Sized>(&self, store: &S, change: Change) -> Result<()> {
        let bell = match change {
            Change::Event(_) => self.bell_of(None),
            Change::Settled(id) | Change::LeftQueue(id) | Change::Output { id, .. } => self.bell_of(Some(id)),
        };
        loop {
            let mut rung = pin!(bell.notified());
            // Listen before looking, so that no change falls between the two.
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

    /// A store on disk that does nothing beyond what must be implemented.
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

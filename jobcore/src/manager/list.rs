//! Listing jobs: those that match a query, in its order.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::{JobManager, Listing};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::state::Status;
use crate::store::query::{Order, SortKey};
use crate::store::{Query, Tally};

/// How many ids are requested at a time.
const PAGE: usize = 256;
/// How many jobs are at least kept while sorting, so that small limits do not cause a sort after every few jobs.
const SORTED_AT_ONCE: usize = 1024;

impl JobManager {
    /// Lists jobs, in the order of the query.
    ///
    /// A job is opened only if the store cannot rule it out without that, and only until the limit is reached, unless
    /// stores do not find jobs in the requested order: that is true of all orders but [`SortKey::Submitted`] and
    /// [`SortKey::Ended`].
    ///
    /// # Errors
    /// If the store cannot be read. A job whose records cannot be read is part of the answer.
    pub async fn list(&self, query: &Query) -> Result<Listing> {
        let query = query.clone();
        self.offload(move |jobs| async move { jobs.list_here(&query).await }).await
    }

    pub(super) async fn list_here(&self, query: &Query) -> Result<Listing> {
        self.tend().await;
        match (query.order.by, query.order.reverse) {
            (SortKey::Submitted, false) => self.newest_first(query).await,
            (SortKey::Submitted, true) => {
                let mut ids = self.store.ids(query, None, usize::MAX).await?;
                ids.reverse();
                self.in_order(query, ids).await
            }
            (SortKey::Ended, _) => {
                let ids = self.by_end(query).await?;
                self.in_order(query, ids).await
            }
            _ => self.sorted(query).await,
        }
    }

    async fn newest_first(&self, query: &Query) -> Result<Listing> {
        let mut collector = Collector::new(query);
        let mut before = None;
        if query.skip > 0 && query.wants_all() {
            // No job has to be opened to be skipped. Removed and unreadable jobs count here: a caller that pages on may
            // then see jobs twice, but misses none.
            let passed = self.store.ids(query, None, query.skip).await?;
            if passed.len() < query.skip {
                return Ok(collector.listing);
            }
            (before, collector.skip) = (passed.last().copied(), 0);
        }
        loop {
            let ids = self.store.ids(query, before, PAGE).await?;
            let Some(last) = ids.last().copied() else { return Ok(collector.listing) };
            for id in ids {
                if !collector.add(id, self.job(id).await) {
                    return Ok(collector.listing);
                }
            }
            before = Some(last);
        }
    }

    /// Lists the matching jobs among these, in the given order.
    async fn in_order(&self, query: &Query, ids: Vec<JobId>) -> Result<Listing> {
        let mut collector = Collector::new(query);
        for id in ids {
            if !collector.add(id, self.job(id).await) {
                break;
            }
        }
        Ok(collector.listing)
    }

    /// Returns the jobs that may match, ordered by their ends. Only jobs without a known end are opened.
    async fn by_end(&self, query: &Query) -> Result<Vec<JobId>> {
        let ids = self.store.ids(query, None, usize::MAX).await?;
        let wanted: HashSet<JobId> = ids.iter().copied().collect();
        let known = self.store.ended_jobs().await?;
        let known: BTreeMap<JobId, Timestamp> = known.into_iter().map(|job| (job.id, job.ended_at)).collect();
        let mut places = Vec::with_capacity(wanted.len());
        for id in ids {
            let ended_at = match known.get(&id) {
                Some(ended_at) => Some(*ended_at),
                None => match self.job(id).await {
                    Ok(job) => job.state.outcome().map(|outcome| outcome.ended_at),
                    // The error is reported when the job is opened again for the listing.
                    Err(_) => None,
                },
            };
            places.push((ended_at, id));
        }
        places.sort_by(|(one, _), (other, _)| query.order.descending(*one, *other));
        Ok(places.into_iter().map(|(_, id)| id).collect())
    }

    /// Lists jobs in an order that is known only after all that may match have been opened.
    async fn sorted(&self, query: &Query) -> Result<Listing> {
        let now = self.clock.now();
        let keeps = query.limit.map(|limit| query.skip.saturating_add(limit).saturating_add(1));
        let all = query.clone().with_skip(0).with_limit(None);
        let mut collector = Collector::new(&all);
        for id in self.store.ids(query, None, usize::MAX).await? {
            collector.add(id, self.job(id).await);
            if let Some(keeps) = keeps
                && collector.listing.jobs.len() >= keeps.max(SORTED_AT_ONCE).saturating_mul(2)
            {
                sort(&mut collector.listing.jobs, query.order, now);
                collector.listing.jobs.truncate(keeps);
            }
        }
        let Listing { mut jobs, damaged, .. } = collector.listing;
        sort(&mut jobs, query.order, now);
        let mut jobs: VecDeque<Job> = jobs.into();
        jobs.drain(..query.skip.min(jobs.len()));
        let limit = query.limit.unwrap_or(usize::MAX);
        let more = jobs.len() > limit;
        jobs.truncate(limit);
        Ok(Listing { jobs: jobs.into(), damaged, more })
    }

    /// Counts the jobs that match a query by status, regardless of the limit of the query.
    ///
    /// # Errors
    /// If the store cannot be read. A job whose records cannot be read is not counted.
    pub async fn count(&self, query: &Query) -> Result<BTreeMap<Status, u64>> {
        let query = query.clone().with_skip(0).with_limit(None).with_order(Order::default());
        self.offload(move |jobs| async move { jobs.count_here(&query).await }).await
    }

    async fn count_here(&self, query: &Query) -> Result<BTreeMap<Status, u64>> {
        let mut counts = BTreeMap::new();
        if !query.wants_statuses() {
            for job in self.list_here(query).await?.jobs {
                *counts.entry(job.status()).or_default() += 1;
            }
            return Ok(counts);
        }
        self.tend().await;
        let Tally { ended, others, .. } = self.store.tally().await?;
        counts = ended;
        for id in others {
            if let Ok(job) = self.job(id).await {
                *counts.entry(job.status()).or_default() += 1;
            }
        }
        counts.retain(|status, _| query.statuses.is_empty() || query.statuses.contains(status));
        Ok(counts)
    }
}

/// Sorts jobs that are listed newest first; equal jobs stay in that order.
fn sort(jobs: &mut [Job], order: Order, now: Timestamp) {
    jobs.sort_by(|one, other| order.compare(one, other, now));
}

/// The listing of jobs that come in the requested order.
struct Collector<'q> {
    query: &'q Query,
    skip: usize,
    listing: Listing,
}

impl<'q> Collector<'q> {
    fn new(query: &'q Query) -> Self {
        let listing = Listing { jobs: Vec::new(), damaged: Vec::new(), more: false };
        Self { query, skip: query.skip, listing }
    }

    /// Lists a job if it matches, and returns whether another may be listed.
    fn add(&mut self, id: JobId, found: Result<Job>) -> bool {
        let is_wanted = match &found {
            Ok(job) => self.query.matches(job),
            // Removed since.
            Err(Error::NotFound { .. }) => false,
            Err(_) => true,
        };
        if !is_wanted {
            return true;
        }
        if self.skip > 0 && found.is_ok() {
            self.skip -= 1;
            return true;
        }
        if self.query.limit.is_some_and(|limit| self.listing.jobs.len() == limit) {
            self.listing.more = true;
            return false;
        }
        match found {
            Ok(job) => self.listing.jobs.push(job),
            Err(error) => self.listing.damaged.push((id, error)),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemRandom;
    use crate::manager::view::tests::block_on;
    use crate::record::{Ended, Start, Submission};
    use crate::state::{Cause, Outcome};
    use crate::store::query::Period;
    use crate::store::{JobClaim, JobStore, job_directory};
    use crate::sys::{process, world};
    use crate::{FileStore, InProcessRunner, JobSpec, MemoryStore};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    /// A job that was submitted, started and ended at these seconds, and exited with this code; its lock is held until
    /// it ends.
    async fn job(store: &dyn JobStore, name: &str, times: &[i64], code: i32) -> (JobId, Option<Box<dyn JobClaim>>) {
        let spec = JobSpec::shell(format!("run {name}")).cwd("/").name(name.parse().unwrap()).label("of", "test");
        let id = JobId::mint(at(times[0]), &SystemRandom).unwrap();
        let world = world::capture().unwrap();
        let submission = Submission::new(id, at(times[0]), spec.build().unwrap(), "/bin/sh".into(), world);
        store.create(submission).await.unwrap();
        let mut claim = store.claim(id).await.unwrap().unwrap();
        if let Some(started) = times.get(1) {
            let own = process::identify(std::process::id().try_into().unwrap()).unwrap();
            claim.start(&Start::new(own, false, at(*started))).await.unwrap();
        }
        let Some(ended) = times.get(2) else { return (id, Some(claim)) };
        let mut outcome = Outcome::new(Cause::Exited, at(*ended));
        outcome.exit_code = Some(code);
        claim.finish(&Ended::new(Some(at(times[1])), outcome)).await.unwrap();
        (id, None)
    }

    /// The names of the listed jobs, and whether there are more.
    async fn listed(jobs: &JobManager, query: &Query) -> String {
        let listing = jobs.list(query).await.unwrap();
        assert!(listing.damaged.is_empty(), "{query:?}: {:?}", listing.damaged);
        let names = listing.jobs.iter().map(|job| job.spec.name.as_ref().unwrap().to_string());
        names.chain(listing.more.then(|| "more".to_owned())).collect::<Vec<_>>().join(" ")
    }

    async fn check(store: Arc<dyn JobStore>) {
        let jobs = JobManager::new(store.clone(), Arc::new(InProcessRunner::new())).unwrap();
        let mut claims = Vec::new();
        for (name, times, code) in [
            ("long", &[0, 1, 90][..], 0),
            ("late", &[1, 80, 95], 1),
            ("short", &[2, 3, 5], 0),
            ("held", &[3], 0),
            ("running", &[4, 85], 0),
        ] {
            claims.push(job(store.as_ref(), name, times, code).await.1);
        }
        let all = Query::default();
        let by = |key, reverse| all.clone().with_order(Order::new(key, reverse));
        let ended = |since, before| all.clone().with_ended(Period::new(Some(at(since)), Some(at(before))));
        for (query, expected) in [
            (all.clone(), "running held short late long"),
            (all.clone().with_limit(Some(2)), "running held more"),
            (by(SortKey::Submitted, true), "long late short held running"),
            (by(SortKey::Submitted, true).with_limit(Some(2)).with_skip(1), "late short more"),
            (by(SortKey::Ended, false), "late long short running held"),
            (by(SortKey::Ended, true).with_limit(Some(1)), "short more"),
            (by(SortKey::Ended, true).with_skip(2), "late running held"),
            (by(SortKey::Ended, false).with_statuses(vec![Status::Completed]), "long short"),
            (by(SortKey::Duration, false).with_statuses(vec![Status::Completed, Status::Failed]), "long late short"),
            (by(SortKey::Name, false), "held late long running short"),
            (by(SortKey::Name, true).with_limit(Some(1)).with_skip(1), "running more"),
            (by(SortKey::Name, true).with_skip(9), ""),
            (ended(5, 95), "short long"),
            (ended(6, 90), ""),
            (all.clone().with_started(Period::new(Some(at(2)), None)), "short late"),
            (all.clone().with_exit_codes(vec![1, 7]), "late"),
            (all.clone().with_text(Some("RUN L".to_owned())), "late long"),
            (all.clone().with_name_pattern(Some("l*".parse().unwrap())).with_limit(Some(1)), "late more"),
        ] {
            assert_eq!(listed(&jobs, &query).await, expected, "{query:?}");
        }
        let counts = |query: Query| {
            let jobs = &jobs;
            async move { jobs.count(&query).await.unwrap().into_iter().collect::<Vec<_>>() }
        };
        let [running, completed, failed] = [(Status::Running, 2), (Status::Completed, 2), (Status::Failed, 1)];
        assert_eq!(counts(all.clone().with_limit(Some(1))).await, [running, completed, failed]);
        assert_eq!(counts(all.clone().with_statuses(vec![Status::Failed, Status::Running])).await, [running, failed]);
        assert_eq!(counts(all.clone().with_text(Some("long".to_owned()))).await, [(Status::Completed, 1)]);
        assert_eq!(jobs.first_event(at(0)).await.unwrap(), 0);
        let end = jobs.events(0, 0).await.unwrap().end;
        assert_eq!(jobs.first_event(at(i64::from(u32::MAX))).await.unwrap(), end);
    }

    #[test]
    fn jobs_are_listed_as_requested() {
        block_on(check(Arc::new(MemoryStore::new())));
        let directory = tempfile::tempdir().unwrap();
        block_on(check(Arc::new(FileStore::open(directory.path().join("store")).unwrap())));
    }

    /// Opening the damaged job would list it as damaged.
    #[test]
    fn only_jobs_that_may_match_are_opened() {
        block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().join("store");
            let store = Arc::new(FileStore::open(&root).unwrap());
            let jobs = JobManager::new(store.clone(), Arc::new(InProcessRunner::new())).unwrap();
            let (damaged, _) = job(store.as_ref(), "damaged", &[0, 1, 10], 1).await;
            job(store.as_ref(), "sound", &[1, 2, 5], 0).await;
            fs::write(job_directory(&root, damaged).join("job"), "x").unwrap();
            let all = Query::default();
            let first = |by, reverse| all.clone().with_order(Order::new(by, reverse)).with_limit(Some(1));
            for query in [
                all.clone().with_exit_codes(vec![0]),
                all.clone().with_ended(Period::new(None, Some(at(10)))),
                all.clone().with_ended(Period::new(Some(at(5)), Some(at(6)))),
                all.clone().with_statuses(vec![Status::Completed]).with_order(Order::new(SortKey::Duration, false)),
            ] {
                assert_eq!(listed(&jobs, &query).await, "sound", "{query:?}");
            }
            assert_eq!(jobs.list(&first(SortKey::Ended, true)).await.unwrap().jobs.len(), 1);
            assert_eq!(jobs.list(&all).await.unwrap().damaged[0].0, damaged);
            assert_eq!(jobs.list(&first(SortKey::Name, false)).await.unwrap().damaged.len(), 1);
        });
    }
}

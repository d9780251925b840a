//! Which jobs are shown, and in which order: all unfinished ones, and as many ended ones as are wanted. Of ended jobs
//! only the ids are kept, so that a hundred thousand of them cost no more than a list of numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jobcore::{Error, Job, JobId, JobManager, Result, Status};

use super::filter::Filter;
use super::messages::{Arrangement, Entry};
use super::tree;

/// How many ended jobs a tree has at most, newest first. All of them are read.
const IN_TREE: usize = 500;

/// The jobs shown.
#[derive(Debug)]
pub(super) struct Roster {
    filter: Filter,
    /// The unfinished jobs.
    live: BTreeMap<JobId, Job>,
    /// The ended jobs that may be shown, newest first.
    ended: Vec<JobId>,
    /// Those of them that match, among the ones checked so far; not used if no job has to be opened to decide.
    shown: Vec<JobId>,
    /// How many of the ended jobs have been checked.
    looked_at: usize,
}

impl Roster {
    /// Finds the jobs that a filter shows.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub(super) async fn find(jobs: &JobManager, filter: Filter) -> Result<Self> {
        let mut roster = Self { filter, live: BTreeMap::new(), ended: Vec::new(), shown: Vec::new(), looked_at: 0 };
        let mut unfinished = BTreeSet::new();
        for id in jobs.store().tally().await?.others {
            match jobs.job(id).await {
                Ok(job) if !job.status().is_final() => {
                    unfinished.insert(id);
                    if roster.filter.matches(&job) {
                        roster.live.insert(id, job);
                    }
                }
                // It is found again among the ended ones, or has been removed.
                Ok(_) | Err(_) => {}
            }
        }
        let ended: Vec<Status> =
            Status::ALL.into_iter().filter(|status| status.is_final() && roster.filter.wants(*status)).collect();
        if !ended.is_empty() {
            let query = roster.filter.query().clone().with_statuses(ended);
            roster.ended = jobs.store().ids(&query, None, usize::MAX).await?;
            roster.ended.retain(|id| !unfinished.contains(id));
        }
        Ok(roster)
    }

    /// Returns the filter that the jobs match.
    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Updates a job named by an event.
    pub(super) async fn note(&mut self, jobs: &JobManager, id: JobId) {
        match jobs.job(id).await {
            Ok(job) if job.status().is_final() => {
                self.live.remove(&id);
                self.note_end(&job);
            }
            Ok(job) if self.filter.matches(&job) => drop(self.live.insert(id, job)),
            Ok(_) => drop(self.live.remove(&id)),
            Err(Error::NotFound { .. }) => self.forget(id),
            // It keeps its place and is shown as damaged.
            Err(_) => {}
        }
    }

    fn note_end(&mut self, job: &Job) {
        if !self.filter.wants(job.status()) {
            return;
        }
        let Err(place) = place(&self.ended, job.id) else { return };
        self.ended.insert(place, job.id);
        if place < self.looked_at || self.looked_at + 1 == self.ended.len() {
            self.looked_at += 1;
            if let (true, Err(place)) = (self.filter.matches(job), self::place(&self.shown, job.id)) {
                self.shown.insert(place, job.id);
            }
        }
    }

    fn forget(&mut self, id: JobId) {
        self.live.remove(&id);
        if let Ok(place) = place(&self.ended, id) {
            self.ended.remove(place);
            self.looked_at -= usize::from(place < self.looked_at);
        }
        if let Ok(place) = place(&self.shown, id) {
            self.shown.remove(place);
        }
    }

    /// Returns whether more ended jobs have to be checked to have at least so many entries.
    pub(super) fn is_short_of(&self, at_least: usize) -> bool {
        let found = self.live.len() + self.shown.len();
        self.filter.opens_jobs() && self.looked_at < self.ended.len() && found < at_least
    }

    /// Checks the next `count` ended jobs.
    pub(super) async fn look_further(&mut self, jobs: &JobManager, count: usize) {
        let until = (self.looked_at + count).min(self.ended.len());
        for id in &self.ended[self.looked_at..until] {
            // Whether an unreadable job matches is unknown, so it is shown only without a filter.
            let is_shown = match jobs.job(*id).await {
                Ok(job) => self.filter.matches(&job),
                Err(error) => !matches!(error, Error::NotFound { .. }) && self.filter == Filter::default(),
            };
            if is_shown {
                self.shown.push(*id);
            }
        }
        self.looked_at = until;
    }

    /// Returns the entries in order, and whether there may be more.
    pub(super) async fn entries(&self, jobs: &JobManager, arrangement: Arrangement) -> (Vec<Entry>, bool) {
        let opens = self.filter.opens_jobs();
        let ended = if opens { &self.shown } else { &self.ended };
        let more = opens && self.looked_at < self.ended.len();
        let entry = |id: JobId| Entry::Job { id, depth: 0 };
        let entries = match arrangement {
            Arrangement::RunningFirst => {
                let mut live: Vec<&Job> = self.live.values().collect();
                live.sort_by_cached_key(|job| rank(job));
                live.into_iter().map(|job| job.id).chain(ended.iter().copied()).map(entry).collect()
            }
            Arrangement::Newest => {
                let mut ids: Vec<JobId> = self.live.keys().rev().copied().collect();
                ids.extend_from_slice(ended);
                // Both parts are sorted, so this only merges them.
                ids.sort_by_key(|id| Reverse(*id));
                ids.into_iter().map(entry).collect()
            }
            Arrangement::Tree => {
                let mut all: Vec<Job> = self.live.values().cloned().collect();
                all.sort_by_cached_key(rank);
                for id in ended.iter().take(IN_TREE) {
                    all.extend(jobs.job(*id).await);
                }
                let load = jobs.store().load().await.ok();
                return (tree::entries(&all, load.as_ref()), more || ended.len() > IN_TREE);
            }
        };
        (entries, more)
    }
}

/// Returns the place of a job in a list sorted newest first, or the place where it belongs.
fn place(ids: &[JobId], id: JobId) -> std::result::Result<usize, usize> {
    ids.binary_search_by_key(&Reverse(id), |other| Reverse(*other))
}

/// The sort key of unfinished jobs: running ones first, newest first, then the queue in its order.
fn rank(job: &Job) -> (bool, Reverse<i32>, u128, Reverse<JobId>) {
    match job.status() {
        Status::Queued => (true, Reverse(job.place.priority), job.place.order, Reverse(job.id)),
        _ => (false, Reverse(0), 0, Reverse(job.id)),
    }
}

//! Ends of jobs that are to be delivered to the callers that submitted them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep};

use super::wait::WaitFor;
use super::{JobManager, LOOK_AGAIN};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::parse_error::ParseError;
use crate::state::Status;
use crate::store::query::Period;
use crate::store::{EventKind, Inbox, InboxState, Query};

/// How many events are read at a time.
const PAGE: usize = 1_000;
/// After how many events without anything to deliver the progress is recorded.
const PROGRESS: u64 = 1_000;
/// For a caller with a new inbox, ends older than this are not news.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long to wait for an inbox that another process holds. It is held as long as a delivery takes.
const BUSY: Duration = Duration::from_secs(2);
/// How long a host may take to ask for the end of a task before that is delivered another way.
const TASK: SignedDuration = SignedDuration::from_secs(20);
/// How often to look for an end that may not be delivered yet.
const WITHHELD: Duration = Duration::from_secs(5);

/// Ends of jobs that are being delivered to their caller. Until this is dropped, no other process delivers any to it.
///
/// [`Delivery::acknowledge`] marks them as delivered. Without it, for example because the process dies first, they are
/// delivered again.
#[derive(Debug)]
#[must_use = "ends that are not acknowledged are delivered again"]
pub struct Delivery {
    jobs: Vec<Job>,
    known: Vec<JobId>,
    inbox: Box<dyn Inbox>,
    state: InboxState,
}

impl Delivery {
    /// Returns the jobs that have ended, the earliest end first.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Records that the ends were delivered.
    ///
    /// # Errors
    /// If the store cannot be written. Then they may be delivered again.
    pub async fn acknowledge(mut self) -> Result<()> {
        for id in self.jobs.iter().map(|job| job.id).chain(self.known) {
            self.state.deliver(id);
        }
        self.inbox.write(self.state).await
    }
}

/// The right to wait for the ends of a caller's jobs, until it is dropped.
#[derive(Debug)]
pub struct Watch(#[expect(dead_code, reason = "it is held")] Box<dyn Inbox>);

impl JobManager {
    /// Returns the jobs of a caller whose ends have not been delivered to it, the earliest end first. Changes nothing.
    ///
    /// A caller without an inbox gets the jobs that ended within the last seven days. Stores that keep no inboxes
    /// deliver nothing.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn inbox(&self, caller: &Caller) -> Result<Vec<Job>> {
        let caller = caller.clone();
        let looking = move |jobs: Self| async move {
            let state = jobs.store.inbox_state(&caller).await?;
            let mut state = jobs.up_to_now(&caller, state).await?;
            jobs.pending(&mut state).await
        };
        self.offload(looking).await
    }

    /// Takes the ends that [`JobManager::inbox`] returns, except those of `known`: the caller learns of these by other
    /// means at the same time, and they count as delivered with the rest. Returns `None` if there is nothing to deliver
    /// or to count, or if another process keeps delivering ends to this caller.
    ///
    /// The end of a task is withheld for 20 seconds, because its host asks for it: see [`JobManager::expect_task`].
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn deliver(&self, caller: &Caller, known: &[JobId]) -> Result<Option<Delivery>> {
        let (caller, known) = (caller.clone(), known.to_vec());
        self.offload(move |jobs| async move { Ok(jobs.deliver_here(&caller, &[], known).await?.0) }).await
    }

    /// Takes only the ends of these jobs, of which the caller learns by other means. As [`JobManager::deliver`].
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn deliver_known(&self, caller: &Caller, known: &[JobId]) -> Result<Option<Delivery>> {
        let delivery = self.deliver(caller, known).await?;
        Ok(delivery.map(|delivery| Delivery { jobs: Vec::new(), ..delivery }))
    }

    /// Takes the next ends as [`JobManager::deliver`] does, and waits for them. Returns `None` when the caller has no
    /// unfinished job, not counting those that listen on a TCP port if `servers` is false.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn deliver_next(&self, caller: &Caller, servers: bool) -> Result<Option<Delivery>> {
        let mut next = self.store.events(0, 0).await?.end;
        loop {
            // First: the event of a job that is not among these has been written by now.
            let (mut ids, mut ended) = (Vec::new(), Vec::new());
            for job in self.unfinished(caller).await? {
                if job.status().is_final() {
                    ended.push(job.id);
                } else if servers || !self.is_server(&job).await.unwrap_or(false) {
                    ids.push(job.id);
                }
            }
            let (delivery, is_withheld) = self.deliver_here(caller, &ended, Vec::new()).await?;
            if delivery.is_some() || ids.is_empty() && !is_withheld {
                return Ok(delivery);
            }
            tokio::select! {
                ended = self.first_to_end(&ids), if !ids.is_empty() => ended?,
                seen = self.submitted_by(caller, next) => next = seen?,
                () = sleep(WITHHELD), if is_withheld => {}
            }
        }
    }

    /// Lets one program at a time wait for the ends of a caller's jobs: returns `None` while another one does, or if
    /// there is nothing to wait for. The inbox stays free meanwhile.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn watch(&self, caller: &Caller) -> Result<Option<Watch>> {
        if self.unfinished(caller).await?.is_empty() && self.inbox(caller).await?.is_empty() {
            return Ok(None);
        }
        // A place of its own that is held like an inbox: no host has this name.
        let place = format!("watch.{caller}").parse();
        let place: Caller = place.map_err(|error: ParseError| Error::Unsupported { reason: error.to_string() })?;
        Ok(self.store.inbox(&place).await?.map(Watch))
    }

    /// Records that the caller knows of the ends of these jobs, whether or not they are in its inbox.
    ///
    /// # Errors
    /// If the store cannot be read or written, or another process keeps delivering ends to this caller.
    pub async fn acknowledge(&self, caller: &Caller, ids: &[JobId]) -> Result<()> {
        let ids = ids.to_vec();
        self.change_inbox(caller, move |state| ids.iter().for_each(|id| state.deliver(*id))).await
    }

    /// Records that the host of the caller knows a job as an MCP task, and will ask for its end.
    ///
    /// # Errors
    /// As [`JobManager::acknowledge`].
    pub async fn expect_task(&self, caller: &Caller, id: JobId) -> Result<()> {
        self.change_inbox(caller, move |state| state.tasks.push(id)).await
    }

    /// Returns the ended jobs of a project that no conversation has been notified of, among those submitted by callers
    /// other than `caller`: each of them once. Their own callers are still notified when they come back.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn recap(&self, project: &Path, caller: &Caller) -> Result<Vec<Job>> {
        let (project, caller) = (project.to_owned(), caller.clone());
        self.offload(move |jobs| async move { jobs.recap_here(&project, &caller).await }).await
    }

    /// Returns the ended jobs of a project whose callers have not been notified, the earliest end first. Changes
    /// nothing.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn inbox_of_project(&self, project: &Path) -> Result<Vec<Job>> {
        let project = project.to_owned();
        let looking = move |jobs: Self| async move {
            let mut found = Vec::new();
            for (caller, ids) in jobs.callers_of(&project).await? {
                let mut pending = jobs.inbox(&caller).await?;
                pending.retain(|job| ids.contains(&job.id));
                found.append(&mut pending);
            }
            found.sort_by_key(ended_at);
            Ok(found)
        };
        self.offload(looking).await
    }

    /// Returns the callers whose jobs in a project have ended recently, and these jobs.
    async fn callers_of(&self, project: &Path) -> Result<BTreeMap<Caller, BTreeSet<JobId>>> {
        let of_project = Query::default().with_project(Some(project.to_owned()));
        let mut callers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for job in self.ended_since(of_project, self.recently()).await? {
            if let Some(caller) = job.spec.caller {
                callers.entry(caller).or_default().insert(job.id);
            }
        }
        Ok(callers)
    }

    async fn recap_here(&self, project: &Path, caller: &Caller) -> Result<Vec<Job>> {
        let mut others = self.callers_of(project).await?;
        others.remove(caller);
        let mut told = Vec::new();
        for (other, ids) in others {
            let Some(mut inbox) = self.take_inbox(&other).await? else { continue };
            let mut state = self.up_to_now(&other, inbox.state().cloned()).await?;
            let mut news = self.pending(&mut state).await?;
            news.retain(|job| ids.contains(&job.id) && !state.recapped.contains(&job.id));
            if !news.is_empty() {
                state.recapped.extend(news.iter().map(|job| job.id));
                inbox.write(state).await?;
                told.append(&mut news);
            }
        }
        told.sort_by_key(ended_at);
        Ok(told)
    }

    /// Returns the ends to deliver now, and whether others are withheld. The jobs in `ended` have certainly ended,
    /// though their events may not be written yet.
    async fn deliver_here(
        &self,
        caller: &Caller,
        ended: &[JobId],
        known: Vec<JobId>,
    ) -> Result<(Option<Delivery>, bool)> {
        if known.is_empty() && ended.is_empty() && self.has_nothing_new(caller).await? {
            return Ok((None, false));
        }
        let Some(mut inbox) = self.take_inbox(caller).await? else { return Ok((None, true)) };
        let seen = inbox.state().map(|state| state.next);
        let mut state = self.up_to_now(caller, inbox.state().cloned()).await?;
        ended.iter().for_each(|id| state.add(*id));
        let mut jobs = self.pending(&mut state).await?;
        jobs.retain(|job| !known.contains(&job.id));
        let count = jobs.len();
        let due = self.clock.now() - TASK;
        jobs.retain(|job| !state.tasks.contains(&job.id) || ended_at(job) <= due);
        let is_withheld = jobs.len() < count;
        if jobs.is_empty() && known.is_empty() {
            if seen.is_none_or(|seen| state.next >= seen + PROGRESS) {
                inbox.write(state).await?;
            }
            return Ok((None, is_withheld));
        }
        Ok((Some(Delivery { jobs, known, inbox, state }), is_withheld))
    }

    /// Returns whether a caller has no inbox and needs none: nothing is written for a caller that has missed nothing.
    async fn has_nothing_new(&self, caller: &Caller) -> Result<bool> {
        Ok(match self.store.inbox_state(caller).await? {
            None => self.up_to_now(caller, None).await?.pending.is_empty(),
            Some(_) => false,
        })
    }

    async fn change_inbox(&self, caller: &Caller, change: impl FnOnce(&mut InboxState) + Send + 'static) -> Result<()> {
        let caller = caller.clone();
        let changing = move |jobs: Self| async move {
            let busy = || Error::Unsupported { reason: format!("another process is delivering ends to {caller}") };
            let mut inbox = jobs.take_inbox(&caller).await?.ok_or_else(busy)?;
            let mut state = jobs.up_to_now(&caller, inbox.state().cloned()).await?;
            change(&mut state);
            inbox.write(state).await
        };
        self.offload(changing).await
    }

    /// Takes the inbox of a caller; `None` if another process keeps holding it.
    async fn take_inbox(&self, caller: &Caller) -> Result<Option<Box<dyn Inbox>>> {
        let deadline = Instant::now() + BUSY;
        loop {
            let inbox = self.store.inbox(caller).await?;
            if inbox.is_some() || Instant::now() >= deadline {
                return Ok(inbox);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    /// Adds what has ended since a state was written.
    async fn up_to_now(&self, caller: &Caller, state: Option<InboxState>) -> Result<InboxState> {
        let now = self.clock.now();
        let of_caller = Query::default().with_caller(Some(caller.clone()));
        self.tend().await;
        let Some(mut state) = state else {
            // First, so that ends in the meantime are found twice rather than never.
            let end = self.store.events(0, 0).await?.end;
            let mut state = InboxState::new(caller.clone(), end, now);
            let ended = self.ended_since(of_caller, self.recently()).await?;
            ended.iter().for_each(|job| state.add(job.id));
            return Ok(state);
        };
        loop {
            let events = self.store.events(state.next, PAGE).await?;
            // Some are no longer kept, or all were lost and the numbers start again.
            if events.gone > 0 || events.end < state.next {
                let missed = self.ended_since(of_caller.clone(), state.at).await?;
                missed.iter().for_each(|job| state.add(job.id));
            }
            for event in events.events.iter().filter(|event| event.event == EventKind::Ended) {
                if self.is_of(event.job_id, caller).await {
                    state.add(event.job_id);
                }
            }
            (state.next, state.at) = (events.next.min(events.end), now);
            if events.next >= events.end {
                return Ok(state);
            }
        }
    }

    /// Returns the jobs whose ends are pending. A job that was removed since needs no delivery.
    async fn pending(&self, state: &mut InboxState) -> Result<Vec<Job>> {
        let mut jobs = Vec::new();
        for id in state.pending.clone() {
            match self.job(id).await {
                Ok(job) => jobs.push(job),
                Err(Error::NotFound { .. } | Error::Damaged { .. }) => state.forget(id),
                Err(error) => return Err(error),
            }
        }
        Ok(jobs)
    }

    /// Returns the jobs matching a query that have ended since a time, the earliest end first.
    async fn ended_since(&self, query: Query, since: Timestamp) -> Result<Vec<Job>> {
        let mut jobs = self.list_here(&query.with_ended(Period::new(Some(since), None))).await?.jobs;
        jobs.sort_by_key(ended_at);
        Ok(jobs)
    }

    /// Returns the unfinished jobs of a caller, and perhaps some that have only just ended.
    async fn unfinished(&self, caller: &Caller) -> Result<Vec<Job>> {
        let unfinished = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
        let query = Query::default().with_caller(Some(caller.clone())).with_statuses(unfinished);
        let mut jobs = Vec::new();
        for id in self.store.ids(&query, None, usize::MAX).await? {
            // A job that was removed or cannot be read is not waited for; the index may also return jobs of other
            // callers.
            if let Ok(job) = self.job(id).await
                && job.spec.caller.as_ref() == Some(caller)
            {
                jobs.push(job);
            }
        }
        Ok(jobs)
    }

    /// Waits for the first of several jobs to end.
    async fn first_to_end(&self, ids: &[JobId]) -> Result<()> {
        match self.wait(ids, WaitFor::Any, None).await {
            // It was removed after it had ended.
            Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until the caller submits a job, according to the events from number `next`. Returns the number of the
    /// event after that.
    async fn submitted_by(&self, caller: &Caller, mut next: u64) -> Result<u64> {
        loop {
            let events = self.store.events(next, PAGE).await?;
            for event in events.events.iter().filter(|event| event.event == EventKind::Submitted) {
                if self.is_of(event.job_id, caller).await {
                    return Ok(event.number + 1);
                }
            }
            if events.next == next {
                self.happened(next).await?;
            }
            next = events.next;
        }
    }

    async fn is_of(&self, id: JobId, caller: &Caller) -> bool {
        let evidence = self.store.evidence(id).await;
        evidence.is_ok_and(|evidence| evidence.submission.spec.caller.as_ref() == Some(caller))
    }

    fn recently(&self) -> Timestamp {
        self.clock.now() - RECENT
    }
}

fn ended_at(job: &Job) -> Timestamp {
    job.state.outcome().map_or(job.submitted_at, |outcome| outcome.ended_at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manager::view::tests::block_on;
    use crate::testing::{FakeRunner, Gate, ManualClock, Script};
    use crate::{FileStore, JobSpec, MemoryStore};

    const OWN: &str = "codex:1";

    fn caller(text: &str) -> Caller {
        text.parse().unwrap()
    }

    struct World {
        clock: ManualClock,
        gate: Gate,
        jobs: JobManager,
        _directory: tempfile::TempDir,
    }

    /// A store in memory and one on disk, with jobs that end at once (`true`) or when the gate is opened (`sleep`).
    fn worlds() -> [World; 2] {
        let world = |on_disk: bool| {
            let directory = tempfile::tempdir().unwrap();
            let clock = ManualClock::new();
            let gate = Gate::new(&clock);
            let runner = FakeRunner::new(&clock)
                .script("true", Script::new().exits(0))
                .script("sleep", Script::new().waits_for(&gate).exits(0));
            let store: Arc<dyn crate::store::JobStore> = match on_disk {
                true => Arc::new(FileStore::open(directory.path().join("store")).unwrap()),
                false => Arc::new(MemoryStore::new()),
            };
            let jobs = JobManager::new(store, Arc::new(runner)).unwrap().with_clock(Arc::new(clock.clone()));
            World { clock, gate, jobs, _directory: directory }
        };
        [world(false), world(true)]
    }

    impl World {
        async fn submit(&self, line: &str, of: &str) -> JobId {
            let spec = JobSpec::shell(line).caller(caller(of)).project("/src").build().unwrap();
            self.jobs.submit(spec).await.unwrap().id
        }

        /// Submits a job and waits for its end and for the event.
        async fn ended(&self, of: &str) -> JobId {
            let next = self.jobs.events(0, 0).await.unwrap().end;
            let id = self.submit("true", of).await;
            let mut events = self.jobs.follow_events(next);
            while events.next().await.unwrap().unwrap().event != EventKind::Ended {}
            id
        }

        async fn inbox(&self, of: &str) -> Vec<JobId> {
            self.jobs.inbox(&caller(of)).await.unwrap().iter().map(|job| job.id).collect()
        }

        async fn delivered(&self, of: &str) -> Vec<JobId> {
            let Some(delivery) = self.jobs.deliver(&caller(of), &[]).await.unwrap() else { return Vec::new() };
            let ids = delivery.jobs().iter().map(|job| job.id).collect();
            delivery.acknowledge().await.unwrap();
            ids
        }
    }

    #[test]
    fn an_end_is_delivered_to_its_caller_until_it_is_acknowledged() {
        block_on(async {
            for world in worlds() {
                let (first, _) = (world.ended(OWN).await, world.ended("codex:2").await);
                assert_eq!(world.inbox(OWN).await, [first]);
                let unheard = world.jobs.deliver(&caller(OWN), &[]).await.unwrap().unwrap();
                assert_eq!(unheard.jobs().len(), 1);
                drop(unheard);
                assert_eq!(world.delivered(OWN).await, [first]);
                assert!(world.delivered(OWN).await.is_empty());
                let more = [world.ended(OWN).await, world.ended(OWN).await];
                assert_eq!(world.inbox(OWN).await, more);
                world.jobs.acknowledge(&caller(OWN), &more[..1]).await.unwrap();
                assert_eq!(world.delivered(OWN).await, more[1..]);
                assert!(world.inbox(OWN).await.is_empty());
            }
        });
    }

    #[test]
    fn ends_that_were_acknowledged_early_or_whose_jobs_were_removed_are_not_delivered() {
        block_on(async {
            for world in worlds() {
                let running = world.submit("sleep", OWN).await;
                world.jobs.acknowledge(&caller(OWN), &[running]).await.unwrap();
                let removed = world.ended(OWN).await;
                assert_eq!(world.inbox(OWN).await, [removed]);
                world.jobs.remove(removed).await.unwrap();
                world.gate.open();
                world.jobs.wait_for(running).await.unwrap();
                assert!(world.delivered(OWN).await.is_empty());
            }
        });
    }

    #[test]
    fn nothing_is_kept_for_a_caller_that_has_missed_nothing() {
        block_on(async {
            for world in worlds() {
                world.submit("sleep", OWN).await;
                assert!(world.delivered(OWN).await.is_empty());
                assert!(world.jobs.store().inbox_state(&caller(OWN)).await.unwrap().is_none());
                assert!(world.jobs.watch(&caller("codex:2")).await.unwrap().is_none());
            }
        });
    }

    #[test]
    fn no_end_is_lost_with_the_event_feed() {
        block_on(async {
            let [_, world] = worlds();
            for _ in 0..3 {
                world.ended(OWN).await;
            }
            assert_eq!(world.delivered(OWN).await.len(), 3);
            std::fs::remove_dir_all(world.jobs.store().directory().unwrap().join("events")).unwrap();
            let after = world.ended(OWN).await;
            assert_eq!(world.delivered(OWN).await, [after]);
            let next = world.ended(OWN).await;
            assert_eq!(world.delivered(OWN).await, [next]);
        });
    }

    #[test]
    fn the_next_end_is_waited_for_as_long_as_a_job_is_unfinished() {
        block_on(async {
            for world in worlds() {
                assert!(world.jobs.deliver_next(&caller(OWN), true).await.unwrap().is_none());
                let id = world.submit("sleep", OWN).await;
                let waiting = {
                    let jobs = world.jobs.clone();
                    tokio::spawn(async move { jobs.deliver_next(&caller(OWN), false).await.unwrap() })
                };
                world.gate.open();
                let delivery = waiting.await.unwrap().unwrap();
                assert_eq!(delivery.jobs().iter().map(|job| job.id).collect::<Vec<_>>(), [id]);
            }
        });
    }

    #[test]
    fn the_end_of_a_task_is_left_to_its_host_for_a_while() {
        block_on(async {
            for world in worlds() {
                let id = world.submit("sleep", OWN).await;
                world.jobs.expect_task(&caller(OWN), id).await.unwrap();
                world.gate.open();
                world.jobs.wait_for(id).await.unwrap();
                assert!(world.delivered(OWN).await.is_empty());
                world.clock.advance(Duration::from_secs(21));
                assert_eq!(world.delivered(OWN).await, [id]);
            }
        });
    }

    #[test]
    fn a_recap_names_the_ends_of_other_conversations_once_and_they_are_still_delivered() {
        block_on(async {
            for world in worlds() {
                let (own, other) = (world.ended(OWN).await, world.ended("codex:2").await);
                let recap = async |project: &str| {
                    let told = world.jobs.recap(Path::new(project), &caller(OWN)).await.unwrap();
                    told.iter().map(|job| job.id).collect::<Vec<_>>()
                };
                assert!(recap("/elsewhere").await.is_empty());
                assert_eq!(recap("/src").await, [other]);
                assert!(recap("/src").await.is_empty());
                assert_eq!(world.delivered("codex:2").await, [other]);
                assert_eq!(world.delivered(OWN).await, [own]);
            }
        });
    }

    #[test]
    fn only_one_of_several_front_ends_delivers() {
        block_on(async {
            for world in worlds() {
                let mut ids = [world.ended(OWN).await, world.ended(OWN).await];
                let doors: Vec<_> = (0..8)
                    .map(|_| {
                        let jobs = world.jobs.clone();
                        tokio::spawn(async move {
                            let Some(delivery) = jobs.deliver(&caller(OWN), &[]).await.unwrap() else {
                                return Vec::new();
                            };
                            tokio::task::yield_now().await;
                            let ids = delivery.jobs().iter().map(|job| job.id).collect();
                            delivery.acknowledge().await.unwrap();
                            ids
                        })
                    })
                    .collect();
                let mut told = Vec::new();
                for door in doors {
                    told.extend(door.await.unwrap());
                }
                told.sort();
                ids.sort();
                assert_eq!(told, ids);
            }
        });
    }
}

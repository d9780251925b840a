//! Changing what is queued: its place, and what it will run.

use std::collections::BTreeSet;

use super::JobManager;
use super::start::not_queued;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::program;
use crate::queue::{self, After, AfterWhen, LimitOn, MoveTo, Place, ReachedLimit};
use crate::record::RECORD_VERSION;
use crate::spec::JobSpec;
use crate::store::tend::evidence_of_own;
use crate::store::{JobClaim, Slot};
use crate::sys::load::Readings;
use crate::sys::world;

/// How many ancestors of a job are checked: jobs are never nested that deep.
const MAX_ANCESTORS: usize = 64;

/// Why a wait for a schedule is refused.
const ENDLESS: &str = "it is a schedule, which does not end by itself";

/// The distance between jobs that are submitted at the same moment.
const STEP: u128 = 1 << 64;

impl JobManager {
    /// Keeps a queued job from being started until it is released.
    ///
    /// # Errors
    /// As [`JobManager::job`]; [`Error::Refused`] if the job is not queued or was submitted by a later version;
    /// [`Error::Unsupported`] for a store that keeps no places.
    pub async fn hold(&self, id: JobId) -> Result<Job> {
        self.change_place(id, |place, _| place.on_hold = true).await
    }

    /// Lets a queued job start when it is its turn: one that is on hold, or that was delayed. A schedule continues with
    /// its next time: times that passed while it was on hold are skipped.
    ///
    /// # Errors
    /// As [`JobManager::hold`].
    pub async fn release(&self, id: JobId) -> Result<Job> {
        let now = self.clock.now();
        self.change_place(id, move |place, spec| {
            place.on_hold = false;
            place.not_before = match (&spec.repeat, place.not_before) {
                (Some(repeat), Some(time)) if time <= now => repeat.next(time, now).ok().or(Some(time)),
                (Some(_), time) => time,
                (None, _) => None,
            };
        })
        .await
    }

    /// Starts a queued job before those with a lower priority.
    ///
    /// # Errors
    /// As [`JobManager::hold`].
    pub async fn set_priority(&self, id: JobId, priority: i32) -> Result<Job> {
        self.change_place(id, move |place, _| place.priority = priority).await
    }

    /// Starts a queued job no earlier than this time. For a schedule, this becomes its next time.
    ///
    /// # Errors
    /// As [`JobManager::hold`].
    pub async fn delay(&self, id: JobId, until: Timestamp) -> Result<Job> {
        self.change_place(id, move |place, _| place.not_before = Some(until)).await
    }

    /// Moves a queued job, which takes over the priority of the job next to its new place.
    ///
    /// # Errors
    /// As [`JobManager::hold`]; [`Error::Refused`] also if the other job is not queued.
    pub async fn move_to(&self, id: JobId, to: MoveTo) -> Result<Job> {
        let mut waiting = self.store.load().await?.waiting;
        waiting.retain(|slot| slot.id != id);
        let position = |other: JobId| {
            let position = waiting.iter().position(|slot| slot.id == other);
            position.ok_or_else(|| if other == id { beside_itself(id) } else { not_queued(other) })
        };
        let at = match to {
            MoveTo::First => 0,
            MoveTo::Last => waiting.len(),
            MoveTo::Before(other) => position(other)?,
            MoveTo::After(other) => position(other)? + 1,
        };
        let (before, after) = (at.checked_sub(1).and_then(|before| waiting.get(before)), waiting.get(at));
        let beside = match to {
            MoveTo::First | MoveTo::Before(_) => after.or(before),
            MoveTo::Last | MoveTo::After(_) => before.or(after),
        };
        // There is no other job to move past.
        let Some(Slot { place: Place { priority, .. }, .. }) = beside.cloned() else { return self.job(id).await };
        let order =
            |slot: Option<&Slot>| slot.filter(|slot| slot.place.priority == priority).map(|slot| slot.place.order);
        let between = match between(order(before), order(after)) {
            Some(between) => between,
            None => self.make_room(order(before).unwrap_or(0), priority, &waiting[at..]).await?,
        };
        self.change_place(id, move |place, _| (place.priority, place.order) = (priority, between)).await
    }

    /// Moves jobs further back to make a free place after `before`, and returns that place.
    async fn make_room(&self, before: u128, priority: i32, after: &[Slot]) -> Result<u128> {
        let mut order = before + STEP;
        let between = order;
        for slot in after.iter().filter(|slot| slot.place.priority == priority) {
            order += STEP;
            match self.change_place(slot.id, move |place, _| place.order = order).await {
                // It no longer waits, and is not in the way.
                Err(Error::Refused { .. } | Error::NotFound { .. }) => {}
                changed => drop(changed?),
            }
        }
        Ok(between)
    }

    /// Changes the place of a queued job, and starts what then is due.
    ///
    /// # Errors
    /// As [`JobManager::job`]; [`Error::Refused`] if the job is not queued, or was submitted by a later version.
    async fn change_place(&self, id: JobId, change: impl FnOnce(&mut Place, &JobSpec) + Send + 'static) -> Result<Job> {
        self.offload(move |jobs| async move {
            let mut claim = jobs.claim_queued(id).await?;
            let mut place = claim.place().await?;
            change(&mut place, &claim.submission().spec);
            claim.set_place(&place).await?;
            jobs.let_go(claim).await
        })
        .await
    }

    /// Releases a changed job, and starts what then is due.
    async fn let_go(&self, claim: Box<dyn JobClaim>) -> Result<Job> {
        let id = claim.submission().job_id;
        self.store.admit().await?.note_change(id).await?;
        drop(claim);
        self.tend().await;
        self.job(id).await
    }

    /// Changes what a queued job will run and how, as if it had been submitted this way. Its id, name, key and place in
    /// the queue stay, and so do its input and its submitter. If the rule of a schedule changes, its next time is the
    /// first time of the new rule after now.
    ///
    /// `change` gets the spec including its environment. It is called once, unless the job cannot be edited.
    ///
    /// # Errors
    /// As [`JobManager::submit`] and [`JobManager::job`]; [`Error::Refused`] if the job is not queued, or was submitted
    /// by a later version.
    pub async fn edit(&self, id: JobId, change: impl FnOnce(&mut JobSpec) + Send + 'static) -> Result<Job> {
        self.offload(move |jobs| async move {
            let mut claim = jobs.claim_queued(id).await?;
            let mut submission = claim.submission().clone();
            let before = submission.spec.clone();
            let rule = before.repeat.as_ref().map(|repeat| repeat.rule.clone());
            submission.spec.environment = claim.environment().await?;
            // If the option was set, it is part of the recorded shell.
            submission.spec.pipefail = Some(false);
            change(&mut submission.spec);
            let spec = &mut submission.spec;
            (spec.name, spec.key, spec.caller, spec.parent) = (before.name, before.key, before.caller, before.parent);
            (spec.stdin, spec.run_of) = (before.stdin, before.run_of);
            if rule.is_some() != spec.repeat.is_some() {
                let reason = "a schedule stays one, and other jobs cannot become one; submit another".to_owned();
                return Err(Error::InvalidSpec { field: "repeat", reason });
            }
            spec.validate()?;
            submission.program = program::check(spec)?;
            jobs.check_permitted(spec).await?;
            jobs.check_queue(spec).await?;
            jobs.check_cycle(id, &spec.after).await?;
            program::check_size(&submission)?;
            let mut place = claim.place().await?;
            let (old, new) = (before.priority, submission.spec.priority);
            if old != new {
                place.priority = new;
            }
            if rule != submission.spec.repeat.as_ref().map(|repeat| repeat.rule.clone()) {
                place.not_before = submission.spec.time_after(jobs.clock.now())?;
            }
            claim.replace(submission).await?;
            claim.set_place(&place).await?;
            jobs.let_go(claim).await
        })
        .await
    }

    /// Takes the lock of a job that waits in the queue.
    pub(super) async fn claim_queued(&self, id: JobId) -> Result<Box<dyn JobClaim>> {
        // Another program may be looking at it right now.
        let Some(claim) = self.claim_unstarted(id).await? else { return Err(not_queued(id)) };
        let evidence = evidence_of_own(self.store.as_ref(), claim.as_ref()).await?;
        if evidence.start.is_some() || evidence.ended.is_some() {
            return Err(not_queued(id));
        }
        if evidence.submission.v > RECORD_VERSION || !world::capture()?.may_act_for(&evidence.submission.world) {
            let reason = "it was submitted in another namespace or sandbox, or by a later version, and can only be changed from there";
            return Err(Error::Refused { id, reason: reason.to_owned() });
        }
        Ok(claim)
    }

    /// Refuses what would wait forever: for jobs that are not on record, or for more of a resource than exists; and
    /// what could not wait at all, for a figure that the system does not report.
    pub(super) async fn check_queue(&self, spec: &JobSpec) -> Result<()> {
        for After { job_id, when } in &spec.after {
            let other = self.store.evidence(*job_id).await?;
            if other.submission.spec.repeat.is_some() {
                return Err(Error::Refused { id: *job_id, reason: ENDLESS.to_owned() });
            }
            if *when == AfterWhen::Ready && other.submission.spec.ready.is_empty() {
                let reason = "it has no readiness condition; submit it with one, such as `port:3000`";
                return Err(Error::Refused { id: *job_id, reason: reason.to_owned() });
            }
        }
        let refused = |reason| Error::InvalidSpec { field: "when", reason };
        queue::check_known(&spec.when, &Readings::now()).map_err(refused)?;
        if spec.resources.is_empty() {
            return Ok(());
        }
        let settings = self.store.settings().await?;
        for (resource, needed) in &spec.resources {
            let limit = settings.amount_of(resource);
            if *needed > limit {
                return Err(Error::Full(ReachedLimit::new(LimitOn::Resource(resource.clone()), *needed, 0, limit)));
            }
        }
        Ok(())
    }

    /// Refuses to let a job wait for others if one of those waits for it.
    async fn check_cycle(&self, id: JobId, after: &[After]) -> Result<()> {
        match self.leads_to(after, |after| after.job_id == id).await? {
            true => {
                let reason = "it would be started after itself: it waits for a job that waits for it".to_owned();
                Err(Error::Refused { id, reason })
            }
            false => Ok(()),
        }
    }

    /// Refuses to wait for a schedule, and for a queued job that starts after this program's own job has ended, or
    /// after a job that waits for that one.
    pub(super) async fn check_wait(&self, job: &Job) -> Result<()> {
        if job.spec.repeat.is_some() {
            let last = job.place.last_run.map(|run| format!("; its last run is {run}")).unwrap_or_default();
            return Err(Error::Refused { id: job.id, reason: format!("{ENDLESS}{last}") });
        }
        let Some(own) = self.own_job.filter(|_| !job.spec.after.is_empty()) else { return Ok(()) };
        let (mut waiting, mut next) = (vec![own], own);
        while let Ok(evidence) = self.store.evidence(next).await
            && let Some(parent) = evidence.submission.spec.parent
            && waiting.len() < MAX_ANCESTORS
        {
            if self.store.is_lent(parent).await.unwrap_or(false) {
                waiting.push(parent);
            }
            next = parent;
        }
        // Those may still become ready.
        let is_end_of_own = |after: &After| after.when != AfterWhen::Ready && waiting.contains(&after.job_id);
        match self.leads_to(&job.spec.after, is_end_of_own).await? {
            true => {
                let reason = "it starts only after the waiting job has ended, so the wait would never end";
                Err(Error::Refused { id: job.id, reason: reason.to_owned() })
            }
            false => Ok(()),
        }
    }

    /// Returns whether `is_meant` holds for one of these jobs, or for an unfinished job that they wait for in turn.
    async fn leads_to(&self, after: &[After], is_meant: impl Fn(&After) -> bool + Sync) -> Result<bool> {
        let (mut open, mut seen) = (after.to_vec(), BTreeSet::new());
        while let Some(after) = open.pop() {
            if is_meant(&after) {
                return Ok(true);
            }
            if seen.insert(after.job_id) {
                match self.store.evidence(after.job_id).await {
                    Ok(evidence) if evidence.ended.is_none() => open.extend(evidence.submission.spec.after),
                    Ok(_) | Err(Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(false)
    }
}

fn beside_itself(id: JobId) -> Error {
    Error::Refused { id, reason: "it cannot be moved before or after itself".to_owned() }
}

/// Returns a place between two others, or before or after one; `None` if there is none.
fn between(before: Option<u128>, after: Option<u128>) -> Option<u128> {
    match (before, after) {
        (None, None) => Some(STEP),
        (Some(before), None) => before.checked_add(STEP),
        (None, Some(after)) => after.checked_sub(STEP).or((after > 0).then_some(after / 2)),
        (Some(before), Some(after)) => (before + 1 < after).then(|| before + (after - before) / 2),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::manager::view::tests::block_on;
    use crate::testing::{FakeRunner, ManualClock, Script};
    use crate::{MemoryStore, Status};

    /// A manager with one running job, and these waiting.
    async fn queue(count: usize) -> (JobManager, Vec<JobId>) {
        let runner = FakeRunner::new(&ManualClock::new()).script("/bin/true", Script::new().stays());
        let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap();
        jobs.change_settings(|settings| settings.max_running = 1).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..=count {
            ids.push(jobs.submit(JobSpec::command(["/bin/true"]).build().unwrap()).await.unwrap().id);
        }
        ids.remove(0);
        (jobs, ids)
    }

    async fn order(jobs: &JobManager, ids: &[JobId]) -> Vec<usize> {
        let waiting = jobs.store.load().await.unwrap().waiting;
        waiting.iter().map(|slot| ids.iter().position(|id| *id == slot.id).unwrap()).collect()
    }

    #[test]
    fn jobs_are_moved_to_the_requested_places() {
        block_on(async {
            let (jobs, ids) = queue(4).await;
            jobs.move_to(ids[3], MoveTo::First).await.unwrap();
            assert_eq!(order(&jobs, &ids).await, [3, 0, 1, 2]);
            jobs.move_to(ids[3], MoveTo::Last).await.unwrap();
            assert_eq!(order(&jobs, &ids).await, [0, 1, 2, 3]);
            jobs.move_to(ids[3], MoveTo::Before(ids[1])).await.unwrap();
            jobs.move_to(ids[0], MoveTo::After(ids[3])).await.unwrap();
            assert_eq!(order(&jobs, &ids).await, [3, 0, 1, 2]);
            jobs.set_priority(ids[2], 5).await.unwrap();
            assert_eq!(order(&jobs, &ids).await, [2, 3, 0, 1]);
            assert_eq!(jobs.move_to(ids[1], MoveTo::First).await.unwrap().place.priority, 5);
            assert_eq!(order(&jobs, &ids).await, [1, 2, 3, 0]);
            assert_eq!(jobs.move_to(ids[2], MoveTo::Last).await.unwrap().place.priority, 0);
            assert_eq!(order(&jobs, &ids).await, [1, 3, 0, 2]);
            let refused = jobs.move_to(ids[2], MoveTo::Before(ids[2])).await.unwrap_err();
            assert!(refused.to_string().contains("before or after itself"), "{refused}");
            // Repeatedly at the same place.
            for _ in 0..50 {
                jobs.move_to(ids[2], MoveTo::Before(ids[0])).await.unwrap();
                jobs.move_to(ids[1], MoveTo::After(ids[2])).await.unwrap();
                assert_eq!(order(&jobs, &ids).await, [3, 2, 1, 0]);
                jobs.move_to(ids[2], MoveTo::After(ids[1])).await.unwrap();
            }
        });
    }

    #[test]
    fn a_job_on_hold_is_passed_over_until_it_is_released() {
        block_on(async {
            let (jobs, ids) = queue(2).await;
            jobs.hold(ids[0]).await.unwrap();
            jobs.change_settings(|settings| settings.max_running = 2).await.unwrap();
            assert_eq!(jobs.job(ids[0]).await.unwrap().status(), Status::Queued);
            assert_eq!(jobs.job(ids[1]).await.unwrap().status(), Status::Running);
            jobs.change_settings(|settings| settings.max_running = 3).await.unwrap();
            assert_eq!(jobs.job(ids[0]).await.unwrap().status(), Status::Queued);
            let why = jobs.why_queued(&jobs.job(ids[0]).await.unwrap()).await.unwrap().unwrap();
            assert_eq!(why.to_string(), "it is on hold");
            assert_eq!(jobs.release(ids[0]).await.unwrap().status(), Status::Running);
            assert!(matches!(jobs.hold(ids[0]).await, Err(Error::Refused { .. })));
        });
    }
}

//! Why jobs are queued, and after which others.

use super::JobManager;
use crate::clock::{Timestamp, to_milliseconds};
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::name::Name;
use crate::queue::{self, After, AfterWhen, InQueue, LimitOn, QueueReason, ReachedLimit};
use crate::record::RECORD_VERSION;
use crate::state::Status;
use crate::store::room::Room;
use crate::store::{Load, Slot};
use crate::sys::load::Readings;
use crate::sys::world;

impl JobManager {
    /// Returns why a job is queued; `None` if it is not.
    ///
    /// If the limit of its group is reached, that is the reason, since nothing outside the group makes room for it;
    /// otherwise it is the limit of the store. A job for which there is room waits for a program that may start it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn why_queued(&self, job: &Job) -> Result<Option<InQueue>> {
        match job.status() {
            Status::Queued => Ok(Some(self.in_queue(job, &self.store.load().await?).await?)),
            _ => Ok(None),
        }
    }

    /// Keeps queued jobs of a group, or of the whole store, from being started, or lets them start again. Running jobs
    /// continue.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn pause_queue(&self, group: Option<&Name>, paused: bool) -> Result<()> {
        let group = group.cloned();
        self.change_settings(move |settings| match &group {
            Some(group) => settings.pause_group(group.clone(), paused),
            None => settings.paused = paused,
        })
        .await?;
        if !paused {
            self.tend().await;
        }
        Ok(())
    }

    /// Limits how many slots of a group may be in use at a time, from now on; 0 leaves only the store's limit.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn limit_group(&self, group: &Name, limit: u32) -> Result<()> {
        if self.store.settings().await?.groups.get(group).is_none_or(|group| group.limit != limit) {
            let group = group.clone();
            self.change_settings(move |settings| settings.set_group(group.clone(), limit)).await?;
        }
        Ok(())
    }

    /// Returns the job, of a group if one is named, that has been running for the longest time.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn oldest_running(&self, group: Option<&Name>) -> Result<Option<Job>> {
        let mut oldest: Option<Job> = None;
        for slot in self.store.load().await?.running {
            if group.is_some() && slot.group.as_ref() != group {
                continue;
            }
            // A job that was removed or cannot be read is not the one to name.
            let Ok(job) = self.job(slot.id).await else { continue };
            if !job.status().is_final() && oldest.as_ref().is_none_or(|oldest| job.submitted_at < oldest.submitted_at) {
                oldest = Some(job);
            }
        }
        Ok(oldest)
    }

    pub(super) async fn in_queue(&self, job: &Job, load: &Load) -> Result<InQueue> {
        let (settings, group, now) = (&load.settings, job.spec.group.as_ref(), self.clock.now());
        let queued = |reason, position| Ok(InQueue { reason, position, since: to_milliseconds(job.submitted_at) });
        if load.running.iter().any(|slot| slot.id == job.id) {
            return queued(self.why_not_started(job.id).await?, None);
        }
        if let Some(repeat) = job.spec.repeat.clone() {
            let at = job.place.not_before.filter(|_| !job.place.on_hold);
            return match at {
                Some(at) if at <= now => queued(self.why_not_started(job.id).await?, None),
                at => queued(
                    QueueReason::Repeats { repeat, at: at.map(to_milliseconds), last_run: job.place.last_run },
                    None,
                ),
            };
        }
        if job.place.on_hold {
            return queued(QueueReason::OnHold, None);
        }
        if let Some(at) = job.place.not_before.filter(|at| *at > now) {
            return queued(QueueReason::Scheduled { at: to_milliseconds(at) }, None);
        }
        let after = self.not_ended(&job.spec.after).await?;
        if !after.is_empty() {
            return queued(QueueReason::After { after }, None);
        }
        if settings.is_paused(group) {
            let paused = Some(group.cloned()).filter(|_| !settings.paused).flatten();
            let position = match settings.paused {
                true => position(load, job.id, now, |_| true),
                false => position(load, job.id, now, |other| other.group.as_ref() == group),
            };
            return queued(QueueReason::Paused { group: paused }, position);
        }
        let readings = Readings::now();
        if let Some(unmet) = queue::unmet(&settings.guard, &readings) {
            return queued(QueueReason::Guard(unmet), None);
        }
        if let Some(unmet) = queue::unmet(&job.spec.when, &readings) {
            return queued(QueueReason::Load(unmet), None);
        }
        let (slot, room) = (Slot::of(job.id, &job.spec, job.place.clone()), Room::beside(settings, &load.running));
        let Some(ReachedLimit { on, needed, in_use, limit, .. }) = room.reached(&slot, &[]) else {
            let is_first = position(load, job.id, now, |_| true).is_none_or(|position| position == 1);
            let reason = if is_first {
                self.why_not_started(job.id).await?
            } else {
                self.why_passed_over(job, load, room).await?
            };
            return queued(reason, None);
        };
        match on {
            LimitOn::Group(group) => {
                let position = position(load, job.id, now, |other| other.group.as_ref() == Some(&group));
                queued(QueueReason::GroupLimit { group, running: in_use, limit }, position)
            }
            LimitOn::Store => {
                // Jobs that wait for their group do not compete for slots that become free.
                let competes = |other: &Slot| room.reached(other, &[]).is_none_or(|limit| limit.on == LimitOn::Store);
                let position = position(load, job.id, now, competes);
                queued(QueueReason::StoreLimit { running: in_use, limit }, position)
            }
            LimitOn::Resource(resource) => {
                let position = position(load, job.id, now, |other| other.resources.contains_key(&resource));
                queued(QueueReason::Resource { resource, needed, in_use, limit }, position)
            }
        }
    }

    /// Returns those of the jobs that have not ended, or not become ready if that is waited for.
    async fn not_ended(&self, after: &[After]) -> Result<Vec<After>> {
        let mut unfinished = Vec::new();
        for after in after {
            match self.store.evidence(after.job_id).await {
                Ok(evidence) if after.when == AfterWhen::Ready && evidence.has_become_ready() => {}
                Ok(evidence) if evidence.ended.is_none() => unfinished.push(*after),
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(unfinished)
    }

    /// Returns why a job for which there is room is not started: the room may be reserved for jobs before it.
    async fn why_passed_over(&self, job: &Job, load: &Load, mut room: Room<'_>) -> Result<QueueReason> {
        let now = self.clock.now();
        for other in load.waiting.iter().take_while(|other| other.id != job.id).filter(|other| other.is_eligible(now)) {
            room.pass_over(other, &[]);
        }
        match room.is_kept(&Slot::of(job.id, &job.spec, job.place.clone()), &[]) {
            true => Ok(QueueReason::Reserved),
            false => self.why_not_started(job.id).await,
        }
    }

    /// Returns why a job that may be started has not been.
    async fn why_not_started(&self, id: JobId) -> Result<QueueReason> {
        let submission = self.store.evidence(id).await?.submission;
        let own = world::capture()?;
        Ok(match () {
            () if submission.v > RECORD_VERSION => QueueReason::LaterVersion,
            () if own.may_act_for(&submission.world) => QueueReason::Due,
            () if own.shares_namespaces_with(&submission.world) => QueueReason::Sandboxed,
            () => QueueReason::OtherNamespace,
        })
    }
}

/// Returns the position of a job among the waiting jobs that count; `None` if it no longer waits.
fn position(load: &Load, id: JobId, now: Timestamp, counts: impl Fn(&Slot) -> bool) -> Option<usize> {
    let place = load.waiting.iter().position(|slot| slot.id == id)?;
    Some(1 + load.waiting[..place].iter().filter(|slot| slot.is_eligible(now) && counts(slot)).count())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::view::tests::block_on;
    use super::*;
    use crate::testing::{FakeRunner, ManualClock, Script};
    use crate::{JobSpec, MemoryStore};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn the_reached_limit_is_named_with_the_position_among_the_jobs_that_wait_for_it() {
        block_on(async {
            let runner = FakeRunner::new(&ManualClock::new()).script("/bin/true", Script::new().stays());
            let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap();
            jobs.change_settings(|settings| {
                settings.max_running = 3;
                settings.set_group(name("web"), 1);
            })
            .await
            .unwrap();
            let submit = async |group: Option<&str>| {
                let spec = JobSpec::command(["/bin/true"]);
                let spec = match group {
                    Some(group) => spec.group(name(group)),
                    None => spec,
                };
                jobs.submit(spec.build().unwrap()).await.unwrap()
            };
            let why = async |job: &Job| jobs.why_queued(job).await.unwrap().map(|queued| queued.to_string());
            let running = submit(Some("web")).await;
            assert_eq!(why(&running).await, None);
            let (first, second) = (submit(Some("web")).await, submit(Some("web")).await);
            assert_eq!(why(&first).await.as_deref(), Some("1 of 1 running in group web, position 1"));
            assert_eq!(why(&second).await.as_deref(), Some("1 of 1 running in group web, position 2"));
            submit(Some("db")).await;
            submit(None).await;
            // Neither the two that wait for their group nor the one of the same group count as being before them.
            let (third, fourth) = (submit(Some("db")).await, submit(None).await);
            assert_eq!(why(&third).await.as_deref(), Some("3 of 3 running, position 1"));
            assert_eq!(why(&fourth).await.as_deref(), Some("3 of 3 running, position 2"));
            assert_eq!(why(&second).await.as_deref(), Some("1 of 1 running in group web, position 2"));
            let shapes = jobs.reports(&[running, second.clone(), fourth.clone()]).await;
            let short: Vec<_> = shapes.iter().map(|shape| shape.queued.as_ref().map(InQueue::in_short)).collect();
            assert_eq!(short, [None, Some("#2: 1 of 1 in web".to_owned()), Some("#2: 3 of 3".to_owned())]);
            assert_eq!(
                shapes[1].queued.as_ref().map(|queued| queued.since),
                Some(to_milliseconds(second.submitted_at))
            );
            jobs.pause_queue(Some(&name("web")), true).await.unwrap();
            assert_eq!(why(&second).await.as_deref(), Some("group web is paused, position 2"));
            jobs.pause_queue(None, true).await.unwrap();
            assert_eq!(why(&fourth).await.as_deref(), Some("the store is paused, position 4"));
        });
    }

    #[test]
    fn a_job_that_waits_for_a_less_busy_machine_names_the_condition_and_can_be_started_anyway() {
        block_on(async {
            let runner = FakeRunner::new(&ManualClock::new()).script("/bin/true", Script::new().stays());
            let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap();
            let spec = |condition: Option<&str>| {
                let spec = JobSpec::command(["/bin/true"]);
                condition.into_iter().fold(spec, |spec, text| spec.when(text.parse().unwrap())).build().unwrap()
            };
            let why = async |job: &Job| jobs.why_queued(job).await.unwrap().unwrap();
            let job = jobs.submit(spec(Some("free-mem>1000000T"))).await.unwrap();
            let queued = why(&job).await;
            assert!(matches!(queued.reason, QueueReason::Load(_)) && queued.position.is_none(), "{queued:?}");
            assert!(
                queued.to_string().starts_with("it starts when free memory is above 976.6 PiB; it is "),
                "{queued}"
            );
            assert_eq!(jobs.submit(spec(None)).await.unwrap().status(), Status::Running);
            let guard = |text: &str| {
                let text = text.to_owned();
                jobs.change_settings(move |settings| settings.set("guard", &text).unwrap())
            };
            guard("load<0").await.unwrap();
            let other = jobs.submit(spec(Some("load<0"))).await.unwrap();
            let queued = why(&other).await;
            assert!(matches!(queued.reason, QueueReason::Guard(_)), "{queued:?}");
            assert!(
                queued.to_string().starts_with("the store starts jobs only when the load average is below 0; it is ")
            );
            assert!(queued.in_short().starts_with("guard load<0, now "));
            assert_eq!(jobs.start_now(other.id).await.unwrap().status(), Status::Running);
            guard("").await.unwrap();
            let edited = jobs.edit(job.id, |spec| spec.when = vec!["free-mem>0".parse().unwrap()]).await.unwrap();
            assert_eq!(edited.status(), Status::Running);
        });
    }
}

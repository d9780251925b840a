//! Why jobs are queued, and behind which others.

use super::JobManager;
use crate::error::Result;
use crate::id::JobId;
use crate::job::Job;
use crate::name::Name;
use crate::queue::{InQueue, QueueReason};
use crate::record::RECORD_VERSION;
use crate::state::Status;
use crate::store::Load;
use crate::sys::world;

impl JobManager {
    /// Returns why a job is queued; nothing if it is not.
    ///
    /// What binds is the limit of its group, if that is reached, since nothing else that ends makes room for it; else that of
    /// the store. A job for which there is room waits for a program that may start it.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn why_queued(&self, job: &Job) -> Result<Option<InQueue>> {
        match job.status() {
            Status::Queued => Ok(Some(self.in_queue(job, &self.store.load().await?).await?)),
            _ => Ok(None),
        }
    }

    /// Keeps queued jobs from being started, or lets them be started again: those of a group, or all of the store. What runs goes
    /// on.
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

    /// Returns the job that has been running for the longest time, of a group if one is named.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn oldest_running(&self, group: Option<&Name>) -> Result<Option<Job>> {
        let mut oldest: Option<Job> = None;
        for slot in self.store.load().await?.running {
            if group.is_some() && slot.group.as_ref() != group {
                continue;
            }
            // One that is gone or cannot be read is not the one to name.
            let Ok(job) = self.job(slot.id).await else { continue };
            if !job.status().is_final() && oldest.as_ref().is_none_or(|oldest| job.submitted_at < oldest.submitted_at) {
                oldest = Some(job);
            }
        }
        Ok(oldest)
    }

    pub(super) async fn in_queue(&self, job: &Job, load: &Load) -> Result<InQueue> {
        let group = job.spec.group.as_ref();
        let in_use = || load.running.iter().filter(|slot| !slot.lent).map(|slot| slot.group.as_ref());
        let reached = |group: Option<&Name>| load.settings.reached(group, in_use());
        let has_slot = load.running.iter().any(|slot| slot.id == job.id);
        if load.settings.is_paused(group) && !has_slot {
            let paused = Some(group.cloned()).filter(|_| !load.settings.paused).flatten();
            let position = match load.settings.paused {
                true => position(load, job.id, |_| true),
                false => position(load, job.id, |other| other == group),
            };
            return Ok(InQueue { reason: QueueReason::Paused { group: paused }, position, since: job.submitted_at });
        }
        let (reason, position) = match reached(group).filter(|_| !has_slot) {
            Some(limit) => match limit.group {
                Some(group) => {
                    let position = position(load, job.id, |other| other == Some(&group));
                    (QueueReason::GroupLimit { group, running: limit.running, limit: limit.limit }, position)
                }
                None => {
                    // Those that wait for their group do not compete for what becomes free.
                    let competes = |other: Option<&Name>| reached(other).is_none_or(|limit| limit.group.is_none());
                    let position = position(load, job.id, competes);
                    (QueueReason::StoreLimit { running: limit.running, limit: limit.limit }, position)
                }
            },
            None => (self.why_not_started(job.id).await?, None),
        };
        Ok(InQueue { reason, position, since: job.submitted_at })
    }

    /// Returns why a job that may be started is not.
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

/// Returns the place of a job among those that wait, of which only some count; nothing if it does not wait any more.
fn position(load: &Load, id: JobId, counts: impl Fn(Option<&Name>) -> bool) -> Option<usize> {
    let place = load.waiting.iter().position(|slot| slot.id == id)?;
    Some(1 + load.waiting[..place].iter().filter(|slot| counts(slot.group.as_ref())).count())
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
    fn the_limit_that_binds_is_named_with_the_place_among_those_that_wait_for_it() {
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
            // Neither the two that wait for their group nor that of the same group count before them.
            let (third, fourth) = (submit(Some("db")).await, submit(None).await);
            assert_eq!(why(&third).await.as_deref(), Some("3 of 3 running, position 1"));
            assert_eq!(why(&fourth).await.as_deref(), Some("3 of 3 running, position 2"));
            assert_eq!(why(&second).await.as_deref(), Some("1 of 1 running in group web, position 2"));
            let shapes = jobs.reports(&[running, second.clone(), fourth.clone()]).await;
            let short: Vec<_> = shapes.iter().map(|shape| shape.queued.as_ref().map(InQueue::in_short)).collect();
            assert_eq!(short, [None, Some("#2: 1 of 1 in web".to_owned()), Some("#2: 3 of 3".to_owned())]);
            assert_eq!(shapes[1].queued.as_ref().map(|queued| queued.since), Some(second.submitted_at));
            jobs.pause_queue(Some(&name("web")), true).await.unwrap();
            assert_eq!(why(&second).await.as_deref(), Some("group web is paused, position 2"));
            jobs.pause_queue(None, true).await.unwrap();
            assert_eq!(why(&fourth).await.as_deref(), Some("the store is paused, position 4"));
        });
    }
}

//! Which job starts next: decided under the admission lock. The lock of a job is the claim, and a slot is free only when its
//! job has an end record.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::admission::Admission;
use super::atomic;
use super::catalogue::Catalogue;
use super::claim::FileClaim;
use super::entry::{Entry, Queued, entries, slot_name};
use super::events::EventLog;
use super::hints::{Hints, Kind};
use super::index::{Index, RowState};
use super::jobs::Jobs;
use super::layout::Layout;
use super::names::Names;
use super::records::Records;
use super::settings::SettingsFile;
use super::slots::Slots;
use super::staging::Staging;
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::record::{RECORD_VERSION, Submission, Verdict};
use crate::store::settings::StoreSettings;
use crate::store::tend::{Found, look_after};
use crate::store::{Created, EventKind, JobEvent, JobStore, Load, Query, Slot, WhenFull};
use crate::sys::world::{self, World};

/// The queue of a store.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    layout: Layout,
    jobs: Jobs,
    staging: Staging,
    settings: SettingsFile,
    index: Index,
    events: EventLog,
    hints: Hints,
    slots: Slots,
    catalogue: Catalogue,
    names: Names,
}

impl Queue {
    pub(super) fn new(layout: &Layout, staging: &Staging) -> Self {
        Self {
            layout: layout.clone(),
            jobs: Jobs::new(layout),
            staging: staging.clone(),
            settings: SettingsFile::new(layout),
            index: Index::new(layout),
            events: EventLog::new(layout),
            hints: Hints::new(layout),
            slots: Slots::new(layout),
            catalogue: Catalogue::new(layout),
            names: Names::new(layout),
        }
    }

    /// Returns when jobs of a group were submitted, at least those of the last minute.
    fn submitted_in(&self, group: &Name, now: Timestamp) -> Result<Vec<Timestamp>> {
        let since = now - Duration::from_secs(60);
        let query = Query::default().with_group(Some(group.clone())).with_times(Some(since), None);
        let submission = |id| self.jobs.submission(id).ok().flatten();
        let found = self.catalogue.ids(&query, None, usize::MAX)?.into_iter().filter_map(submission);
        Ok(found.map(|found| found.submitted_at).collect())
    }

    /// Puts a staged job into its place, and into the queue, unless there is something against it.
    pub(super) async fn enqueue(&self, store: &dyn JobStore, submission: &Submission) -> Result<Created> {
        let group = submission.spec.group.as_ref();
        let admission = Admission::take(&self.layout)?;
        let settings = self.settings.read()?;
        if let Created::Existing(id) = self.names.check(&admission, submission)? {
            return Ok(Created::Existing(id));
        }
        if let Some(group) = group.as_ref().filter(|group| settings.group_rate(group) != 0) {
            let now = submission.submitted_at;
            settings.check_rate(group, now, self.submitted_in(group, now)?)?;
        }
        if settings.when_full == WhenFull::Refuse {
            let mut taken = self.hints.entries(&admission, Kind::Slots)?;
            if !has_room(&settings, group, &taken) {
                self.free_slots(store, &mut taken).await;
            }
            // Jobs that wait already come first.
            let mut waiting = self.hints.entries(&admission, Kind::Queue)?;
            // One that is about to be started has a slot already.
            waiting.retain(|entry| taken.iter().all(|slot| slot.slot.id != entry.slot.id));
            taken.extend(waiting);
            let taken = taken.iter().map(|entry| entry.slot.group.as_ref());
            if let Some(reached) = settings.reached(group, taken) {
                return Err(reached.into());
            }
        }
        self.place(&admission, submission).map(|()| Created::New)
    }

    /// Puts a staged job into its place, and into the queue.
    pub(super) fn place(&self, admission: &Admission, submission: &Submission) -> Result<()> {
        let (id, group) = (submission.job_id, submission.spec.group.clone());
        // The row first: one without a job is passed over, a job without one would not be listed.
        let row = self.index.add(submission)?;
        let queued = Queued { v: RECORD_VERSION, sequence: admission.next_number()?, row, group };
        let staged = self.layout.staged(id).queued();
        atomic::write_private(&staged, &atomic::to_json(&queued, &staged)?)?;
        // Names and keys are written first as well: one that points to no job is ignored.
        self.names.give(admission, id, &submission.spec)?;
        // The hint first: one without a job is passed over, a job without one would not be found.
        let entry = self.layout.queue().join(queued.entry_name(id));
        let make = || atomic::unless_missing(atomic::create_file(&entry).map(drop).context("make", &entry));
        let made = make().and_then(|made| match made {
            Some(()) => Ok(()),
            None => {
                self.hints.make_again(admission, Kind::Queue)?;
                make().map(drop)
            }
        });
        let made = made.and_then(|()| self.staging.publish(id));
        match &made {
            Ok(()) => self.events.add(&JobEvent::now(id, EventKind::Submitted)),
            Err(_) => {
                let _ = fs::remove_file(&entry);
                self.index.mark(id, row, RowState::Removed);
            }
        }
        made
    }

    /// Takes charge of the job that is to start next, if there is one, and a slot for it.
    pub(super) async fn due(&self, store: &dyn JobStore) -> Result<Option<FileClaim>> {
        if atomic::list(&self.layout.queue())?.is_some_and(|names| names.is_empty()) {
            return Ok(None);
        }
        let admission = Admission::take(&self.layout)?;
        let settings = self.settings.read()?;
        let own = world::capture()?;
        let mut taken = self.hints.entries(&admission, Kind::Slots)?;
        let mut is_checked = false;
        for entry in self.hints.entries(&admission, Kind::Queue)? {
            let has_slot = taken.iter().any(|slot| slot.slot.id == entry.slot.id);
            if !has_slot && !has_room(&settings, entry.slot.group.as_ref(), &taken) {
                if is_checked {
                    continue;
                }
                is_checked = true;
                self.free_slots(store, &mut taken).await;
                if !has_room(&settings, entry.slot.group.as_ref(), &taken) {
                    continue;
                }
            }
            if let Some(claim) = self.claim_waiting(&entry, &own)? {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }

    /// Takes the lock and a slot of a job that waits, if it really does and is for this process to start.
    fn claim_waiting(&self, entry: &Entry, own: &World) -> Result<Option<FileClaim>> {
        let id = entry.slot.id;
        let forget = || drop(fs::remove_file(self.layout.queue().join(&entry.name)));
        // Without a lock, or if it cannot be looked at, it is not started. It stays where it is: to be seen and removed, or
        // to be started when that works. What this process lacks it would lack for all others, too.
        let pass_over = |error: Error| if error.lacks_resources() { Err(error) } else { Ok(None) };
        let records = match Records::claim(&self.layout, id) {
            Ok(Some(records)) => records,
            // It is being started, or has been.
            Ok(None) => return Ok(None),
            Err(Error::NotFound { .. }) => {
                forget();
                return Ok(None);
            }
            Err(error) => return pass_over(error),
        };
        // Not known to be past the queue is not the same as known to wait: what cannot be looked at is not started.
        let is_past_queue = match records.is_past_queue() {
            Ok(is_past_queue) => is_past_queue,
            Err(error) => return pass_over(error),
        };
        if is_past_queue {
            records.complete_end()?;
            forget();
            return Ok(None);
        }
        let submission = match records.submission() {
            Ok(submission) => submission,
            Err(error) => return pass_over(error),
        };
        // A sandbox or a container that this process is in is not the world that the submitter meant; and a record of
        // a later version is for a process of a later version.
        if !own.may_act_for(&submission.world) || submission.v > RECORD_VERSION {
            return Ok(None);
        }
        let slot = self.layout.slots().join(slot_name(&entry.slot));
        match atomic::create_file(&slot) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("make", &slot)(error)),
            Ok(_) | Err(_) => Ok(Some(FileClaim::new(records, submission))),
        }
    }

    /// Frees the slots of jobs that have ended, including those whose end was not seen.
    async fn free_slots(&self, store: &dyn JobStore, taken: &mut Vec<Entry>) {
        for entry in std::mem::take(taken) {
            if !self.has_ended(store, &entry).await {
                taken.push(entry);
            }
        }
    }

    /// Returns whether the job that has a slot has ended. If so, the end is on record afterwards.
    async fn has_ended(&self, store: &dyn JobStore, entry: &Entry) -> bool {
        let (id, now) = (entry.slot.id, Timestamp::now());
        match self.jobs.evidence(id).and_then(|evidence| evidence.judge(now)) {
            Ok((job, Verdict::OnRecord)) if job.status().is_final() => {
                // Its holder may have died before all was done; otherwise it gives the slot back itself.
                self.slots.finish_again(id);
                true
            }
            Ok((_, Verdict::OnRecord)) => false,
            Ok((_, Verdict::FoundOut)) => matches!(look_after(store, id, now).await, Ok(Found::Settled(_, true))),
            Err(Error::NotFound { .. }) => {
                let _ = fs::remove_file(self.layout.slots().join(&entry.name));
                true
            }
            // What cannot be read may run.
            Err(_) => false,
        }
    }

    /// Puts a job back into the queue that waits and is not in it, and returns whether that was so. The queue is no truth,
    /// but a job that is not in it is never started.
    pub(super) fn put_back(&self, id: JobId) -> Result<bool> {
        let directory = self.layout.queue();
        let queued = match self.hints.place_of(id)? {
            Some(queued) => queued,
            None if entries(&directory)?.is_some_and(|there| there.iter().any(|entry| entry.slot.id == id)) => {
                return Ok(false);
            }
            None => self.hints.first_place(id)?,
        };
        let entry = directory.join(queued.entry_name(id));
        if atomic::is_there(&entry)? {
            return Ok(false);
        }
        match atomic::create_file(&entry) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.hints.make_again(&Admission::take(&self.layout)?, Kind::Queue)?;
            }
            Err(error) => return Err(Error::io("make", &entry)(error)),
        }
        tracing::warn!(%id, "a job that waits was not in the queue, and was put back");
        Ok(true)
    }

    /// Returns which jobs have a slot and which wait for one.
    pub(super) fn load(&self) -> Result<Load> {
        let settings = self.settings.read()?;
        let slots = |directory: &Path| -> Result<Vec<Slot>> {
            Ok(entries(directory)?.unwrap_or_default().into_iter().map(|entry| entry.slot).collect())
        };
        let (running, mut waiting) = (slots(&self.layout.slots())?, slots(&self.layout.queue())?);
        waiting.retain(|slot| !running.contains(slot));
        Ok(Load { settings, running, waiting })
    }
}

fn has_room(settings: &StoreSettings, group: Option<&Name>, taken: &[Entry]) -> bool {
    settings.has_room(group, taken.iter().map(|entry| entry.slot.group.as_ref()))
}

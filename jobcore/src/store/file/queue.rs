//! Which job starts next: decided under the admission lock. The lock of a job is the claim, and a slot is free only
//! when its job has an end record.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::time::Duration;

use super::admission::{self, Admission, Entry, Rows};
use super::catalogue::Catalogue;
use super::claim::FileClaim;
use super::events::EventLog;
use super::index::{Index, RowState};
use super::job_file::{self, JobFile, Queued};
use super::jobs::Jobs;
use super::layout::Layout;
use super::names::Names;
use super::records::Records;
use super::settings::SettingsFile;
use super::slots::Slots;
use super::staging::Staging;
use super::{FileStore, Left};
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::queue;
use crate::record::{Ended, RECORD_VERSION, Start, Submission, Verdict};
use crate::spec::JobSpec;
use crate::state::{Cause, Outcome};
use crate::store::dependencies::{self, Dependencies};
use crate::store::derived::MAX_ANCESTORS;
use crate::store::room::Room;
use crate::store::settings::StoreSettings;
use crate::store::tend::{Found, look_after};
use crate::store::{Created, EventKind, JobEvent, LOOK_AT_LOAD, Load, Query, Slot, Submitted, WhenFull};
use crate::sys::load::Readings;
use crate::sys::lock;
use crate::sys::world::{self, World};

/// The result of looking at a job that waits according to its row.
pub(super) enum Looked {
    /// It does wait, and is now locked.
    Waits(Box<Waiting>),
    /// Its entry differed from what is on record, and has been corrected.
    Corrected,
    /// It does not wait, or this process is not to start it.
    Nothing,
}

/// A job that waits, and its lock.
pub(super) struct Waiting {
    pub(super) records: Records,
    pub(super) read: JobFile,
    pub(super) submission: Submission,
}

/// The result of looking at a job that may be due.
enum Claimed {
    /// It is due, and now locked.
    Due(Box<FileClaim>),
    /// Its entry differed from what is on record, and has been corrected.
    Corrected,
    /// It is not due, or this process is not to start it.
    Nothing,
}

/// Conditions on the load of the machine, judged at one moment. Of many jobs with the same conditions, only one is
/// opened.
#[derive(Debug)]
struct Judged {
    readings: Readings,
    hold: HashMap<u32, bool>,
}

impl Default for Judged {
    fn default() -> Self {
        Self { readings: Readings::now(), hold: HashMap::new() }
    }
}

impl Judged {
    /// Returns whether the conditions of a job are met.
    fn allow(&mut self, entry: &Entry, jobs: &Jobs) -> bool {
        let Self { readings, hold } = self;
        // An unreadable job is passed over when it is to be claimed.
        let judge =
            || jobs.submission(entry.slot.id).map_or(true, |read| queue::unmet(&read.spec.when, readings).is_none());
        entry.conditions == 0 || *hold.entry(entry.conditions).or_insert_with(judge)
    }
}

/// The queue of a store.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) layout: Layout,
    pub(super) jobs: Jobs,
    pub(super) staging: Staging,
    settings: SettingsFile,
    index: Index,
    events: EventLog,
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
            slots: Slots::new(layout),
            catalogue: Catalogue::new(layout),
            names: Names::new(layout),
        }
    }

    /// Returns when jobs of a group were submitted, at least within the last minute.
    fn submitted_in(&self, group: &Name, now: Timestamp) -> Result<Vec<Timestamp>> {
        let since = now - Duration::from_secs(60);
        let query = Query::default().with_group(Some(group.clone())).with_times(Some(since), None);
        let submission = |id| self.jobs.submission(id).ok();
        let found = self.catalogue.ids(&query, None, usize::MAX)?.into_iter().filter_map(submission);
        Ok(found.map(|found| found.submitted_at).collect())
    }

    /// Takes the admission lock for a submission.
    fn admit(&self, submission: &Submission) -> Result<Admission> {
        if let Some(group) = &submission.spec.group
            && self.settings.read()?.group_rate(group) != 0
        {
            // If the index has to be rebuilt, for example after a reboot, that takes the lock.
            self.submitted_in(group, submission.submitted_at)?;
        }
        Admission::take(&self.layout)
    }

    /// Puts a staged job into its place and into the queue, unless it is refused.
    pub(super) async fn enqueue(&self, store: &FileStore, submission: &Submission, staged: &File) -> Result<Created> {
        let mut admission = self.admit(submission)?;
        if let Created::Existing(id) = self.check(store, &mut admission, submission).await?.0 {
            return Ok(Created::Existing(id));
        }
        let entry = self.new_entry(&admission, submission);
        self.place(&mut admission, submission, staged, &entry).map(|()| Created::New)
    }

    /// Puts a staged job into its place as [`Queue::enqueue`] does, and claims it if it may start.
    pub(super) async fn submit(&self, store: &FileStore, submission: Submission, staged: File) -> Result<Submitted> {
        let mut admission = self.admit(&submission)?;
        let (created, settings) = self.check(store, &mut admission, &submission).await?;
        if let Created::Existing(id) = created {
            return Ok(Submitted::Existing(id));
        }
        let mut entry = self.new_entry(&admission, &submission);
        let is_due = self.may_start_at_once(&settings, &mut admission, &submission.spec, &mut entry)?;
        let path = self.layout.staged(submission.job_id).record();
        // Before it is in its place, so that no other process claims it.
        if is_due && !lock::try_take(&staged).context("lock", &path)? {
            return Err(Error::Damaged { path, reason: "another process has locked it".to_owned() });
        }
        self.place(&mut admission, &submission, &staged, &Entry { has_slot: is_due, ..entry })?;
        if !is_due {
            return Ok(Submitted::Queued);
        }
        let records = Records::with_lock(&self.layout, submission.job_id, staged);
        Ok(Submitted::Due(Box::new(FileClaim::due(records, submission, self.slots.clone()))))
    }

    /// Returns whether a new job may start before all that wait, and if so, gives it what it needs.
    fn may_start_at_once(
        &self,
        settings: &StoreSettings,
        admission: &mut Admission,
        spec: &JobSpec,
        entry: &mut Entry,
    ) -> Result<bool> {
        let now = Timestamp::now();
        if entry.has_dependencies || !entry.slot.is_eligible(now) {
            return Ok(false);
        }
        let readings = Readings::now();
        if [&settings.guard, &spec.when].into_iter().any(|conditions| queue::unmet(conditions, &readings).is_some()) {
            return Ok(false);
        }
        let taken = self.in_use(admission)?;
        let mut room = Room::beside(settings, taken.iter().map(|entry| &entry.slot));
        // This decides most cases in which the job has to wait, however many wait already.
        let own = self.ancestors(&room, &entry.slot);
        if !room.is_enough(&entry.slot, &own) {
            return Ok(false);
        }
        let waiting = admission.waiting()?;
        for other in waiting.iter().filter(|other| other.slot.place.rank() <= entry.slot.place.rank()) {
            if other.has_dependencies || other.conditions != 0 || !other.slot.is_eligible(now) {
                continue;
            }
            let ancestors = self.ancestors(&room, &other.slot);
            if room.is_enough(&other.slot, &ancestors) {
                return Ok(false);
            }
            room.pass_over(&other.slot, &ancestors);
        }
        let is_enough = room.is_enough(&entry.slot, &own);
        if is_enough {
            room.give(&mut entry.slot, &own);
        }
        Ok(is_enough)
    }

    /// Returns the chain of jobs by which a job was submitted, if that makes a difference to what it lacks.
    fn ancestors(&self, room: &Room<'_>, slot: &Slot) -> Vec<JobId> {
        let mut ancestors = Vec::new();
        if room.may_inherit(slot) {
            let parent = |id| self.jobs.submission(id).ok().and_then(|submission| submission.spec.parent);
            ancestors.extend(std::iter::successors(parent(slot.id), |id| parent(*id)).take(MAX_ANCESTORS));
        }
        ancestors
    }

    /// Refuses a job that must not be added, and finds the job that already has its key.
    async fn check(
        &self,
        store: &FileStore,
        admission: &mut Admission,
        submission: &Submission,
    ) -> Result<(Created, StoreSettings)> {
        let group = submission.spec.group.as_ref();
        let settings = self.settings.read()?;
        admission.note_settings(&settings)?;
        if let Created::Existing(id) = self.names.check(admission, submission)? {
            return Ok((Created::Existing(id), settings));
        }
        if let Some(group) = group.filter(|group| settings.group_rate(group) != 0) {
            let now = submission.submitted_at;
            settings.check_rate(group, now, self.submitted_in(group, now)?)?;
        }
        // A schedule takes nothing and blocks no other job.
        if settings.when_full == WhenFull::Refuse && submission.spec.repeat.is_none() {
            let slot = Slot::of(submission.job_id, &submission.spec, submission.spec.first_place());
            let mut before = self.in_use(admission)?;
            if Room::beside(&settings, before.iter().map(|entry| &entry.slot)).reached(&slot, &[]).is_some() {
                before = self.free_slots(store, admission).await?;
            }
            // Jobs that already wait come first.
            before.extend(admission.waiting()?.into_iter().filter(|entry| !entry.slot.repeats));
            if let Some(reached) = Room::beside(&settings, before.iter().map(|entry| &entry.slot)).reached(&slot, &[]) {
                return Err(Error::Full(reached));
            }
        }
        Ok((Created::New, settings))
    }

    /// Returns the entry of a new job: after all others.
    pub(super) fn new_entry(&self, admission: &Admission, submission: &Submission) -> Entry {
        let mut place = submission.spec.first_place();
        place.order = admission.last_order();
        Entry::new(submission.job_id, &submission.spec, place)
    }

    /// Puts a staged job into its place, with a slot or into the queue.
    pub(super) fn place(
        &self,
        admission: &mut Admission,
        submission: &Submission,
        staged: &File,
        entry: &Entry,
    ) -> Result<()> {
        let id = submission.job_id;
        // The row comes first: a row without a job is ignored, but a job without a row would not be listed.
        let row = self.index.add(submission)?;
        let queued = Queued::new(&submission.spec, &entry.slot.place, row);
        job_file::write(staged, &self.layout.staged(id).record(), id, &queued)?;
        // Names and keys also come first: an entry that points to no job is ignored.
        self.names.give(admission, id, &submission.spec)?;
        // So does the entry: without a job it is ignored, but a job without an entry would not be found.
        let published = admission.put(entry).and_then(|()| self.staging.publish(id));
        match &published {
            Ok(()) => self.events.add(&JobEvent::now(id, EventKind::Submitted)),
            Err(_) => {
                let _ = admission.remove(id);
                self.index.mark(id, row, RowState::Removed);
            }
        }
        published
    }

    /// Claims the job that is to start next, if there is one, and takes a slot for it.
    pub(super) async fn due(&self, store: &FileStore) -> Result<Option<FileClaim>> {
        if !admission::rows(&self.layout)?.has_waiting() {
            return Ok(None);
        }
        self.next_due(store, &mut Admission::take(&self.layout)?).await
    }

    /// Gives back the slot of a job that has ended, and claims the job that is to start next.
    pub(super) async fn leave(&self, store: &FileStore, id: JobId) -> Result<Left> {
        let mut admission = Admission::take(&self.layout)?;
        let has_hooks = self.slots.vacate(&mut admission, id)?;
        let is_other = |entry: &Entry| entry.slot.id != id;
        let has_others = admission.rows.taken().iter().any(is_other);
        let next = self.next_due(store, &mut admission).await?;
        let next_start = self.next_start(&admission.rows);
        Ok(Left { next: next.map(|claim| Box::new(claim) as _), has_others, has_hooks, next_start })
    }

    async fn next_due(&self, store: &FileStore, admission: &mut Admission) -> Result<Option<FileClaim>> {
        if !admission.rows.has_waiting() {
            return Ok(None);
        }
        let (settings, own, now) = (self.settings.read()?, world::capture()?, Timestamp::now());
        admission.note_settings(&settings)?;
        if admission.rows.has_due_schedule(now) {
            self.run_schedules(store, admission, &own, now).await?;
        }
        let mut taken = self.in_use(admission)?;
        let mut room = Room::beside(&settings, taken.iter().map(|entry| &entry.slot));
        let mut is_checked = false;
        if room.is_full() {
            is_checked = true;
            taken = self.free_slots(store, admission).await?;
            room = Room::beside(&settings, taken.iter().map(|entry| &entry.slot));
        }
        let held_back = self.held_back(admission)?;
        // If so, no waiting job can start, and there may be very many.
        if room.is_full() {
            return Ok(None);
        }
        let mut judged = Judged::default();
        if queue::unmet(&settings.guard, &judged.readings).is_some() {
            return Ok(None);
        }
        for mut entry in admission.waiting()? {
            if held_back.contains(&entry.slot.id)
                || !entry.slot.is_eligible(now)
                || settings.is_paused(entry.slot.group.as_ref())
                || !judged.allow(&entry, &self.jobs)
            {
                continue;
            }
            let ancestors = self.ancestors(&room, &entry.slot);
            if !is_checked && room.reached(&entry.slot, &ancestors).is_some() {
                is_checked = true;
                taken = self.free_slots(store, admission).await?;
                room = Room::beside(&settings, taken.iter().map(|entry| &entry.slot));
            }
            if !room.is_enough(&entry.slot, &ancestors) {
                room.pass_over(&entry.slot, &ancestors);
                continue;
            }
            room.give(&mut entry.slot, &ancestors);
            match self.claim_waiting(admission, entry, &own)? {
                Claimed::Due(claim) => return Ok(Some(*claim)),
                Claimed::Corrected => return Box::pin(self.next_due(store, admission)).await,
                Claimed::Nothing => {}
            }
        }
        Ok(None)
    }

    /// Returns when to check the queue next: when a job that waits for a time may start, and soon if one waits for the
    /// machine to be less busy, because the kernel does not report that.
    pub(super) fn next_start(&self, rows: &Rows) -> Option<Timestamp> {
        let now = Timestamp::now();
        let timed = rows.next_start(now);
        let look = self.may_wait_for_load(rows, now).then(|| now + LOOK_AT_LOAD);
        timed.into_iter().chain(look).min()
    }

    /// Returns whether a job has room but is not started, perhaps because the machine is busy. The current load does
    /// not matter: the machine may have been busy a moment ago, when the queue was checked. For a job without room,
    /// whatever makes room checks the queue again.
    fn may_wait_for_load(&self, rows: &Rows, now: Timestamp) -> bool {
        let mut waiting = rows.eligible(now, rows.may_have_guard()).peekable();
        if waiting.peek().is_none() {
            return false;
        }
        // Without settings nothing is started.
        let Ok(settings) = self.settings.read() else { return false };
        let taken = rows.taken();
        let room = Room::beside(&settings, taken.iter().filter(|entry| entry.has_slot).map(|entry| &entry.slot));
        !room.is_full()
            && waiting.any(|Entry { slot, conditions, .. }| {
                (conditions != 0 || !settings.guard.is_empty())
                    && !settings.is_paused(slot.group.as_ref())
                    && room.reached(&slot, &self.ancestors(&room, &slot)).is_none()
            })
    }

    /// Ends jobs that wait for others in vain, and returns those that still wait for others.
    fn held_back(&self, admission: &mut Admission) -> Result<HashSet<JobId>> {
        loop {
            let (mut held_back, mut has_ended_any) = (HashSet::new(), false);
            let dependent = admission.rows.dependent();
            if dependent.is_empty() {
                return Ok(held_back);
            }
            let unfinished: HashSet<JobId> = admission.rows.unfinished().collect();
            for mut entry in dependent {
                let id = entry.slot.id;
                if entry.unfinished.is_some_and(|id| unfinished.contains(&id)) {
                    held_back.insert(id);
                    continue;
                }
                let found = match self.dependencies(id) {
                    Ok(Dependencies::Met) => None,
                    Ok(Dependencies::Unfinished(other)) => Some(other),
                    Ok(Dependencies::Failed(reason)) => {
                        if self.skip(admission, id, reason)? {
                            has_ended_any = true;
                        } else {
                            // Another process has its lock. No slot is kept for it.
                            held_back.insert(id);
                        }
                        continue;
                    }
                    Ok(Dependencies::NotReady) | Err(Error::NotFound { .. } | Error::Damaged { .. }) => {
                        // It is not started while this is so or unknown, and is checked again the next time.
                        held_back.insert(id);
                        continue;
                    }
                    Err(error) => return Err(error),
                };
                if found.is_some() {
                    held_back.insert(id);
                }
                if std::mem::replace(&mut entry.unfinished, found) != found {
                    admission.put(&entry)?;
                }
            }
            // Other jobs may wait for those that were ended.
            if !has_ended_any {
                return Ok(held_back);
            }
        }
    }

    fn dependencies(&self, id: JobId) -> Result<Dependencies> {
        let after = self.jobs.submission(id)?.spec.after;
        dependencies::judge(&after, |id| match self.jobs.evidence(id) {
            Err(Error::NotFound { .. }) => Ok(None),
            evidence => evidence.map(Some),
        })
    }

    /// Ends a job that waits for others in vain, and returns whether it has ended.
    fn skip(&self, admission: &mut Admission, id: JobId, reason: String) -> Result<bool> {
        let records = match Records::claim(&self.layout, id) {
            Ok(Some(records)) => records,
            Ok(None) | Err(Error::Damaged { .. }) => return Ok(false),
            Err(Error::NotFound { .. }) => return admission.remove(id).map(|()| true),
            Err(error) => return Err(error),
        };
        let read = records.read()?;
        // It may have been started without waiting for the others.
        if read.has::<Start>() {
            return Ok(false);
        }
        let mut outcome = Outcome::new(Cause::Skipped, Timestamp::now());
        outcome.message = Some(reason);
        if records.finish(&Ended::new(None, outcome))? {
            self.slots.vacate(admission, id)?;
        }
        Ok(true)
    }

    /// Takes the lock of a waiting job and a slot for it, if it really waits and this process is to start it.
    fn claim_waiting(&self, admission: &mut Admission, entry: Entry, own: &World) -> Result<Claimed> {
        let Waiting { records, submission, .. } = match self.look_at_waiting(admission, &entry, own)? {
            Looked::Waits(waiting) => *waiting,
            Looked::Corrected => return Ok(Claimed::Corrected),
            Looked::Nothing => return Ok(Claimed::Nothing),
        };
        records.set_place(&submission.spec, &entry.slot.place)?;
        admission.put(&entry.with_slot())?;
        Ok(Claimed::Due(Box::new(FileClaim::due(records, submission, self.slots.clone()))))
    }

    /// Takes the lock of a waiting job, if it really waits and this process is to start it.
    pub(super) fn look_at_waiting(&self, admission: &mut Admission, entry: &Entry, own: &World) -> Result<Looked> {
        let id = entry.slot.id;
        // A job that has no lock or cannot be examined is not started. It stays where it is, to be noticed and removed,
        // or to be started once that works. A resource that this process lacks would be missing for all other jobs,
        // too.
        let pass_over = |error: Error| if error.lacks_resources() { Err(error) } else { Ok(Looked::Nothing) };
        let records = match Records::claim(&self.layout, id) {
            Ok(Some(records)) => records,
            // It is being started, or has been.
            Ok(None) => return Ok(Looked::Nothing),
            Err(Error::NotFound { .. }) => return admission.remove(id).map(|()| Looked::Nothing),
            Err(error) => return pass_over(error),
        };
        // A job that cannot be read may have left the queue, so it is not started.
        let read = match records.read() {
            Ok(read) => read,
            Err(error) => return pass_over(error),
        };
        if read.has::<Ended>() {
            return match records.complete_end() {
                Ok(true) => self.slots.vacate(admission, id).map(|_| Looked::Nothing),
                Ok(false) => Ok(Looked::Nothing),
                Err(error) => pass_over(error),
            };
        }
        if read.has::<Start>() {
            return admission.put(&entry.clone().with_slot()).map(|()| Looked::Nothing);
        }
        let submission = match read.submission() {
            Ok(submission) => submission,
            Err(error) => return pass_over(error),
        };
        // The entry is derived from what is on record, which may have been changed by a process that was killed before
        // it also changed the entry.
        let on_record = Entry::new(id, &submission.spec, read.place(&submission.spec));
        if !entry.is_of(&on_record) {
            return admission.put(&on_record).map(|()| Looked::Corrected);
        }
        // A sandbox or a container that this process is in is not the world that the submitter meant, and a record of a
        // later version is for a process of a later version.
        if !own.may_act_for(&submission.world) || submission.v > RECORD_VERSION {
            return Ok(Looked::Nothing);
        }
        Ok(Looked::Waits(Box::new(Waiting { records, read, submission })))
    }

    /// Frees the slots of jobs that have ended, including those whose end was not observed, and returns those that are
    /// still taken.
    async fn free_slots(&self, store: &FileStore, admission: &mut Admission) -> Result<Vec<Entry>> {
        let mut taken = Vec::new();
        for entry in self.in_use(admission)? {
            if !self.has_ended(store, entry.slot.id).await {
                taken.push(entry);
            } else if self.slots.is_done(entry.slot.id) {
                self.slots.vacate(admission, entry.slot.id)?;
            }
        }
        Ok(taken)
    }

    /// Returns the jobs that have a slot. A slot is lent only as long as the lock of the job says so.
    fn in_use(&self, admission: &mut Admission) -> Result<Vec<Entry>> {
        let mut taken = admission.taken();
        for entry in taken.iter_mut().filter(|entry| entry.slot.lent) {
            entry.slot.lent = self.jobs.is_lent(entry.slot.id).unwrap_or(false);
            if !entry.slot.lent {
                admission.put(entry)?;
            }
        }
        Ok(taken)
    }

    /// Lends the slot of a job to others as long as the file is open.
    pub(super) fn lend(&self, id: JobId) -> Result<File> {
        // The lock first, so that no process that sees the entry concludes that the lending has ended.
        let file = self.jobs.lend(id)?;
        let mut admission = Admission::take(&self.layout)?;
        if let Some(entry) = admission.rows.find(id).filter(|entry| entry.has_slot && !entry.slot.lent) {
            admission.put(&Entry { slot: Slot { lent: true, ..entry.slot }, ..entry })?;
        }
        Ok(file)
    }

    /// Returns whether a job that has a slot has ended. If so, its end is on record afterwards.
    pub(super) async fn has_ended(&self, store: &FileStore, id: JobId) -> bool {
        let now = Timestamp::now();
        match self.jobs.evidence(id).and_then(|evidence| evidence.judge(now)) {
            Ok((job, Verdict::OnRecord)) if job.status().is_final() => {
                // Its holder may have died before everything was done; otherwise it gives the slot back itself.
                self.slots.finish_again(id);
                true
            }
            Ok((_, Verdict::OnRecord)) => false,
            Ok((_, Verdict::FoundOut)) => {
                matches!(look_after(&store.under_admission(), id, now).await, Ok(Found::Settled(_, true)))
            }
            Err(Error::NotFound { .. }) => true,
            // An unreadable job may be running.
            Err(_) => false,
        }
    }

    /// Returns which jobs have a slot and which wait for one.
    pub(super) fn load(&self) -> Result<Load> {
        let settings = self.settings.read()?;
        let (mut running, waiting) = admission::entries(&self.layout)?;
        running.retain(|entry| entry.has_slot);
        let slot = |Entry { slot, .. }: Entry| {
            let lent = slot.lent && self.jobs.is_lent(slot.id).unwrap_or(false);
            Slot { lent, ..slot }
        };
        let slots = |entries: Vec<Entry>| entries.into_iter().map(slot).collect();
        Ok(Load { settings, running: slots(running), waiting: slots(waiting) })
    }
}

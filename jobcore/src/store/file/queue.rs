//! Who starts next, in a file store: the one thing that is decided under the admission lock.
//!
//! `queue/NUMBER-ID` says that a job may not have been started, `slots/ID` that it has taken one of the places that the
//! limits allow; the name of a group follows behind an `@`. Both are hints that are checked against the job itself: its
//! lock is the claim, and a slot is free only when the job has an end record.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::index::{self, RowState};
use super::layout::{JobDir, Layout};
use super::{FileStore, Records, atomic, feed, names};
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::record::{Ended, World};
use crate::record::{RECORD_VERSION, Submission, Verdict};
use crate::state::State;
use crate::store::settings::StoreSettings;
use crate::store::{AGENTS, Created, EventKind, JobEvent, Load, Query, Slot};
use crate::sys::{lock, world};

/// How long to wait for the admission lock. Its holders need microseconds; one that is stopped by a signal keeps it.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many jobs are looked at, of those that run, for one whose supervisor was killed.
const LOOKED_AT: usize = 64;

/// Where a job stands in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) v: u32,
    /// The order in which jobs are started.
    pub(crate) sequence: u64,
    /// Where its row was put in the index of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) group: Option<Name>,
}

impl Queued {
    /// Reads where a job stands; nothing if that is not on record.
    pub(crate) fn read(job: &JobDir) -> Option<Self> {
        atomic::read(&job.queued()).ok().flatten()
    }

    /// Removes what the queue and the slots say of a job.
    pub(super) fn forget(&self, layout: &Layout, id: JobId) {
        let _ = fs::remove_file(layout.queue().join(self.entry_name(id)));
        let _ = fs::remove_file(layout.slots().join(self.slot_name(id)));
    }

    pub(crate) fn entry_name(&self, id: JobId) -> String {
        format!("{:016}-{}", self.sequence, self.slot_name(id))
    }

    pub(crate) fn slot_name(&self, id: JobId) -> String {
        match &self.group {
            Some(group) => format!("{id}@{group}"),
            None => id.to_string(),
        }
    }
}

/// The admission lock; free when it is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    file: File,
    path: std::path::PathBuf,
}

impl Admission {
    pub(super) fn take(layout: &Layout) -> Result<Self> {
        let path = layout.admission();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.context("open", &path)?;
        if !lock::take_within(&file, PATIENCE).context("lock", &path)? {
            let reason =
                format!("it has been busy for {PATIENCE:?}; a process that uses it may be stopped by a signal");
            return Err(Error::StoreRefused { path: layout.root.clone(), reason });
        }
        Ok(Self { file, path })
    }

    /// Returns the next number of the queue.
    fn next_number(&self) -> Result<u64> {
        let mut text = [0; 20];
        let length = self.file.read_at(&mut text, 0).context("read", &self.path)?;
        let text = std::str::from_utf8(&text[..length]).unwrap_or_default();
        let number = text.trim().parse::<u64>().unwrap_or(0) + 1;
        self.file.write_all_at(format!("{number:020}").as_bytes(), 0).context("write", &self.path)?;
        Ok(number)
    }
}

/// A name in `queue/` or `slots/`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    slot: Slot,
}

impl Entry {
    fn parse(name: String) -> Option<Self> {
        let rest =
            name.split_once('-').filter(|(number, _)| number.len() == 16).map_or(name.as_str(), |(_, rest)| rest);
        let (id, group) = match rest.split_once('@') {
            Some((id, group)) => (id, Some(group.parse().ok()?)),
            None => (rest, None),
        };
        let slot = Slot { id: id.parse().ok()?, group };
        Some(Self { name, slot })
    }
}

fn entries(directory: &std::path::Path) -> Result<Vec<Entry>> {
    let mut entries: Vec<_> = names(directory)?.into_iter().filter_map(Entry::parse).collect();
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

impl FileStore {
    /// Returns the job that a file in `names` or `keys` points to, if it is on record.
    fn pointed_to(&self, pointer: &std::path::Path) -> Result<Option<JobId>> {
        match fs::read_to_string(pointer) {
            Ok(text) => Ok(text.trim().parse().ok().filter(|id| self.layout.job(*id).path.exists())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", pointer)(error)),
        }
    }

    /// Returns the newest job of a name.
    pub(super) fn find_named(&self, name: &Name) -> Result<Option<JobId>> {
        if let Some(id) = self.pointed_to(&self.layout.name(name))? {
            return Ok(Some(id));
        }
        // The newest has been removed. There may be earlier ones: what has a row may be gone, or not be readable.
        let is_named = |id: &JobId| {
            let submission = atomic::read::<Submission>(&self.layout.job(*id).submission()).ok().flatten();
            submission.is_some_and(|submission| submission.spec.name.as_ref() == Some(name))
        };
        let ids = self.query_ids(&Query::default().with_name(Some(name.clone())), None, usize::MAX)?;
        Ok(ids.into_iter().find(is_named))
    }

    /// Returns the job that has a key.
    pub(super) fn find_keyed(&self, key: &str) -> Result<Option<JobId>> {
        self.pointed_to(&self.layout.key(key))
    }

    /// Takes a job out of its place, into the trash, with all that points to it. Nobody may be in charge of it.
    pub(super) fn unlink(&self, id: JobId) -> Result<PathBuf> {
        let job = self.layout.job(id);
        let queued = Queued::read(&job);
        let submission: Option<Submission> = atomic::read(&job.submission()).ok().flatten();
        let spec = submission.map(|submission| submission.spec);
        let name = spec.as_ref().and_then(|spec| spec.name.as_ref()).map(|name| self.layout.name(name));
        let key = spec.as_ref().and_then(|spec| spec.key.as_ref()).map(|key| self.layout.key(key));
        // Under the lock, since another job may get the name or the key at this moment.
        let _admission = Admission::take(&self.layout)?;
        for pointer in [name, key].into_iter().flatten() {
            if self.pointed_to(&pointer)? == Some(id) {
                let _ = fs::remove_file(pointer);
            }
        }
        let row = queued.as_ref().and_then(|queued| queued.row);
        // Whoever dies between these leaves a row that has to be looked at, and nothing that is wrong.
        index::mark(&self.layout, id, row, RowState::Open);
        let trash = self.layout.trash().join(id.to_string());
        match fs::rename(&job.path, &trash) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                index::mark(&self.layout, id, row, RowState::Removed);
                return Err(Self::not_found(id));
            }
            renamed => renamed.context("remove", &job.path)?,
        }
        feed::add(&self.layout, &JobEvent::now(id, EventKind::Removed));
        index::mark(&self.layout, id, row, RowState::Removed);
        if let Some(queued) = queued {
            queued.forget(&self.layout, id);
        }
        Ok(trash)
    }

    /// Refuses a name that is taken, and finds the job that has the key already.
    fn check_name_and_key(&self, submission: &Submission) -> Result<Created> {
        if let Some(key) = &submission.spec.key
            && let Some(id) = self.find_keyed(key)?
        {
            let path = self.layout.job(id).submission();
            let missing = || Error::Damaged { path: path.clone(), reason: "it is not there".to_owned() };
            let old = atomic::read(&path)?.ok_or_else(missing)?;
            return crate::store::same_key(submission, &old).map(Created::Existing);
        }
        if let Some(name) = &submission.spec.name
            && let Some(id) = self.pointed_to(&self.layout.name(name))?
            && !self.collect(id)?.judge(Timestamp::now())?.0.status().is_final()
        {
            return Err(Error::NameTaken { name: name.clone(), id });
        }
        Ok(Created::New)
    }

    /// Returns when runs of agents were submitted, at least those of the last minute.
    fn agents_since(&self, now: Timestamp) -> Result<Vec<Timestamp>> {
        let since = now - Duration::from_secs(60);
        let query = Query::default().with_group(AGENTS.parse().ok()).with_times(Some(since), None);
        let submission = |id| atomic::read::<Submission>(&self.layout.job(id).submission()).ok().flatten();
        let found = self.query_ids(&query, None, usize::MAX)?.into_iter().filter_map(submission);
        Ok(found.filter(|found| found.spec.agent.is_some()).map(|found| found.submitted_at).collect())
    }

    /// Puts a staged job into its place, and into the queue.
    pub(super) fn enqueue(&self, submission: &Submission) -> Result<Created> {
        let id = submission.job_id;
        let group = submission.spec.group.clone();
        let admission = Admission::take(&self.layout)?;
        let settings = self.read_settings()?;
        if let Created::Existing(id) = self.check_name_and_key(submission)? {
            return Ok(Created::Existing(id));
        }
        if submission.spec.agent.is_some() {
            settings.agents.check_rate(submission.submitted_at, self.agents_since(submission.submitted_at)?)?;
        }
        if settings.when_full == crate::store::WhenFull::Refuse {
            let mut taken = entries(&self.layout.slots())?;
            if !has_room(&settings, group.as_ref(), &taken) {
                self.free_slots(&mut taken);
            }
            // Who waits already has the first claim on what is free.
            let waiting = entries(&self.layout.queue())?;
            taken.extend(waiting);
            if !has_room(&settings, group.as_ref(), &taken) {
                return Err(Error::Full { running: taken.len(), limit: settings.max_running });
            }
        }
        // The row first: one without a job is passed over, a job without one would not be listed.
        let row = index::add(&self.layout, submission)?;
        let queued = Queued { v: RECORD_VERSION, sequence: admission.next_number()?, row, group };
        let staged = self.layout.staged(id).queued();
        atomic::write_private(&staged, &atomic::to_json(&queued, &staged)?)?;
        // One that points to no job is as good as none, so these come first, too.
        let name = submission.spec.name.as_ref().map(|name| self.layout.name(name));
        let key = submission.spec.key.as_ref().map(|key| self.layout.key(key));
        for pointer in [name, key].into_iter().flatten() {
            atomic::publish(&pointer, id.to_string().as_bytes())?;
        }
        // The hint first: one without a job is passed over, a job without one would not be found.
        let entry = self.layout.queue().join(queued.entry_name(id));
        let made = atomic::create_file(&entry).context("make", &entry).and_then(|_| self.publish(id));
        match &made {
            Ok(()) => feed::add(&self.layout, &JobEvent::now(id, EventKind::Submitted)),
            Err(_) => {
                let _ = fs::remove_file(&entry);
                index::mark(&self.layout, id, row, RowState::Removed);
            }
        }
        made.map(|()| Created::New)
    }

    /// Takes charge of the job that is to start next, if there is one, and a slot for it.
    pub(crate) fn due(&self) -> Result<Option<Records>> {
        if names(&self.layout.queue())?.is_empty() {
            return Ok(None);
        }
        let _admission = Admission::take(&self.layout)?;
        let settings = self.read_settings()?;
        let own = world::capture();
        let mut taken = entries(&self.layout.slots())?;
        let mut is_checked = false;
        for entry in entries(&self.layout.queue())? {
            let has_slot = taken.iter().any(|slot| slot.slot.id == entry.slot.id);
            if !has_slot && !has_room(&settings, entry.slot.group.as_ref(), &taken) {
                if is_checked {
                    continue;
                }
                is_checked = true;
                self.free_slots(&mut taken);
                if !has_room(&settings, entry.slot.group.as_ref(), &taken) {
                    continue;
                }
            }
            if let Some(records) = self.claim_waiting(&entry, &own)? {
                return Ok(Some(records));
            }
        }
        Ok(None)
    }

    /// Takes the lock and a slot of a job that waits, if it really does and is for this process to start.
    fn claim_waiting(&self, entry: &Entry, own: &World) -> Result<Option<Records>> {
        let id = entry.slot.id;
        let forget = || drop(fs::remove_file(self.layout.queue().join(&entry.name)));
        let records = match Records::claim(&self.layout, id) {
            Ok(Some(records)) => records,
            // Somebody is about to start it, or has done so.
            Ok(None) => return Ok(None),
            Err(Error::NotFound { .. }) => {
                forget();
                return Ok(None);
            }
            // Without a lock it can never be started. It stays, to be seen and removed.
            Err(_) => return Ok(None),
        };
        if records.attempt.start().exists() || records.has_ended() {
            records.complete_end()?;
            forget();
            return Ok(None);
        }
        let Ok(submission) = records.submission() else { return Ok(None) };
        // A sandbox or a container that this process is in is not the world that the submitter meant; and a record of
        // a later version is for a process of a later version.
        if !own.may_act_for(&submission.world) || submission.v > RECORD_VERSION {
            return Ok(None);
        }
        let slot = self.layout.slots().join(&entry.name[17..]);
        match atomic::create_file(&slot) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(Error::io("make", &slot)(error)),
            Ok(_) | Err(_) => Ok(Some(records)),
        }
    }

    /// Frees the slots of jobs that are over, also of those of which nobody saw the end.
    fn free_slots(&self, taken: &mut Vec<Entry>) {
        taken.retain(|entry| {
            let is_over = match self.collect(entry.slot.id) {
                Ok(evidence) => match evidence.judge(Timestamp::now()) {
                    Ok((job, Verdict::OnRecord)) if job.status().is_final() => {
                        // Whoever published it may have died before all was told; else he takes the slot away himself.
                        self.finish_again(job.id);
                        true
                    }
                    Ok((_, Verdict::OnRecord)) => false,
                    Ok((job, Verdict::FoundOut)) => self.record_found_end(&job),
                    Err(_) => false,
                },
                Err(Error::NotFound { .. }) => {
                    let _ = fs::remove_file(self.layout.slots().join(&entry.name));
                    true
                }
                // What cannot be read may run.
                Err(_) => false,
            };
            !is_over
        });
    }

    /// Returns jobs that have a slot, have been started and have no end, and whose lock nobody holds.
    pub(crate) fn find_unattended(&self) -> Result<Vec<JobId>> {
        let mut slots = entries(&self.layout.slots())?;
        if slots.len() > LOOKED_AT {
            // A thousand that end at the same time must not look at each other a million times. The next who looks
            // begins somewhere else.
            let begin = usize::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % slots.len();
            slots.rotate_left(begin);
            slots.truncate(LOOKED_AT);
        }
        slots.retain(|entry| {
            let id = entry.slot.id;
            // The lock first: of nearly all of them it is held. What cannot be read is for whoever looks at that job.
            match self.is_held(id) {
                Ok(false) => {}
                Ok(true) | Err(_) => return false,
            }
            let (job, attempt) = (self.layout.job(id), self.layout.job(id).attempt());
            if job.ended().exists() || attempt.ended().exists() {
                self.finish_again(id);
                return false;
            }
            attempt.start().exists()
        });
        Ok(slots.into_iter().map(|entry| entry.slot.id).collect())
    }

    /// Does what is left to do of a job's end, whose supervisor was killed in the middle of that: its environment is to be
    /// forgotten, and its slot is free.
    fn finish_again(&self, id: JobId) {
        if let Ok(Some(records)) = Records::claim(&self.layout, id)
            && let Ok(Some(ended)) = Self::end_on_record(&records.job)
            && records.finish(&ended).is_ok()
        {
            records.remove_pipes();
        }
    }

    /// Takes charge of a job whose supervisor was killed, if its command is there and it is for this process to do so.
    /// One that is found to be over is put on record as such.
    pub(crate) fn claim_unattended(&self, id: JobId) -> Result<Option<Records>> {
        let Some(records) = Records::claim(&self.layout, id)? else { return Ok(None) };
        let evidence = self.collect_held(id)?;
        if evidence.is_to_be_adopted_by(&world::capture())? {
            return Ok(Some(records));
        }
        let (job, verdict) = evidence.judge(Timestamp::now())?;
        if let (Verdict::FoundOut, State::Ended(end)) = (verdict, job.state)
            && evidence.submission.v <= RECORD_VERSION
        {
            records.finish(&Ended::new(end.started_at, end.outcome))?;
        }
        Ok(None)
    }

    /// Puts the end of a job on record that was found out just now, and returns whether it is.
    fn record_found_end(&self, job: &crate::job::Job) -> bool {
        let Ok(Some(records)) = Records::claim(&self.layout, job.id) else { return false };
        // Somebody may have taken charge of it since.
        let Ok((job, _)) = self.collect_held(job.id).and_then(|evidence| evidence.judge(Timestamp::now())) else {
            return false;
        };
        let State::Ended(end) = &job.state else { return false };
        records.finish(&Ended::new(end.started_at, end.outcome.clone())).is_ok()
    }

    /// Returns who has a slot and who waits for one.
    pub(super) fn read_load(&self) -> Result<Load> {
        let settings = self.read_settings()?;
        let slots = |directory: &std::path::Path| -> Result<Vec<Slot>> {
            Ok(entries(directory)?.into_iter().map(|entry| entry.slot).collect())
        };
        let (running, mut waiting) = (slots(&self.layout.slots())?, slots(&self.layout.queue())?);
        waiting.retain(|slot| !running.contains(slot));
        Ok(Load { settings, running, waiting })
    }
}

fn has_room(settings: &StoreSettings, group: Option<&Name>, taken: &[Entry]) -> bool {
    settings.has_room(group, taken.iter().map(|entry| entry.slot.group.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let id: JobId = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let queued = Queued { v: 1, sequence: 42, row: None, group: Some("a-b.c".parse().unwrap()) };
        let entry = Entry::parse(queued.entry_name(id)).unwrap();
        assert_eq!(entry.slot, Slot { id, group: queued.group.clone() });
        assert_eq!(entry.name[17..], queued.slot_name(id));
        assert_eq!(Entry::parse(queued.slot_name(id)).unwrap().slot, entry.slot);
        let plain = Queued { group: None, ..queued };
        assert_eq!(Entry::parse(plain.entry_name(id)).unwrap().slot, Slot { id, group: None });
        assert_eq!(Entry::parse(plain.slot_name(id)).unwrap().slot, Slot { id, group: None });
        for wrong in ["", "x", "0000000000000001-x", "..", ".hidden"] {
            assert_eq!(Entry::parse(wrong.to_owned()), None, "{wrong}");
        }
    }
}

//! Who starts next, in a file store: the one thing that is decided under the admission lock.
//!
//! `queue/NUMBER-ID` says that a job may not have been started, `slots/ID` that it has taken one of the places that the
//! limits allow; the name of a group follows behind an `@`. Both are hints that are checked against the job itself: its
//! lock is the claim, and a slot is free only when the job has an end record.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hints::Hints;
use super::index::{self, RowState};
use super::layout::{JobDir, Layout};
use super::{FileClaim, FileStore, Records, atomic, feed, list};
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::record::{RECORD_VERSION, Submission, Verdict};
use crate::store::settings::StoreSettings;
use crate::store::tend::{Found, look_after};
use crate::store::{Created, EventKind, JobEvent, Load, Query, Slot};
use crate::sys::world::World;
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
    pub(crate) fn read(job: &JobDir) -> Result<Option<Self>> {
        atomic::read(&job.queued())
    }

    pub(crate) fn entry_name(&self, id: JobId) -> String {
        format!("{:016}-{}", self.sequence, self.slot_name(id))
    }

    pub(crate) fn slot_name(&self, id: JobId) -> String {
        slot_name(&Slot { id, group: self.group.clone() })
    }
}

fn slot_name(Slot { id, group }: &Slot) -> String {
    match group {
        Some(group) => format!("{id}@{group}"),
        None => id.to_string(),
    }
}

/// Removes what the queue and the slots say of a job, which stood there if that can be read.
pub(super) fn forget(layout: &Layout, id: JobId, queued: Option<&Queued>) {
    if let Some(queued) = queued {
        let _ = fs::remove_file(layout.queue().join(queued.entry_name(id)));
        let _ = fs::remove_file(layout.slots().join(queued.slot_name(id)));
        return;
    }
    for directory in [layout.queue(), layout.slots()] {
        for entry in entries(&directory).ok().flatten().unwrap_or_default() {
            if entry.slot.id == id {
                let _ = fs::remove_file(directory.join(entry.name));
            }
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
        let file = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
        if !lock::take_within(&file, PATIENCE).context("lock", &path)? {
            let reason =
                format!("it has been busy for {PATIENCE:?}; a process that uses it may be stopped by a signal");
            return Err(Error::StoreRefused { path: layout.root.clone(), reason });
        }
        Ok(Self { file, path })
    }

    /// Returns the next number of the queue.
    fn next_number(&self, layout: &Layout) -> Result<u64> {
        let mut text = [0; Counter::SIZE];
        let length = self.file.read_at(&mut text, 0).context("read", &self.path)?;
        let last = match Counter::parse(&text[..length]) {
            Counter::Sealed(last) if last < MOST => last,
            // It was changed from outside, or written by a version that wrote no checksum. The jobs that wait count.
            counter => counter.near(&entries(&layout.queue())?.unwrap_or_default()),
        };
        let number = last + 1;
        self.file.write_all_at(&Counter::to_bytes(number), 0).context("write", &self.path)?;
        Ok(number)
    }
}

/// What the file `admission` holds: the last number of the queue. It is no truth, and cannot stop the queue.
#[derive(Debug, PartialEq, Eq)]
enum Counter {
    /// With the checksum that belongs to it.
    Sealed(u64),
    /// A number without one.
    Bare(u64),
    /// Nothing that could be one.
    Unreadable,
}

/// Numbers of the queue are smaller: sixteen digits, which all versions read.
const MOST: u64 = 9_999_999_999_999_999;
/// How far the counter may be from the numbers of the jobs that wait.
const NEAR: u64 = 1_000_000;

impl Counter {
    /// Twenty digits, a blank, the checksum of the digits, and the end of the line.
    const SIZE: usize = 30;

    fn to_bytes(number: u64) -> Vec<u8> {
        let digits = format!("{number:020}");
        format!("{digits} {:08x}\n", crc32fast::hash(digits.as_bytes())).into_bytes()
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        let Some(number) = text.get(..20).unwrap_or(text).trim().parse().ok() else { return Self::Unreadable };
        if bytes == Self::to_bytes(number) { Self::Sealed(number) } else { Self::Bare(number) }
    }

    /// Returns the last number: the counter if it fits the jobs that wait, else the last of theirs.
    fn near(&self, waiting: &[Entry]) -> u64 {
        let last = waiting.iter().filter_map(|entry| entry.number).filter(|number| *number < MOST).max();
        match (self, last) {
            (Self::Sealed(number) | Self::Bare(number), None) if *number < MOST => *number,
            (Self::Bare(number), Some(last)) if (last..last.saturating_add(NEAR)).contains(number) => *number,
            (_, last) => last.unwrap_or(0),
        }
    }
}

/// A name in `queue/` or `slots/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The number of the queue, which slots do not have. One that is too large to be any is the largest.
    number: Option<u64>,
    name: String,
    pub(super) slot: Slot,
}

impl Entry {
    fn parse(name: String) -> Option<Self> {
        if let Some(slot) = Self::parse_slot(&name) {
            return Some(Self { number: None, name, slot });
        }
        let (digits, slot) = name.split_once('-')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (number, slot) = (digits.parse().unwrap_or(u64::MAX), Self::parse_slot(slot)?);
        Some(Self { number: Some(number), name, slot })
    }

    fn parse_slot(name: &str) -> Option<Slot> {
        let (id, group) = match name.split_once('@') {
            Some((id, group)) => (id, Some(group.parse().ok()?)),
            None => (name, None),
        };
        Some(Slot { id: id.parse().ok()?, group })
    }
}

/// Returns what is in `queue/` or `slots/`, in order; nothing if there is no such directory.
pub(super) fn entries(directory: &Path) -> Result<Option<Vec<Entry>>> {
    let Some(names) = list(directory)? else { return Ok(None) };
    let mut entries: Vec<_> = names.into_iter().filter_map(Entry::parse).collect();
    entries.sort_unstable_by(|a, b| (a.number, &a.name).cmp(&(b.number, &b.name)));
    Ok(Some(entries))
}

impl FileStore {
    /// Returns the job that a file in `names` or `keys` points to, if it is on record.
    ///
    /// # Errors
    /// Also if it points to nothing that could be a job: then it is not known whether the name or the key is taken.
    fn pointed_to(&self, pointer: &Path) -> Result<Option<JobId>> {
        let Some(bytes) = atomic::read_bytes(pointer)? else { return Ok(None) };
        let id: Option<JobId> = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        let Some(id) = id else {
            let reason = "it holds no id of a job".to_owned();
            return Err(Error::Damaged { path: pointer.to_owned(), reason });
        };
        Ok(atomic::is_there(&self.layout.job(id).path)?.then_some(id))
    }

    /// Returns the newest job of a name.
    pub(super) fn find_named(&self, name: &Name) -> Result<Option<JobId>> {
        match self.pointed_to(&self.layout.name(name)) {
            Ok(Some(id)) => return Ok(Some(id)),
            // The newest has been removed, or is not known. There may be others: what has a row may be gone, or not be
            // readable.
            Ok(None) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let is_named = |id: &JobId| {
            let submission = atomic::read::<Submission>(&self.layout.job(*id).submission()).ok().flatten();
            submission.is_some_and(|submission| submission.spec.name.as_ref() == Some(name))
        };
        let ids = self.query_ids(&Query::default().with_name(Some(name.clone())), None, usize::MAX)?;
        Ok(ids.into_iter().find(is_named))
    }

    /// Returns the job that has a key.
    pub(super) fn find_keyed(&self, key: &str) -> Result<Option<JobId>> {
        match self.pointed_to(&self.layout.key(key)) {
            Err(Error::Damaged { .. }) => {
                self.find_pointed(&Admission::take(&self.layout)?, Hints::Keys, &self.layout.key(key))
            }
            found => found,
        }
    }

    /// Returns the job that a file in `names` or `keys` points to. Where they are not there or cannot be read they are made
    /// again first: else a name or a key that is taken would be free.
    fn find_pointed(&self, admission: &Admission, hints: Hints, pointer: &Path) -> Result<Option<JobId>> {
        match self.pointed_to(pointer) {
            Ok(None) if !atomic::is_there(&hints.directory(&self.layout))? => {}
            Err(Error::Damaged { .. }) => {}
            found => return found,
        }
        self.make_again(admission, hints)?;
        self.pointed_to(pointer)
    }

    /// Takes a job out of its place, into the trash, with all that points to it. Nobody may be in charge of it.
    pub(super) fn unlink(&self, id: JobId) -> Result<PathBuf> {
        let job = self.layout.job(id);
        let queued = Queued::read(&job).ok().flatten();
        let submission: Option<Submission> = atomic::read(&job.submission()).ok().flatten();
        let spec = submission.map(|submission| submission.spec);
        let name = spec.as_ref().and_then(|spec| spec.name.as_ref()).map(|name| self.layout.name(name));
        let key = spec.as_ref().and_then(|spec| spec.key.as_ref()).map(|key| self.layout.key(key));
        // Under the lock, since another job may get the name or the key at this moment.
        let _admission = Admission::take(&self.layout)?;
        for pointer in [name, key].into_iter().flatten() {
            if self.pointed_to(&pointer).is_ok_and(|found| found == Some(id)) {
                let _ = fs::remove_file(pointer);
            }
        }
        let row = queued.as_ref().and_then(|queued| queued.row);
        // Whoever dies between these leaves a row that has to be looked at, and nothing that is wrong.
        index::mark(&self.layout, id, row, RowState::Open);
        let trash = self.layout.trash().join(id.to_string());
        let rename = || atomic::unless_missing(fs::rename(&job.path, &trash).context("remove", &job.path));
        let mut renamed = rename()?;
        if renamed.is_none() && atomic::is_there(&job.path)? {
            super::make_dir(&self.layout.trash())?;
            renamed = rename()?;
        }
        if renamed.is_none() {
            index::mark(&self.layout, id, row, RowState::Removed);
            return Err(Self::not_found(id));
        }
        feed::add(&self.layout, &JobEvent::now(id, EventKind::Removed));
        index::mark(&self.layout, id, row, RowState::Removed);
        forget(&self.layout, id, queued.as_ref());
        Ok(trash)
    }

    /// Refuses a name that is taken, and finds the job that has the key already.
    fn check_name_and_key(&self, admission: &Admission, submission: &Submission) -> Result<Created> {
        if let Some(key) = &submission.spec.key
            && let Some(id) = self.find_pointed(admission, Hints::Keys, &self.layout.key(key))?
        {
            let path = self.layout.job(id).submission();
            let missing = || Error::Damaged { path: path.clone(), reason: "it is not there".to_owned() };
            let old = atomic::read(&path)?.ok_or_else(missing)?;
            return crate::store::same_key(submission, &old).map(Created::Existing);
        }
        if let Some(name) = &submission.spec.name
            && let Some(id) = self.find_pointed(admission, Hints::Names, &self.layout.name(name))?
        {
            let (job, _) = self.collect(id)?.judge(Timestamp::now())?;
            if !job.status().is_final() {
                return Err(crate::store::name_taken(name, &job, &submission.spec.cwd));
            }
        }
        Ok(Created::New)
    }

    /// Returns when jobs of a group were submitted, at least those of the last minute.
    fn submitted_in(&self, group: &Name, now: Timestamp) -> Result<Vec<Timestamp>> {
        let since = now - Duration::from_secs(60);
        let query = Query::default().with_group(Some(group.clone())).with_times(Some(since), None);
        let submission = |id| atomic::read::<Submission>(&self.layout.job(id).submission()).ok().flatten();
        let found = self.query_ids(&query, None, usize::MAX)?.into_iter().filter_map(submission);
        Ok(found.map(|found| found.submitted_at).collect())
    }

    /// Puts a staged job into its place, and into the queue, unless there is something against it.
    pub(super) async fn enqueue(&self, submission: &Submission) -> Result<Created> {
        let group = submission.spec.group.as_ref();
        let admission = Admission::take(&self.layout)?;
        let settings = self.read_settings()?;
        if let Created::Existing(id) = self.check_name_and_key(&admission, submission)? {
            return Ok(Created::Existing(id));
        }
        if let Some(group) = group.as_ref().filter(|group| settings.group_rate(group) != 0) {
            let now = submission.submitted_at;
            settings.check_rate(group, now, self.submitted_in(group, now)?)?;
        }
        if settings.when_full == crate::store::WhenFull::Refuse {
            let mut taken = self.entries(&admission, Hints::Slots)?;
            if !has_room(&settings, group, &taken) {
                self.free_slots(&mut taken).await;
            }
            // Who waits already has the first claim on what is free.
            let mut waiting = self.entries(&admission, Hints::Queue)?;
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
        let row = index::add(&self.layout, submission)?;
        let queued = Queued { v: RECORD_VERSION, sequence: admission.next_number(&self.layout)?, row, group };
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
        let make = || atomic::unless_missing(atomic::create_file(&entry).map(drop).context("make", &entry));
        let made = make().and_then(|made| match made {
            Some(()) => Ok(()),
            None => {
                self.make_again(admission, Hints::Queue)?;
                make().map(drop)
            }
        });
        let made = made.and_then(|()| self.publish(id));
        match &made {
            Ok(()) => feed::add(&self.layout, &JobEvent::now(id, EventKind::Submitted)),
            Err(_) => {
                let _ = fs::remove_file(&entry);
                index::mark(&self.layout, id, row, RowState::Removed);
            }
        }
        made
    }

    /// Takes charge of the job that is to start next, if there is one, and a slot for it.
    pub(super) async fn due(&self) -> Result<Option<FileClaim>> {
        if !self.is_made()? || list(&self.layout.queue())?.is_some_and(|names| names.is_empty()) {
            return Ok(None);
        }
        let admission = Admission::take(&self.layout)?;
        let settings = self.read_settings()?;
        let own = world::capture()?;
        let mut taken = self.entries(&admission, Hints::Slots)?;
        let mut is_checked = false;
        for entry in self.entries(&admission, Hints::Queue)? {
            let has_slot = taken.iter().any(|slot| slot.slot.id == entry.slot.id);
            if !has_slot && !has_room(&settings, entry.slot.group.as_ref(), &taken) {
                if is_checked {
                    continue;
                }
                is_checked = true;
                self.free_slots(&mut taken).await;
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

    /// Returns what is in `queue/` or `slots/`, which are made again where they are not there.
    fn entries(&self, admission: &Admission, hints: Hints) -> Result<Vec<Entry>> {
        let directory = hints.directory(&self.layout);
        if let Some(entries) = entries(&directory)? {
            return Ok(entries);
        }
        self.make_again(admission, hints)?;
        Ok(entries(&directory)?.unwrap_or_default())
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
            // Somebody is about to start it, or has done so.
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

    /// Frees the slots of jobs that are over, also of those of which nobody saw the end.
    async fn free_slots(&self, taken: &mut Vec<Entry>) {
        for entry in std::mem::take(taken) {
            if !self.is_over(&entry).await {
                taken.push(entry);
            }
        }
    }

    /// Returns whether the job that has a slot is over, which is seen to be on record then.
    async fn is_over(&self, entry: &Entry) -> bool {
        let (id, now) = (entry.slot.id, Timestamp::now());
        match self.collect(id).and_then(|evidence| evidence.judge(now)) {
            Ok((job, Verdict::OnRecord)) if job.status().is_final() => {
                // Whoever published it may have died before all was told; else he takes the slot away himself.
                self.finish_again(id);
                true
            }
            Ok((_, Verdict::OnRecord)) => false,
            Ok((_, Verdict::FoundOut)) => matches!(look_after(self, id, now).await, Ok(Found::Settled(_, true))),
            Err(Error::NotFound { .. }) => {
                let _ = fs::remove_file(self.layout.slots().join(&entry.name));
                true
            }
            // What cannot be read may run.
            Err(_) => false,
        }
    }

    /// Returns jobs that have a slot, have been started and have no end, and whose lock nobody holds.
    pub(super) fn find_unattended(&self) -> Result<Vec<JobId>> {
        if !self.is_made()? {
            return Ok(Vec::new());
        }
        let mut slots = entries(&self.layout.slots())?.unwrap_or_default();
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
            let is_there = |path: PathBuf| atomic::is_there(&path).unwrap_or(false);
            if is_there(job.ended()) || is_there(attempt.ended()) {
                self.finish_again(id);
                return false;
            }
            is_there(attempt.start())
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

    /// Returns who has a slot and who waits for one.
    pub(super) fn read_load(&self) -> Result<Load> {
        let settings = self.read_settings()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        let id: JobId = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let queued = Queued { v: 1, sequence: 42, row: None, group: Some("a-b.c".parse().unwrap()) };
        let entry = Entry::parse(queued.entry_name(id)).unwrap();
        assert_eq!(entry.slot, Slot { id, group: queued.group.clone() });
        assert_eq!((slot_name(&entry.slot), entry.number), (queued.slot_name(id), Some(42)));
        assert_eq!(Entry::parse(queued.slot_name(id)).unwrap().slot, entry.slot);
        let plain = Queued { group: None, ..queued };
        assert_eq!(Entry::parse(plain.entry_name(id)).unwrap().slot, Slot { id, group: None });
        assert_eq!(Entry::parse(plain.slot_name(id)).unwrap().slot, Slot { id, group: None });
        // The first digits of an id are no number, whatever they are.
        let digits = "01922270-2fd9-7d4d-b2cf-5a521f07d537";
        assert_eq!(Entry::parse(digits.to_owned()).unwrap().number, None);
        for (name, number) in [("7", 7), ("00090000000000000003", 90_000_000_000_000_003), (&"9".repeat(30), u64::MAX)]
        {
            assert_eq!(Entry::parse(format!("{name}-{digits}@g")).unwrap().number, Some(number), "{name}");
        }
        for wrong in
            ["", "x", "0000000000000001-x", "..", ".hidden", "-1", "1", &format!("-{digits}"), &format!("x-{digits}")]
        {
            assert_eq!(Entry::parse(wrong.to_owned()), None, "{wrong}");
        }
    }

    #[test]
    fn a_counter_is_believed_only_where_it_may_be_right() {
        assert_eq!(Counter::parse(&Counter::to_bytes(7)), Counter::Sealed(7));
        assert_eq!(Counter::to_bytes(u64::MAX).len(), Counter::SIZE);
        assert_eq!(Counter::parse(b"00000000000000000007"), Counter::Bare(7), "of version 0.1.0");
        let mut changed = Counter::to_bytes(7);
        changed[3] = b'9';
        assert_eq!(Counter::parse(&changed), Counter::Bare(90_000_000_000_000_007));
        for noise in [&b""[..], b"garbage", b"\xff\xff", b"99999999999999999999"] {
            assert_eq!(Counter::parse(noise), Counter::Unreadable);
        }
        let waiting = |numbers: &[u64]| -> Vec<Entry> {
            let entry = |number: &u64| Entry::parse(format!("{number}-01922270-2fd9-7d4d-b2cf-5a521f07d537")).unwrap();
            numbers.iter().map(entry).collect()
        };
        let last = |counter: Counter, numbers: &[u64]| counter.near(&waiting(numbers));
        assert_eq!(last(Counter::Bare(7), &[]), 7);
        assert_eq!(last(Counter::Bare(7), &[5, 6]), 7);
        assert_eq!(last(Counter::Bare(3), &[5, 6]), 6, "a job that waits has a later number");
        assert_eq!(last(Counter::Bare(90_000_007), &[5, 6]), 6, "so many were never given");
        assert_eq!(last(Counter::Bare(u64::MAX), &[]), 0);
        assert_eq!(last(Counter::Bare(u64::MAX), &[6, u64::MAX]), 6);
        assert_eq!(last(Counter::Unreadable, &[5, 6]), 6);
        assert_eq!(last(Counter::Unreadable, &[]), 0);
    }
}

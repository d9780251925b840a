//! The file `admission`: the lock for every decision that concerns several jobs, and a row for each job that waits or
//! has taken one of the places that the limits allow.
//!
//! The jobs themselves contain everything that its rows say, so a lost or changed file is rebuilt from them. The first
//! row is that of the file itself: after its text, a 1 says that the settings have nothing to be done at the end of
//! jobs, and another 1 that they have no guard, as far as the last program that looked knows. A row of zeros is free;
//! the others are as follows, with all numbers little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 to 16 | the id of the job |
//! | 16 to 32 | its place in the queue among jobs of the same priority |
//! | 32 to 36 | its priority |
//! | 36 to 40 | how many slots it takes |
//! | 40 to 44 | 1 and its number among the running jobs of its group, or 0 |
//! | 44 to 52 | when it may be started at the earliest, in microseconds since 1970, or 0 |
//! | 52 to 68 | the id of an unfinished job that it is to start after, if one is known |
//! | 68 | 1 if it waits, 2 if it has a slot, 3 if it has ended and something is to be done at its end |
//! | 69 | bits: 1 it has a line of its own to be run at its end, 2 it may have lent its slot (the lock of the job shows whether it has), 4 it is on hold, 8 it is to start after other jobs, 16 it is a schedule |
//! | 70 | the length of the name of its group, 0 if it is in none |
//! | 71 to 135 | that name |
//! | 135 | how many resources it takes, each of which follows: the length of its name, the name, the amount in 4 bytes, the units in 8 |
//! | 248 to 252 | the CRC-32 of its conditions on the load of the machine, or 0 for none |
//! | 252 to 256 | the CRC-32 of everything before |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::atomic;
use super::job_file::JobFile;
use super::jobs::Jobs;
use super::layout::Layout;
use super::sleeper;
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::limit::Resource;
use crate::queue::{self, Place};
use crate::record::{Ended, Start};
use crate::spec::JobSpec;
use crate::store::{Slot, StoreSettings};
use crate::sys::lock;

/// How long to wait for the admission lock. Its holders need microseconds; one that is stopped by a signal keeps it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many times a process without the lock reads rows again that are being written.
const READ_AGAIN: usize = 16;
/// With more rows than this, the file is cut off when all of them are free.
const MANY: usize = 64;

const ROW: usize = 256;
/// The text of the first row.
const HEADER: &[u8] = b"jobcore admission 3\n";
const FREE: u8 = 0;
const WAITS: u8 = 1;
const HAS_SLOT: u8 = 2;
const HAS_ENDED: u8 = 3;

/// The bits of byte 69.
const HAS_HOOK: u8 = 1;
const IS_LENT: u8 = 2;
const IS_ON_HOLD: u8 = 4;
const HAS_DEPENDENCIES: u8 = 8;
const REPEATS: u8 = 16;

/// Where the parts of a row are.
const ID: Range<usize> = 0..16;
const ORDER: Range<usize> = 16..32;
const PRIORITY: Range<usize> = 32..36;
const WEIGHT: Range<usize> = 36..40;
const NUMBER: Range<usize> = 40..44;
const NOT_BEFORE: Range<usize> = 44..52;
const UNFINISHED: Range<usize> = 52..68;
const STATE: usize = 68;
const BITS: usize = 69;
const GROUP: usize = 70;
const RESOURCES: usize = 135;
const CONDITIONS: Range<usize> = 248..252;
const CHECKSUM: Range<usize> = 252..256;

/// Where the first row says, after its text, that the settings have nothing to be done at the end of jobs, and no
/// guard.
const NO_HOOKS: usize = HEADER.len();
const NO_GUARD: usize = HEADER.len() + 1;

/// A job that waits, or has taken a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: Slot,
    pub(super) has_slot: bool,
    /// Whether it has ended, and something is to be done at its end. If so, it has no slot and waits for none.
    pub(super) has_ended: bool,
    /// Whether it has a line of its own to be run at its end.
    pub(super) has_hook: bool,
    /// Whether it is to start after other jobs.
    pub(super) has_dependencies: bool,
    /// One of these jobs that had not ended when it was last checked.
    pub(super) unfinished: Option<JobId>,
    /// Identifies its conditions on the load of the machine; 0 if it has none.
    pub(super) conditions: u32,
}

impl Entry {
    /// Returns the entry of a new job.
    pub(super) fn new(id: JobId, spec: &JobSpec, place: Place) -> Self {
        let (has_hook, has_dependencies) = (spec.of_its_end().is_some(), !spec.after.is_empty());
        let slot = Slot::of(id, spec, place);
        let conditions = queue::tag(&spec.when);
        Self { slot, has_slot: false, has_ended: false, has_hook, has_dependencies, unfinished: None, conditions }
    }

    /// Returns the entry with a slot.
    pub(super) fn with_slot(self) -> Self {
        Self { has_slot: true, ..self }
    }

    /// Returns whether this entry of a waiting job agrees with what is on record.
    pub(super) fn is_of(&self, on_record: &Self) -> bool {
        // As far as a row can hold it: times in a record are more precise.
        let Some(on_record) = Self::from_bytes(&on_record.to_bytes()) else { return false };
        let mut slot = self.slot.clone();
        (slot.place.slot, slot.place.units) = (on_record.slot.place.slot, on_record.slot.place.units.clone());
        slot == on_record.slot
            && (self.has_hook, self.has_dependencies, self.conditions)
                == (on_record.has_hook, on_record.has_dependencies, on_record.conditions)
    }

    fn to_bytes(&self) -> [u8; ROW] {
        let Slot { id, group, lent, weight, resources, repeats, place } = &self.slot;
        let mut row = [0; ROW];
        row[ID].copy_from_slice(&id.to_bytes());
        row[ORDER].copy_from_slice(&place.order.to_le_bytes());
        row[PRIORITY].copy_from_slice(&place.priority.to_le_bytes());
        row[WEIGHT].copy_from_slice(&weight.to_le_bytes());
        row[NUMBER].copy_from_slice(&place.slot.map_or(0, |slot| slot.saturating_add(1)).to_le_bytes());
        row[NOT_BEFORE].copy_from_slice(&place.not_before.map_or(0, Timestamp::as_microsecond).to_le_bytes());
        row[UNFINISHED].copy_from_slice(&self.unfinished.map_or([0; 16], |id| id.to_bytes()));
        row[STATE] = match (self.has_ended, self.has_slot) {
            (true, _) => HAS_ENDED,
            (false, true) => HAS_SLOT,
            (false, false) => WAITS,
        };
        let bits = [
            (self.has_hook, HAS_HOOK),
            (*lent, IS_LENT),
            (place.on_hold, IS_ON_HOLD),
            (self.has_dependencies, HAS_DEPENDENCIES),
            (*repeats, REPEATS),
        ];
        row[BITS] = bits.into_iter().filter(|(is_set, _)| *is_set).fold(0, |bits, (_, bit)| bits | bit);
        put_text(&mut row[GROUP..], group.as_ref().map_or("", |group| group.as_str()));
        // A spec has few and short enough names of resources that they fit: `JobSpec::validate`.
        row[RESOURCES] = u8::try_from(resources.len()).unwrap_or(u8::MAX);
        let mut rest = &mut row[RESOURCES + 1..CONDITIONS.start];
        for (resource, amount) in resources {
            rest = put_text(rest, resource.as_str());
            let (number, after) = rest.split_at_mut(4);
            number.copy_from_slice(&amount.to_le_bytes());
            let (units, after) = after.split_at_mut(8);
            units.copy_from_slice(&place.units.get(resource).copied().unwrap_or(0).to_le_bytes());
            rest = after;
        }
        row[CONDITIONS].copy_from_slice(&self.conditions.to_le_bytes());
        let checksum = crc32fast::hash(&row[..CHECKSUM.start]);
        row[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        row
    }

    /// Reads a row that is not free; nothing if it is damaged.
    fn from_bytes(row: &[u8; ROW]) -> Option<Self> {
        if row[CHECKSUM] != crc32fast::hash(&row[..CHECKSUM.start]).to_le_bytes() {
            return None;
        }
        let id = |range: Range<usize>| JobId::from_bytes(row[range].try_into().ok()?).ok();
        let bits = row[BITS];
        let (group, _) = take_text(&row[GROUP..])?;
        let mut slot = Slot::new(id(ID)?);
        slot.group = if group.is_empty() { None } else { Some(group.parse().ok()?) };
        (slot.lent, slot.place.on_hold) = (bits & IS_LENT != 0, bits & IS_ON_HOLD != 0);
        slot.repeats = bits & REPEATS != 0;
        slot.weight = u32::from_le_bytes(row[WEIGHT].try_into().ok()?);
        slot.place.order = u128::from_le_bytes(row[ORDER].try_into().ok()?);
        slot.place.priority = i32::from_le_bytes(row[PRIORITY].try_into().ok()?);
        slot.place.slot = u32::from_le_bytes(row[NUMBER].try_into().ok()?).checked_sub(1);
        let not_before = i64::from_le_bytes(row[NOT_BEFORE].try_into().ok()?);
        slot.place.not_before =
            if not_before == 0 { None } else { Some(Timestamp::from_microsecond(not_before).ok()?) };
        (slot.resources, slot.place.units) = take_resources(&row[RESOURCES..CONDITIONS.start])?;
        Some(Self {
            slot,
            has_slot: row[STATE] == HAS_SLOT,
            has_ended: row[STATE] == HAS_ENDED,
            has_hook: bits & HAS_HOOK != 0,
            has_dependencies: bits & HAS_DEPENDENCIES != 0,
            conditions: u32::from_le_bytes(row[CONDITIONS].try_into().ok()?),
            unfinished: if row[UNFINISHED] == [0; 16] { None } else { Some(id(UNFINISHED)?) },
        })
    }
}

/// Writes a text after its length, and returns what comes after it.
fn put_text<'r>(row: &'r mut [u8], text: &str) -> &'r mut [u8] {
    row[0] = u8::try_from(text.len()).unwrap_or(0);
    let (place, rest) = row[1..].split_at_mut(text.len());
    place.copy_from_slice(text.as_bytes());
    rest
}

/// Returns a text that follows its length, and what comes after it.
fn take_text(row: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = row.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// How much a job takes of each resource, and which units of it.
type Resources = (BTreeMap<Resource, u32>, BTreeMap<Resource, u64>);

fn take_resources(row: &[u8]) -> Option<Resources> {
    let (count, mut rest) = row.split_first()?;
    let (mut amounts, mut all_units) = Resources::default();
    for _ in 0..*count {
        let (name, after) = take_text(rest)?;
        let (amount, after) = after.split_first_chunk()?;
        let (units, after) = after.split_first_chunk()?;
        let (resource, units) = (name.parse::<Resource>().ok()?, u64::from_le_bytes(*units));
        if units != 0 {
            all_units.insert(resource.clone(), units);
        }
        amounts.insert(resource, u32::from_le_bytes(*amount));
        rest = after;
    }
    Some((amounts, all_units))
}

/// The first row and the rows of jobs, as they are in the file. The rows of waiting jobs, of which there may be very
/// many, are only checked when they are read.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows(Vec<u8>);

impl Rows {
    /// Reads the file; nothing if it is damaged.
    fn parse(bytes: Vec<u8>) -> Option<Self> {
        if !bytes.starts_with(HEADER) || !bytes.len().is_multiple_of(ROW) {
            return None;
        }
        let rows = Self(bytes);
        let is_sound = |row: &[u8; ROW]| matches!(row[STATE], FREE | WAITS) || Entry::from_bytes(row).is_some();
        rows.all().iter().all(is_sound).then_some(rows)
    }

    fn all(&self) -> &[[u8; ROW]] {
        self.0.get(ROW..).unwrap_or_default().as_chunks().0
    }

    /// Returns the jobs that have a slot, or have ended, in order.
    pub(super) fn taken(&self) -> Vec<Entry> {
        let taken = self.all().iter().filter(|row| matches!(row[STATE], HAS_SLOT | HAS_ENDED));
        in_order(taken.filter_map(Entry::from_bytes).collect())
    }

    /// Returns the jobs that wait, in order; nothing if a row is damaged.
    fn waiting(&self) -> Option<Vec<Entry>> {
        self.all().iter().filter(|row| row[STATE] == WAITS).map(Entry::from_bytes).collect::<Option<_>>().map(in_order)
    }

    /// Returns the jobs that wait and are to start after others.
    pub(super) fn dependent(&self) -> Vec<Entry> {
        let is_dependent = |row: &&[u8; ROW]| row[STATE] == WAITS && row[BITS] & HAS_DEPENDENCIES != 0;
        self.all().iter().filter(is_dependent).filter_map(Entry::from_bytes).collect()
    }

    /// Returns the jobs that wait or have a slot.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = JobId> + '_ {
        let unfinished = self.all().iter().filter(|row| matches!(row[STATE], WAITS | HAS_SLOT));
        unfinished.filter_map(|row| JobId::from_bytes(row[ID].try_into().ok()?).ok())
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.all().iter().any(|row| row[STATE] == WAITS)
    }

    /// Returns the entry of a job, if it has one.
    pub(super) fn find(&self, id: JobId) -> Option<Entry> {
        self.place_of(id).and_then(|place| Entry::from_bytes(&self.all()[place]))
    }

    fn place_of(&self, id: JobId) -> Option<usize> {
        let id = id.to_bytes();
        self.all().iter().position(|row| row[ID] == id && row[STATE] != FREE)
    }

    /// Returns whether a schedule is due.
    pub(super) fn has_due_schedule(&self, now: Timestamp) -> bool {
        let repeats = |row: &&[u8; ROW]| row[STATE] == WAITS && row[BITS] & (REPEATS | IS_ON_HOLD) == REPEATS;
        self.all().iter().filter(repeats).any(|row| not_before(row) <= now.as_microsecond())
    }

    /// Returns when the next job that waits for a time may be started.
    pub(super) fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        next_start(self.all(), now)
    }

    /// Returns whether the settings may have a guard.
    pub(super) fn may_have_guard(&self) -> bool {
        self.0.get(NO_GUARD) != Some(&1)
    }

    /// Returns the jobs that wait for nothing but room, and perhaps for the machine to be less busy: those with such a
    /// condition of their own, or all of them.
    pub(super) fn eligible(&self, now: Timestamp, all: bool) -> impl Iterator<Item = Entry> + '_ {
        let is_eligible = move |row: &&[u8; ROW]| {
            row[STATE] == WAITS
                && row[BITS] & (IS_ON_HOLD | REPEATS) == 0
                && row[UNFINISHED] == [0; 16]
                && (all || row[CONDITIONS] != [0; 4])
                && not_before(row) <= now.as_microsecond()
        };
        self.all().iter().filter(is_eligible).filter_map(Entry::from_bytes)
    }

    /// Returns the last place in the queue, whatever the priority.
    fn last_order(&self) -> Option<u128> {
        let order = |row: &[u8; ROW]| row[ORDER].try_into().map_or(0, u128::from_le_bytes);
        self.all().iter().filter(|row| row[STATE] != FREE).map(order).max()
    }

    fn set(&mut self, place: usize, row: &[u8; ROW]) {
        let end = (place + 2) * ROW;
        if self.0.len() < end {
            self.0.resize(end, 0);
        }
        self.0[end - ROW..end].copy_from_slice(row);
    }
}

/// Returns when the next of the jobs that wait for a time may be started.
fn next_start<'r>(rows: impl IntoIterator<Item = &'r [u8; ROW]>, now: Timestamp) -> Option<Timestamp> {
    let now = now.as_microsecond();
    let waits = |row: &&[u8; ROW]| row[STATE] == WAITS && row[BITS] & IS_ON_HOLD == 0;
    let next = rows.into_iter().filter(waits).map(not_before).filter(|time| *time > now).min()?;
    Timestamp::from_microsecond(next).ok()
}

/// Returns the earliest time at which the job of a row may be started, in microseconds.
fn not_before(row: &[u8; ROW]) -> i64 {
    row[NOT_BEFORE].try_into().map_or(0, i64::from_le_bytes)
}

/// Reads without the lock; nothing if the file has to be rebuilt, or is being written all the time.
fn look<T>(layout: &Layout, of: impl Fn(Rows) -> Option<T>) -> Result<Option<T>> {
    for _ in 0..READ_AGAIN {
        let Some(bytes) = atomic::read_bytes(&layout.admission())? else { return Ok(None) };
        if let Some(seen) = Rows::parse(bytes).and_then(&of) {
            return Ok(Some(seen));
        }
        std::thread::yield_now();
    }
    Ok(None)
}

/// Returns the current rows.
pub(super) fn rows(layout: &Layout) -> Result<Rows> {
    match look(layout, Some)? {
        Some(rows) => Ok(rows),
        None if !atomic::is_there(&layout.days())? => Ok(Rows::default()),
        None => Ok(Admission::take(layout)?.rows),
    }
}

/// Returns the jobs that have a slot or have ended and those that wait, both in order, as of now.
pub(super) fn entries(layout: &Layout) -> Result<(Vec<Entry>, Vec<Entry>)> {
    match look(layout, |rows| Some((rows.taken(), rows.waiting()?)))? {
        Some(entries) => Ok(entries),
        None if !atomic::is_there(&layout.days())? => Ok(Default::default()),
        None => {
            let mut admission = Admission::take(layout)?;
            let waiting = admission.waiting()?;
            Ok((admission.rows.taken(), waiting))
        }
    }
}

fn in_order(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_unstable_by_key(|entry| (entry.slot.place.rank(), entry.slot.id));
    entries
}

/// The admission lock; dropping it releases the lock.
#[derive(Debug)]
pub(super) struct Admission {
    file: File,
    layout: Layout,
    pub(super) rows: Rows,
    /// Whether the settings have nothing to be run at the end of jobs.
    has_no_hooks: bool,
}

impl Admission {
    pub(super) fn take(layout: &Layout) -> Result<Self> {
        let path = layout.admission();
        loop {
            let file = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
            if !lock::take_within(&file, PATIENCE).context("lock", &path)? {
                let reason =
                    format!("it has been busy for {PATIENCE:?}; a process that uses it may be stopped by a signal");
                return Err(Error::StoreRefused { path: layout.root.to_path_buf(), reason });
            }
            // If the file was removed, others may have taken another lock.
            if !atomic::is_at(&file, &path)? {
                continue;
            }
            let bytes = atomic::read_all(&file).context("read", &path)?;
            let has_no_hooks = bytes.get(NO_HOOKS) == Some(&1);
            let is_new = bytes.is_empty();
            let mut admission = Self { file, layout: layout.clone(), rows: Rows::default(), has_no_hooks };
            match Rows::parse(bytes) {
                Some(rows) => admission.rows = rows,
                None => admission.make_again(is_new)?,
            }
            return Ok(admission);
        }
    }

    /// Returns the jobs that have a slot, in order.
    pub(super) fn taken(&self) -> Vec<Entry> {
        let mut taken = self.rows.taken();
        taken.retain(|entry| entry.has_slot);
        taken
    }

    /// Returns the jobs that wait, in order.
    pub(super) fn waiting(&mut self) -> Result<Vec<Entry>> {
        if let Some(waiting) = self.rows.waiting() {
            return Ok(waiting);
        }
        self.make_again(false)?;
        Ok(self.rows.waiting().unwrap_or_default())
    }

    /// Returns whether something may have to be run at the end of jobs that have no line of their own.
    pub(super) fn may_have_hooks(&self) -> bool {
        !self.has_no_hooks
    }

    /// Notes what the settings say about that, and whether they have a guard, so that a process that ends a job need
    /// not read them.
    pub(super) fn note_settings(&mut self, settings: &StoreSettings) -> Result<()> {
        let has_none = [!settings.has_hooks(), settings.guard.is_empty()];
        if has_none != [self.has_no_hooks, !self.rows.may_have_guard()] {
            let bytes = has_none.map(u8::from);
            self.file.write_all_at(&bytes, NO_HOOKS as u64).context("write", &self.layout.admission())?;
            self.has_no_hooks = has_none[0];
            if let Some(known) = self.rows.0.get_mut(NO_HOOKS..=NO_GUARD) {
                known.copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    /// Returns the place in the queue after all others of the same priority.
    pub(super) fn last_order(&self) -> u128 {
        // The time keeps jobs in order even if none waits.
        let now = order(u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0));
        let last = self.rows.last_order();
        last.map_or(now, |last| now.max(last.saturating_add(order(1))))
    }

    /// Adds a job, or replaces its entry.
    pub(super) fn put(&mut self, entry: &Entry) -> Result<()> {
        let own = self.rows.place_of(entry.slot.id);
        self.wake_sleeper(own);
        let free = || self.rows.all().iter().position(|row| row[STATE] == FREE).unwrap_or(self.rows.all().len());
        self.write(own.unwrap_or_else(free), &entry.to_bytes())
    }

    /// Removes a job, if it is there.
    pub(super) fn remove(&mut self, id: JobId) -> Result<()> {
        let Some(place) = self.rows.place_of(id) else { return Ok(()) };
        self.wake_sleeper(Some(place));
        let is_last = |rows: &Rows| rows.all().iter().filter(|row| row[STATE] != FREE).count() == 1;
        if self.rows.all().len() > MANY && is_last(&self.rows) {
            self.rows = Rows::default();
            return self.file.set_len(ROW as u64).context("write", &self.layout.admission());
        }
        self.write(place, &[0; ROW])
    }

    /// Wakes the process that sleeps until a job is due, if that may be this job, which is about to be changed.
    fn wake_sleeper(&self, place: Option<usize>) {
        let row = place.map(|place| &self.rows.all()[place]);
        if row.is_some_and(|row| next_start([row], Timestamp::now()).is_some()) {
            sleeper::wake(&self.layout);
        }
    }

    fn write(&mut self, place: usize, row: &[u8; ROW]) -> Result<()> {
        self.file.write_all_at(row, ((place + 1) * ROW) as u64).context("write", &self.layout.admission())?;
        self.rows.set(place, row);
        Ok(())
    }

    /// Rebuilds all rows from the jobs. The first row is written last: until then, the file is not valid.
    fn make_again(&mut self, is_new: bool) -> Result<()> {
        self.has_no_hooks = false;
        let path = self.layout.admission();
        if !is_new {
            tracing::warn!(path = %path.display(), "it was damaged, and is rebuilt from the jobs");
        }
        let jobs = Jobs::new(&self.layout);
        let mut rows = vec![0; ROW];
        rows[..HEADER.len()].copy_from_slice(HEADER);
        for id in jobs.all()? {
            let entry = match jobs.read(id) {
                Ok(read) => entry_of(&jobs, id, &read),
                // Nothing is known of such a job, and it affects no other; or it was removed.
                Err(Error::Damaged { .. } | Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            };
            rows.extend(entry?.iter().flat_map(Entry::to_bytes));
        }
        let (header, of_jobs) = rows.split_at(ROW);
        let written = self.file.set_len(0).and_then(|()| self.file.write_all_at(of_jobs, ROW as u64));
        written.and_then(|()| self.file.write_all_at(header, 0)).context("write", &path)?;
        self.rows = Rows(rows);
        Ok(())
    }
}

/// Returns the place in the queue of a job that was submitted at this microsecond. There is room between any two.
pub(super) fn order(microsecond: u64) -> u128 {
    u128::from(microsecond) << 64
}

/// Returns the entry of a job that is on record; nothing if it has ended.
pub(super) fn entry_of(jobs: &Jobs, id: JobId, read: &JobFile) -> Result<Option<Entry>> {
    if read.has::<Ended>() {
        return Ok(None);
    }
    let Ok(submission) = read.submission() else { return Ok(None) };
    let mut entry = Entry::new(id, &submission.spec, read.place(&submission.spec));
    // The holder of the lock has a slot, or is about to find out that none is free.
    entry.has_slot = read.has::<Start>() || (!entry.slot.repeats && jobs.is_held(id)?);
    entry.slot.lent = entry.has_slot && jobs.is_lent(id)?;
    if !entry.has_slot {
        // A process that was given a slot for it did not start it.
        (entry.slot.place.slot, entry.slot.place.units) = Default::default();
    }
    Ok(Some(entry))
}

/// Returns the entry of a job, if it waits.
pub(super) fn waiting(jobs: &Jobs, id: JobId) -> Result<Option<Entry>> {
    let entry = entry_of(jobs, id, &jobs.read(id)?)?;
    Ok(entry.filter(|entry| !entry.has_slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: Option<&str>, has_slot: bool) -> Entry {
        let id = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let mut slot = Slot::new(id);
        (slot.group, slot.lent, slot.weight) = (group.map(|group| group.parse().unwrap()), has_slot, 7);
        (slot.place.order, slot.place.priority, slot.place.on_hold) = (order(42) + 1, -3, !has_slot);
        slot.repeats = !has_slot;
        slot.place.slot = has_slot.then_some(0);
        slot.place.not_before = (!has_slot).then(|| Timestamp::from_microsecond(1_764_000_000_000_001).unwrap());
        for name in
            ["port:3000", "abcdefghijklmnopqrstuvwxyz0123456789ABC"].map(|name| name.parse::<Resource>().unwrap())
        {
            slot.resources.insert(name.clone(), u32::MAX);
            slot.place.units.insert(name, 1 << 63);
        }
        let (unfinished, conditions) = (has_slot.then_some(id), if has_slot { 0 } else { u32::MAX });
        let has_ended = false;
        Entry { slot, has_slot, has_ended, has_hook: has_slot, has_dependencies: has_slot, unfinished, conditions }
    }

    #[test]
    fn rows_are_read_back_and_every_changed_byte_is_detected() {
        let longest = "x".repeat(64);
        let ended = Entry { has_ended: true, ..entry(None, false) };
        for entry in [entry(None, false), entry(Some("a-b.c"), true), entry(Some(&longest), false), ended] {
            let row = entry.to_bytes();
            assert_eq!(Entry::from_bytes(&row), Some(entry));
            for place in 0..ROW {
                let mut changed = row;
                changed[place] ^= 1;
                assert_eq!(Entry::from_bytes(&changed), None, "byte {place}");
            }
        }
    }

    #[test]
    fn a_row_has_room_for_the_most_resources_that_a_job_can_take() {
        let mut longest = entry(Some(&"g".repeat(64)), true);
        let names = ["a".repeat(45), "b".to_owned(), "c".to_owned(), "d".to_owned()];
        longest.slot.resources = names.iter().map(|name| (name.parse().unwrap(), 1)).collect();
        longest.slot.place.units = names.iter().map(|name| (name.parse().unwrap(), 3)).collect();
        assert_eq!(Entry::from_bytes(&longest.to_bytes()), Some(longest));
    }

    #[test]
    fn a_file_is_read_as_a_whole_or_not_at_all() {
        let seen = |file: &[u8]| {
            let rows = Rows::parse(file.to_vec())?;
            Some([rows.taken(), rows.waiting()?].concat())
        };
        let mut file = vec![0; 3 * ROW];
        file[..HEADER.len()].copy_from_slice(HEADER);
        file[2 * ROW..].copy_from_slice(&entry(None, true).to_bytes());
        assert_eq!(seen(&file), Some(vec![entry(None, true)]));
        assert_eq!(seen(&file[..ROW]), Some(Vec::new()));
        for damaged in [&b""[..], &file[..3 * ROW - 1], &file[ROW..], b"00000000000000000007"] {
            assert_eq!(seen(damaged), None);
        }
        for has_slot in [true, false] {
            file[2 * ROW..].copy_from_slice(&entry(None, has_slot).to_bytes());
            file[2 * ROW] ^= 1;
            assert_eq!(seen(&file), None);
        }
    }
}

//! The file `admission`: the lock under which everything is decided that concerns several jobs, and a row for each job that
//! waits or has taken one of the places that the limits allow.
//!
//! The jobs themselves say all that its rows say, so that a file that was lost or changed is made again from them. The first row
//! is that of the file itself: after its text, 1 says that the settings have nothing that is to be run at the end of jobs, as far
//! as whoever looked last knows. A row that is all zero is free; the others are
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 to 16 | the id of the job |
//! | 16 to 24 | its place in the queue, little-endian |
//! | 24 | 1 if it waits, 2 if it has a slot, 3 if it has ended and something is to be run at its end |
//! | 25 | the length of the name of its group, 0 if it is in none |
//! | 26 to 90 | that name |
//! | 90 | 1 if the job has a line of its own that is to be run at its end |
//! | 91 | 1 if it may have lent its slot: whether it has, the lock of the job tells |
//! | 124 to 128 | the CRC-32 of all before |

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use super::atomic;
use super::job_file::{JobFile, Queued};
use super::jobs::Jobs;
use super::layout::Layout;
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::record::{Ended, Start, Submission};
use crate::store::{Slot, StoreSettings};
use crate::sys::lock;

/// How long to wait for the admission lock. Its holders need microseconds; one that is stopped by a signal keeps it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often rows that are being written are read again by one who does not have the lock.
const READ_AGAIN: usize = 16;
/// With how many rows a file is cut off when all of them are free.
const MANY: usize = 64;

const ROW: usize = 128;
/// What the first row says.
const HEADER: &[u8] = b"jobcore admission 2\n";
const WAITS: u8 = 1;
const HAS_SLOT: u8 = 2;
const HAS_ENDED: u8 = 3;

/// A job that waits, or has taken a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The order in which jobs are started.
    pub(super) number: u64,
    pub(super) slot: Slot,
    pub(super) has_slot: bool,
    /// Whether it has ended, and something is to be run at its end. Then it has no slot, and waits for none.
    pub(super) has_ended: bool,
    /// Whether it has a line of its own to be run at its end.
    pub(super) has_hook: bool,
}

impl Entry {
    /// Returns what a job has as its entry that has just been made.
    pub(super) fn new(number: u64, slot: Slot, has_slot: bool, has_hook: bool) -> Self {
        Self { number, slot, has_slot, has_ended: false, has_hook }
    }

    fn to_bytes(&self) -> [u8; ROW] {
        let mut row = [0; ROW];
        row[..16].copy_from_slice(&self.slot.id.to_bytes());
        row[16..24].copy_from_slice(&self.number.to_le_bytes());
        row[24] = match (self.has_ended, self.has_slot) {
            (true, _) => HAS_ENDED,
            (false, true) => HAS_SLOT,
            (false, false) => WAITS,
        };
        let group = self.slot.group.as_ref().map_or("", |group| group.as_str());
        // A name has at most 64 bytes.
        row[25] = u8::try_from(group.len()).unwrap_or(0);
        row[26..26 + group.len()].copy_from_slice(group.as_bytes());
        row[90] = u8::from(self.has_hook);
        row[91] = u8::from(self.slot.lent);
        let checksum = crc32fast::hash(&row[..124]);
        row[124..].copy_from_slice(&checksum.to_le_bytes());
        row
    }

    /// Reads a row that is not free; nothing if it was changed.
    fn from_bytes(row: &[u8]) -> Option<Self> {
        if row.get(124..ROW)? != crc32fast::hash(&row[..124]).to_le_bytes() {
            return None;
        }
        let id = JobId::from_bytes(row[..16].try_into().ok()?).ok()?;
        let number = u64::from_le_bytes(row[16..24].try_into().ok()?);
        let group = row.get(26..26 + usize::from(row[25])).map(std::str::from_utf8)?.ok()?;
        let group = if group.is_empty() { None } else { Some(group.parse().ok()?) };
        let (has_slot, has_ended, has_hook) = (row[24] == HAS_SLOT, row[24] == HAS_ENDED, row[90] == 1);
        let slot = Slot { id, group, lent: row[91] == 1 };
        Some(Self { number, slot, has_slot, has_ended, has_hook })
    }
}

/// Reads the rows; nothing if they are not as they were written.
fn parse(bytes: &[u8]) -> Option<Vec<Option<Entry>>> {
    let (header, rows) = bytes.split_at_checked(ROW)?;
    if !header.starts_with(HEADER) || rows.len() % ROW != 0 {
        return None;
    }
    let parse = |row: &[u8]| match row.iter().all(|byte| *byte == 0) {
        true => Some(None),
        false => Entry::from_bytes(row).map(Some),
    };
    rows.chunks_exact(ROW).map(parse).collect()
}

/// Returns what waits and what has a slot, without the lock; nothing if that has to be made again.
fn look(layout: &Layout) -> Result<Option<Vec<Entry>>> {
    for _ in 0..READ_AGAIN {
        let Some(bytes) = atomic::read_bytes(&layout.admission())? else { return Ok(None) };
        if let Some(rows) = parse(&bytes) {
            return Ok(Some(in_order(rows)));
        }
        std::thread::yield_now();
    }
    Ok(None)
}

/// Returns what waits and what has a slot, in order, at this moment.
pub(super) fn entries(layout: &Layout) -> Result<Vec<Entry>> {
    match look(layout)? {
        Some(entries) => Ok(entries),
        None if !atomic::is_there(&layout.days())? => Ok(Vec::new()),
        None => Ok(Admission::take(layout)?.entries()),
    }
}

/// Returns those that have a slot, and those that wait.
pub(super) fn partition(mut entries: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    entries.retain(|entry| !entry.has_ended);
    entries.into_iter().partition(|entry| entry.has_slot)
}

fn in_order(rows: Vec<Option<Entry>>) -> Vec<Entry> {
    let mut entries: Vec<_> = rows.into_iter().flatten().collect();
    entries.sort_unstable_by_key(|entry| (entry.number, entry.slot.id));
    entries
}

/// The admission lock; free when it is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    file: File,
    layout: Layout,
    rows: Vec<Option<Entry>>,
    /// Whether the settings have nothing that is to be run at the end of jobs.
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
            // Whoever removed the file has let others take another lock.
            if !atomic::is_at(&file, &path)? {
                continue;
            }
            let bytes = atomic::read_all(&file).context("read", &path)?;
            let has_no_hooks = bytes.get(HEADER.len()) == Some(&1);
            let mut admission = Self { file, layout: layout.clone(), rows: Vec::new(), has_no_hooks };
            match parse(&bytes) {
                Some(rows) => admission.rows = rows,
                None => admission.make_again(bytes.is_empty())?,
            }
            return Ok(admission);
        }
    }

    /// Returns what waits and what has a slot, in order.
    pub(super) fn entries(&self) -> Vec<Entry> {
        in_order(self.rows.clone())
    }

    /// Returns those that have a slot, and those that wait, in order.
    pub(super) fn taken_and_waiting(&self) -> (Vec<Entry>, Vec<Entry>) {
        partition(self.entries())
    }

    /// Returns what is known of a job, if it is there.
    pub(super) fn entry(&self, id: JobId) -> Option<&Entry> {
        self.place_of(id).and_then(|place| self.rows[place].as_ref())
    }

    /// Returns whether something may be to be run at the end of jobs that have no line of their own.
    pub(super) fn may_have_hooks(&self) -> bool {
        !self.has_no_hooks
    }

    /// Takes down what the settings say of that, so that whoever ends a job need not read them.
    pub(super) fn note_hooks(&mut self, settings: &StoreSettings) -> Result<()> {
        let has_none = !settings.has_hooks();
        if has_none != self.has_no_hooks {
            let written = self.file.write_all_at(&[u8::from(has_none)], HEADER.len() as u64);
            written.context("write", &self.layout.admission())?;
            self.has_no_hooks = has_none;
        }
        Ok(())
    }

    /// Returns the place in the queue behind all others.
    pub(super) fn next_number(&self) -> u64 {
        // The time keeps jobs in order also where none waits.
        let now = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
        let last = self.rows.iter().flatten().map(|entry| entry.number).max();
        last.map_or(now, |last| now.max(last.saturating_add(1)))
    }

    /// Adds a job, or says anew what is said of it.
    pub(super) fn put(&mut self, entry: Entry) -> Result<()> {
        let own = self.place_of(entry.slot.id);
        let place = own.or_else(|| self.rows.iter().position(Option::is_none)).unwrap_or(self.rows.len());
        self.write(place, &entry.to_bytes())?;
        if place == self.rows.len() {
            self.rows.push(None);
        }
        self.rows[place] = Some(entry);
        Ok(())
    }

    /// Removes a job, if it is there.
    pub(super) fn remove(&mut self, id: JobId) -> Result<()> {
        let Some(place) = self.place_of(id) else { return Ok(()) };
        self.rows[place] = None;
        if self.rows.len() > MANY && self.rows.iter().all(Option::is_none) {
            self.rows.clear();
            return self.file.set_len(ROW as u64).context("write", &self.layout.admission());
        }
        self.write(place, &[0; ROW])
    }

    fn place_of(&self, id: JobId) -> Option<usize> {
        self.rows.iter().position(|row| row.as_ref().is_some_and(|entry| entry.slot.id == id))
    }

    fn write(&self, place: usize, row: &[u8; ROW]) -> Result<()> {
        self.file.write_all_at(row, ((place + 1) * ROW) as u64).context("write", &self.layout.admission())
    }

    /// Makes all rows again from the jobs. The first comes last: until then, there are none.
    fn make_again(&mut self, is_new: bool) -> Result<()> {
        self.has_no_hooks = false;
        let path = self.layout.admission();
        if !is_new {
            tracing::warn!(path = %path.display(), "it was not as it should be, and is made again from the jobs");
        }
        let jobs = Jobs::new(&self.layout);
        for id in jobs.all()? {
            let entry = match jobs.read(id) {
                Ok(read) => entry_of(&jobs, id, &read),
                // It is no job of which anything is known, and spoils nothing but itself; or it is gone.
                Err(Error::Damaged { .. } | Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            };
            self.rows.extend(entry?.map(Some));
        }
        let mut header = [0; ROW];
        header[..HEADER.len()].copy_from_slice(HEADER);
        let rows: Vec<u8> = self.rows.iter().flatten().flat_map(Entry::to_bytes).collect();
        let written = self.file.set_len(0).and_then(|()| self.file.write_all_at(&rows, ROW as u64));
        written.and_then(|()| self.file.write_all_at(&header, 0)).context("write", &path)
    }
}

/// Returns what there is to say of a job that is on record: nothing if it has ended.
fn entry_of(jobs: &Jobs, id: JobId, read: &JobFile) -> Result<Option<Entry>> {
    if read.has::<Ended>() {
        return Ok(None);
    }
    let (group, has_hook) = match read.submission() {
        Ok(Submission { spec, .. }) => (spec.group.clone(), spec.of_its_end().is_some()),
        Err(_) => return Ok(None),
    };
    // Where it stood is not known: before all others, most of which have waited for less time.
    let number = read.get::<Queued>().ok().flatten().map_or(0, |queued| queued.sequence);
    // The holder of the lock has a slot, or is about to find out that there is none to have.
    let has_slot = read.has::<Start>() || jobs.is_held(id)?;
    let slot = Slot { id, group, lent: has_slot && jobs.is_lent(id)? };
    Ok(Some(Entry::new(number, slot, has_slot, has_hook)))
}

/// Returns what a job that waits is to have as its entry.
pub(super) fn waiting(jobs: &Jobs, id: JobId) -> Result<Option<Entry>> {
    let entry = entry_of(jobs, id, &jobs.read(id)?)?;
    Ok(entry.filter(|entry| !entry.has_slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: Option<&str>, has_slot: bool) -> Entry {
        let (has_ended, has_hook) = (false, has_slot);
        let id = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        let slot = Slot { id, group: group.map(|group| group.parse().unwrap()), lent: has_slot };
        Entry { number: 42, slot, has_slot, has_ended, has_hook }
    }

    #[test]
    fn rows_are_read_back_and_no_changed_byte_changes_what_is_read() {
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
    fn a_file_is_read_as_a_whole_or_not_at_all() {
        let mut file = vec![0; 3 * ROW];
        file[..HEADER.len()].copy_from_slice(HEADER);
        file[2 * ROW..].copy_from_slice(&entry(None, true).to_bytes());
        assert_eq!(parse(&file), Some(vec![None, Some(entry(None, true))]));
        assert_eq!(parse(&file[..ROW]), Some(Vec::new()));
        for damaged in [&b""[..], &file[..3 * ROW - 1], &file[ROW..], b"00000000000000000007"] {
            assert_eq!(parse(damaged), None);
        }
        file[2 * ROW] ^= 1;
        assert_eq!(parse(&file), None);
    }
}

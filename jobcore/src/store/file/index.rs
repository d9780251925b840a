//! What is known of all jobs without opening them: for each UTC day a file of rows of one size.
//!
//! It is a cache of the job directories, and no truth. A job's row is there before its directory is, so that no job is
//! missing from it; a row without a directory means nothing. Rows are added under the admission lock. The state of a row
//! is set when the end of the job is on record, and may lag: a row that is open is always checked against the job. A file
//! that is missing, damaged or of another boot (after a power loss rows may be lost) is made anew from the directories.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::layout::{JobDir, Layout};
use super::queue::{Admission, Queued};
use super::{FileStore, atomic, names};
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::record::{Ended, Submission};
use crate::spec::JobSpec;
use crate::state::Status;
use crate::store::Query;
use crate::sys::process;

/// The size of a row, and of the header before the first.
const ROW: usize = 128;
const ROW_BYTES: u64 = ROW as u64;
/// How many rows are read at a time.
const CHUNK: u64 = 4096;
/// What the header begins with: 16 bytes; the id of the boot follows, and then the number of rows.
const MAGIC: &[u8; 16] = b"jobcore index 1\n";
const BOOT: std::ops::Range<usize> = 16..56;
const COUNT: std::ops::Range<usize> = 56..64;

/// Where the parts of a row are. What stands before `STATE` never changes and is covered by the checksum.
const NAME_LENGTH: usize = 0;
const CHECKSUM: std::ops::Range<usize> = 4..8;
const ID: std::ops::Range<usize> = 8..24;
const NAME: std::ops::Range<usize> = 24..88;
const LABELS: std::ops::Range<usize> = 88..104;
const STATE: usize = 104;
const ENDED_AT: std::ops::Range<usize> = 112..120;
const OUTPUT: std::ops::Range<usize> = 120..128;

/// What a row says of its job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowState {
    /// It has to be looked at: it may not be over, or not be there yet.
    Open,
    /// Its record could not be read when the row was made anew.
    Unreadable,
    /// It has been removed.
    Removed,
    /// It is over.
    Over(Status),
}

impl RowState {
    const UNREADABLE: u8 = 254;
    const REMOVED: u8 = 255;

    fn from_byte(byte: u8) -> Self {
        match byte {
            Self::UNREADABLE => Self::Unreadable,
            Self::REMOVED => Self::Removed,
            // What a later version writes is looked at.
            byte => Status::ALL.get(usize::from(byte)).filter(|s| s.is_final()).map_or(Self::Open, |s| Self::Over(*s)),
        }
    }

    fn to_byte(self) -> u8 {
        match self {
            Self::Open => 0,
            Self::Unreadable => Self::UNREADABLE,
            Self::Removed => Self::REMOVED,
            Self::Over(status) => {
                let place = Status::ALL.iter().position(|other| *other == status);
                place.and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
            }
        }
    }
}

/// One row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Row([u8; ROW]);

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Row").field("id", &self.id()).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl Row {
    fn new(id: JobId, spec: Option<&JobSpec>) -> Self {
        let mut row = Self([0; ROW]);
        row.0[ID].copy_from_slice(uuid::Uuid::from(id).as_bytes());
        if let Some(name) = spec.and_then(|spec| spec.name.as_ref()) {
            let name = name.as_str().as_bytes();
            row.0[NAME_LENGTH] = u8::try_from(name.len()).unwrap_or(0);
            row.0[NAME][..name.len()].copy_from_slice(name);
        }
        let mut marks = [0_u8; LABELS.end - LABELS.start];
        for mark in spec.into_iter().flat_map(|spec| {
            let group = spec.group.iter().map(|group| group_mark(group.as_str()));
            group.chain(spec.labels.iter().flat_map(|(name, value)| [label_mark(name, ""), label_mark(name, value)]))
        }) {
            for bit in bits(&mark) {
                marks[bit / 8] |= 1 << (bit % 8);
            }
        }
        row.0[LABELS].copy_from_slice(&marks);
        let checksum = row.checksum();
        row.0[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        row
    }

    /// Makes the row of a job that is there, from its records.
    fn of(layout: &Layout, id: JobId) -> Self {
        let job = layout.job(id);
        let Ok(Some(submission)) = atomic::read::<Submission>(&job.submission()) else {
            let mut row = Self::new(id, None);
            row.0[STATE] = RowState::UNREADABLE;
            return row;
        };
        let mut row = Self::new(id, Some(&submission.spec));
        if let Ok(Some(ended)) = atomic::read::<Ended>(&job.ended()) {
            row.end(&ended, output_bytes(&job));
        }
        row
    }

    fn end(&mut self, ended: &Ended, output: u64) {
        self.0[STATE] = RowState::Over(ended.outcome.status()).to_byte();
        self.0[ENDED_AT].copy_from_slice(&ended.outcome.ended_at.as_microsecond().to_le_bytes());
        self.0[OUTPUT].copy_from_slice(&output.to_le_bytes());
    }

    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.0[..CHECKSUM.start]);
        hasher.update(&self.0[CHECKSUM.end..STATE]);
        hasher.finalize()
    }

    fn is_sound(&self) -> bool {
        self.0[CHECKSUM] == self.checksum().to_le_bytes() && self.id().is_some()
    }

    fn number(&self, range: std::ops::Range<usize>) -> u64 {
        u64::from_le_bytes(self.0[range].try_into().unwrap_or_default())
    }

    pub(super) fn id(&self) -> Option<JobId> {
        uuid::Uuid::from_slice(&self.0[ID]).ok()?.try_into().ok()
    }

    pub(super) fn state(&self) -> RowState {
        RowState::from_byte(self.0[STATE])
    }

    pub(super) fn ended_at(&self) -> Timestamp {
        let micros = i64::from_le_bytes(self.0[ENDED_AT].try_into().unwrap_or_default());
        Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    pub(super) fn output_bytes(&self) -> u64 {
        self.number(OUTPUT)
    }

    fn name(&self) -> &[u8] {
        &self.0[NAME][..usize::from(self.0[NAME_LENGTH]).min(NAME.len())]
    }

    fn may_have(&self, mark: &str) -> bool {
        bits(mark).into_iter().all(|bit| self.0[LABELS][bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// Returns whether the job may be one that is wanted.
    fn may_match(&self, query: &Query) -> bool {
        let Some(id) = self.id() else { return false };
        if self.state() == RowState::Removed || !query.may_be(id) {
            return false;
        }
        if self.state() == RowState::Unreadable {
            return true;
        }
        let has_status = match self.state() {
            RowState::Over(status) => query.statuses.is_empty() || query.statuses.contains(&status),
            RowState::Open | RowState::Unreadable | RowState::Removed => true,
        };
        has_status
            && query.name.as_ref().is_none_or(|name| name.as_str().as_bytes() == self.name())
            && query.group.as_ref().is_none_or(|group| self.may_have(&group_mark(group.as_str())))
            && query.labels.iter().all(|(name, value)| self.may_have(&label_mark(name, value)))
    }
}

fn label_mark(name: &str, value: &str) -> String {
    format!("{name}={value}")
}

/// No label looks like this: a name has no slash before its `=`.
fn group_mark(group: &str) -> String {
    format!("\0{group}")
}

/// The two bits that a label sets: what shares them has to be told apart by the record.
fn bits(mark: &str) -> [usize; 2] {
    let hash = crc32fast::hash(mark.as_bytes()).to_le_bytes();
    [usize::from(hash[0] & 127), usize::from(hash[2] & 127)]
}

/// Returns how many bytes of the output of a job are kept. The rows beside them are left out: whoever adopts a job adds some.
fn output_bytes(job: &JobDir) -> u64 {
    let files = fs::read_dir(job.attempt().log()).into_iter().flatten().flatten();
    let segments = files.filter(|entry| Path::new(&entry.file_name()).extension().is_some_and(|kind| kind == "log"));
    segments.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

fn header(count: u64) -> [u8; ROW] {
    let mut header = [0; ROW];
    header[..MAGIC.len()].copy_from_slice(MAGIC);
    let boot = process::boot_id().as_bytes();
    let length = boot.len().min(BOOT.len());
    header[BOOT][..length].copy_from_slice(&boot[..length]);
    header[COUNT].copy_from_slice(&count.to_le_bytes());
    header
}

/// The index of one day, open.
#[derive(Debug)]
struct DayIndex {
    file: File,
    /// How many rows there are.
    rows: u64,
}

impl DayIndex {
    /// Opens an index; nothing if it is missing or not one. One of another boot is only good for adding rows.
    fn open(path: &Path, any_boot: bool) -> Result<Option<Self>> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            // One on a file system that is read-only can still be read.
            Err(_) => File::open(path).context("open", path)?,
        };
        let mut there = [0; ROW];
        if file.read_exact_at(&mut there, 0).is_err() {
            return Ok(None);
        }
        let count = u64::from_le_bytes(there[COUNT].try_into().unwrap_or_default());
        let length = file.metadata().context("look at", path)?.len();
        let rows = (length / ROW_BYTES).saturating_sub(1);
        let expected = header(count);
        let is_ours = there[..MAGIC.len()] == expected[..MAGIC.len()];
        let is_whole = rows >= count && (any_boot || there[BOOT] == expected[BOOT]);
        Ok((is_ours && is_whole).then_some(Self { file, rows }))
    }

    /// Adds a row and returns its number. Only under the admission lock.
    fn push(&mut self, row: &Row) -> io::Result<u64> {
        let number = self.rows;
        // A part of a row that somebody left is written over.
        self.file.write_all_at(&row.0, (number + 1) * ROW_BYTES)?;
        self.rows += 1;
        self.file.write_all_at(&self.rows.to_le_bytes(), COUNT.start as u64)?;
        Ok(number)
    }

    fn read(&self, first: u64, count: u64) -> io::Result<Vec<Row>> {
        let mut bytes = vec![0; usize::try_from(count).unwrap_or(0) * ROW];
        self.file.read_exact_at(&mut bytes, (first + 1) * ROW_BYTES)?;
        let (rows, _) = bytes.as_chunks::<ROW>();
        Ok(rows.iter().map(|bytes| Row(*bytes)).collect())
    }

    /// Shows the rows from the newest on, until `visit` has seen enough. Returns whether those that it saw are in order.
    fn visit(&self, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> io::Result<bool> {
        let mut end = self.rows;
        while end > 0 {
            let first = end.saturating_sub(CHUNK);
            for row in self.read(first, end - first)?.iter().rev() {
                if !row.is_sound() {
                    return Ok(false);
                }
                if !visit(Some(row)) {
                    return Ok(true);
                }
            }
            end = first;
        }
        Ok(true)
    }

    /// Finds the row of a job: at its number, or wherever it has got to since.
    fn find(&self, id: JobId, hint: Option<u64>) -> io::Result<Option<(u64, Row)>> {
        if let Some(number) = hint.filter(|number| *number < self.rows) {
            let row = self.read(number, 1)?[0];
            if row.id() == Some(id) {
                return Ok(Some((number, row)));
            }
        }
        let mut end = self.rows;
        while end > 0 {
            let first = end.saturating_sub(CHUNK);
            let rows = self.read(first, end - first)?;
            if let Some(place) = rows.iter().rposition(|row| row.id() == Some(id)) {
                return Ok(Some((first + place as u64, rows[place])));
            }
            end = first;
        }
        Ok(None)
    }

    /// Sets what may change of a row; the state last, so that who sees it sees the rest.
    fn set(&self, number: u64, row: &Row) -> io::Result<()> {
        let start = (number + 1) * ROW_BYTES;
        self.file.write_all_at(&row.0[ENDED_AT.start..], start + ENDED_AT.start as u64)?;
        self.file.write_all_at(&row.0[STATE..=STATE], start + STATE as u64)
    }
}

/// Adds the row of a job that is about to be published, and returns its number; nothing where there is no index, which
/// will be made of what is there. Only under the admission lock.
pub(super) fn add(layout: &Layout, submission: &Submission) -> Result<Option<u64>> {
    let path = layout.index_of(submission.job_id);
    let row = Row::new(submission.job_id, Some(&submission.spec));
    let mut index = match DayIndex::open(&path, true)? {
        Some(index) => index,
        // The first job of a day begins one. Where others have none, one row would be a lie.
        None if !path.exists() && !layout.day(submission.job_id).exists() => {
            super::make_dir(&layout.indexes())?;
            atomic::publish(&path, &header(0))?;
            match DayIndex::open(&path, true)? {
                Some(index) => index,
                None => return Ok(None),
            }
        }
        None => return Ok(None),
    };
    index.push(&row).context("write", &path).map(Some)
}

/// Marks the row of a job. What fails is found out by whoever looks at the row.
pub(super) fn mark(layout: &Layout, id: JobId, hint: Option<u64>, state: RowState) {
    if let Some((index, number, mut row)) = look_up(layout, id, hint) {
        row.0[STATE] = state.to_byte();
        let _ = index.set(number, &row);
    }
}

/// Notes the end of a job in its row, unless it is noted there already; calls `tell` before that, so that whoever dies in
/// between is followed by one who tells again.
pub(super) fn note_end(layout: &Layout, id: JobId, hint: Option<u64>, ended: &Ended, tell: impl FnOnce()) {
    match look_up(layout, id, hint) {
        Some((_, _, row)) if matches!(row.state(), RowState::Over(_) | RowState::Removed) => {}
        Some((index, number, mut row)) => {
            tell();
            row.end(ended, output_bytes(&layout.job(id)));
            let _ = index.set(number, &row);
        }
        None => tell(),
    }
}

/// Returns the row of a job, where it is there, and how to write it.
fn look_up(layout: &Layout, id: JobId, hint: Option<u64>) -> Option<(DayIndex, u64, Row)> {
    let index = DayIndex::open(&layout.index_of(id), true).ok()??;
    let (number, row) = index.find(id, hint).ok()??;
    Some((index, number, row))
}

impl FileStore {
    /// Returns the days of which there are jobs, the newest first.
    fn days(&self) -> Result<Vec<String>> {
        let mut days = names(&self.layout.days())?;
        days.retain(|name| name.parse::<jiff::civil::Date>().is_ok());
        days.sort_unstable_by(|a, b| b.cmp(a));
        Ok(days)
    }

    /// Shows the rows of a day from the newest on, until `visit` has seen enough. An index that is not in order is made
    /// anew first; should that happen in the middle, nothing is shown once, and then the rows from the start.
    fn visit_day(&self, day: &str, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> Result<()> {
        let path = self.layout.index(day);
        if let Some(index) = DayIndex::open(&path, false)?
            && index.visit(visit).context("read", &path)?
        {
            return Ok(());
        }
        visit(None);
        let _all = self.rebuild(day)?.iter().rev().all(|row| visit(Some(row)));
        Ok(())
    }

    /// Makes the index of a day anew. Others go on adding to it meanwhile, but for the last moment.
    fn rebuild(&self, day: &str) -> Result<Vec<Row>> {
        let ids_there = || -> Result<Vec<JobId>> {
            let ids = names(&self.layout.days().join(day))?.into_iter().filter_map(|name| name.parse().ok());
            Ok(ids.filter(|id: &JobId| id.day() == day).collect())
        };
        let make = |id: JobId| {
            let order = Queued::read(&self.layout.job(id)).map_or(0, |queued| queued.sequence);
            (order, id, Row::of(&self.layout, id))
        };
        // Whose row says that it is over is taken to have been told of.
        let _ = self.find_unattended();
        let mut rows: Vec<_> = ids_there()?.into_iter().map(make).collect();
        let _admission = Admission::take(&self.layout)?;
        let now: HashSet<JobId> = ids_there()?.into_iter().collect();
        rows.retain(|(_, id, _)| now.contains(id));
        let known: HashSet<JobId> = rows.iter().map(|(_, id, _)| *id).collect();
        rows.extend(now.difference(&known).map(|id| make(*id)));
        for (_, id, row) in rows.iter_mut().filter(|(_, _, row)| row.state() == RowState::Open) {
            *row = Row::of(&self.layout, *id);
        }
        rows.sort_unstable_by_key(|(order, id, _)| (*order, *id));
        let rows: Vec<Row> = rows.into_iter().map(|(_, _, row)| row).collect();
        let mut bytes = Vec::with_capacity((rows.len() + 1) * ROW);
        bytes.extend_from_slice(&header(rows.len() as u64));
        bytes.extend(rows.iter().flat_map(|row| row.0));
        super::make_dir(&self.layout.indexes())?;
        // On a full disk or one that is read-only it serves this one time.
        if let Err(error) = atomic::publish(&self.layout.index(day), &bytes) {
            tracing::debug!(%day, %error, "an index that was made anew could not be written");
        }
        Ok(rows)
    }

    /// Returns at most `limit` ids of jobs that `query` may want, the newest first, those before `before`.
    pub(super) fn query_ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        let first_day = before.map(JobId::day);
        let mut found = Vec::new();
        for day in self.days()? {
            if first_day.as_ref().is_some_and(|first| day > *first) || found.len() >= limit {
                continue;
            }
            // Behind the row of `before`, or, if that is gone, what was submitted before it.
            let is_behind_all = before.is_none_or(|before| before.day() != day);
            let mut is_behind = is_behind_all;
            let room = limit - found.len();
            let mut of_day = Vec::new();
            self.visit_day(&day, &mut |row| {
                let Some(row) = row else {
                    of_day.clear();
                    is_behind = is_behind_all;
                    return true;
                };
                if !is_behind {
                    is_behind = row.id() == before;
                } else if row.may_match(query) {
                    of_day.extend(row.id());
                }
                of_day.len() < room
            })?;
            if !is_behind {
                self.visit_day(&day, &mut |row| {
                    match row {
                        None => of_day.clear(),
                        Some(row) if row.id() < before && row.may_match(query) => of_day.extend(row.id()),
                        Some(_) => {}
                    }
                    of_day.len() < room
                })?;
            }
            found.extend(of_day);
        }
        Ok(found)
    }

    /// Returns all rows that `wanted` makes something of, the newest first, but for those of jobs that are gone.
    pub(super) fn all_rows<T>(&self, wanted: impl Fn(&Row) -> Option<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for day in self.days()? {
            let start = all.len();
            self.visit_day(&day, &mut |row| {
                match row {
                    None => all.truncate(start),
                    Some(row) if row.state() != RowState::Removed => all.extend(wanted(row)),
                    Some(_) => {}
                }
                true
            })?;
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemRandom, Timestamp};
    use crate::record::World;
    use crate::state::{Cause, Outcome};
    use crate::store::JobStore;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn submission(name: &str) -> Submission {
        let spec = JobSpec::shell("true").cwd("/").label("kind", "test").name(name.parse().unwrap());
        let now = Timestamp::now();
        let world: World = crate::sys::world::capture();
        Submission::new(JobId::mint(now, &SystemRandom), now, spec.build().unwrap(), "/bin/sh".into(), world)
    }

    fn add_job(store: &FileStore, name: &str) -> JobId {
        let submission = submission(name);
        let id = submission.job_id;
        block_on(store.create(submission)).unwrap();
        id
    }

    fn end_job(store: &FileStore, id: JobId) {
        let mut outcome = Outcome::new(Cause::Exited, Timestamp::now());
        outcome.exit_code = Some(0);
        let records = super::super::Records::claim(&store.layout, id).unwrap().unwrap();
        records.finish(&Ended::new(Some(Timestamp::now()), outcome)).unwrap();
    }

    /// A store with jobs that are over, one that has been removed and one that is queued.
    fn store() -> (tempfile::TempDir, FileStore, Vec<JobId>) {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        let mut ids: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| add_job(&store, name)).collect();
        ids.iter().take(3).for_each(|id| end_job(&store, *id));
        block_on(store.remove(ids.remove(1))).unwrap();
        (directory, store, ids)
    }

    fn path(store: &FileStore) -> std::path::PathBuf {
        let days = store.days().unwrap();
        assert_eq!(days.len(), 1, "the test ran over midnight");
        store.layout.index(&days[0])
    }

    /// The rows that mean something, as they are in the file.
    fn rows(store: &FileStore) -> Vec<Row> {
        let bytes = fs::read(path(store)).unwrap();
        let rows: Vec<_> = bytes.as_chunks::<ROW>().0.iter().skip(1).map(|bytes| Row(*bytes)).collect();
        rows.into_iter().filter(|row| row.state() != RowState::Removed).collect()
    }

    fn newest_first(ids: &[JobId]) -> Vec<JobId> {
        ids.iter().rev().copied().collect()
    }

    fn listed(store: &FileStore) -> Vec<JobId> {
        store.query_ids(&Query::default(), None, 100).unwrap()
    }

    #[test]
    fn a_rebuilt_index_equals_the_one_that_was_there() {
        let (_directory, store, ids) = store();
        let before = rows(&store);
        assert_eq!(before.len(), 3);
        for what in ["missing", "empty", "cut off", "a changed byte", "another boot"] {
            let path = path(&store);
            let open = || File::options().write(true).open(&path).unwrap();
            match what {
                "missing" => fs::remove_file(&path).unwrap(),
                "empty" => open().set_len(0).unwrap(),
                "cut off" => open().set_len(2 * ROW_BYTES).unwrap(),
                "a changed byte" => open().write_all_at(b"?", ROW_BYTES + 30).unwrap(),
                _ => open().write_all_at(b"?", BOOT.start as u64).unwrap(),
            }
            assert_eq!(listed(&store), newest_first(&ids), "{what}");
            assert_eq!(rows(&store), before, "{what}");
        }
    }

    #[test]
    fn what_is_added_while_there_is_no_index_is_in_the_next() {
        let (_directory, store, mut ids) = store();
        fs::remove_file(path(&store)).unwrap();
        ids.push(add_job(&store, "e"));
        assert!(!path(&store).exists(), "one row would be a lie");
        assert_eq!(listed(&store), newest_first(&ids));
        // Its hint points to nothing, and its end is noted all the same.
        end_job(&store, ids[3]);
        assert_eq!(rows(&store).last().unwrap().state(), RowState::Over(Status::Completed));
    }

    #[test]
    fn a_hint_that_a_rebuild_made_wrong_is_no_harm() {
        let (_directory, store, ids) = store();
        fs::remove_file(path(&store)).unwrap();
        assert_eq!(listed(&store), newest_first(&ids));
        // One row has gone, so that the queued job's number is one too high.
        end_job(&store, ids[2]);
        let states: Vec<_> = rows(&store).iter().map(|row| (row.id().unwrap(), row.state())).collect();
        assert_eq!(states, ids.iter().map(|id| (*id, RowState::Over(Status::Completed))).collect::<Vec<_>>());
    }

    #[test]
    fn what_a_dead_submitter_or_remover_left_means_nothing() {
        let (_directory, store, ids) = store();
        let before = listed(&store);
        // Killed between row and directory, and in the middle of a row.
        let dead = submission("dead");
        let row = add(&store.layout, &dead).unwrap();
        let jobs = block_on(store.tally()).unwrap();
        assert_eq!((jobs.ended.values().sum::<u64>(), jobs.others.len()), (2, 2), "only a look tells");
        let index = File::options().append(true).open(path(&store)).unwrap();
        std::io::Write::write_all(&mut &index, b"half a row").unwrap();
        assert_eq!(listed(&store)[1..], before);
        let next = add_job(&store, "next");
        assert_eq!(listed(&store)[0], next);
        mark(&store.layout, dead.job_id, row, RowState::Removed);

        // Killed between the mark and the removal: the job is there, and is found.
        mark(&store.layout, ids[0], None, RowState::Open);
        assert_eq!(listed(&store).last(), Some(&ids[0]));
    }

    /// Gives all jobs the same short id.
    #[derive(Debug)]
    struct Same;

    impl crate::clock::Random for Same {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0xab);
        }
    }

    #[test]
    fn a_row_without_a_job_is_neither_found_nor_in_the_way() {
        let (_directory, store, _) = store();
        let jobs = crate::JobManager::new(
            std::sync::Arc::new(store.clone()),
            std::sync::Arc::new(crate::InProcessRunner::new()),
        );
        let jobs = jobs.unwrap();
        let find = |reference: &str| block_on(jobs.find(reference));
        let same = || Submission { job_id: JobId::mint(Timestamp::now(), &Same), ..submission("same") };
        let (job, later) = (same(), same());
        let id = job.job_id;
        block_on(store.create(job)).unwrap();
        add(&store.layout, &later).unwrap();
        assert_eq!(find("abab").unwrap(), id);
        // The pointer to the newest is gone with it.
        fs::remove_file(store.layout.name(&"same".parse().unwrap())).unwrap();
        assert_eq!(find("same").unwrap(), id);
        fs::remove_dir_all(store.layout.job(id).path).unwrap();
        for reference in ["abab", "same"] {
            assert!(matches!(find(reference), Err(crate::Error::NotFound { .. })), "{reference}");
        }
    }

    #[test]
    fn a_job_whose_record_cannot_be_read_is_not_taken_for_one_of_any_name() {
        let (_directory, store, ids) = store();
        fs::write(store.layout.job(ids[2]).submission(), "{").unwrap();
        fs::remove_file(path(&store)).unwrap();
        assert_eq!(store.find_named(&"nobody".parse().unwrap()).unwrap(), None);
        fs::remove_file(store.layout.name(&"c".parse().unwrap())).unwrap();
        assert_eq!(store.find_named(&"c".parse().unwrap()).unwrap(), Some(ids[1]));
    }

    #[test]
    fn pages_go_on_where_a_job_has_been_removed() {
        let (_directory, store, ids) = store();
        let first = store.query_ids(&Query::default(), None, 1).unwrap();
        assert_eq!(first, [ids[2]]);
        assert_eq!(store.query_ids(&Query::default(), Some(ids[2]), 1).unwrap(), [ids[1]]);
        block_on(store.remove(ids[1])).unwrap();
        assert_eq!(store.query_ids(&Query::default(), Some(ids[1]), 5).unwrap(), [ids[0]]);
        fs::remove_file(path(&store)).unwrap();
        assert_eq!(store.query_ids(&Query::default(), Some(ids[1]), 5).unwrap(), [ids[0]]);
    }

    #[test]
    fn a_job_whose_record_cannot_be_read_is_always_shown() {
        let (_directory, store, ids) = store();
        fs::write(store.layout.job(ids[0]).submission(), "{").unwrap();
        fs::remove_file(path(&store)).unwrap();
        let query = Query::default().with_name(Some("nobody".parse().unwrap()));
        assert_eq!(store.query_ids(&query, None, 5).unwrap(), [ids[0]]);
    }

    /// As if the supervisor of a queued job had been killed when the record of its end was out and nothing else.
    fn publish_end(store: &FileStore, id: JobId) -> std::path::PathBuf {
        let slot = store.layout.slots().join(id.to_string());
        atomic::create_file(&slot).unwrap();
        let job = store.layout.job(id);
        let mut outcome = Outcome::new(Cause::Exited, Timestamp::now());
        outcome.exit_code = Some(4);
        let ended = Ended::new(None, outcome);
        atomic::publish(&job.ended(), &atomic::to_json(&ended, &job.ended()).unwrap()).unwrap();
        slot
    }

    /// How often the end of a job was told.
    fn ends(store: &FileStore, id: JobId) -> usize {
        let events = store.read_events(0, 100).unwrap().events;
        events.iter().filter(|event| event.job_id == id && event.status.is_some()).count()
    }

    #[test]
    fn an_end_of_which_nobody_told_is_told_by_who_comes_next() {
        let (_directory, store, ids) = store();
        let slot = publish_end(&store, ids[2]);
        assert_eq!((ends(&store, ids[2]), rows(&store)[2].state()), (0, RowState::Open));
        for _ in 0..2 {
            assert_eq!(block_on(store.unattended()).unwrap(), []);
            assert_eq!((ends(&store, ids[2]), rows(&store)[2].state()), (1, RowState::Over(Status::Failed)));
            assert!(!slot.exists());
        }
    }

    #[test]
    fn an_end_of_which_nobody_told_is_told_before_its_job_or_the_index_goes() {
        let (_directory, store, ids) = store();
        publish_end(&store, ids[2]);
        block_on(store.remove(ids[2])).unwrap();
        assert_eq!(ends(&store, ids[2]), 1);
        let id = add_job(&store, "e");
        publish_end(&store, id);
        fs::remove_file(path(&store)).unwrap();
        assert_eq!(listed(&store).first(), Some(&id));
        block_on(store.unattended()).unwrap();
        assert_eq!(ends(&store, id), 1);
    }

    #[test]
    fn an_end_is_told_before_it_is_noted_and_not_again() {
        let (_directory, store, ids) = store();
        let state = || rows(&store)[2].state();
        let ended = Ended::new(None, Outcome::new(Cause::Exited, Timestamp::now()));
        let mut told = Vec::new();
        for _ in 0..2 {
            note_end(&store.layout, ids[2], None, &ended, || told.push(state()));
        }
        assert_eq!((told, state()), (vec![RowState::Open], RowState::Over(Status::Failed)));
        // Without a row nobody can know.
        fs::remove_file(path(&store)).unwrap();
        let mut is_told = false;
        note_end(&store.layout, ids[2], None, &ended, || is_told = true);
        assert!(is_told);
    }

    #[test]
    fn of_an_empty_day_nothing_stays() {
        let (_directory, store, ids) = store();
        end_job(&store, ids[2]);
        block_on(store.change_settings(&mut |settings| settings.keep_jobs = 1)).unwrap();
        store.sweep_if_due().unwrap();
        assert_eq!(listed(&store), [ids[2]]);
        block_on(store.remove(ids[2])).unwrap();
        fs::remove_file(store.layout.swept()).unwrap();
        let index = path(&store);
        store.sweep_if_due().unwrap();
        assert!(!index.exists() && store.days().unwrap().is_empty());
        let id = add_job(&store, "again");
        assert_eq!(listed(&store), [id]);
    }
}

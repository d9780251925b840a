//! The file `job` of a job: its records, each in its own place, and its lock.
//!
//! Room for all of them is taken when the job is created, so that a full disk loses none of them later. The first page
//! holds what is written while the job lives: a record is written at once and within the page, so that a writer that is
//! killed leaves either the old record or the new one. After the page come the submission and the environment of the
//! command, which is cut off when it is no longer needed.
//!
//! Each record is a JSON object, padded with blanks. Its last field is `seal`: which record of which job it is, and the
//! CRC-32 of everything before the seal, so that a changed or swapped record is detected.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::atomic;
use crate::clock::Timestamp;
use crate::environment::Environment;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::limit::Resource;
use crate::queue::Place;
use crate::record::{Ended, RECORD_VERSION, Running, Start, Stopping, Submission};
use crate::spec::JobSpec;

/// The place of a record in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    name: &'static str,
    start: usize,
    size: usize,
}

/// The places of all records that are written while the job lives.
const FIELDS: [Field; 5] = [Start::FIELD, Running::FIELD, Stopping::FIELD, Queued::FIELD, Ended::FIELD];
/// Where the submission begins: after the page of these records.
const SUBMISSION: usize = 4096;
/// The name of the submission in its seal.
const SUBMISSION_NAME: &str = "submission";

/// How many times the file is read again because a record in it is being written.
const READ_AGAIN: usize = 16;

/// A record in the first page.
pub(crate) trait Kept: Serialize + DeserializeOwned + Clone {
    /// Where it is kept.
    const FIELD: Field;

    /// Shortens the text of a record that is too long for its place; `false` if there is nothing to shorten.
    fn shorten(&mut self) -> bool {
        false
    }
}

impl Kept for Start {
    const FIELD: Field = Field { name: "start", start: 0, size: 512 };
}

impl Kept for Running {
    const FIELD: Field = Field { name: "running", start: 512, size: 512 };

    /// Whether it waits for input will be determined again.
    fn shorten(&mut self) -> bool {
        self.waiting.take().is_some()
    }
}

impl Kept for Stopping {
    const FIELD: Field = Field { name: "stopping", start: 1024, size: 512 };

    fn shorten(&mut self) -> bool {
        halve(&mut self.requester)
    }
}

impl Kept for Queued {
    const FIELD: Field = Field { name: "queued", start: 1536, size: 512 };
}

impl Kept for Ended {
    const FIELD: Field = Field { name: "end", start: 2048, size: 2048 };

    fn shorten(&mut self) -> bool {
        let outcome = &mut self.outcome;
        let survivors = outcome.survivors.len();
        outcome.survivors.truncate(survivors / 2);
        halve(&mut outcome.message) || halve(&mut outcome.stopped_by) || survivors > 0
    }
}

/// Cuts a text to half its length; `false` if there is nothing to cut.
fn halve(text: &mut Option<String>) -> bool {
    let Some(text) = text.as_mut().filter(|text| !text.is_empty()) else { return false };
    let count = text.chars().count() / 2;
    *text = text.chars().take(count).collect();
    true
}

/// The job's place in the queue, and what it was given when it left the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) v: u32,
    /// The order in which jobs are started: the upper half of [`Place::order`].
    pub(crate) sequence: u64,
    /// The lower half.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) between: u64,
    /// The number of its row in the index of the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) row: Option<u64>,
    /// What applies instead of what the spec says, if something was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<Changed>,
    /// The last run of a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_run: Option<JobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) units: BTreeMap<Resource, u64>,
    /// Where the submission in force begins, if it is not the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) submission_at: Option<u64>,
    /// Where the part in force ends, while another submission is being written after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_at: Option<u64>,
}

/// The part of a place that a spec also has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    priority: i32,
    on_hold: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
}

impl Changed {
    fn of(place: &Place) -> Self {
        Self { priority: place.priority, on_hold: place.on_hold, not_before: place.not_before }
    }
}

impl Queued {
    /// Returns the record of a place for a job with this spec.
    pub(crate) fn new(spec: &JobSpec, place: &Place, row: Option<u64>) -> Self {
        // Each half has 64 bits.
        let (sequence, between) = ((place.order >> 64) as u64, place.order as u64);
        Self {
            v: RECORD_VERSION,
            sequence,
            between,
            row,
            changed: Some(Changed::of(place)).filter(|changed| *changed != Changed::of(&spec.first_place())),
            last_run: place.last_run,
            slot: place.slot,
            units: place.units.clone(),
            submission_at: None,
            ends_at: None,
        }
    }

    fn place(&self, spec: &JobSpec) -> Place {
        let mut place = spec.first_place();
        place.order = u128::from(self.sequence) << 64 | u128::from(self.between);
        if let Some(Changed { priority, on_hold, not_before }) = self.changed.clone() {
            (place.priority, place.on_hold, place.not_before) = (priority, on_hold, not_before);
        }
        (place.last_run, place.slot, place.units) = (self.last_run, self.slot, self.units.clone());
        place
    }
}

fn is_default(number: &u64) -> bool {
    *number == 0
}

/// The contents of the file of a job when it was read.
#[derive(Debug)]
pub(crate) struct JobFile {
    id: JobId,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl JobFile {
    /// Reads the file of a job. A record that is being written is read again.
    pub(crate) fn read(file: &File, path: PathBuf, id: JobId) -> Result<Self> {
        let mut read = Self { id, path, bytes: Vec::new() };
        for _ in 0..READ_AGAIN {
            read.bytes = atomic::read_all(file).context("read", &read.path)?;
            if FIELDS.iter().all(|field| read.in_place(*field).is_none_or(|bytes| check(bytes, field.name, id).is_ok()))
            {
                break;
            }
            std::thread::yield_now();
        }
        Ok(read)
    }

    /// Returns whether a record exists, whatever it says.
    pub(crate) fn has<T: Kept>(&self) -> bool {
        self.in_place(T::FIELD).is_some()
    }

    /// Returns a record; nothing if it has not been written.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it cannot be read as such a record, was changed since it was written, or belongs
    /// elsewhere.
    pub(crate) fn get<T: Kept>(&self) -> Result<Option<T>> {
        self.in_place(T::FIELD).map(|bytes| self.parse(bytes, T::FIELD.name)).transpose()
    }

    /// Returns the place of a job with this spec in the queue: before all others if its record is damaged, because most
    /// of them have waited for less time.
    pub(crate) fn place(&self, spec: &JobSpec) -> Place {
        let queued = self.get::<Queued>().ok().flatten();
        queued.map_or_else(|| spec.first_place(), |queued| queued.place(spec))
    }

    /// Returns what was submitted.
    ///
    /// # Errors
    /// As [`JobFile::get`].
    pub(crate) fn submission(&self) -> Result<Submission> {
        match self.bytes.get(self.submission_start()..self.submission_end()) {
            Some(bytes) if !bytes.is_empty() => self.parse(bytes, SUBMISSION_NAME),
            _ => Err(damaged(&self.path, "the submission is missing".to_owned())),
        }
    }

    /// Returns the environment of the command; nothing once it has been erased.
    pub(crate) fn environment(&self) -> Option<Environment> {
        let rest = self.bytes.get(self.submission_end()..self.end())?;
        Some(Environment::from_bytes(rest.strip_suffix(b"\n")?))
    }

    /// Returns how long the file is without the environment, if that exists.
    pub(crate) fn without_environment(&self) -> Option<u64> {
        let end = self.submission_end();
        (self.bytes.len() > end).then_some(end as u64)
    }

    /// Returns where the submission in force begins: not the first one if the job was edited.
    fn submission_start(&self) -> usize {
        let start = self.offset(b"\"submission_at\":", |queued| queued.submission_at);
        start.map_or(SUBMISSION, |start| start.max(SUBMISSION))
    }

    /// Returns where the part in force ends.
    fn end(&self) -> usize {
        let end = self.offset(b"\"ends_at\":", |queued| queued.ends_at);
        end.map_or(self.bytes.len(), |end| end.min(self.bytes.len()))
    }

    fn offset(&self, key: &[u8], of: impl FnOnce(Queued) -> Option<u64>) -> Option<usize> {
        // Hardly any job has one, and records are read often.
        memchr::memmem::find(self.in_place(Queued::FIELD)?, key)?;
        usize::try_from(of(self.get().ok()??)?).ok()
    }

    /// Returns where the submission ends and the environment begins: after the first line break, which JSON never
    /// contains.
    fn submission_end(&self) -> usize {
        let start = self.submission_start();
        let text = self.bytes.get(start..).unwrap_or_default();
        memchr::memchr(b'\n', text).map_or(self.bytes.len(), |length| start + length + 1)
    }

    /// Returns where the submissions and environments are that are no longer in force: their secrets are to be erased.
    pub(crate) fn superseded(&self) -> Range<usize> {
        SUBMISSION..self.submission_start()
    }

    /// Returns whether everything that is no longer in force has been erased.
    pub(crate) fn is_superseded_erased(&self) -> bool {
        self.bytes.get(self.superseded()).is_none_or(|bytes| bytes.iter().all(|byte| *byte == b' '))
    }

    /// Returns what is in the place of a record, unless it is blank.
    fn in_place(&self, field: Field) -> Option<&[u8]> {
        let end = self.bytes.len().min(field.start + field.size);
        let bytes = without_blanks(self.bytes.get(field.start..end)?);
        (!bytes.is_empty()).then_some(bytes)
    }

    fn parse<T: DeserializeOwned>(&self, bytes: &[u8], name: &'static str) -> Result<T> {
        unsealed(bytes, name, self.id, &self.path)
    }
}

/// Returns what is in a place without the blanks around it. Most places are entirely or largely blank, and they are
/// checked each time a job is read.
fn without_blanks(mut bytes: &[u8]) -> &[u8] {
    bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    while let Some(rest) = bytes.strip_suffix(&[b' '; 64]) {
        bytes = rest;
    }
    bytes.trim_ascii()
}

/// Returns the file of a new job, with blanks in the places of the records that it does not have yet.
pub(crate) fn new(submission: &Submission, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = vec![b' '; SUBMISSION];
    for field in FIELDS {
        bytes[field.start + field.size - 1] = b'\n';
    }
    bytes.extend(with_environment(submission, path)?);
    Ok(bytes)
}

/// Returns a submission, and the environment of its command after it.
fn with_environment(submission: &Submission, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = sealed(submission, SUBMISSION_NAME, submission.job_id, path)?;
    bytes.push(b'\n');
    bytes.extend(submission.spec.environment.to_bytes());
    bytes.push(b'\n');
    Ok(bytes)
}

/// Puts another submission in force for a job that has not been started, at this place in the queue. It is written
/// after what is there and then pointed to: a process that is killed in between leaves the job as it was.
pub(crate) fn replace_submission(file: &File, read: &JobFile, submission: &Submission, place: &Place) -> Result<()> {
    let (path, id, at) = (&read.path, read.id, read.end() as u64);
    let queued = read.get::<Queued>()?;
    let row = queued.as_ref().and_then(|queued| queued.row);
    if let Some(queued) = queued {
        write(file, path, id, &Queued { ends_at: Some(at), ..queued })?;
    }
    let bytes = with_environment(submission, path)?;
    file.write_all_at(&bytes, at).context("write", path)?;
    // A process that was killed while it replaced the submission may have left a longer one.
    file.set_len(at + bytes.len() as u64).context("cut", path)?;
    write(file, path, id, &Queued { submission_at: Some(at), ..Queued::new(&submission.spec, place, row) })?;
    erase_superseded(file, &JobFile::read(file, path.clone(), id)?)
}

/// Overwrites submissions and environments that are no longer in force with blanks.
pub(crate) fn erase_superseded(file: &File, read: &JobFile) -> Result<()> {
    if read.is_superseded_erased() {
        return Ok(());
    }
    let range = read.superseded();
    file.write_all_at(&vec![b' '; range.len()], range.start as u64).context("erase what was replaced in", &read.path)
}

/// Writes a record to its place. Only for the holder of the file's lock, or while no other process has the file.
pub(crate) fn write<T: Kept>(file: &File, path: &Path, id: JobId, record: &T) -> Result<()> {
    file.write_all_at(&in_its_size(path, id, record)?, T::FIELD.start as u64).context("write", path)
}

/// Writes the supervisor of a later attempt, and blanks over the main process and the stop of the attempt before: all
/// at once, because these places are adjacent.
pub(crate) fn write_next_start(file: &File, path: &Path, id: JobId, start: &Start) -> Result<()> {
    let mut bytes = in_its_size(path, id, start)?;
    for Field { start, size, .. } in [Running::FIELD, Stopping::FIELD] {
        bytes.resize(start + size - 1, b' ');
        bytes.push(b'\n');
    }
    file.write_all_at(&bytes, Start::FIELD.start as u64).context("write", path)
}

fn in_its_size<T: Kept>(path: &Path, id: JobId, record: &T) -> Result<Vec<u8>> {
    let Field { name, size, .. } = T::FIELD;
    let mut bytes = sealed(record, name, id, path)?;
    let mut shortened = None;
    while bytes.len() >= size {
        let record = shortened.get_or_insert_with(|| record.clone());
        if !record.shorten() {
            return Err(damaged(path, format!("its record `{name}` is too long")));
        }
        bytes = sealed(record, name, id, path)?;
    }
    bytes.resize(size - 1, b' ');
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes what cannot be read as a record to its place, so that it is seen to be damaged.
pub(crate) fn write_damaged<T: Kept>(file: &File, path: &Path, bytes: &[u8]) -> Result<()> {
    let Field { start, size, .. } = T::FIELD;
    // An empty place would mean that there is no such record.
    let bytes = if bytes.trim_ascii().is_empty() { b"?" } else { bytes };
    file.write_all_at(&bytes[..bytes.len().min(size)], start as u64).context("write", path)
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Damaged { path: path.to_owned(), reason }
}

/// What the seal of a record begins with. Within a JSON string, the quotes would have a backslash before them.
const SEAL: &str = ",\"seal\":";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    job_id: JobId,
    record: String,
    crc32: String,
}

impl Seal {
    fn of(body: &[u8], name: &str, id: JobId) -> Self {
        Self { job_id: id, record: name.to_owned(), crc32: format!("{:08x}", crc32fast::hash(body)) }
    }
}

/// Returns a record as JSON with its seal.
pub(super) fn sealed<T: Serialize>(record: &T, name: &str, id: JobId, path: &Path) -> Result<Vec<u8>> {
    let to_json = |error: serde_json::Error| damaged(path, error.to_string());
    let mut json = serde_json::to_vec(record).map_err(to_json)?;
    // The record is an object with at least one field.
    json.pop();
    let seal = serde_json::to_vec(&Seal::of(&json, name, id)).map_err(to_json)?;
    json.extend_from_slice(SEAL.as_bytes());
    json.extend_from_slice(&seal);
    json.push(b'}');
    Ok(json)
}

/// Returns a record whose seal matches.
pub(super) fn unsealed<T: DeserializeOwned>(bytes: &[u8], name: &str, id: JobId, path: &Path) -> Result<T> {
    check(bytes, name, id).map_err(|reason| damaged(path, reason))?;
    serde_json::from_slice(bytes).map_err(|error| damaged(path, error.to_string()))
}

/// Checks the seal of a record that was found in a place.
///
/// # Errors
/// Describes what is wrong.
fn check(bytes: &[u8], name: &str, id: JobId) -> std::result::Result<(), String> {
    let begin = bytes.windows(SEAL.len()).rposition(|window| window == SEAL.as_bytes()).ok_or("it has no seal")?;
    let (body, rest) = (&bytes[..begin], &bytes[begin + SEAL.len()..]);
    let there = rest.trim_ascii_end().strip_suffix(b"}").and_then(|seal| serde_json::from_slice::<Seal>(seal).ok());
    let there = there.ok_or("its seal cannot be read")?;
    let expected = Seal::of(body, name, id);
    if there.job_id != expected.job_id {
        return Err(format!("it is the record of another job, {}", there.job_id));
    }
    if there.record != expected.record {
        return Err(format!("it is another record of the job, `{}`", there.record));
    }
    if there.crc32 != expected.crc32 {
        return Err("it was changed after it was written: its checksum does not match".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::clock::Timestamp;
    use crate::record::World;
    use crate::spec::JobSpec;
    use crate::state::{Cause, Outcome};

    const ID: &str = "01a1fdae-f732-79d8-863c-36d74826f0c8";
    const OTHER: &str = "01a1fdae-f732-79d8-863c-36d74826f0c9";

    fn submission() -> Submission {
        let spec = JobSpec::command(["true"]).env("A", "1").label("x", ",\"seal\":{").build().unwrap();
        Submission::new(ID.parse().unwrap(), Timestamp::UNIX_EPOCH, spec, "/bin/true".into(), World::default())
    }

    fn ended(message: &str) -> Ended {
        let mut outcome = Outcome::new(Cause::Exited, Timestamp::UNIX_EPOCH);
        (outcome.exit_code, outcome.message) = (Some(13), Some(message.to_owned()));
        Ended::new(None, outcome)
    }

    /// The file of a job that has ended.
    fn file(message: &str) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let submission = submission();
        file.write_all(&new(&submission, "job".as_ref()).unwrap()).unwrap();
        write(&file, "job".as_ref(), submission.job_id, &ended(message)).unwrap();
        file
    }

    fn read(file: &File, id: &str) -> JobFile {
        JobFile::read(file, "job".into(), id.parse().unwrap()).unwrap()
    }

    #[test]
    fn records_are_read_where_they_were_written_and_nowhere_else() {
        let file = file("said");
        let there = read(&file, ID);
        assert_eq!((there.get().unwrap(), there.get::<Start>().unwrap()), (Some(ended("said")), None));
        assert_eq!(there.submission().unwrap().job_id, ID.parse().unwrap());
        assert_eq!(there.environment().unwrap().get("A").unwrap(), "1");
        let reason = |error: Error| error.to_string();
        assert!(reason(read(&file, OTHER).get::<Ended>().unwrap_err()).contains("another job"));
        assert!(reason(read(&file, OTHER).submission().unwrap_err()).contains("another job"));
        let end = there.in_place(Ended::FIELD).unwrap();
        file.write_all_at(end, Start::FIELD.start as u64).unwrap();
        assert!(reason(read(&file, ID).get::<Start>().unwrap_err()).contains("another record of the job, `end`"));
    }

    #[test]
    fn only_the_environment_is_cut_off() {
        let file = file("said");
        file.set_len(read(&file, ID).without_environment().unwrap()).unwrap();
        let there = read(&file, ID);
        assert!(there.environment().is_none() && there.without_environment().is_none());
        assert_eq!(
            (there.submission().unwrap().program, there.get().unwrap()),
            ("/bin/true".into(), Some(ended("said")))
        );
    }

    #[test]
    fn a_record_that_is_too_long_for_its_place_is_shortened() {
        let there = read(&file(&"\u{1}ä\n".repeat(2000)), ID);
        let Some(Ended { outcome, .. }) = there.get().unwrap() else { panic!("it is there") };
        let message = outcome.message.unwrap();
        assert!(outcome.exit_code == Some(13) && message.len() > 50 && message.starts_with("\u{1}ä\n"), "{message}");
        assert!(!there.has::<Start>() && there.submission().is_ok());
    }

    /// As if the process that edits the job were killed after each of its writes.
    #[test]
    fn a_submission_is_replaced_as_a_whole_wherever_the_writer_is_killed() {
        let mut file = tempfile::tempfile().unwrap();
        let old = submission();
        file.write_all(&new(&old, "job".as_ref()).unwrap()).unwrap();
        let place = Place::default();
        write(&file, "job".as_ref(), old.job_id, &Queued::new(&old.spec, &place, Some(7))).unwrap();
        let spec = JobSpec::command(["false"]).env("A", "2").env("SECOND", "3").build().unwrap();
        let edited = Submission { spec: Box::new(spec), ..old.clone() };
        let seen = || {
            let there = read(&file, ID);
            let environment = there.environment().unwrap();
            (
                there.submission().unwrap().spec.command,
                environment.get("A").unwrap().to_owned(),
                environment.iter().count(),
            )
        };
        let before = (old.spec.command.clone(), "1".into(), 1);
        let whole = atomic::read_all(&file).unwrap();
        let appended = with_environment(&edited, "job".as_ref()).unwrap();
        let queued = Queued { ends_at: Some(whole.len() as u64), ..Queued::new(&old.spec, &place, Some(7)) };
        write(&file, "job".as_ref(), old.job_id, &queued).unwrap();
        for length in [0, 1, appended.len() / 2, appended.len()] {
            file.write_all_at(&appended[..length], whole.len() as u64).unwrap();
            assert_eq!(seen(), before, "{length} bytes were written");
        }
        // The next edit begins where the part in force ends.
        replace_submission(&file, &read(&file, ID), &edited, &place).unwrap();
        let after = (edited.spec.command, "2".into(), 2);
        assert_eq!(seen(), after);
        let there = read(&file, ID);
        assert!(there.is_superseded_erased() && there.get::<Queued>().unwrap().unwrap().row == Some(7));
        // A process was killed before it erased what was in force.
        file.write_all_at(&whole[SUBMISSION..], SUBMISSION as u64).unwrap();
        assert!(!read(&file, ID).is_superseded_erased());
        assert_eq!(seen(), after);
        erase_superseded(&file, &read(&file, ID)).unwrap();
        assert!(read(&file, ID).is_superseded_erased());
    }

    #[test]
    fn no_changed_byte_changes_what_is_read() {
        let whole = atomic::read_all(&file("said")).unwrap();
        let id = ID.parse().unwrap();
        let read = |bytes: Vec<u8>| {
            let there = JobFile { id, path: "job".into(), bytes };
            (there.get::<Ended>().ok(), there.submission().ok())
        };
        let (end, submission) = read(whole.clone());
        assert!(end.is_some() && submission.is_some());
        for place in Ended::FIELD.start..whole.len() {
            for changed in [b'0', b'"', b' ', b'\n', b'}', whole[place] ^ 1] {
                let mut bytes = whole.clone();
                bytes[place] = changed;
                let there = read(bytes);
                assert!(there.0.is_none() || there.0 == end, "byte {place} as {changed}");
                assert!(there.1.is_none() || there.1 == submission, "byte {place} as {changed}");
            }
        }
    }
}

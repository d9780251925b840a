use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::day::{BOOT, COUNT, COUNT_CHECKSUM, HEADER, ROW_BYTES};
use super::row::{ROW, STATE};
use super::*;
use crate::clock::{SystemRandom, Timestamp};
use crate::spec::JobSpec;
use crate::state::{Cause, Outcome, Status};
use crate::store::file::admission::Admission;
use crate::store::file::{FileStore, job_file};
use crate::store::{JobStore, Query};
use crate::sys::world::World;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn submission(name: &str) -> Submission {
    let spec = JobSpec::shell("true").cwd("/").label("kind", "test").name(name.parse().unwrap());
    let now = Timestamp::now();
    let world: World = crate::sys::world::capture().unwrap();
    Submission::new(JobId::mint(now, &SystemRandom).unwrap(), now, spec.build().unwrap(), "/bin/sh".into(), world)
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

/// A store with jobs that have ended, one that was removed and one that is queued.
fn store() -> (tempfile::TempDir, FileStore, Vec<JobId>) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("store")).unwrap();
    let mut ids: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| add_job(&store, name)).collect();
    ids.iter().take(3).for_each(|id| end_job(&store, *id));
    block_on(store.remove(ids.remove(1))).unwrap();
    (directory, store, ids)
}

fn path(store: &FileStore) -> std::path::PathBuf {
    let days = store.jobs.days().unwrap();
    assert_eq!(days.len(), 1, "the test ran over midnight");
    store.layout.index(&days[0])
}

/// The rows of all jobs that were not removed, as they are in the file.
fn rows(store: &FileStore) -> Vec<Row> {
    let bytes = fs::read(path(store)).unwrap();
    let rows: Vec<_> = bytes[HEADER..].as_chunks::<ROW>().0.iter().map(|bytes| Row(*bytes)).collect();
    rows.into_iter().filter(|row| row.state() != RowState::Removed).collect()
}

fn newest_first(ids: &[JobId]) -> Vec<JobId> {
    ids.iter().rev().copied().collect()
}

fn listed(store: &FileStore) -> Vec<JobId> {
    store.catalogue.ids(&Query::default(), None, 100).unwrap()
}

#[test]
fn a_rebuilt_index_equals_the_original() {
    let (_directory, store, ids) = store();
    let before = rows(&store);
    assert_eq!(before.len(), 3);
    for what in ["missing", "empty", "cut off", "a changed byte", "a changed count", "another boot"] {
        let path = path(&store);
        let open = || File::options().write(true).open(&path).unwrap();
        match what {
            "missing" => fs::remove_file(&path).unwrap(),
            "empty" => open().set_len(0).unwrap(),
            "cut off" => open().set_len(HEADER as u64 + ROW_BYTES).unwrap(),
            "a changed byte" => open().write_all_at(b"?", HEADER as u64 + 30).unwrap(),
            // With the file cut off as well, this was once an index of one row.
            "a changed count" => {
                open().set_len(HEADER as u64 + ROW_BYTES).unwrap();
                open().write_all_at(&[1, 0, 0, 0, 0, 0, 0, 0], COUNT.start as u64).unwrap();
            }
            _ => {
                let mut other = fs::read(&path).unwrap();
                other[BOOT.start] = b'?';
                let checksum = crc32fast::hash(&other[..COUNT.end]);
                other[COUNT_CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
                fs::write(&path, other).unwrap();
            }
        }
        assert_eq!(listed(&store), newest_first(&ids), "{what}");
        assert_eq!(rows(&store), before, "{what}");
    }
}

#[test]
fn a_job_added_without_an_index_is_in_the_next_one() {
    let (_directory, store, mut ids) = store();
    fs::remove_file(path(&store)).unwrap();
    ids.push(add_job(&store, "e"));
    assert!(!path(&store).exists(), "an index of one row would be wrong");
    assert_eq!(listed(&store), newest_first(&ids));
    // Its hint points to nothing, and its end is noted all the same.
    end_job(&store, ids[3]);
    assert_eq!(rows(&store).last().unwrap().state(), RowState::Over(Status::Completed));
}

#[test]
fn a_hint_that_a_rebuild_made_wrong_does_no_harm() {
    let (_directory, store, ids) = store();
    fs::remove_file(path(&store)).unwrap();
    assert_eq!(listed(&store), newest_first(&ids));
    // One row is gone, so the number of the queued job is one too high.
    end_job(&store, ids[2]);
    let states: Vec<_> = rows(&store).iter().map(|row| (row.id().unwrap(), row.state())).collect();
    assert_eq!(states, ids.iter().map(|id| (*id, RowState::Over(Status::Completed))).collect::<Vec<_>>());
}

#[test]
fn leftovers_of_a_dead_submitter_or_remover_are_ignored() {
    let (_directory, store, ids) = store();
    let before = listed(&store);
    // Killed between row and directory, and in the middle of a row.
    let dead = submission("unseen");
    let row = Index::new(&store.layout).add(&dead).unwrap();
    let jobs = block_on(store.tally()).unwrap();
    assert_eq!((jobs.ended.values().sum::<u64>(), jobs.others.len()), (2, 2), "only a look at the job shows it");
    let index = File::options().append(true).open(path(&store)).unwrap();
    std::io::Write::write_all(&mut &index, b"half a row").unwrap();
    assert_eq!(listed(&store)[1..], before);
    let next = add_job(&store, "next");
    assert_eq!(listed(&store)[0], next);
    Index::new(&store.layout).mark(dead.job_id, row, RowState::Removed);

    // Killed between the mark and the removal: the job exists, and is found.
    Index::new(&store.layout).mark(ids[0], None, RowState::Open);
    assert_eq!(listed(&store).last(), Some(&ids[0]));
}

/// Gives all jobs the same short id.
#[derive(Debug)]
struct Same;

impl crate::clock::Random for Same {
    fn fill(&self, bytes: &mut [u8]) -> std::io::Result<()> {
        bytes.fill(0xab);
        Ok(())
    }
}

#[test]
fn a_row_without_a_job_is_neither_found_nor_in_the_way() {
    let (_directory, store, _) = store();
    let jobs =
        crate::JobManager::new(std::sync::Arc::new(store.clone()), std::sync::Arc::new(crate::InProcessRunner::new()));
    let jobs = jobs.unwrap();
    let find = |reference: &str| block_on(jobs.find(reference));
    let same = || Submission { job_id: JobId::mint(Timestamp::now(), &Same).unwrap(), ..submission("same") };
    let (job, later) = (same(), same());
    let id = job.job_id;
    block_on(store.create(job)).unwrap();
    Index::new(&store.layout).add(&later).unwrap();
    assert_eq!(find("abab").unwrap(), id);
    // The pointer to the newest job is removed as well.
    fs::remove_file(store.layout.name(&"same".parse().unwrap(), None)).unwrap();
    assert_eq!(find("same").unwrap(), id);
    fs::remove_dir_all(store.layout.job(id).path).unwrap();
    for reference in ["abab", "same"] {
        assert!(matches!(find(reference), Err(crate::Error::NotFound { .. })), "{reference}");
    }
}

#[test]
fn an_unreadable_job_is_not_found_by_any_name() {
    let (_directory, store, ids) = store();
    fs::write(store.layout.job(ids[2]).record(), "{").unwrap();
    fs::remove_file(path(&store)).unwrap();
    assert_eq!(store.names.named(&"nobody".parse().unwrap(), None).unwrap(), None);
    fs::remove_file(store.layout.name(&"c".parse().unwrap(), None)).unwrap();
    assert_eq!(store.names.named(&"c".parse().unwrap(), None).unwrap(), Some(ids[1]));
}

#[test]
fn paging_continues_where_a_job_was_removed() {
    let (_directory, store, ids) = store();
    let first = store.catalogue.ids(&Query::default(), None, 1).unwrap();
    assert_eq!(first, [ids[2]]);
    assert_eq!(store.catalogue.ids(&Query::default(), Some(ids[2]), 1).unwrap(), [ids[1]]);
    block_on(store.remove(ids[1])).unwrap();
    assert_eq!(store.catalogue.ids(&Query::default(), Some(ids[1]), 5).unwrap(), [ids[0]]);
    fs::remove_file(path(&store)).unwrap();
    assert_eq!(store.catalogue.ids(&Query::default(), Some(ids[1]), 5).unwrap(), [ids[0]]);
}

#[test]
fn an_unreadable_job_is_always_listed() {
    let (_directory, store, ids) = store();
    fs::write(store.layout.job(ids[0]).record(), "{").unwrap();
    fs::remove_file(path(&store)).unwrap();
    let query = Query::default().with_name(Some("nobody".parse().unwrap()));
    assert_eq!(store.catalogue.ids(&query, None, 5).unwrap(), [ids[0]]);
}

/// As if the supervisor of a queued job had been killed right after recording its end.
fn publish_end(store: &FileStore, id: JobId) {
    let mut admission = Admission::take(&store.layout).unwrap();
    let entry = admission.rows.find(id).unwrap();
    admission.put(&entry.with_slot()).unwrap();
    let mut outcome = Outcome::new(Cause::Exited, Timestamp::now());
    outcome.exit_code = Some(4);
    let path = store.layout.job(id).record();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    job_file::write(&file, &path, id, &Ended::new(None, outcome)).unwrap();
}

/// How many times the end of a job was reported.
fn ends(store: &FileStore, id: JobId) -> usize {
    let events = store.events.read(0, 100).unwrap().events;
    events.iter().filter(|event| event.job_id == id && event.status.is_some()).count()
}

#[test]
fn an_unreported_end_is_reported_by_the_next_process() {
    let (_directory, store, ids) = store();
    publish_end(&store, ids[2]);
    assert_eq!((ends(&store, ids[2]), rows(&store)[2].state()), (0, RowState::Open));
    for _ in 0..2 {
        assert_eq!(block_on(store.unsupervised()).unwrap(), []);
        assert_eq!((ends(&store, ids[2]), rows(&store)[2].state()), (1, RowState::Over(Status::Failed)));
        assert!(block_on(store.load()).unwrap().running.is_empty());
    }
}

#[test]
fn an_unreported_end_is_reported_before_its_job_or_the_index_is_removed() {
    let (_directory, store, ids) = store();
    publish_end(&store, ids[2]);
    block_on(store.remove(ids[2])).unwrap();
    assert_eq!(ends(&store, ids[2]), 1);
    let id = add_job(&store, "e");
    publish_end(&store, id);
    fs::remove_file(path(&store)).unwrap();
    assert_eq!(listed(&store).first(), Some(&id));
    block_on(store.unsupervised()).unwrap();
    assert_eq!(ends(&store, id), 1);
}

#[test]
fn an_end_is_reported_before_it_is_noted_and_not_again() {
    let (_directory, store, ids) = store();
    let state = || rows(&store)[2].state();
    let ended = Ended::new(None, Outcome::new(Cause::Exited, Timestamp::now()));
    let mut told = Vec::new();
    for _ in 0..2 {
        Index::new(&store.layout).note_end(ids[2], None, &ended, || told.push(state()));
    }
    assert_eq!((told, state()), (vec![RowState::Open], RowState::Over(Status::Failed)));
    // Without a row, it is not known whether the end was reported.
    fs::remove_file(path(&store)).unwrap();
    let mut is_told = false;
    Index::new(&store.layout).note_end(ids[2], None, &ended, || is_told = true);
    assert!(is_told);
}

/// A single byte once hid a living job, or counted it as ended.
#[test]
fn a_changed_row_is_not_trusted() {
    let (_directory, store, _) = store();
    let tally = || block_on(store.tally()).unwrap();
    let before = (tally(), listed(&store));
    let whole = fs::read(path(&store)).unwrap();
    // The second row is that of a removed job.
    for row in [0, 1, 2, 3] {
        for place in 0..ROW {
            let at = HEADER + row * ROW + place;
            for byte in (0..=255_u8).step_by(if place == STATE { 1 } else { 51 }).filter(|byte| *byte != whole[at]) {
                let mut changed = whole.clone();
                changed[at] = byte;
                fs::write(path(&store), &changed).unwrap();
                let counted = tally();
                fs::write(path(&store), &changed).unwrap();
                assert_eq!((counted, listed(&store)), before, "row {row}, byte {place} as {byte}");
            }
        }
    }
}

#[test]
fn nothing_is_left_of_an_empty_day() {
    let (_directory, store, ids) = store();
    end_job(&store, ids[2]);
    block_on(store.change_settings(&mut |settings| settings.keep_jobs = 1)).unwrap();
    store.prune_if_due().unwrap();
    assert_eq!(listed(&store), [ids[2]]);
    block_on(store.remove(ids[2])).unwrap();
    fs::remove_file(store.layout.swept()).unwrap();
    let index = path(&store);
    store.prune_if_due().unwrap();
    assert!(!index.exists() && store.jobs.days().unwrap().is_empty());
    let id = add_job(&store, "again");
    assert_eq!(listed(&store), [id]);
}

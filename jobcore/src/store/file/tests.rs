//! How a store handles files that are not as it left them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::*;
use crate::clock::{SystemRandom, Timestamp};
use crate::output::OutputSize;
use crate::queue::{Place, Repeat};
use crate::record::{Ended, ProcessId, Start, Stopping};
use crate::spec::{JobSpec, JobSpecBuilder, Restart};
use crate::state::{Cause, Outcome};
use crate::sys::{pipe, world};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn store() -> (tempfile::TempDir, FileStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("store")).unwrap();
    (directory, store)
}

fn submission(spec: JobSpecBuilder) -> Submission {
    let now = Timestamp::now();
    let id = JobId::mint(now, &SystemRandom).unwrap();
    let spec = spec.cwd("/").env("SECRET", "x").build().unwrap();
    Submission::new(id, now, spec, "/bin/true".into(), world::capture().unwrap())
}

fn create(store: &FileStore, spec: JobSpecBuilder) -> JobId {
    let submission = submission(spec);
    let id = submission.job_id;
    assert_eq!(block_on(store.create(submission)).unwrap(), Created::New);
    id
}

fn simple(store: &FileStore) -> JobId {
    create(store, JobSpec::command(["true"]))
}

fn due(store: &FileStore) -> Option<FileClaim> {
    block_on(store.queue.due(store)).unwrap()
}

fn start(claim: &FileClaim) {
    let holder = ProcessId::of_this_program().unwrap();
    claim.records.start(&Start::new(holder, true, Timestamp::now())).unwrap();
}

fn ended(code: i32) -> Ended {
    let mut outcome = Outcome::new(Cause::Exited, Timestamp::now());
    outcome.exit_code = Some(code);
    Ended::new(None, outcome)
}

fn finish(store: &FileStore, id: JobId, code: i32) {
    Records::claim(&store.layout, id).unwrap().unwrap().finish(&ended(code)).unwrap();
}

/// The jobs that wait or have a slot, in order, and whether they have one.
fn queue(store: &FileStore) -> Vec<(JobId, bool)> {
    let (taken, waiting) = admission::entries(&store.layout).unwrap();
    let mut entries = [taken, waiting].concat();
    entries.sort_by_key(|entry| (entry.slot.place.rank(), entry.slot.id));
    entries.into_iter().map(|entry| (entry.slot.id, entry.has_slot)).collect()
}

/// Ends a job through its claim.
fn end(mut claim: FileClaim, code: i32) {
    block_on(claim.finish(&ended(code))).unwrap();
}

/// All names in a directory.
fn there(directory: &Path) -> BTreeSet<String> {
    atomic::names(directory).unwrap().into_iter().collect()
}

#[test]
fn reading_creates_nothing_and_the_first_write_creates_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("a/store");
    let look = |store: &FileStore| {
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        assert!(!store.is_made().unwrap());
        assert_eq!(block_on(store.ids(&Query::default(), None, 10)).unwrap(), []);
        assert_eq!(block_on(store.unsupervised()).unwrap(), []);
        assert!(block_on(store.next_due()).unwrap().is_none());
        assert_eq!(block_on(store.settings()).unwrap(), StoreSettings::default());
        assert_eq!(block_on(store.load()).unwrap().running, []);
        assert_eq!(block_on(store.events(0, 10)).unwrap().events, []);
        assert_eq!(block_on(store.ended_jobs()).unwrap(), []);
        assert_eq!(block_on(store.named(&"web".parse().unwrap(), None)).unwrap(), None);
        assert!(matches!(block_on(store.evidence(id)), Err(Error::NotFound { .. })));
        assert!(matches!(block_on(store.claim(id)), Err(Error::NotFound { .. })));
        assert!(matches!(block_on(store.remove(id)), Err(Error::NotFound { .. })));
    };
    look(&FileStore::at(&root).unwrap());
    assert!(!directory.path().join("a").exists());
    fs::create_dir_all(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    look(&FileStore::at(&root).unwrap());
    assert_eq!(there(&root), BTreeSet::new());
    for write in [
        |store: &FileStore| {
            let _ = simple(store);
        },
        |store: &FileStore| drop(block_on(store.change_settings(&mut |settings| settings.max_running = 3)).unwrap()),
    ] {
        fs::remove_dir_all(directory.path().join("a")).unwrap();
        let store = FileStore::at(&root).unwrap();
        write(&store);
        assert!(store.is_made().unwrap() && root.join("format").exists());
        // It is removed while a program uses it.
        fs::remove_dir_all(&root).unwrap();
        let id = simple(&store);
        assert_eq!(block_on(store.ids(&Query::default(), None, 10)).unwrap(), [id]);
    }
}

/// A store that appears later and that others may write to must not be used.
#[test]
fn a_store_that_appears_later_is_checked_before_it_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("store");
    let store = FileStore::at(&root).unwrap();
    FileStore::open(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = block_on(store.create(submission(JobSpec::command(["true"]))));
    assert!(matches!(refused, Err(Error::StoreRefused { .. })), "{refused:?}");
    assert!(matches!(block_on(store.next_due()), Err(Error::StoreRefused { .. })));
    assert_eq!(there(&root.join("staging")), BTreeSet::new());
}

#[test]
fn any_removed_part_is_created_again() {
    for part in ["names", "keys", "trash", "staging", "index", "events", "admission", "swept", "jobs"] {
        let (_directory, store) = store();
        finish(&store, simple(&store), 0);
        store.prune_if_due().unwrap();
        let path = store.root().join(part);
        fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)).unwrap();
        let id = create(&store, JobSpec::command(["true"]).name("web".parse().unwrap()).key("once"));
        let claim = due(&store).unwrap_or_else(|| panic!("{part}: it is not due"));
        assert_eq!(claim.submission().job_id, id, "{part}");
        start(&claim);
        claim.records.finish(&ended(4)).unwrap();
        drop(claim);
        assert!(block_on(store.ids(&Query::default(), None, 10)).unwrap().contains(&id), "{part}");
        block_on(store.remove(id)).unwrap();
        assert!(queue(&store).is_empty(), "{part}");
        for directory in ["names", "keys", "trash", "staging"] {
            assert_eq!(there(&store.root().join(directory)), BTreeSet::new(), "{part}: {directory}");
        }
    }
}

#[test]
fn a_removed_queue_is_rebuilt_in_its_order() {
    let (_directory, store) = store();
    block_on(store.change_settings(&mut |settings| settings.max_running = 1)).unwrap();
    let over = simple(&store);
    finish(&store, over, 0);
    let running = simple(&store);
    let claim = due(&store).unwrap();
    start(&claim);
    let group = "db".parse().unwrap();
    let waiting = [simple(&store), create(&store, JobSpec::command(["true"]).group(group)), simple(&store)];
    let expected: Vec<_> = [(running, true)].into_iter().chain(waiting.map(|id| (id, false))).collect();
    assert_eq!(queue(&store), expected);
    let path = store.layout.admission();
    let whole = fs::read(&path).unwrap();
    let damages: [&dyn Fn(); 5] = [
        &|| fs::remove_file(&path).unwrap(),
        &|| fs::write(&path, "").unwrap(),
        &|| fs::write(&path, "garbage").unwrap(),
        &|| fs::write(&path, &whole[..whole.len() - 1]).unwrap(),
        &|| {
            let mut changed = whole.clone();
            changed[200] ^= 1;
            fs::write(&path, changed).unwrap();
        },
    ];
    for damage in damages {
        damage();
        assert!(due(&store).is_none(), "one runs already");
        assert_eq!(queue(&store), expected);
    }
    end(claim, 0);
    for id in waiting {
        let claim = due(&store).unwrap();
        assert_eq!(claim.submission().job_id, id, "not {running}");
        start(&claim);
        end(claim, 0);
    }
}

/// The queue is not authoritative: jobs that lost their rows once waited forever.
#[test]
fn a_job_that_is_missing_from_the_queue_is_put_back_in_its_place() {
    let (_directory, store) = store();
    let ids = [simple(&store), simple(&store)];
    let before = queue(&store);
    assert!(!block_on(store.put_back(ids[0])).unwrap(), "it is there");
    let lose = || {
        let mut admission = Admission::take(&store.layout).unwrap();
        ids.into_iter().for_each(|id| admission.remove(id).unwrap());
    };
    lose();
    assert!(due(&store).is_none());
    assert!(ids.into_iter().rev().all(|id| block_on(store.put_back(id)).unwrap()));
    assert_eq!(queue(&store), before);
    // It also works without the record of its place.
    lose();
    let path = store.layout.job(ids[1]).record();
    let mut bytes = fs::read(&path).unwrap();
    bytes[1540] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(ids.into_iter().all(|id| block_on(store.put_back(id)).unwrap()));
    assert_eq!(due(&store).unwrap().submission().job_id, ids[1], "it comes first");
}

/// Its submitter was killed after the job got its slot and before it was started.
#[test]
fn a_job_with_a_slot_that_is_not_started_waits_again() {
    let (_directory, store) = store();
    let submitted = block_on(store.submit(submission(JobSpec::command(["true"])))).unwrap();
    let Submitted::Due(claim) = submitted else { panic!("{submitted:?}") };
    let id = claim.submission().job_id;
    assert_eq!((queue(&store), block_on(store.unsupervised()).unwrap()), (vec![(id, true)], vec![]));
    assert!(due(&store).is_none());
    // To a supervisor that was killed at once.
    drop(claim.hand_over());
    assert_eq!(queue(&store), [(id, true)]);
    assert_eq!(block_on(store.unsupervised()).unwrap(), []);
    assert_eq!(queue(&store), [(id, false)]);
    let claim = due(&store).unwrap();
    assert_eq!((claim.submission().job_id, queue(&store)), (id, vec![(id, true)]));
    drop(claim);
    assert_eq!(queue(&store), [(id, false)]);
}

#[test]
fn a_submitted_job_comes_after_those_that_wait() {
    let (_directory, store) = store();
    block_on(store.change_settings(&mut |settings| settings.set_group("db".parse().unwrap(), 1))).unwrap();
    let submit = |group: Option<&str>| {
        let spec = JobSpec::command(["true"]);
        let spec = match group {
            Some(group) => spec.group(group.parse().unwrap()),
            None => spec,
        };
        match block_on(store.submit(submission(spec))).unwrap() {
            Submitted::Due(claim) => Some(claim),
            _ => None,
        }
    };
    let running = submit(Some("db")).unwrap();
    assert!(submit(Some("db")).is_none(), "its group is full");
    assert!(submit(None).is_some(), "it holds up no other");
    drop(running);
    block_on(store.unsupervised()).unwrap();
    // Two of the group wait, and there is room for one.
    assert!(submit(Some("db")).is_none() && submit(None).is_none());
}

#[test]
fn names_and_keys_that_are_lost_or_unreadable_are_still_taken() {
    for damage in [
        |_: &Path, directory: &Path| fs::remove_dir_all(directory).unwrap(),
        |pointer: &Path, _: &Path| fs::write(pointer, "garbage").unwrap(),
    ] {
        let (_directory, store) = store();
        let (name, other): (Name, Name) = ("web".parse().unwrap(), "other".parse().unwrap());
        finish(&store, create(&store, JobSpec::command(["true"]).name(name.clone())), 0);
        let spec = || JobSpec::command(["true"]).name(name.clone()).key("once");
        let id = create(&store, spec());
        let unrelated = create(&store, JobSpec::command(["true"]).name(other.clone()).key("other"));
        damage(&store.layout.name(&name, None), &store.layout.names());
        let again = block_on(store.create(submission(JobSpec::command(["true"]).name(name.clone()))));
        assert!(matches!(again, Err(Error::NameTaken { id: taken, .. }) if taken == id), "{again:?}");
        damage(&store.layout.key("once"), &store.layout.keys());
        assert_eq!(block_on(store.create(submission(spec()))).unwrap(), Created::Existing(id));
        damage(&store.layout.key("once"), &store.layout.keys());
        damage(&store.layout.name(&name, None), &store.layout.names());
        assert_eq!(block_on(store.named(&name, None)).unwrap(), Some(id));
        let lost = store.layout.keys().exists().then_some(id);
        assert_eq!(block_on(store.keyed("once")).unwrap(), lost, "it is rebuilt when it matters: at a submission");
        assert_eq!(block_on(store.create(submission(spec()))).unwrap(), Created::Existing(id));
        assert_eq!(block_on(store.named(&other, None)).unwrap(), Some(unrelated));
    }
}

/// Opening one once blocked forever.
#[test]
fn anything_other_than_a_file_is_damage_and_does_not_block() {
    type Make = (&'static str, fn(&Path));
    let kinds: [Make; 4] = [
        ("a named pipe", |path| pipe::make(path).unwrap()),
        ("a socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("a directory", |path| fs::create_dir(path).unwrap()),
        ("a link", |path| symlink("/dev/zero", path).unwrap()),
    ];
    for (kind, make) in kinds {
        let (_directory, store) = store();
        let replace = |path: &Path| {
            let _ = fs::remove_file(path);
            make(path);
        };
        let [bad, good] = [simple(&store), simple(&store)];
        finish(&store, bad, 3);
        replace(&store.layout.job(bad).record());
        let error = block_on(store.evidence(bad)).unwrap_err().to_string();
        assert!(error.contains(&format!("it is {kind}, not a file")), "{kind}: {error}");
        replace(&store.layout.index_of(bad));
        replace(&store.layout.admission());
        assert!(block_on(store.create(submission(JobSpec::command(["true"])))).is_err(), "{kind}");
        fs::remove_file(store.layout.admission()).or_else(|_| fs::remove_dir(store.layout.admission())).unwrap();
        let claim = due(&store).unwrap();
        assert_eq!(claim.submission().job_id, good, "{kind}");
        start(&claim);
        claim.records.finish(&ended(0)).unwrap();
        drop(claim);
        assert_eq!(block_on(store.ids(&Query::default(), None, 10)).unwrap().len(), 2, "{kind}");
        assert!(block_on(store.evidence(good)).unwrap().ended.is_some());
        block_on(store.remove(bad)).unwrap();
    }
}

/// The end of another job was once shown as a job's own.
#[test]
fn a_swapped_or_changed_end_is_damage() {
    let (_directory, store) = store();
    let ids = [simple(&store), simple(&store)];
    for (id, code) in ids.into_iter().zip([0, 3]) {
        finish(&store, id, code);
    }
    let paths = ids.map(|id| store.layout.job(id).record());
    let ends = 2048..4096;
    let [first, second] = paths.each_ref().map(|path| fs::read(path).unwrap()[ends.clone()].to_vec());
    let put = |path: &Path, end: &[u8]| {
        let mut bytes = fs::read(path).unwrap();
        bytes[ends.clone()].copy_from_slice(end);
        fs::write(path, bytes).unwrap();
    };
    let reason = |id| match block_on(store.evidence(id)) {
        Err(Error::Damaged { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    put(&paths[0], &second);
    put(&paths[1], &first);
    assert_eq!(reason(ids[0]), format!("it is the record of another job, {}", ids[1]));
    put(&paths[0], &first);
    let changed = String::from_utf8(second.clone()).unwrap().replace("\"exit_code\":3", "\"exit_code\":0");
    put(&paths[1], changed.as_bytes());
    assert!(reason(ids[1]).contains("its checksum does not match"));
    put(&paths[1], &second);
    let code = |id| block_on(store.evidence(id)).unwrap().ended.unwrap().outcome.exit_code;
    assert_eq!(ids.map(code), [Some(0), Some(3)]);
}

/// Its secrets once stayed forever.
#[test]
fn an_environment_that_was_not_erased_is_erased_by_a_later_process() {
    let (_directory, store) = store();
    let id = simple(&store);
    let claim = due(&store).unwrap();
    start(&claim);
    let path = store.layout.job(id).record();
    let holds_secret = || fs::read(&path).unwrap().windows(8).any(|window| window == b"SECRET=x");
    assert!(holds_secret());
    // As if its supervisor had been killed right after recording the end.
    job_file::write(&claim.records.file, &path, id, &ended(0)).unwrap();
    drop(claim);
    assert!(holds_secret() && block_on(store.evidence(id)).unwrap().ended.is_some());
    assert_eq!(block_on(store.unsupervised()).unwrap(), []);
    assert!(!holds_secret() && queue(&store).is_empty());
    let ends = block_on(store.events(0, 100)).unwrap().events;
    assert_eq!(ends.iter().filter(|event| event.status.is_some()).count(), 1, "{ends:?}");
}

/// With an index that could not be read, a job was once created without a row, and no list showed it.
#[test]
fn an_unreadable_index_is_not_taken_for_a_missing_one() {
    let (_directory, store) = store();
    let first = simple(&store);
    let path = store.layout.index_of(first);
    let bytes = fs::read(&path).unwrap();
    // Too short for an index: it is rebuilt, with all jobs.
    fs::write(&path, &bytes[..10]).unwrap();
    let second = simple(&store);
    assert_eq!(block_on(store.ids(&Query::default(), None, 10)).unwrap(), [second, first]);
    let third = simple(&store);
    assert_eq!(block_on(store.ids(&Query::default(), None, 10)).unwrap(), [third, second, first]);
}

/// After a reboot, the first submission to a group with a rate once waited for itself.
#[test]
fn a_rate_is_counted_when_the_index_has_to_be_rebuilt() {
    let (_directory, store) = store();
    // The built-in group, to which six jobs may be submitted within a minute.
    let spec = || JobSpec::command(["true"]).group("agents".parse().unwrap());
    let id = create(&store, spec());
    for number in 2..=7 {
        fs::remove_file(store.layout.index_of(id)).unwrap();
        let submitted = block_on(store.submit(submission(spec())));
        assert_eq!(submitted.is_ok(), number <= 6, "{number}: {submitted:?}");
        assert!(submitted.is_ok() || matches!(submitted, Err(Error::TooFast { .. })), "{submitted:?}");
    }
}

#[test]
fn numbers_that_no_store_assigns_are_ignored() {
    let (_directory, store) = store();
    let id = simple(&store);
    for name in ["18446744073709535232", "9223372036854775808", "12345"] {
        fs::write(store.layout.events().join(name), [0; 64]).unwrap();
    }
    finish(&store, id, 0);
    let events = block_on(store.events(0, 10)).unwrap();
    assert_eq!((events.events.len(), events.next), (2, 2), "{events:?}");
    for name in ["18446744073709551615.log", "000000000000.log"] {
        fs::write(store.layout.job(id).path.join(name), "hello").unwrap();
    }
    let log = log::FileLog::new(store.layout.job(id));
    assert_eq!(log.size().unwrap(), OutputSize::new(5, 0));
}

#[test]
fn publishing_is_not_tried_forever_if_the_directory_of_a_day_is_missing() {
    let (_directory, store) = store();
    fs::remove_dir_all(store.layout.days()).unwrap();
    let id = simple(&store);
    assert!(store.layout.job(id).path.exists());
    fs::remove_dir_all(store.layout.days()).unwrap();
    File::create(store.layout.days()).unwrap();
    assert!(block_on(store.create(submission(JobSpec::command(["true"])))).is_err());
    assert_eq!(there(&store.layout.staging()), BTreeSet::new());
}

/// As if the process that runs a schedule were killed after each of its writes: each time has exactly one run.
#[test]
fn a_time_of_a_schedule_has_one_run_wherever_the_process_is_killed() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (_directory, store) = store();
    let first = Timestamp::now() - HOUR * 3 / 2;
    let id = create(&store, JobSpec::command(["true"]).repeat(Repeat::every(HOUR)).not_before(first));
    let put = |change: &dyn Fn(&mut Place)| {
        let mut claim = block_on(store.claim(id)).unwrap().unwrap();
        let mut place = block_on(claim.place()).unwrap();
        change(&mut place);
        block_on(claim.set_place(&place)).unwrap();
    };
    let place = || store.jobs.evidence(id).unwrap().place;
    let note = || block_on(async { store.admit().await.unwrap().note_change(id).await.unwrap() });
    // It had recorded the id of the run, and nothing more.
    let never = JobId::mint(first, &SystemRandom).unwrap();
    put(&|place| place.last_run = Some(never));
    let run = due(&store).unwrap();
    let run_id = run.records.id;
    assert_eq!((place().last_run, place().not_before), (Some(run_id), Some(first + HOUR * 2)));
    end(run, 0);
    // It had queued the run, which has since ended, and had not moved the schedule on.
    put(&|place| place.not_before = Some(first));
    note();
    assert!(due(&store).is_none());
    assert_eq!((place().last_run, place().not_before), (Some(run_id), Some(first + HOUR * 2)));
    // It had moved the schedule on, and had not updated the row.
    put(&|place| place.not_before = Some(first));
    note();
    put(&|place| place.not_before = Some(first + HOUR * 2));
    assert!(due(&store).is_none());
    assert_eq!(block_on(store.next_start()).unwrap().unwrap().as_second(), (first + HOUR * 2).as_second());
    assert_eq!(store.jobs.all().unwrap().len(), 2);
    // The file with the rows is removed: it is rebuilt with everything that it said.
    fs::remove_file(store.layout.admission()).unwrap();
    assert!(due(&store).is_none());
    let waiting = block_on(store.load()).unwrap().waiting;
    assert!(waiting.len() == 1 && waiting[0].repeats, "{waiting:?}");
    // A schedule that cannot be run blocks no other job.
    put(&|place| place.not_before = Some(first + HOUR));
    note();
    let changed = Records::claim(&store.layout, id).unwrap().unwrap();
    let other = simple(&store);
    let claim = due(&store).unwrap();
    assert_eq!(claim.records.id, other);
    end(claim, 0);
    drop(changed);
    assert!(store.jobs.read(id).unwrap().environment().is_some(), "the schedule keeps its environment until its end");
    finish(&store, id, 0);
    assert!(store.jobs.read(id).unwrap().environment().is_none());
    assert!(due(&store).is_none());
}

/// Its supervisor was killed between the record of a stop and that of the end.
#[test]
fn a_job_that_was_stopped_between_two_attempts_has_ended_and_is_not_retried() {
    let (_directory, store) = store();
    let restart = Restart::default();
    let spec = JobSpec::command(["true"]).restart(restart.clone());
    for cause in [Cause::Stopped, Cause::TimedOut] {
        let id = create(&store, spec.clone());
        let records = Records::claim(&store.layout, id).unwrap().unwrap();
        let holder = ProcessId { start_time: 0, ..ProcessId::of_this_program().unwrap() };
        let first = Start::new(holder, true, Timestamp::now());
        let next = first.next(Some(&restart), &ended(1), Timestamp::now()).unwrap();
        records.start(&first).unwrap();
        records.start(&next).unwrap();
        let requester = Some("a person".to_owned());
        records.stopping(&Stopping { v: 1, cause, requester, at: Timestamp::now(), grace_ms: 0 });
        drop(records);
        let evidence = store.jobs.evidence(id).unwrap();
        let (job, _) = evidence.judge(Timestamp::now()).unwrap();
        let outcome = job.state.outcome().map(|outcome| (outcome.cause, outcome.stopped_by.as_deref()));
        let was_stopped = cause == Cause::Stopped;
        assert_eq!(outcome, was_stopped.then_some((Cause::Stopped, Some("a person"))));
        assert_eq!(evidence.next_attempt(Timestamp::now()).is_none(), was_stopped);
    }
}

/// On a full disk, for example, what is known of earlier attempts is lost, but not the job.
#[test]
fn an_attempt_is_on_record_even_if_earlier_ones_cannot_be_kept() {
    let (_directory, store) = store();
    let restart = Restart::default();
    let id = create(&store, JobSpec::command(["true"]).restart(restart.clone()));
    let records = Records::claim(&store.layout, id).unwrap().unwrap();
    let first = Start::new(ProcessId::of_this_program().unwrap(), true, Timestamp::now());
    records.start(&first).unwrap();
    // Nothing can be renamed to a directory that is not empty.
    fs::create_dir_all(store.layout.job(id).attempts().join("full")).unwrap();
    let next = first.next(Some(&restart), &ended(1), Timestamp::now()).unwrap();
    records.start(&next).unwrap();
    let start = store.jobs.evidence(id).unwrap().start.unwrap();
    assert_eq!((start.attempt, start.due_at, start.before), (2, next.due_at, Vec::new()));
}

//! Property tests for the records of a job.

use std::fs::File;
use std::io::Write;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Serialize;

use crate::fuzzing;
use crate::generate::{cases, damaged, ended, running, spec, start, submission};
use crate::record::{Ended, Running, Start, Stopping, Submission};
use crate::state::{Cause, Status};
use crate::store::file::job_file::{self, JobFile, Kept};

/// Whole records to be damaged; those of each sample belong to one job.
pub(super) static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let mut runner = TestRunner::deterministic();
    let mut of = |strategy: BoxedStrategy<Vec<u8>>| {
        proptest::strategy::ValueTree::current(&strategy.new_tree(&mut runner).expect("one can be made"))
    };
    fn json(value: &impl Serialize) -> Vec<u8> {
        serde_json::to_vec(value).expect("it can be written")
    }
    let stopping = br#"{"v":1,"cause":"stopped","requester":"x","at":"2026-11-28T14:03:51.9Z","grace_ms":5000}"#;
    let mut sample = || {
        let lines = [
            of(submission().prop_map(|record| json(&record)).boxed()),
            of(start().prop_map(|record| json(&record)).boxed()),
            of(running().prop_map(|record| json(&record)).boxed()),
            of(ended().prop_map(|record| json(&record)).boxed()),
            stopping.to_vec(),
        ];
        lines.join(&b'\n')
    };
    (0..8).map(|_| sample()).collect()
});

/// Writes the file of a job, and reads it.
fn round_trip(submission: &Submission, write: impl FnOnce(&File)) -> JobFile {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&job_file::new(submission, "job".as_ref()).unwrap()).unwrap();
    write(&file);
    JobFile::read(&file, "job".into(), submission.job_id).unwrap()
}

/// Writes a record to the room that is kept for it, and reads it.
fn written<T: Kept>(submission: &Submission, record: &T) -> T {
    let write = |file: &File| job_file::write(file, "job".as_ref(), submission.job_id, record).unwrap();
    let read = round_trip(submission, write);
    assert_eq!(&read.submission().unwrap().job_id, &submission.job_id);
    assert_eq!(read.environment().as_ref(), Some(&submission.spec.environment));
    read.get().unwrap().unwrap()
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn a_submission_is_read_as_it_was_written(record in submission()) {
        let mut expected = record.clone();
        // The environment is kept elsewhere, and never in a record.
        expected.spec.environment = Default::default();
        let read = round_trip(&record, |_| {});
        prop_assert_eq!(read.submission().unwrap(), expected);
        prop_assert!(!read.has::<Start>() && !read.has::<Running>() && !read.has::<Stopping>() && !read.has::<Ended>());
    }

    #[test]
    fn a_start_is_read_as_it_was_written(submission in submission(), record in start()) {
        prop_assert_eq!(written(&submission, &record), record);
    }

    #[test]
    fn the_main_process_is_read_as_it_was_written_except_for_what_does_not_fit(
        submission in submission(),
        record in running(),
    ) {
        let read = written(&submission, &record);
        let has_room = serde_json::to_vec(&record).unwrap().len() < 400;
        // Everything else is always kept.
        prop_assert!(read.waiting == record.waiting || (read.waiting.is_none() && !has_room));
        prop_assert_eq!(Running { waiting: record.waiting, ..read }, record);
    }

    #[test]
    fn an_end_is_read_as_it_was_written_except_for_what_does_not_fit(
        submission in submission(),
        record in ended(),
    ) {
        let read = written(&submission, &record);
        if serde_json::to_vec(&record).unwrap().len() < 1900 {
            prop_assert_eq!(read, record);
        } else {
            let mut expected = record;
            expected.outcome.survivors.truncate(read.outcome.survivors.len());
            expected.outcome.message = read.outcome.message.clone();
            expected.outcome.stopped_by = read.outcome.stopped_by.clone();
            prop_assert_eq!(read, expected);
        }
    }

    #[test]
    fn a_spec_that_was_built_is_valid(spec in spec()) {
        prop_assert!(spec.validate().is_ok());
    }

    /// Only the exit code 0 makes a job completed, and only a stop makes it killed.
    #[test]
    fn an_end_has_the_status_of_its_cause(record in ended()) {
        let outcome = &record.outcome;
        let expected = match outcome.cause {
            Cause::Exited if outcome.exit_code == Some(0) => Status::Completed,
            Cause::Stopped | Cause::NeverStarted => Status::Killed,
            Cause::TimedOut | Cause::Stalled | Cause::NotReady => Status::TimedOut,
            Cause::SupervisorLost | Cause::Rebooted => Status::Orphaned,
            Cause::Skipped => Status::Skipped,
            Cause::Exited | Cause::Signalled | Cause::SpawnFailed | Cause::Oom => Status::Failed,
        };
        prop_assert_eq!(outcome.status(), expected);
        prop_assert!(outcome.status().is_final());
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn damaged_records_are_judged_or_refused(bytes in damaged(SAMPLES.clone())) {
        fuzzing::records(&bytes);
    }
}

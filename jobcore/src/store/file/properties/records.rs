//! The records of a job.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fuzzing;
use crate::generate::{cases, damaged, ended, running, spec, start, submission};
use crate::record::Submission;
use crate::state::{Cause, Status};
use crate::store::file::atomic;

/// Whole records, all of one job in each: what is damaged.
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

/// Writes a record as it is written, in the room that was kept for it, and reads it.
fn round_trip<T: Serialize + DeserializeOwned>(record: &T) -> T {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("record.json");
    atomic::reserve(&path).unwrap();
    atomic::publish_reserved(&path, record).unwrap();
    atomic::read(&path).unwrap().unwrap()
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn a_submission_is_read_as_it_was_written(record in submission()) {
        let mut expected = record.clone();
        // That is kept elsewhere, and never in a record.
        expected.spec.environment = Default::default();
        let read: Submission = round_trip(&record);
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn a_start_is_read_as_it_was_written(record in start()) {
        prop_assert_eq!(round_trip(&record), record);
    }

    #[test]
    fn the_main_process_is_read_as_it_was_written(record in running()) {
        prop_assert_eq!(round_trip(&record), record);
    }

    #[test]
    fn an_end_is_read_as_it_was_written(record in ended()) {
        prop_assert_eq!(round_trip(&record), record);
    }

    #[test]
    fn a_spec_that_was_built_is_valid(spec in spec()) {
        prop_assert!(spec.validate().is_ok());
    }

    /// Nothing is completed but by the exit code 0, and nothing is killed but by a stop.
    #[test]
    fn an_end_is_called_what_it_is(record in ended()) {
        let outcome = &record.outcome;
        let expected = match outcome.cause {
            Cause::Exited if outcome.exit_code == Some(0) => Status::Completed,
            Cause::Stopped | Cause::NeverStarted => Status::Killed,
            Cause::TimedOut => Status::TimedOut,
            Cause::SupervisorLost | Cause::Rebooted => Status::Orphaned,
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

//! Property tests for the index of a day.

use std::fs;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::row::{ROW, Row, RowState};
use crate::generate::{cases, damaged, ended, job_id, spec, submission};
use crate::store::{JobStore, Query};
use crate::{FileStore, fuzzing};

fn day(store: &FileStore) -> std::path::PathBuf {
    let days = fs::read_dir(store.layout.indexes()).unwrap().flatten();
    days.map(|entry| entry.path()).find(|path| path.is_file()).unwrap()
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_row_says_what_it_was_made_from(id in job_id(), spec in spec(), ended in ended(), output in any::<u64>()) {
        let mut row = Row::new(id, Some(&spec));
        prop_assert!(row.is_sound() && row.id() == Some(id) && row.state() == RowState::Open);
        prop_assert!(row.may_match(&Query::default().with_name(spec.name.clone()).with_group(spec.group.clone())));
        let labels: Vec<_> = spec.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        prop_assert!(row.may_match(&Query::default().with_labels(labels)), "no job that is wanted is left out");
        row.end(&ended, output);
        prop_assert!(row.is_sound());
        prop_assert_eq!((row.state(), row.output_bytes()), (RowState::Over(ended.outcome.status()), output));
        prop_assert_eq!(row.ended_at().as_microsecond(), ended.outcome.ended_at.as_microsecond());
    }

    #[test]
    fn a_row_with_a_changed_byte_is_not_sound(
        id in job_id(), spec in spec(), ended in ended(), output in any::<u64>(), at in 0..ROW, change in 1..=u8::MAX,
    ) {
        let mut row = Row::new(id, Some(&spec));
        row.end(&ended, output);
        row.0[at] ^= change;
        prop_assert!(!row.is_sound());
    }
}

/// Whatever the file says, no job that has a directory is lost.
#[test]
fn a_damaged_index_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("store")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let make = submission().prop_map(|mut submission| {
        (submission.spec.name, submission.spec.key) = (None, None);
        submission
    });
    let mut runner = TestRunner::deterministic();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let submission = make.new_tree(&mut runner).unwrap().current();
        ids.push(submission.job_id);
        runtime.block_on(store.create(submission)).unwrap();
    }
    ids.reverse();
    let path = day(&store);
    let whole = fs::read(&path).unwrap();
    let scratch = directory.path().join("scratch");
    let mut runner = TestRunner::new(ProptestConfig { source_file: Some(file!()), ..cases(96) });
    runner
        .run(&damaged(vec![whole.clone()]), |bytes| {
            fuzzing::index(&bytes, &scratch);
            fs::write(&path, &bytes).unwrap();
            let mut found = runtime.block_on(store.ids(&Query::default(), None, 100)).unwrap();
            // A row that was copied is seen twice.
            found.dedup();
            found.sort_unstable();
            found.dedup();
            let mut expected = ids.clone();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
            let _ = runtime.block_on(store.tally()).unwrap();
            fs::write(&path, &whole).unwrap();
            prop_assert_eq!(runtime.block_on(store.ids(&Query::default(), None, 100)).unwrap(), ids.clone());
            Ok(())
        })
        .unwrap();
}

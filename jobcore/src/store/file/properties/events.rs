//! Property tests for the rows of events and their segments.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::generate::{cases, damaged, job_id};
use crate::state::Status;
use crate::store::{EventKind, JobEvent};
use crate::{FileStore, fuzzing};

fn event() -> impl Strategy<Value = JobEvent> {
    let kind = select(&[EventKind::Submitted, EventKind::Started, EventKind::Ended, EventKind::Removed][..]);
    let micros = -300_000_000_000_000_000..200_000_000_000_000_000_i64;
    (job_id(), kind, proptest::option::of(select(&Status::ALL[..])), any::<Option<i32>>(), micros).prop_map(
        |(id, kind, status, exit_code, micros)| {
            let at = crate::clock::Timestamp::from_microsecond(micros).expect("it is within the range");
            JobEvent { at, status, exit_code, ..JobEvent::now(id, kind) }
        },
    )
}

fn rows(events: &[JobEvent]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("store")).unwrap();
    events.iter().for_each(|event| store.events.add(event));
    fs::read(store.layout.event_segment(0)).unwrap_or_default()
}

fn samples() -> Vec<Vec<u8>> {
    let id = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
    vec![rows(&[JobEvent::now(id, EventKind::Submitted), JobEvent::now(id, EventKind::Ended)])]
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn events_are_read_as_they_were_added(events in vec(event(), 1..8), since in 0..10_u64, limit in 1..10_usize) {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        events.iter().for_each(|event| store.events.add(event));
        let numbered = (0..).zip(&events).map(|(number, event)| JobEvent { number, ..event.clone() });
        let expected: Vec<_> = numbered.filter(|event| event.number >= since).take(limit).collect();
        let read = store.events.read(since, limit).unwrap();
        prop_assert_eq!((read.gone, read.next), (0, since.max((since + expected.len() as u64).min(events.len() as u64))));
        prop_assert_eq!(read.events, expected);
    }

    #[test]
    fn a_damaged_row_is_skipped(bytes in damaged(samples())) {
        fuzzing::events(&bytes);
    }

    /// Whatever is in the directory: no more is read than was asked for, and reading on reaches an end.
    #[test]
    fn segments_of_any_name_and_size_are_read_or_refused(
        names in vec(prop_oneof![
            (0..20_u64).prop_map(|number| (number * 16_384).to_string()),
            prop_oneof![any::<u64>(), Just(u64::MAX)].prop_map(|number| (number & !16_383).to_string()),
            "[0-9]{1,22}",
            "\\PC{1,10}".prop_filter("no name", |name| !name.contains('/') && !name.starts_with('.')),
        ], 0..4),
        bytes in damaged(samples()),
        since in any::<u64>(),
        limit in 0..5_usize,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        fs::create_dir_all(store.layout.events()).unwrap();
        for name in names {
            fs::write(store.layout.events().join(name), &bytes).unwrap();
        }
        for since in [since, 0] {
            if let Ok(read) = store.events.read(since, limit) {
                prop_assert!(read.events.len() <= limit && read.next >= since);
                prop_assert!(read.events.iter().all(|event| event.number >= since && event.number < read.next));
            }
        }
        let id = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().unwrap();
        store.events.add(&JobEvent::now(id, EventKind::Started));
    }
}

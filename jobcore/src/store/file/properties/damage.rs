//! Property tests for a store in which one file was damaged.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use crate::clock::{SystemRandom, Timestamp};
use crate::generate::{cases, damaged};
use crate::record::{Ended, Running, Start, Submission};
use crate::state::{Cause, Outcome};
use crate::store::file::job_directory;
use crate::store::{JobStore, Query};
use crate::sys::process;
use crate::{Error, FileStore, JobId, JobSpec};

/// Creates a job that has ended, on the same day as all others, and returns its id.
async fn make(store: &FileStore, name: &str) -> JobId {
    let now = Timestamp::now();
    let spec = JobSpec::command(["true"]).name(name.parse().unwrap()).label("l", name).build().unwrap();
    let id = JobId::mint(now, &SystemRandom).unwrap();
    store
        .create(Submission::new(id, now, spec, "/bin/true".into(), crate::sys::world::capture().unwrap()))
        .await
        .unwrap();
    let mut claim = store.claim(id).await.unwrap().unwrap();
    let own = process::identify(i32::try_from(std::process::id()).unwrap()).unwrap();
    claim.start(&Start::new(own.clone(), false, now)).await.unwrap();
    claim.running(&Running::new(own, now)).await.unwrap();
    claim.append(crate::output::Stream::Stdout, now, name.as_bytes()).await;
    let mut outcome = Outcome::new(Cause::Exited, now);
    (outcome.exit_code, outcome.output_bytes) = (Some(7), name.len() as u64);
    claim.finish(&Ended::new(Some(now), outcome)).await.unwrap();
    id
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => files.extend(self::files(&entry.path())),
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files.sort();
    files
}

/// At most that job is spoiled: the other one is intact and listed, and nothing of the one is reported for the other.
#[test]
fn damage_to_one_file_of_a_job_affects_no_other_job() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("store")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (bad, good) = runtime.block_on(async { (make(&store, "bad").await, make(&store, "good").await) });
    let good_before = runtime.block_on(store.evidence(good)).unwrap();
    let files = files(&job_directory(store.root(), bad));
    assert_eq!(files.len(), 3, "{files:?}");
    let samples: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let mut runner = TestRunner::new(ProptestConfig { source_file: Some(file!()), ..cases(128) });
    let any_file = (any::<Index>(), damaged(samples.clone()));
    runner
        .run(&any_file, |(file, bytes)| {
            let (file, whole) = (file.get(&files), file.get(&samples));
            fs::write(file, &bytes).unwrap();
            runtime.block_on(async {
                let found = store.evidence(bad).await;
                match &found {
                    Ok(evidence) => {
                        prop_assert_eq!(evidence.submission.job_id, bad);
                        let _ = evidence.judge(Timestamp::now());
                    }
                    Err(error) => prop_assert!(matches!(error, Error::Damaged { .. }), "{}: {}", file.display(), error),
                }
                if let Ok(log) = store.log(bad).await {
                    let read =
                        crate::output::read(log.as_ref(), 0, &crate::output::OutputQuery::from(Default::default()));
                    prop_assert!(read.is_ok());
                }
                prop_assert_eq!(&store.evidence(good).await.unwrap(), &good_before);
                let ids = store.ids(&Query::default(), None, 10).await.unwrap();
                prop_assert_eq!(ids, vec![good, bad]);
                prop_assert_eq!(store.named(&"good".parse().unwrap(), None).await.unwrap(), Some(good));
                let _ = (store.claim(bad).await, store.settled(bad).await, store.cached(bad, "x").await);
                store.unsupervised().await.unwrap();
                Ok(())
            })?;
            prop_assert_eq!(fs::read(file).unwrap(), bytes, "a damaged file is left as it is");
            fs::write(file, whole).unwrap();
            Ok(())
        })
        .unwrap();
}

/// What all jobs share is rebuilt from them, or an error says what is wrong; in both cases no job is lost.
#[test]
fn damage_to_a_shared_file_loses_no_job() {
    let directory = tempfile::tempdir().unwrap();
    let store = FileStore::open(directory.path().join("store")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (one, two) = runtime.block_on(async { (make(&store, "one").await, make(&store, "two").await) });
    let shared = [
        store.layout.admission(),
        store.layout.event_segment(0),
        store.layout.name(&"one".parse().unwrap(), None),
        store.layout.settings(),
    ];
    runtime.block_on(store.change_settings(&mut |settings| settings.max_running = 5)).unwrap();
    let samples: Vec<Vec<u8>> = shared.iter().map(|file| fs::read(file).unwrap()).collect();
    let mut runner = TestRunner::new(ProptestConfig { source_file: Some(file!()), ..cases(96) });
    runner
        .run(&(any::<Index>(), damaged(samples.clone())), |(file, bytes)| {
            let (file, whole) = (file.get(&shared), file.get(&samples));
            fs::write(file, &bytes).unwrap();
            runtime.block_on(async {
                for id in [one, two] {
                    prop_assert_eq!(store.evidence(id).await.unwrap().submission.job_id, id);
                }
                prop_assert_eq!(store.ids(&Query::default(), None, 10).await.unwrap(), vec![two, one]);
                prop_assert_eq!(store.tally().await.unwrap().ended.values().sum::<u64>(), 2);
                let _ = (store.events(0, 10).await, store.next_due().await, store.load().await);
                let named = store.named(&"one".parse().unwrap(), None).await;
                prop_assert!(!matches!(named, Ok(Some(id)) if id != one), "another job's name");
                Ok(())
            })?;
            fs::write(file, whole).unwrap();
            Ok(())
        })
        .unwrap();
}

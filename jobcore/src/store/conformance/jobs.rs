//! What is put on record, and which process may do that.

use std::collections::BTreeSet;

use super::{Backend, create, create_from, ended, simple, soon, start, submission};
use crate::clock::{Clock, SystemClock};
use crate::control::Request;
use crate::error::Error;
use crate::output::{OutputQuery, Position, Stream, read};
use crate::record::Running;
use crate::spec::{JobSpec, Restart};
use crate::state::Status;
use crate::store::{Change, Query};

/// When `create` returns, every handle sees the job, and it has not been started.
pub async fn a_new_job_is_on_record_and_queued(backend: &Backend) {
    let submission = submission(JobSpec::shell("echo hi").label("a", "b"));
    backend.open().create(submission.clone()).await.expect("the job is created");
    let evidence = backend.open().evidence(submission.job_id).await.expect("the job is found");
    assert_eq!(evidence.submission.job_id, submission.job_id);
    assert_eq!(evidence.submission.spec.labels, submission.spec.labels);
    assert!(!evidence.held);
    assert_eq!((evidence.start, evidence.running, evidence.ended), (None, None, None));
}

/// A second job never gets the id of a first.
pub async fn an_id_is_taken_only_once(backend: &Backend) {
    let store = backend.open();
    let submission = simple();
    let (id, _claim) = create_from(store.as_ref(), submission.clone()).await;
    assert!(store.create(submission).await.is_err());
    assert!(store.evidence(id).await.expect("the first is there").held);
}

/// Every method reports that.
pub async fn an_unknown_job_is_not_found(backend: &Backend) {
    let store = backend.open();
    let id = simple().job_id;
    assert!(matches!(store.evidence(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.claim(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.remove(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.log(id).await.err(), Some(Error::NotFound { .. })));
    assert!(matches!(store.cached(id, "digest").await, Err(Error::NotFound { .. })));
    assert!(matches!(store.cache(id, "digest", b"x").await, Err(Error::NotFound { .. })));
    assert!(matches!(store.request(id, Request::Count).await, Err(Error::NotFound { .. })));
    for change in [Change::Settled(id), Change::LeftQueue(id), Change::Output { id, beyond: 0 }] {
        soon("a wait for nothing", store.changed(change)).await.expect("it returns");
    }
}

/// A lock has one holder, and is released with its claim.
pub async fn a_claim_keeps_others_out_until_it_is_dropped(backend: &Backend) {
    let (one, other) = (backend.open(), backend.open());
    let (id, claim) = create(one.as_ref()).await;
    assert!(other.claim(id).await.expect("the job is there").is_none());
    assert!(one.claim(id).await.expect("the job is there").is_none());
    drop(claim);
    assert!(!other.evidence(id).await.expect("the job is there").held);
    let claim = other.claim(id).await.expect("the job is there").expect("it is free");
    assert!(one.evidence(id).await.expect("the job is there").held);
    drop(claim);
}

/// Even if all try at the same time.
pub async fn one_of_many_concurrent_claims_wins(backend: &Backend) {
    let (id, claim) = create(backend.open().as_ref()).await;
    drop(claim);
    let mut claims = Vec::new();
    let attempts: Vec<_> = (0..20)
        .map(|_| {
            let store = backend.open();
            tokio::spawn(async move { store.claim(id).await.expect("the job is there") })
        })
        .collect();
    for attempt in attempts {
        claims.extend(attempt.await.expect("no panic"));
    }
    assert_eq!(claims.len(), 1);
}

/// Nothing is lost or changed on the way.
pub async fn records_are_read_as_they_were_written(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    let (start, ended) = (start(), ended(7));
    let running = Running::new(start.holder.clone(), SystemClock.now());
    claim.start(&start).await.expect("it is written");
    claim.running(&running).await.expect("it is written");
    let evidence = store.evidence(id).await.expect("the job is there");
    assert_eq!((evidence.start, evidence.running, evidence.ended), (Some(start), Some(running), None));
    claim.finish(&ended).await.expect("it is written");
    drop(claim);
    let evidence = store.evidence(id).await.expect("the job is there");
    assert_eq!(evidence.ended, Some(ended));
    assert!(!evidence.held);
}

/// It replaces the attempt before, whose process is no longer on record. An attempt that was never started continues
/// after the death of its holder, as far as the spec allows.
pub async fn a_later_attempt_keeps_how_earlier_ones_ended(backend: &Backend) {
    let store = backend.open();
    let restart = Restart::default().with_limit(Some(1));
    let spec = JobSpec::command(["true"]).env("KEPT", "yes").restart(restart.clone());
    let (id, mut claim) = create_from(store.as_ref(), submission(spec)).await;
    let first = start();
    let running = Running::new(first.holder.clone(), SystemClock.now());
    claim.start(&first).await.expect("it is written");
    claim.running(&running).await.expect("it is written");
    let next = first.next(Some(&restart), &ended(7), SystemClock.now()).expect("another is allowed");
    claim.start(&next).await.expect("it is written");
    let evidence = store.evidence(id).await.expect("the job is there");
    assert_eq!((evidence.start.as_ref(), evidence.running.as_ref()), (Some(&next), None));
    let (job, _) = evidence.judge(SystemClock.now()).expect("it is well");
    assert_eq!((job.status(), job.attempt, job.next_attempt_at), (Status::Running, 2, next.due_at));
    assert_eq!(job.attempts[0].outcome.exit_code, Some(7));
    claim.start(&next.now_due(SystemClock.now())).await.expect("it is written");
    assert!(claim.environment().await.expect("it is there").get("KEPT").is_some());
    claim.finish(&ended(8)).await.expect("it is written");
    drop(claim);
    let evidence = store.evidence(id).await.expect("the job is there");
    let (job, _) = evidence.judge(SystemClock.now()).expect("it is well");
    assert_eq!((job.status(), job.attempts.len(), job.next_attempt_at), (Status::Failed, 1, None));
}

/// A final status stays.
pub async fn an_end_is_never_replaced(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.finish(&ended(1)).await.expect("it is written");
    claim.finish(&ended(2)).await.expect("it is no error");
    drop(claim);
    let mut claim = store.claim(id).await.expect("the job is there").expect("it is free");
    claim.finish(&ended(3)).await.expect("it is no error");
    let on_record = store.evidence(id).await.expect("the job is there").ended.expect("it has ended");
    assert_eq!(on_record.outcome.exit_code, Some(1));
}

/// A secret that is no longer needed is not kept.
pub async fn the_environment_is_kept_until_the_end_and_no_longer(backend: &Backend) {
    let store = backend.open();
    let submission = submission(JobSpec::command(["true"]).env("SECRET", "x\ny=z"));
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    let mut claim = store.claim(id).await.expect("the job is there").expect("it is free");
    let environment = claim.environment().await.expect("it is there");
    assert_eq!(environment.get("SECRET"), Some("x\ny=z".as_ref()));
    claim.finish(&ended(0)).await.expect("it is written");
    assert!(claim.environment().await.is_err());
}

/// A store outlives its handles.
pub async fn another_handle_finds_everything_as_it_was(backend: &Backend) {
    let first = backend.open();
    let (id, mut claim) = create(first.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    claim.append(Stream::Stderr, SystemClock.now(), b"kept").await;
    claim.finish(&ended(5)).await.expect("it is written");
    drop(claim);
    let before = first.evidence(id).await.expect("the job is there");
    drop(first);
    let second = backend.open();
    assert_eq!(second.evidence(id).await.expect("the job is there"), before);
    let log = second.log(id).await.expect("the job is there");
    let chunk = read(log.as_ref(), 0, &OutputQuery::from(Position::Start)).expect("it is read");
    assert_eq!(chunk.bytes(Some(Stream::Stderr)), b"kept");
}

/// With many handles at once, each job exists exactly once, with its own records.
pub async fn concurrent_writers_lose_nothing(backend: &Backend) {
    let writers: Vec<_> = (0..8_i32)
        .map(|writer| {
            let store = backend.open();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                for number in 0..25 {
                    let (id, mut claim) = create(store.as_ref()).await;
                    claim.start(&start()).await.expect("it is written");
                    claim.finish(&ended(writer * 25 + number)).await.expect("it is written");
                    ids.push((id, writer * 25 + number));
                }
                ids
            })
        })
        .collect();
    let mut expected = Vec::new();
    for writer in writers {
        expected.extend(writer.await.expect("no panic"));
    }
    let store = backend.open();
    let listed = store.ids(&Query::default(), None, usize::MAX).await.expect("it is read");
    let unique: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!((listed.len(), unique), (200, expected.iter().map(|(id, _)| *id).collect()));
    for (id, code) in expected {
        let on_record = store.evidence(id).await.expect("the job is there").ended.expect("it has ended");
        assert_eq!(on_record.outcome.exit_code, Some(code));
    }
}

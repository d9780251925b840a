//! How every runner treats a job whose command is started again.

use std::time::Duration;

use super::{Bench, quickly, stopped};
use crate::output::{Cursor, OutputQuery, Position};
use crate::spec::{Restart, RestartWhen};
use crate::state::{Cause, Status};
use crate::store::{Change, EventKind};

fn often() -> Restart {
    Restart::default().with_backoff(Duration::from_millis(1), Duration::from_millis(20))
}

/// Each attempt knows its number, gets the whole environment and the given input, and has its own output and end.
pub async fn a_command_that_fails_is_started_again(bench: &Bench) {
    let line = "read word; echo \"$word $JOBCORE_ATTEMPT\"; test $JOBCORE_ATTEMPT = 3";
    let (job, outcome) = bench.finish(bench.shell(line).given("given\n").restart(often())).await;
    assert_eq!((job.status(), outcome.exit_code, job.attempt), (Status::Completed, Some(0), 3));
    assert_eq!(bench.output(&job, None).await, "given 1\ngiven 2\ngiven 3\n");
    let attempts: Vec<_> = job.attempts.iter().map(|attempt| (attempt.number, attempt.outcome.exit_code)).collect();
    assert_eq!(attempts, [(1, Some(1)), (2, Some(1))]);
    assert_eq!(job.state.started_at(), job.attempts[0].started_at, "the job began with its first attempt");
    let [first, second] = [&job.attempts[0], &job.attempts[1]];
    let query =
        OutputQuery::from(Position::Cursor(Cursor(first.output_end))).with_until(Some(Cursor(second.output_end)));
    let chunk = bench.jobs.output(job.id, &query).await.expect("it is read");
    assert_eq!(chunk.bytes(None), b"given 2\n");
    assert_eq!((first.outcome.output_bytes, second.outcome.output_bytes), (8, 8));
    let events = bench.jobs.store().events(0, 100).await.expect("they are read").events;
    let retrying = events.iter().filter(|event| event.event == EventKind::Retrying);
    assert_eq!(
        retrying.map(|event| (event.status, event.exit_code)).collect::<Vec<_>>(),
        [(Some(Status::Failed), Some(1)); 2]
    );
    assert_eq!(events.iter().filter(|event| event.event == EventKind::Ended).count(), 1);
}

/// The last attempt is the end of the job.
pub async fn attempts_are_limited(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("exit 7").restart(often().with_limit(Some(2)))).await;
    assert_eq!((job.status(), outcome.exit_code, job.attempt, job.attempts.len()), (Status::Failed, Some(7), 3, 2));
    let (job, _) = bench.finish(bench.shell("exit 7").restart(often().with_exit_codes([75]))).await;
    assert_eq!((job.attempt, job.attempts.len()), (1, 0));
    let (job, _) = bench.finish(bench.shell("exit 0").restart(often())).await;
    assert_eq!((job.status(), job.attempt), (Status::Completed, 1));
    let always = Restart::new(RestartWhen::Always).with_limit(Some(1)).with_backoff(Duration::ZERO, Duration::ZERO);
    let (job, _) = bench.finish(bench.shell("exit 0").restart(always)).await;
    assert_eq!((job.status(), job.attempt), (Status::Completed, 2));
}

/// A timeout counts for each attempt.
pub async fn an_attempt_that_times_out_is_followed_by_another(bench: &Bench) {
    let slow = bench.shell("exec sleep 1000").timeout(Duration::from_millis(50)).restart(often().with_limit(Some(1)));
    let (job, outcome) = bench.finish(slow).await;
    assert_eq!((job.status(), outcome.cause, job.attempt), (Status::TimedOut, Cause::TimedOut, 2));
    assert_eq!(job.attempts[0].outcome.cause, Cause::TimedOut);
}

/// None of its processes runs then, and it is not started again.
pub async fn a_job_is_stopped_between_two_attempts(bench: &Bench) {
    let delay = Duration::from_secs(1000);
    let job = bench.submit(bench.shell("exit 3").restart(Restart::default().with_backoff(delay, delay))).await;
    // Submitted, started, and then retrying.
    let (store, rests) = (bench.other.store(), Change::Event(2));
    while !rests.has_come(store.as_ref()).await.expect("it can be read") {
        store.changed(rests).await.expect("changes are reported");
    }
    let resting = bench.other.job(job.id).await.expect("it is there");
    assert!(resting.next_attempt_at.is_some(), "{resting:?}");
    assert_eq!((resting.status(), resting.pid, resting.attempt), (Status::Running, None, 2));
    assert_eq!(resting.attempts[0].outcome.exit_code, Some(3));
    let signal = bench.other.signal(job.id, crate::signal::Signal::TERM).await.expect_err("no process can get it");
    assert!(signal.to_string().contains("is not running"), "{signal}");
    let (job, outcome) = stopped(bench, &job, &quickly()).await;
    assert_eq!((job.status(), outcome.cause, outcome.exit_code), (Status::Killed, Cause::Stopped, None));
    assert!(outcome.stopped_by.is_some());
    assert_eq!((job.attempt, job.attempts.len(), job.next_attempt_at), (2, 1, None));
}

/// A stop is meant for the job, not for one attempt.
pub async fn a_stopped_job_is_not_started_again(bench: &Bench) {
    let job = bench.submit(bench.shell("touch ready; sleep 1000 & wait").restart(often())).await;
    bench.file("ready").await;
    let (job, outcome) = stopped(bench, &job, &quickly()).await;
    assert_eq!((job.status(), outcome.cause, job.attempts.len()), (Status::Killed, Cause::Stopped, 0));
}

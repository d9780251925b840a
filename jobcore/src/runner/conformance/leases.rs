//! How every runner treats a job with a lease.

use std::time::Duration;

use super::{Bench, quickly, stopped};
use crate::error::Error;
use crate::spec::Restart;
use crate::state::{Cause, Status};

const LEASE_END: Option<&str> = Some("the end of its lease");

/// It is stopped as if on request.
pub async fn a_job_that_is_not_renewed_is_stopped(bench: &Bench) {
    let (job, outcome) = bench.finish(bench.shell("exec sleep 1000").lease(Duration::from_millis(50))).await;
    assert_eq!((job.status(), outcome.cause), (Status::Killed, Cause::Stopped));
    assert_eq!(outcome.stopped_by.as_deref(), LEASE_END);
    // The lease belongs to the job, not to one attempt.
    let again = Restart::default().with_backoff(Duration::from_millis(1), Duration::from_millis(20));
    let failing = bench.shell("exit 1").restart(again).lease(Duration::from_millis(300));
    let (job, outcome) = bench.finish(failing).await;
    assert_eq!((job.status(), outcome.stopped_by.as_deref()), (Status::Killed, LEASE_END));
    assert!(job.attempt > 1, "{job:?}");
}

/// The lease then starts again, and any handle may ask for that.
pub async fn a_renewed_job_continues(bench: &Bench) {
    let job = bench.submit(bench.shell("touch ready; exec sleep 1000").lease(Duration::from_secs(3600))).await;
    bench.file("ready").await;
    let until = async || bench.other.job(job.id).await.expect("it is read").lease_until.expect("it has one");
    let first = until().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    // The recorded time has a resolution of milliseconds.
    while until().await <= first {
        assert!(tokio::time::Instant::now() < deadline, "it is not renewed");
        bench.other.renew(job.id).await.expect("it is renewed");
    }
    let (job, _) = stopped(bench, &job, &quickly()).await;
    assert_eq!(job.lease_until, None, "it has ended");
    assert!(matches!(bench.jobs.renew(job.id).await, Err(Error::NotRunning { .. })));
    let without = bench.submit(bench.shell("touch second; exec sleep 1000")).await;
    bench.file("second").await;
    assert!(matches!(bench.jobs.renew(without.id).await, Err(Error::Refused { .. })));
    stopped(bench, &without, &quickly()).await;
}

//! What is removed, and what stays.

use super::{Backend, create, ended, start};
use crate::clock::{Clock, SystemClock};
use crate::error::Error;
use crate::output::Stream;
use crate::store::Query;

/// Ended jobs are removed, the oldest first; others stay.
pub async fn jobs_that_the_settings_do_not_keep_are_pruned(backend: &Backend) {
    let store = backend.open();
    let (live, _claim) = create(store.as_ref()).await;
    let mut over = Vec::new();
    for code in 0..3 {
        let (id, mut claim) = create(store.as_ref()).await;
        claim.start(&start()).await.expect("it is written");
        claim.finish(&ended(code)).await.expect("it is written");
        over.push(id);
    }
    let ended_jobs = store.ended_jobs().await.expect("it is read");
    assert_eq!(ended_jobs.iter().map(|job| job.id).collect::<Vec<_>>(), over);
    assert!(ended_jobs.iter().all(|job| job.bytes > 0 && job.status.is_final()));
    let settings = store.change_settings(&mut |settings| settings.keep_jobs = 1).await.expect("it is written");
    assert_eq!(settings.retention().max_jobs, Some(1));
    backend.open().sweep().await.expect("it is swept");
    assert_eq!(store.ids(&Query::default(), None, 10).await.expect("it is read"), [over[2], live]);
    assert!(matches!(store.evidence(over[0]).await, Err(Error::NotFound { .. })));
}

/// A job whose lock is held is not removed.
pub async fn a_held_job_is_not_removed(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    assert!(matches!(backend.open().remove(id).await, Err(Error::Refused { .. })));
    claim.finish(&ended(0)).await.expect("it is written");
    assert!(matches!(backend.open().remove(id).await, Err(Error::Refused { .. })));
    assert_eq!(
        store.evidence(id).await.expect("the job is there").ended.expect("it has ended").outcome.exit_code,
        Some(0)
    );
}

/// Nothing of it is left.
pub async fn a_removed_job_is_gone_for_every_handle(backend: &Backend) {
    let (one, other) = (backend.open(), backend.open());
    let (id, mut claim) = create(one.as_ref()).await;
    claim.append(Stream::Stdout, SystemClock.now(), b"x").await;
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    one.remove(id).await.expect("it is removed");
    for store in [one, other] {
        assert!(matches!(store.evidence(id).await, Err(Error::NotFound { .. })));
        assert!(matches!(store.claim(id).await, Err(Error::NotFound { .. })));
        assert_eq!(store.ids(&Query::default(), None, 10).await.expect("it is read"), []);
        assert_eq!(store.load().await.expect("it is read").waiting, []);
    }
}

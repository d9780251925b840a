//! Waiters are woken by what they wait for.

use std::time::Duration;

use super::{Backend, create, ended, soon, start};
use crate::clock::{Clock, SystemClock};
use crate::output::Stream;
use crate::store::Change;

/// No wake-up is lost between a check and a wait.
pub async fn a_waiter_is_woken_by_the_end(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let waiter = backend.open();
    let waiting = tokio::spawn(async move {
        while waiter.evidence(id).await.expect("the job is there").ended.is_none() {
            waiter.changed(Change::Settled(id)).await.expect("it returns");
        }
    });
    tokio::task::yield_now().await;
    claim.finish(&ended(0)).await.expect("it is written");
    // The lock is still held: the end alone wakes the waiter.
    soon("the end", waiting).await.expect("no panic");
    drop(claim);
}

/// The death of a holder wakes the waiters, too.
pub async fn a_waiter_is_woken_when_the_lock_is_released(backend: &Backend) {
    let store = backend.open();
    let (id, claim) = create(store.as_ref()).await;
    let waiter = backend.open();
    let waiting = tokio::spawn(async move {
        while waiter.evidence(id).await.expect("the job is there").held {
            waiter.changed(Change::Settled(id)).await.expect("it returns");
        }
    });
    tokio::task::yield_now().await;
    drop(claim);
    soon("the release of the lock", waiting).await.expect("no panic");
}

/// A waiter for a queued job need not ask again and again.
pub async fn a_waiter_for_a_queued_job_is_woken_by_its_start(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    let waiter = backend.open();
    let waiting = tokio::spawn(async move {
        while waiter.evidence(id).await.expect("the job is there").start.is_none() {
            waiter.changed(Change::LeftQueue(id)).await.expect("it returns");
        }
    });
    // It waits instead of returning at once again and again.
    let mut turns = 0;
    let some = tokio::time::timeout(Duration::from_millis(50), async {
        loop {
            store.changed(Change::LeftQueue(id)).await.expect("it returns");
            turns += 1;
        }
    });
    assert!(some.await.is_err());
    assert!(turns < 10, "{turns}");
    claim.start(&start()).await.expect("it is written");
    soon("the start", waiting).await.expect("no panic");
    soon("what has been started", store.changed(Change::LeftQueue(id))).await.expect("it returns");
}

/// A follower need not ask again and again.
pub async fn a_follower_is_woken_by_output(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    for round in 0..10 {
        let follower = backend.open();
        let following =
            tokio::spawn(
                async move { follower.changed(Change::Output { id, beyond: round }).await.expect("it returns") },
            );
        tokio::task::yield_now().await;
        claim.append(Stream::Stdout, SystemClock.now(), b"x").await;
        soon("the output", following).await.expect("no panic");
    }
}

/// Each wait is for its own change: others may wake it, but do not end it.
pub async fn each_wait_ends_with_its_own_change_only(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    let comes = async |change: Change| change.has_come(backend.open().as_ref()).await.expect("it is read");
    let event = store.events(0, 10).await.expect("it is read").next;
    let (settled, output) = (Change::Settled(id), Change::Output { id, beyond: 0 });
    for change in [settled, Change::LeftQueue(id), output, Change::Event(event)] {
        assert!(!comes(change).await, "{change:?}: it is queued, and held");
    }
    claim.start(&start()).await.expect("it is written");
    assert!(comes(Change::LeftQueue(id)).await && !comes(settled).await && !comes(output).await);
    claim.append(Stream::Stdout, SystemClock.now(), b"x").await;
    assert!(comes(output).await && !comes(Change::Output { id, beyond: 1 }).await && !comes(settled).await);
    claim.finish(&ended(0)).await.expect("it is written");
    assert!(comes(settled).await && comes(Change::Output { id, beyond: 1 }).await && comes(Change::Event(event)).await);
    drop(claim);
    store.remove(id).await.expect("it is removed");
    assert!(comes(settled).await && comes(Change::LeftQueue(id)).await && comes(output).await);
}

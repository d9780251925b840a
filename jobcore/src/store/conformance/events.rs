//! The events of jobs.

use super::{Backend, create, ended, soon, start};
use crate::clock::{Clock, SystemClock};
use crate::record::Running;
use crate::state::Status;
use crate::store::{Change, EventKind};
use crate::sys::process;

/// Every change has its event, and numbers have no gaps.
pub async fn events_are_reported_in_order(backend: &Backend) {
    let store = backend.open();
    assert_eq!(store.events(0, 10).await.expect("it is read").next, 0);
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let own = i32::try_from(std::process::id()).expect("a process id");
    let process = process::identify(own).expect("this process is there");
    claim.running(&Running::new(process, SystemClock.now())).await.expect("it is written");
    claim.finish(&ended(3)).await.expect("it is written");
    drop(claim);
    store.remove(id).await.expect("it is removed");
    let read = backend.open().events(0, 10).await.expect("it is read");
    let told: Vec<_> = read.events.iter().map(|event| (event.number, event.event)).collect();
    let expected = [EventKind::Submitted, EventKind::Started, EventKind::Ended, EventKind::Removed];
    assert_eq!(told, (0..).zip(expected).collect::<Vec<_>>());
    assert_eq!((read.next, read.gone), (4, 0));
    assert!(read.events.iter().all(|event| event.job_id == id));
    assert_eq!((read.events[2].status, read.events[2].exit_code), (Some(Status::Failed), Some(3)));
    let rest = store.events(2, 1).await.expect("it is read");
    assert_eq!((rest.events.as_slice(), rest.next), (&read.events[2..3], 3));
    let none = store.events(4, 10).await.expect("it is read");
    assert_eq!((none.events.len(), none.next), (0, 4));
}

/// Waiting for an event ends when there is one.
pub async fn a_waiter_for_events_is_woken(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let (_, _claim) = create(store.as_ref()).await;
    soon("an event that is there", other.changed(Change::Event(0))).await.expect("it is read");
    let waiting = tokio::spawn(async move { other.changed(Change::Event(1)).await });
    let (_, _second) = create(store.as_ref()).await;
    soon("an event to come", waiting).await.expect("nothing panics").expect("it is read");
}

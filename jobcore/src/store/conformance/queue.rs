//! Who starts next.

use super::{Backend, create, ended, simple, start, submission};
use crate::error::Error;
use crate::id::JobId;
use crate::spec::JobSpec;
use crate::store::{JobClaim, JobStore, Query, Submitted, WhenFull};

async fn due(store: &dyn JobStore) -> Option<(JobId, Box<dyn JobClaim>)> {
    store.next_due().await.expect("it is read").map(|claim| (claim.submission().job_id, claim))
}

async fn limit(store: &dyn JobStore, max_running: u32) {
    let changed = store.change_settings(&mut |settings| settings.max_running = max_running).await;
    assert_eq!(changed.expect("it is written").max_running, max_running);
}

async fn create_in(store: &dyn JobStore, group: &str) -> JobId {
    let group = group.parse().expect("a name");
    let submission = submission(JobSpec::command(["true"]).group(group));
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    id
}

/// First come, first served; and nobody is started twice.
pub async fn jobs_are_due_in_order_and_each_once(backend: &Backend) {
    let store = backend.open();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let submission = simple();
        ids.push(submission.job_id);
        store.create(submission).await.expect("the job is created");
    }
    let mut claims = Vec::new();
    for id in &ids {
        let (due, mut claim) = due(backend.open().as_ref()).await.expect("one is due");
        assert_eq!(due, *id);
        claim.start(&start()).await.expect("it is written");
        claims.push(claim);
    }
    assert!(due(store.as_ref()).await.is_none());
    drop(claims);
    assert!(due(store.as_ref()).await.is_none(), "what may have run is never due again");
}

/// Whoever submits is put in charge at once, or finds the job where those are that wait; and nobody else is.
pub async fn what_is_submitted_is_started_by_one(backend: &Backend) {
    let store = backend.open();
    limit(store.as_ref(), 1).await;
    let mut claims = Vec::new();
    for _ in 0..2 {
        let submission = simple();
        let id = submission.job_id;
        match store.submit(submission).await.expect("the job is created") {
            Submitted::Due(claim) => claims.push((id, claim)),
            Submitted::Queued => claims.extend(due(store.as_ref()).await),
            other => panic!("it is new: {other:?}"),
        }
        assert!(due(backend.open().as_ref()).await.is_none(), "there is one slot");
    }
    let [(first, mut claim)] = claims.try_into().expect("there is one slot");
    assert!(store.evidence(first).await.expect("it is there").held);
    claim.start(&start()).await.expect("it is written");
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    let (second, claim) = due(store.as_ref()).await.expect("it is its turn");
    assert!(second != first && claim.submission().job_id == second);
}

/// A claimer that dies before it put itself on record has not started anything.
pub async fn what_nobody_started_is_due_again(backend: &Backend) {
    let store = backend.open();
    limit(store.as_ref(), 1).await;
    let submission = simple();
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    for _ in 0..2 {
        let (due, claim) = due(store.as_ref()).await.expect("it is due");
        assert_eq!(due, id);
        drop(claim);
    }
}

/// Whoever uses the store learns which jobs need somebody: not those that wait, are watched, or are over.
pub async fn what_lost_its_holder_is_unattended_until_its_end(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let unattended = async || other.unattended().await.expect("the store is read");
    let submission = simple();
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    store.create(simple()).await.expect("the job is created");
    assert_eq!(unattended().await, [], "both wait");
    let (due, mut claim) = due(store.as_ref()).await.expect("it is due");
    assert_eq!((due, unattended().await), (id, vec![]), "it is about to be started");
    claim.start(&start()).await.expect("it is written");
    assert_eq!(unattended().await, []);
    drop(claim);
    assert_eq!(unattended().await, [id]);
    let mut claim = store.claim(id).await.expect("the job is there").expect("nobody has it");
    assert_eq!(unattended().await, []);
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    assert_eq!(unattended().await, []);
}

/// An end is what frees a slot, and nothing else does.
pub async fn no_more_run_than_the_limit_says(backend: &Backend) {
    let store = backend.open();
    limit(store.as_ref(), 2).await;
    for _ in 0..3 {
        store.create(simple()).await.expect("the job is created");
    }
    let mut running = Vec::new();
    for _ in 0..2 {
        let (_, mut claim) = due(store.as_ref()).await.expect("there is room");
        claim.start(&start()).await.expect("it is written");
        running.push(claim);
    }
    assert!(due(backend.open().as_ref()).await.is_none());
    let load = store.load().await.expect("it is read");
    assert_eq!((load.running.len(), load.waiting.len(), load.settings.max_running), (2, 1, 2));
    let mut first = running.remove(0);
    first.finish(&ended(0)).await.expect("it is written");
    let (_, claim) = due(backend.open().as_ref()).await.expect("a slot is free");
    drop((first, claim));
    limit(store.as_ref(), 0).await;
    for _ in 0..20 {
        store.create(simple()).await.expect("the job is created");
        assert!(due(store.as_ref()).await.is_some(), "0 means no limit");
    }
}

/// A job that only waits for others is in nobody's way, for as long as it says so.
pub async fn a_lent_slot_is_for_others(backend: &Backend) {
    let store = backend.open();
    limit(store.as_ref(), 1).await;
    let outer = simple();
    let id = outer.job_id;
    store.create(outer).await.expect("the job is created");
    let (_, mut claim) = due(store.as_ref()).await.expect("there is room");
    claim.start(&start()).await.expect("it is written");
    for _ in 0..2 {
        store.create(simple()).await.expect("the job is created");
    }
    assert!(due(store.as_ref()).await.is_none(), "there is one slot");
    let lent = [store.lend(id).await.expect("it is lent"), store.lend(id).await.expect("it is lent twice")];
    assert!(store.is_lent(id).await.expect("it is known"));
    let (_, mut inner) = due(backend.open().as_ref()).await.expect("the slot is lent");
    inner.start(&start()).await.expect("it is written");
    let load = store.load().await.expect("it is read");
    assert_eq!(load.running.iter().filter(|slot| slot.lent).map(|slot| slot.id).collect::<Vec<_>>(), [id]);
    assert!(due(store.as_ref()).await.is_none(), "it is lent to one");
    inner.finish(&ended(0)).await.expect("it is written");
    drop(inner);
    let [first, second] = lent;
    drop(first);
    assert!(store.is_lent(id).await.expect("it is known"), "it is still lent by another");
    drop(second);
    assert!(!store.is_lent(id).await.expect("it is known"));
    assert!(due(backend.open().as_ref()).await.is_none(), "the slot is not lent any more");
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    assert!(due(store.as_ref()).await.is_some(), "its slot is free");
    assert!(matches!(store.lend(simple().job_id).await, Err(Error::NotFound { .. })));
}

/// Also when all look at the same time.
pub async fn many_who_look_at_once_exceed_no_limit(backend: &Backend) {
    limit(backend.open().as_ref(), 5).await;
    let starters: Vec<_> = (0..20)
        .map(|_| {
            let store = backend.open();
            tokio::spawn(async move {
                store.create(simple()).await.expect("the job is created");
                let (_, mut claim) = due(store.as_ref()).await?;
                claim.start(&start()).await.expect("it is written");
                Some(claim)
            })
        })
        .collect();
    let mut claims = Vec::new();
    for starter in starters {
        claims.extend(starter.await.expect("no panic"));
    }
    assert_eq!(claims.len(), 5);
}

/// A full group does not hold up others, and counts against the limit of all.
pub async fn a_group_has_a_queue_of_its_own(backend: &Backend) {
    let store = backend.open();
    store
        .change_settings(&mut |settings| {
            settings.max_running = 2;
            settings.set_group("web".parse().expect("a name"), 1);
        })
        .await
        .expect("it is written");
    let first = create_in(store.as_ref(), "web").await;
    let second = create_in(store.as_ref(), "web").await;
    let other = create_in(store.as_ref(), "db").await;
    let last = simple();
    let last_id = last.job_id;
    store.create(last).await.expect("the job is created");
    let mut claims = Vec::new();
    for expected in [first, other] {
        let (id, mut claim) = due(store.as_ref()).await.expect("there is room");
        assert_eq!(id, expected);
        claim.start(&start()).await.expect("it is written");
        claims.push(claim);
    }
    assert!(due(store.as_ref()).await.is_none());
    // The other makes room for one, and the group is still full.
    claims[1].finish(&ended(0)).await.expect("it is written");
    let (id, mut claim) = due(store.as_ref()).await.expect("there is room");
    assert_eq!(id, last_id);
    claim.start(&start()).await.expect("it is written");
    claims[0].finish(&ended(0)).await.expect("it is written");
    let (id, _claim) = due(store.as_ref()).await.expect("there is room");
    assert_eq!(id, second);
}

/// By setting, nobody waits.
pub async fn a_full_store_may_refuse(backend: &Backend) {
    let store = backend.open();
    store
        .change_settings(&mut |settings| {
            settings.max_running = 1;
            settings.when_full = WhenFull::Refuse;
        })
        .await
        .expect("it is written");
    store.create(simple()).await.expect("there is room");
    let (id, mut claim) = due(store.as_ref()).await.expect("there is room");
    claim.start(&start()).await.expect("it is written");
    assert!(matches!(store.create(simple()).await, Err(Error::Full(full)) if full.in_use == 1 && full.limit == 1));
    assert_eq!(
        store.ids(&Query::default(), None, 10).await.expect("it is read"),
        [id],
        "nothing is left of what was refused"
    );
    claim.finish(&ended(0)).await.expect("it is written");
    store.create(simple()).await.expect("there is room again");
}

/// A job that ended without being started waits for nothing.
pub async fn what_ended_in_the_queue_is_not_due(backend: &Backend) {
    let store = backend.open();
    let (_, mut claim) = create(store.as_ref()).await;
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    let (removed, claim) = create(store.as_ref()).await;
    drop(claim);
    store.remove(removed).await.expect("it is removed");
    assert!(due(store.as_ref()).await.is_none());
    let load = store.load().await.expect("it is read");
    assert_eq!((load.running, load.waiting), (Vec::new(), Vec::new()));
}

/// What is decided under the admission lock is decided by one at a time, and what it writes is whole.
pub async fn what_is_changed_at_once_is_all_kept(backend: &Backend) {
    limit(backend.open().as_ref(), 0).await;
    let changers: Vec<_> = (0..5)
        .map(|_| {
            let store = backend.open();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let changed = store.change_settings(&mut |settings| settings.max_running += 1).await;
                    changed.expect("it is written");
                }
            })
        })
        .collect();
    for changer in changers {
        changer.await.expect("no panic");
    }
    let store = backend.open();
    assert_eq!(store.settings().await.expect("it is read").max_running, 50);
    let known = simple();
    store.create(known.clone()).await.expect("the job is created");
    let mut admission = store.admit().await.expect("nobody holds it");
    assert!(admission.insert(known).await.is_err(), "an id is taken only once");
    let other = simple();
    admission.insert(other.clone()).await.expect("it is written");
    drop(admission);
    assert_eq!(store.ids(&Query::default(), None, 1).await.expect("it is read"), [other.job_id]);
}

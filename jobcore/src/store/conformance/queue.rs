//! Which job starts next.

use std::time::Duration;

use super::{Backend, create, ended, simple, start, submission};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::JobId;
use crate::queue::{AfterWhen, Missed, Place, Repeat, Resource};
use crate::record::Submission;
use crate::spec::{JobSpec, JobSpecBuilder};
use crate::state::Status;
use crate::store::{JobClaim, JobStore, Query, StoreSettings, Submitted, WhenFull};

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

/// First come, first served; and no job is started twice.
pub async fn jobs_are_due_in_order_and_once_each(backend: &Backend) {
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
    assert!(due(store.as_ref()).await.is_none(), "a job that may have run is never due again");
}

/// The submitter gets the claim at once, or the job joins the queue; either way, only one process gets the claim.
pub async fn a_submitted_job_is_started_by_one_process(backend: &Backend) {
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

/// A process that dies before it is on record has not started anything.
pub async fn a_job_that_was_not_started_is_due_again(backend: &Backend) {
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

/// Every user of the store learns which jobs need a supervisor: not those that wait, are supervised, or have ended.
pub async fn a_job_that_lost_its_holder_is_unattended_until_its_end(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let unsupervised = async || other.unsupervised().await.expect("the store is read");
    let submission = simple();
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    store.create(simple()).await.expect("the job is created");
    assert_eq!(unsupervised().await, [], "both wait");
    let (due, mut claim) = due(store.as_ref()).await.expect("it is due");
    assert_eq!((due, unsupervised().await), (id, vec![]), "it is about to be started");
    claim.start(&start()).await.expect("it is written");
    assert_eq!(unsupervised().await, []);
    drop(claim);
    assert_eq!(unsupervised().await, [id]);
    let mut claim = store.claim(id).await.expect("the job is there").expect("it is free");
    assert_eq!(unsupervised().await, []);
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    assert_eq!(unsupervised().await, []);
}

/// Only an end frees a slot.
pub async fn no_more_jobs_run_than_the_limit_allows(backend: &Backend) {
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

/// A job that only waits for others does not block other jobs, for as long as it says so.
pub async fn a_lent_slot_is_free_for_others(backend: &Backend) {
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
    assert!(due(backend.open().as_ref()).await.is_none(), "the slot is no longer lent");
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    assert!(due(store.as_ref()).await.is_some(), "its slot is free");
    assert!(matches!(store.lend(simple().job_id).await, Err(Error::NotFound { .. })));
}

/// Even if all look at the same time.
pub async fn concurrent_starters_exceed_no_limit(backend: &Backend) {
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

/// A full group does not hold up others, and counts against the limit of the store.
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
    // The other job makes room for one, and the group is still full.
    claims[1].finish(&ended(0)).await.expect("it is written");
    let (id, mut claim) = due(store.as_ref()).await.expect("there is room");
    assert_eq!(id, last_id);
    claim.start(&start()).await.expect("it is written");
    claims[0].finish(&ended(0)).await.expect("it is written");
    let (id, _claim) = due(store.as_ref()).await.expect("there is room");
    assert_eq!(id, second);
}

/// With this setting, no job waits.
pub async fn a_full_store_may_refuse_jobs(backend: &Backend) {
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
        "nothing is left of the refused job"
    );
    claim.finish(&ended(0)).await.expect("it is written");
    store.create(simple()).await.expect("there is room again");
}

/// A job that ended without being started does not wait.
pub async fn a_job_that_ended_in_the_queue_is_not_due(backend: &Backend) {
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

/// Decisions under the admission lock are made by one process at a time, and what it writes is complete.
pub async fn concurrent_changes_are_all_kept(backend: &Backend) {
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
    let mut admission = store.admit().await.expect("it is free");
    assert!(admission.insert(known).await.is_err(), "an id is taken only once");
    let other = simple();
    admission.insert(other.clone()).await.expect("it is written");
    drop(admission);
    assert_eq!(store.ids(&Query::default(), None, 1).await.expect("it is read"), [other.job_id]);
}

/// Moves a job to another place; returns false if the store keeps no places.
async fn put(store: &dyn JobStore, id: JobId, change: impl FnOnce(&mut Place)) -> bool {
    let mut claim = store.claim(id).await.expect("the job is there").expect("it is free");
    let mut place = claim.place().await.expect("it is read");
    change(&mut place);
    match claim.set_place(&place).await {
        Err(Error::Unsupported { .. }) => return false,
        set => set.expect("it is written"),
    }
    store.admit().await.expect("it is free").note_change(id).await.expect("it is written");
    true
}

/// Higher priorities come first, and jobs on hold are passed over.
pub async fn jobs_keep_the_place_that_they_are_given(backend: &Backend) {
    let store = backend.open();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let submission = simple();
        ids.push(submission.job_id);
        store.create(submission).await.expect("the job is created");
    }
    if !put(store.as_ref(), ids[2], |place| place.priority = 1).await {
        return;
    }
    put(store.as_ref(), ids[0], |place| place.on_hold = true).await;
    let order = store.load().await.expect("it is read").waiting.into_iter().map(|slot| slot.id).collect::<Vec<_>>();
    assert_eq!(order, [ids[2], ids[0], ids[1]]);
    let mut claims = Vec::new();
    for expected in [ids[2], ids[1]] {
        let (id, mut claim) = due(backend.open().as_ref()).await.expect("one is due");
        assert_eq!(id, expected);
        claim.start(&start()).await.expect("it is written");
        claims.push(claim);
    }
    assert!(due(store.as_ref()).await.is_none(), "the other one is on hold");
    let (first, second) = (claims[0].place().await.expect("it is read"), claims[1].place().await.expect("it is read"));
    assert_eq!((first.slot, second.slot), (Some(0), Some(1)));
    put(store.as_ref(), ids[0], |place| place.on_hold = false).await;
    let (id, claim) = due(store.as_ref()).await.expect("it is released");
    assert_eq!((id, claim.place().await.expect("it is read").slot), (ids[0], Some(2)));
}

/// Readers see either the old submission or the new one.
pub async fn a_submission_is_replaced_as_a_whole(backend: &Backend) {
    let store = backend.open();
    let old = submission(JobSpec::command(["old"]).env("A", "1").label("l", "old"));
    let id = old.job_id;
    store.create(old.clone()).await.expect("the job is created");
    for value in ["2", "a longer value than before"] {
        let spec =
            JobSpec::command(["new", value]).env("A", value).label("l", "new").group("web".parse().expect("a name"));
        let new = Submission { spec: Box::new(spec.build().expect("it is valid")), ..old.clone() };
        let mut claim = store.claim(id).await.expect("the job is there").expect("it is free");
        match claim.replace(new.clone()).await {
            Err(Error::Unsupported { .. }) => return,
            replaced => replaced.expect("it is written"),
        }
        store.admit().await.expect("it is free").note_change(id).await.expect("it is written");
        drop(claim);
        let other = backend.open();
        let evidence = other.evidence(id).await.expect("the job is there");
        assert_eq!((&evidence.submission.spec.command, evidence.submission.job_id), (&new.spec.command, id));
        let claim = other.claim(id).await.expect("the job is there").expect("it is free");
        assert_eq!(claim.environment().await.expect("it is kept").get("A").expect("it is set"), value);
        let query = Query::default().with_group(Some("web".parse().expect("a name")));
        assert_eq!(other.ids(&query, None, 10).await.expect("it is read"), [id]);
    }
    let waiting = store.load().await.expect("it is read").waiting;
    assert_eq!(waiting[0].group.as_ref().map(|group| group.as_str()), Some("web"));
    let (due, _claim) = due(store.as_ref()).await.expect("it is due");
    assert_eq!(due, id);
}

async fn create_after(store: &dyn JobStore, after: JobId, when: AfterWhen) -> JobId {
    let submission = submission(JobSpec::command(["true"]).after(after, when));
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    id
}

/// A job that waits in vain is ended, and a job that waits for that end starts.
pub async fn a_job_waits_for_others_and_is_skipped_if_they_fail(backend: &Backend) {
    let store = backend.open();
    let first = simple();
    let first_id = first.job_id;
    store.create(first).await.expect("the job is created");
    let if_ok = create_after(store.as_ref(), first_id, AfterWhen::Ok).await;
    let then = create_after(store.as_ref(), if_ok, AfterWhen::Ok).await;
    let after_all = create_after(store.as_ref(), then, AfterWhen::Ended).await;
    let if_failed = create_after(store.as_ref(), first_id, AfterWhen::Failed).await;
    let (id, mut claim) = due(store.as_ref()).await.expect("it is due");
    assert_eq!(id, first_id);
    claim.start(&start()).await.expect("it is written");
    assert!(due(store.as_ref()).await.is_none(), "the others wait for it");
    claim.finish(&ended(1)).await.expect("it is written");
    drop(claim);
    let mut claims = Vec::new();
    for expected in [after_all, if_failed] {
        let (id, mut claim) = due(backend.open().as_ref()).await.expect("it is due");
        assert_eq!(id, expected);
        claim.start(&start()).await.expect("it is written");
        claims.push(claim);
    }
    assert!(due(store.as_ref()).await.is_none());
    for skipped in [if_ok, then] {
        let evidence = store.evidence(skipped).await.expect("it is there");
        let outcome = evidence.ended.expect("it has ended").outcome;
        assert_eq!(outcome.status(), Status::Skipped);
        assert!(outcome.message.is_some_and(|message| message.contains('(')), "it says why");
    }
}

/// A job may wait for a long time after one of its dependencies has ended.
pub async fn a_job_that_others_wait_for_is_not_pruned(backend: &Backend) {
    let store = backend.open();
    let mut over = Vec::new();
    for _ in 0..3 {
        let (id, mut claim) = create(store.as_ref()).await;
        claim.start(&start()).await.expect("it is written");
        claim.finish(&ended(0)).await.expect("it is written");
        over.push(id);
    }
    let (running, _claim) = create(store.as_ref()).await;
    let spec = JobSpec::command(["true"]).after(over[1], AfterWhen::Ok).after(running, AfterWhen::Ok);
    store.create(submission(spec)).await.expect("the job is created");
    store.change_settings(&mut |settings| settings.keep_jobs = 1).await.expect("it is written");
    store.sweep().await.expect("it is swept");
    assert!(matches!(store.evidence(over[0]).await, Err(Error::NotFound { .. })));
    assert!(store.evidence(over[1]).await.is_ok(), "another job waits for it");
}

/// Resources are taken until the end of a job, and a job that does not need them is not held up.
pub async fn resources_are_taken_and_given_back(backend: &Backend) {
    let store = backend.open();
    let gpu: Resource = "gpu".parse().expect("a name");
    let set = &mut |settings: &mut StoreSettings| settings.set_resource("gpu".parse().expect("a name"), Some(2));
    store.change_settings(set).await.expect("it is written");
    let mut ids = Vec::new();
    for amount in [1, 2, 1, 0] {
        let spec = JobSpec::command(["true"]);
        let spec = if amount == 0 { spec } else { spec.resource(gpu.clone(), amount) };
        let submission = submission(spec);
        ids.push(submission.job_id);
        store.create(submission).await.expect("the job is created");
    }
    let mut claims = Vec::new();
    for expected in [ids[0], ids[3]] {
        let (id, mut claim) = due(backend.open().as_ref()).await.expect("there is room");
        assert_eq!(id, expected, "what is left is kept for the job that needs more");
        claim.start(&start()).await.expect("it is written");
        claims.push(claim);
    }
    assert!(due(store.as_ref()).await.is_none());
    claims[0].finish(&ended(0)).await.expect("it is written");
    let (id, claim) = due(store.as_ref()).await.expect("there is room");
    assert_eq!(id, ids[1]);
    let place = claim.place().await.expect("it is read");
    let units: Vec<u32> = place.units_of(&gpu).collect();
    assert!(units == [0, 1] || place.slot.is_none(), "{units:?}");
}

/// No job is due before its time.
pub async fn a_job_that_is_to_start_later_is_not_due(backend: &Backend) {
    let store = backend.open();
    assert_eq!(store.next_start().await.expect("it is read"), None);
    let at = Timestamp::now() + Duration::from_secs(3600);
    let later = submission(JobSpec::command(["true"]).not_before(at));
    let id = later.job_id;
    store.create(later).await.expect("the job is created");
    let past = submission(JobSpec::command(["true"]).not_before(Timestamp::UNIX_EPOCH));
    let past_id = past.job_id;
    store.create(past).await.expect("the job is created");
    let (first, _claim) = due(store.as_ref()).await.expect("one is due");
    assert_eq!(first, past_id);
    assert!(due(store.as_ref()).await.is_none());
    let next = store.next_start().await.expect("it is read").expect("one is due later");
    assert_eq!(next.as_microsecond(), at.as_microsecond());
    if put(store.as_ref(), id, |place| place.not_before = None).await {
        assert_eq!(store.next_start().await.expect("it is read"), None);
        assert_eq!(due(store.as_ref()).await.map(|(due, _)| due), Some(id));
    }
}

/// No machine has that much memory, and every machine has more than none.
const NEVER: &str = "free-mem>1000000T";
const ALWAYS: &str = "free-mem>0";

fn conditional(condition: &str) -> JobSpecBuilder {
    JobSpec::command(["true"]).when(condition.parse().expect("a condition"))
}

/// A job whose condition is not met blocks no other job, and is checked again soon.
pub async fn a_job_that_waits_for_a_less_busy_machine_is_passed_over(backend: &Backend) {
    let store = backend.open();
    limit(store.as_ref(), 3).await;
    let never = submission(conditional(NEVER).when(ALWAYS.parse().expect("a condition")).slots(2));
    let id = never.job_id;
    assert!(matches!(store.submit(never).await, Ok(Submitted::Queued)));
    let next = || async { store.next_start().await.expect("it is read") };
    let soon = Timestamp::now() + HOUR;
    assert!(next().await.is_some_and(|at| at < soon));
    let mut expected = Vec::new();
    for other in [simple(), simple(), submission(conditional(ALWAYS).priority(-1))] {
        expected.push(other.job_id);
        store.create(other).await.expect("the job is created");
    }
    let mut claims = Vec::new();
    for id in expected {
        let (due, claim) =
            due(backend.open().as_ref()).await.expect("nothing is kept for a job that cannot be started");
        assert_eq!(due, id);
        claims.push(claim);
    }
    assert!(due(store.as_ref()).await.is_none());
    assert_eq!(next().await, None, "whatever makes room checks the queue");
    limit(store.as_ref(), 0).await;
    assert!(due(store.as_ref()).await.is_none());
    assert!(next().await.is_some_and(|at| at < soon));
    if put(store.as_ref(), id, |place| place.on_hold = true).await {
        assert_eq!(next().await, None, "a job on hold is not checked");
        put(store.as_ref(), id, |place| place.on_hold = false).await;
    }
    let mut claim = store.claim(id).await.expect("it is there").expect("it is free");
    let mut changed = claim.submission().clone();
    changed.spec.when.retain(|condition| condition.to_string() == ALWAYS);
    let replaced = claim.replace(changed).await;
    drop(claim);
    if !matches!(replaced, Err(Error::Unsupported { .. })) {
        replaced.expect("it is written");
        store.admit().await.expect("it is free").note_change(id).await.expect("it is written");
        let (due, _claim) = due(store.as_ref()).await.expect("its conditions hold");
        assert_eq!((due, next().await), (id, None));
    }
}

/// While it is not met, all jobs wait. A condition on an unknown value would keep them waiting forever, so it keeps
/// none.
pub async fn a_guard_keeps_all_jobs_from_being_due(backend: &Backend) {
    let store = backend.open();
    let guard = |condition: &str| {
        let guard = vec![condition.parse().expect("a condition")];
        let store = &store;
        async move { store.change_settings(&mut |settings| settings.guard.clone_from(&guard)).await.expect("it is set") }
    };
    guard(NEVER).await;
    let plain = submission(JobSpec::command(["true"]));
    let id = plain.job_id;
    assert!(matches!(store.submit(plain).await, Ok(Submitted::Queued)));
    assert!(due(store.as_ref()).await.is_none());
    let soon = Timestamp::now() + Duration::from_secs(60);
    assert!(store.next_start().await.expect("it is read").is_some_and(|at| at < soon));
    limit(store.as_ref(), 1).await;
    guard(ALWAYS).await;
    let (first, _claim) = due(store.as_ref()).await.expect("it holds");
    assert_eq!(first, id);
    guard(NEVER).await;
    store.create(simple()).await.expect("the job is created");
    assert_eq!(store.next_start().await.expect("it is read"), None, "whatever makes room checks the queue");
    limit(store.as_ref(), 2).await;
    assert!(store.next_start().await.expect("it is read").is_some());
}

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a schedule that runs every hour, and whose first time was two and a half hours ago.
fn hourly(missed: Missed) -> (Submission, Timestamp) {
    let first = Timestamp::now() - HOUR * 5 / 2;
    let repeat = Repeat::every(HOUR).with_missed(missed);
    let spec = JobSpec::command(["true"]).env("A", "1").given("read").name("hourly".parse().expect("a name"));
    (submission(spec.repeat(repeat).not_before(first)), first)
}

/// Returns whether the store keeps schedules, which it may not.
async fn keeps(store: &dyn JobStore, schedule: Submission) -> bool {
    match store.create(schedule).await {
        Err(Error::Unsupported { .. }) => false,
        created => {
            created.expect("the job is created");
            true
        }
    }
}

/// A copy of it is started, but not before the last one has ended.
pub async fn a_schedule_is_run_at_its_times_and_never_started(backend: &Backend) {
    let store = backend.open();
    let (schedule, first) = hourly(Missed::Run);
    let id = schedule.job_id;
    if !keeps(store.as_ref(), schedule).await {
        return;
    }
    let next = || async { store.evidence(id).await.expect("it is there").place.not_before.expect("it has a time") };
    let (run, mut claim) = due(store.as_ref()).await.expect("its time has come");
    let spec = claim.submission().spec.clone();
    let run_of = spec.run_of.expect("it is a run");
    assert_eq!((run_of.job_id, run_of.at), (id, first));
    assert!(run != id && spec.repeat.is_none() && spec.name.is_none() && spec.not_before.is_none());
    let (environment, given) = claim.secrets().await.expect("they are kept");
    assert_eq!((environment.get("A").expect("it is set"), given.0.as_slice()), ("1".as_ref(), &b"read"[..]));
    // What was missed is made up for once, and the interval is kept.
    assert_eq!(next().await, first + HOUR * 3);
    assert!(due(store.as_ref()).await.is_none());
    let place = store.evidence(id).await.expect("it is there").place;
    assert_eq!((place.last_run, store.evidence(id).await.expect("it is there").start), (Some(run), None));
    let again = |hold| {
        let time = Timestamp::now() - Duration::from_secs(1);
        move |place: &mut Place| (place.not_before, place.on_hold) = (Some(time), hold)
    };
    put(store.as_ref(), id, again(false)).await;
    assert!(due(store.as_ref()).await.is_none(), "the last run has not ended");
    assert!(next().await > Timestamp::now(), "a time that comes meanwhile is skipped");
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    put(store.as_ref(), id, again(true)).await;
    assert!(due(store.as_ref()).await.is_none(), "it is on hold");
    // It does not make other jobs wait, and its run waits like any other job.
    limit(store.as_ref(), 1).await;
    put(store.as_ref(), id, again(false)).await;
    let other = submission(JobSpec::command(["true"]).priority(-1));
    let Ok(Submitted::Due(mut other)) = store.submit(other).await else { panic!("there is a slot") };
    assert!(due(store.as_ref()).await.is_none(), "there is no slot");
    let waiting = store.load().await.expect("it is read").waiting;
    assert_eq!(waiting.iter().filter(|slot| !slot.repeats).count(), 1);
    other.finish(&ended(0)).await.expect("it is written");
    drop(other);
    let (second, mut claim) = due(store.as_ref()).await.expect("there is a slot");
    assert!(second != run && claim.submission().spec.run_of.is_some_and(|run_of| run_of.job_id == id));
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    // A stopped schedule has ended.
    put(store.as_ref(), id, again(false)).await;
    let mut claim = store.claim(id).await.expect("it is there").expect("it is free");
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    assert!(due(store.as_ref()).await.is_none(), "it has ended");
    let (skips, first) = hourly(Missed::Skip);
    let id = skips.job_id;
    store.create(skips).await.expect("the job is created");
    assert!(due(store.as_ref()).await.is_none(), "what was missed is skipped");
    let place = store.evidence(id).await.expect("it is there").place;
    assert_eq!((place.not_before, place.last_run), (Some(first + HOUR * 3), None));
}

/// However many processes look, a time has one run.
pub async fn one_of_many_concurrent_starters_runs_a_schedule(backend: &Backend) {
    let store = backend.open();
    let (schedule, _) = hourly(Missed::Run);
    let id = schedule.job_id;
    if !keeps(store.as_ref(), schedule).await {
        return;
    }
    let lookers: Vec<_> = (0..20)
        .map(|_| {
            let store = backend.open();
            tokio::spawn(async move { due(store.as_ref()).await })
        })
        .collect();
    let mut claims = Vec::new();
    for looker in lookers {
        claims.extend(looker.await.expect("it does not panic"));
    }
    assert_eq!(claims.len(), 1);
    let ids = store.ids(&Query::default(), None, 10).await.expect("they are read");
    assert_eq!(ids, [claims[0].0, id]);
}

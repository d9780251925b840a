//! What every [`JobStore`] must do, as tests.
//!
//! ```text
//! mod memory {
//!     jobcore::store_conformance!(jobcore::store::conformance::Backend::new({
//!         let store = jobcore::MemoryStore::new();
//!         move || std::sync::Arc::new(store.clone())
//!     }));
//! }
//! ```
//!
//! The macro makes one test of each case, so that all backends run all of them. The cases are not a stable interface:
//! a new version may ask for more.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, SystemRandom, Timestamp};
use crate::control::{Answer, Request};
use crate::error::Error;
use crate::id::JobId;
use crate::output::{Cursor, OutputQuery, Position, Stream, read};
use crate::record::{Ended, Running, Start, Submission};
use crate::spec::{JobSpec, JobSpecBuilder};
use crate::state::{Cause, Outcome, Status};
use crate::store::{Created, EventKind, JobClaim, JobStore, Query, WhenFull};
use crate::sys::process;

/// How long a wait may take that should end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store to be tested: opens one handle after another of the same store.
pub struct Backend {
    open: Box<dyn Fn() -> Arc<dyn JobStore> + Send + Sync>,
    _kept: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}

impl Backend {
    /// Tests the store that `open` opens, which is empty at first.
    pub fn new<S: JobStore + 'static>(open: impl Fn() -> Arc<S> + Send + Sync + 'static) -> Self {
        Self { open: Box::new(move || open()), _kept: Box::new(()) }
    }

    /// Keeps something for as long as the test runs, such as a temporary directory.
    #[must_use]
    pub fn keeping(self, kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Box::new(kept), ..self }
    }

    /// Opens a handle.
    pub fn open(&self) -> Arc<dyn JobStore> {
        (self.open)()
    }
}

/// Makes a test of each case of the contract of [`JobStore`](crate::JobStore), for the [`Backend`] that the expression
/// gives. It is evaluated once for each case.
#[macro_export]
macro_rules! store_conformance {
    ($backend:expr) => {
        $crate::store_conformance! { @cases $backend =>
            a_new_job_is_on_record_and_queued
            an_id_is_taken_only_once
            an_unknown_job_is_not_found
            a_claim_keeps_others_out_until_it_is_dropped
            of_many_who_claim_at_once_one_wins
            records_come_back_as_they_were_written
            an_end_is_never_replaced
            the_environment_is_kept_until_the_end_and_no_longer
            ids_come_newest_first_and_in_pages
            no_job_that_is_wanted_is_left_out
            jobs_are_counted_by_their_end
            what_happens_is_told_in_order
            whoever_waits_for_events_is_woken
            what_the_settings_do_not_keep_is_swept_away
            jobs_are_due_in_order_and_each_once
            what_nobody_started_is_due_again
            what_lost_its_holder_is_unattended_until_its_end
            no_more_run_than_the_limit_says
            many_who_look_at_once_exceed_no_limit
            a_group_has_a_queue_of_its_own
            a_full_store_may_refuse
            what_ended_in_the_queue_is_not_due
            a_name_is_taken_until_its_job_has_ended
            a_key_makes_one_job
            of_many_with_one_key_one_makes_a_job
            output_comes_back_by_stream_and_by_cursor
            the_output_limit_keeps_the_head_and_the_newest
            whoever_waits_is_woken_by_the_end
            whoever_waits_is_woken_when_nobody_is_in_charge_any_more
            whoever_waits_for_a_queued_job_is_woken_by_its_start
            whoever_follows_is_woken_by_output
            a_request_is_answered_by_the_holder
            a_request_without_a_holder_is_not_answered
            a_held_job_is_not_removed
            what_is_removed_is_gone_for_every_handle
            another_handle_finds_everything_as_it_was
            concurrent_writers_lose_nothing
        }
    };
    (@cases $backend:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::store::conformance::block_on($crate::store::conformance::$case(&$backend));
            }
        )*
    };
}

/// Runs a case.
pub fn block_on(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(case);
    runtime.shutdown_background();
}

fn submission(spec: JobSpecBuilder) -> Submission {
    let now = SystemClock.now();
    let spec = spec.build().expect("the spec is valid");
    Submission::new(JobId::mint(now, &SystemRandom), now, spec, "/bin/true".into(), crate::sys::world::capture())
}

fn simple() -> Submission {
    submission(JobSpec::command(["true"]))
}

fn start() -> Start {
    let own = i32::try_from(std::process::id()).expect("a process id fits");
    Start::new(process::identify(own).expect("this process exists"), false, SystemClock.now())
}

fn ended(code: i32) -> Ended {
    let mut outcome = Outcome::new(Cause::Exited, SystemClock.now());
    outcome.exit_code = Some(code);
    Ended::new(Some(SystemClock.now()), outcome)
}

/// Creates a job and takes its lock, whatever the queue says.
async fn create_from(store: &dyn JobStore, submission: Submission) -> (JobId, Box<dyn JobClaim>) {
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    (id, store.claim(id).await.expect("the job is there").expect("nobody has it"))
}

async fn create(store: &dyn JobStore) -> (JobId, Box<dyn JobClaim>) {
    create_from(store, simple()).await
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}

/// When `create` returns, the job is there for every handle, and nobody has started it.
pub async fn a_new_job_is_on_record_and_queued(backend: &Backend) {
    let submission = submission(JobSpec::shell("echo hi").label("a", "b"));
    backend.open().create(submission.clone()).await.expect("the job is created");
    let evidence = backend.open().evidence(submission.job_id).await.expect("the job is found");
    assert_eq!(evidence.submission.job_id, submission.job_id);
    assert_eq!(evidence.submission.spec.labels, submission.spec.labels);
    assert!(!evidence.held);
    assert_eq!((evidence.start, evidence.running, evidence.ended), (None, None, None));
}

/// No second job gets the id of a first.
pub async fn an_id_is_taken_only_once(backend: &Backend) {
    let store = backend.open();
    let submission = simple();
    let (id, _claim) = create_from(store.as_ref(), submission.clone()).await;
    assert!(store.create(submission).await.is_err());
    assert!(store.evidence(id).await.expect("the first is there").held);
}

/// Every method says so.
pub async fn an_unknown_job_is_not_found(backend: &Backend) {
    let store = backend.open();
    let id = simple().job_id;
    assert!(matches!(store.evidence(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.claim(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.remove(id).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.log(id).await.err(), Some(Error::NotFound { .. })));
    assert!(matches!(store.request(id, Request::Count).await, Err(Error::NotFound { .. })));
    soon("a wait for nothing", store.settled(id)).await.expect("it returns");
}

/// A lock has one holder, and falls with its claim.
pub async fn a_claim_keeps_others_out_until_it_is_dropped(backend: &Backend) {
    let (one, other) = (backend.open(), backend.open());
    let (id, claim) = create(one.as_ref()).await;
    assert!(other.claim(id).await.expect("the job is there").is_none());
    assert!(one.claim(id).await.expect("the job is there").is_none());
    drop(claim);
    assert!(!other.evidence(id).await.expect("the job is there").held);
    let claim = other.claim(id).await.expect("the job is there").expect("nobody has it");
    assert!(one.evidence(id).await.expect("the job is there").held);
    drop(claim);
}

/// Also when all try at the same time.
pub async fn of_many_who_claim_at_once_one_wins(backend: &Backend) {
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
pub async fn records_come_back_as_they_were_written(backend: &Backend) {
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

/// What is final stays so.
pub async fn an_end_is_never_replaced(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.finish(&ended(1)).await.expect("it is written");
    claim.finish(&ended(2)).await.expect("it is no error");
    drop(claim);
    let mut claim = store.claim(id).await.expect("the job is there").expect("nobody has it");
    claim.finish(&ended(3)).await.expect("it is no error");
    let on_record = store.evidence(id).await.expect("the job is there").ended.expect("it has ended");
    assert_eq!(on_record.outcome.exit_code, Some(1));
}

/// A secret that nobody needs any more is not kept.
pub async fn the_environment_is_kept_until_the_end_and_no_longer(backend: &Backend) {
    let store = backend.open();
    let submission = submission(JobSpec::command(["true"]).env("SECRET", "x\ny=z"));
    let id = submission.job_id;
    store.create(submission).await.expect("the job is created");
    let mut claim = store.claim(id).await.expect("the job is there").expect("nobody has it");
    let environment = claim.environment().await.expect("it is there");
    assert_eq!(environment.get("SECRET"), Some("x\ny=z".as_ref()));
    claim.finish(&ended(0)).await.expect("it is written");
    assert!(claim.environment().await.is_err());
}

/// Pages neither skip nor repeat.
pub async fn ids_come_newest_first_and_in_pages(backend: &Backend) {
    let store = backend.open();
    let mut expected = Vec::new();
    // Over several days, which a store may keep apart.
    for day in 0..3_i64 {
        for minute in 0..3_i64 {
            let now = Timestamp::from_second(1_795_000_000 + day * 86_400 + minute * 60).expect("a time");
            let submission = simple();
            let id = JobId::mint(now, &SystemRandom);
            let submission = Submission { job_id: id, submitted_at: now, ..submission };
            store.create(submission).await.expect("the job is created");
            expected.insert(0, id);
        }
    }
    assert_eq!(store.ids(&Query::default(), None, usize::MAX).await.expect("it is read"), expected);
    let mut paged: Vec<JobId> = Vec::new();
    loop {
        let page = store.ids(&Query::default(), paged.last().copied(), 2).await.expect("it is read");
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected);
}

fn text<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().expect("it is well formed")
}

/// A store may leave out what is not wanted, and nothing else.
pub async fn no_job_that_is_wanted_is_left_out(backend: &Backend) {
    let store = backend.open();
    let mut jobs = Vec::new();
    for (number, (name, group, branch)) in
        [("one", "a", "main"), ("two", "a", "next"), ("three", "b", "main"), ("four", "b", "")].into_iter().enumerate()
    {
        let spec = JobSpec::shell("true").cwd("/").name(text(name)).group(text(group)).label("branch", branch);
        let (id, mut claim) = create_from(store.as_ref(), submission(spec)).await;
        if number < 3 {
            claim.start(&start()).await.expect("it is written");
            claim.finish(&ended(i32::from(number != 0))).await.expect("it is written");
        }
        jobs.push((id, claim));
    }
    let id = |number: usize| jobs[number].0;
    let all = Query::default();
    let with_label = |value: &str| all.clone().with_labels(vec![("branch".to_owned(), value.to_owned())]);
    let cases = [
        (all.clone(), vec![3, 2, 1, 0]),
        (all.clone().with_name(Some(text("two"))), vec![1]),
        (all.clone().with_group(Some(text("b"))), vec![3, 2]),
        (with_label("main"), vec![2, 0]),
        (with_label(""), vec![3, 2, 1, 0]),
        (all.clone().with_statuses(vec![Status::Failed]), vec![2, 1]),
        (all.clone().with_statuses(vec![Status::Failed]).with_group(Some(text("a"))), vec![1]),
        (all.clone().with_statuses(vec![Status::Queued, Status::Completed]), vec![3, 0]),
        (all.clone().with_prefix(text(&id(2).tail())), vec![2]),
        (all.clone().with_times(Some(id(1).minted_at()), None), vec![3, 2, 1]),
        (all.clone().with_times(None, Some(id(0).minted_at())), vec![]),
    ];
    for (query, expected) in cases {
        let found = backend.open().ids(&query, None, usize::MAX).await.expect("it is read");
        for number in expected {
            assert!(found.contains(&id(number)), "{query:?} misses number {number}: {found:?}");
        }
        assert!(found.is_sorted_by(|a, b| a > b), "{found:?}");
    }
}

/// Jobs that are over are counted by their status, all others are named.
pub async fn jobs_are_counted_by_their_end(backend: &Backend) {
    let store = backend.open();
    for code in [0, 1, 1] {
        let (_, mut claim) = create(store.as_ref()).await;
        claim.start(&start()).await.expect("it is written");
        claim.finish(&ended(code)).await.expect("it is written");
    }
    let (queued, _) = create(store.as_ref()).await;
    let (running, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let mut tally = backend.open().tally().await.expect("it is read");
    tally.others.sort_unstable();
    assert_eq!(tally.ended, [(Status::Completed, 1), (Status::Failed, 2)].into());
    assert_eq!(tally.others, [queued, running]);
}

/// Every change has its event, and numbers have no gaps.
pub async fn what_happens_is_told_in_order(backend: &Backend) {
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
pub async fn whoever_waits_for_events_is_woken(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let (_, _claim) = create(store.as_ref()).await;
    soon("an event that is there", other.happened(0)).await.expect("it is read");
    let waiting = tokio::spawn(async move { other.happened(1).await });
    let (_, _second) = create(store.as_ref()).await;
    soon("an event to come", waiting).await.expect("nothing panics").expect("it is read");
}

/// What is over goes, the oldest first; what is not stays.
pub async fn what_the_settings_do_not_keep_is_swept_away(backend: &Backend) {
    let store = backend.open();
    let (live, _claim) = create(store.as_ref()).await;
    let mut over = Vec::new();
    for code in 0..3 {
        let (id, mut claim) = create(store.as_ref()).await;
        claim.start(&start()).await.expect("it is written");
        claim.finish(&ended(code)).await.expect("it is written");
        over.push(id);
    }
    let disposable = store.disposable().await.expect("it is read");
    assert_eq!(disposable.iter().map(|job| job.id).collect::<Vec<_>>(), over);
    assert!(disposable.iter().all(|job| job.bytes > 0 && job.status.is_final()));
    let settings = store.change_settings(&mut |settings| settings.keep_jobs = 1).await.expect("it is written");
    assert_eq!(settings.retention().max_jobs, Some(1));
    backend.open().sweep().await.expect("it is swept");
    assert_eq!(store.ids(&Query::default(), None, 10).await.expect("it is read"), [over[2], live]);
    assert!(matches!(store.evidence(over[0]).await, Err(Error::NotFound { .. })));
}

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
    assert!(matches!(store.create(simple()).await, Err(Error::Full { running: 1, limit: 1 })));
    assert_eq!(
        store.ids(&Query::default(), None, 10).await.expect("it is read"),
        [id],
        "nothing is left of what was refused"
    );
    claim.finish(&ended(0)).await.expect("it is written");
    store.create(simple()).await.expect("there is room again");
}

/// Two jobs that have not ended are never called the same; who asks by name gets the newest.
pub async fn a_name_is_taken_until_its_job_has_ended(backend: &Backend) {
    let (store, other) = (backend.open(), backend.open());
    let name: crate::Name = "web".parse().expect("a name");
    assert_eq!(store.named(&name).await.expect("it is read"), None);
    let submit = || submission(JobSpec::command(["true"]).name("web".parse().expect("a name")));
    let (first, mut claim) = create_from(store.as_ref(), submit()).await;
    let taken = other.create(submit()).await;
    assert!(matches!(&taken, Err(Error::NameTaken { id, .. }) if *id == first), "{taken:?}");
    assert_eq!(other.ids(&Query::default(), None, 10).await.expect("it is read"), [first]);
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    let (second, mut claim) = create_from(other.as_ref(), submit()).await;
    assert_eq!(store.named(&name).await.expect("it is read"), Some(second));
    claim.finish(&ended(0)).await.expect("it is written");
    drop(claim);
    store.remove(second).await.expect("it is removed");
    assert_eq!(other.named(&name).await.expect("it is read"), Some(first), "an earlier one is still there");
    store.remove(first).await.expect("it is removed");
    assert_eq!(other.named(&name).await.expect("it is read"), None);
}

/// Submitting twice with one key is submitting once.
pub async fn a_key_makes_one_job(backend: &Backend) {
    let store = backend.open();
    let submit = |program: &str| submission(JobSpec::command([program]).key("a/b: ä"));
    let first = submit("true");
    let id = first.job_id;
    assert_eq!(store.create(first).await.expect("it is new"), Created::New);
    assert_eq!(backend.open().create(submit("true")).await.expect("it is known"), Created::Existing(id));
    let other = store.create(submit("false")).await;
    assert!(matches!(&other, Err(Error::KeyTaken { id: taken, .. }) if *taken == id), "{other:?}");
    assert_eq!(store.ids(&Query::default(), None, 10).await.expect("it is read"), [id]);
    store.remove(id).await.expect("it is removed");
    assert_eq!(store.create(submit("false")).await.expect("it is new again"), Created::New);
}

/// Also when all submit at the same time.
pub async fn of_many_with_one_key_one_makes_a_job(backend: &Backend) {
    let submitters: Vec<_> = (0..20)
        .map(|_| {
            let store = backend.open();
            tokio::spawn(async move {
                let submission = submission(JobSpec::command(["true"]).key("k"));
                let id = submission.job_id;
                match store.create(submission).await.expect("it is created or known") {
                    Created::New => id,
                    Created::Existing(id) => id,
                }
            })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for submitter in submitters {
        ids.insert(submitter.await.expect("no panic"));
    }
    let listed = backend.open().ids(&Query::default(), None, 100).await.expect("it is read");
    assert_eq!((ids.len(), listed), (1, ids.into_iter().collect()));
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

/// Offsets count both streams, in the order in which they came.
pub async fn output_comes_back_by_stream_and_by_cursor(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let now = SystemClock.now();
    for (stream, text) in [(Stream::Stdout, "one\n"), (Stream::Stderr, "bad\n"), (Stream::Stdout, "two\n")] {
        claim.append(stream, now, text.as_bytes()).await;
    }
    assert_eq!((claim.output().bytes, claim.output().dropped), (12, 0));
    let log = backend.open().log(id).await.expect("the job is there");
    let read = |query| read(log.as_ref(), 0, &query).expect("it is read");
    let all = read(OutputQuery::from(Position::Start));
    assert_eq!(all.bytes(None), b"one\nbad\ntwo\n");
    assert_eq!(all.bytes(Some(Stream::Stderr)), b"bad\n");
    assert_eq!(all.cursor, Cursor(12));
    let later = read(OutputQuery::from(Position::Cursor(Cursor(6))).with_stream(Some(Stream::Stdout)));
    assert_eq!(later.bytes(None), b"two\n");
    claim.append(Stream::Stdout, now, b"three\n").await;
    let more = crate::output::read(log.as_ref(), 0, &OutputQuery::from(Position::Cursor(all.cursor)));
    assert_eq!(more.expect("it is read").bytes(None), b"three\n");
}

/// What is kept is bounded, and what is gone is told in bytes.
pub async fn the_output_limit_keeps_the_head_and_the_newest(backend: &Backend) {
    let store = backend.open();
    let submission = submission(JobSpec::command(["true"]).output_limit(64 * 1024));
    let (id, mut claim) = create_from(store.as_ref(), submission).await;
    claim.start(&start()).await.expect("it is written");
    let line = |number: u32| format!("line {number:08}\n");
    for number in 0..50_000 {
        claim.append(Stream::Stdout, SystemClock.now(), line(number).as_bytes()).await;
    }
    let written = 50_000 * 14;
    let size = store.evidence(id).await.expect("the job is there").output;
    assert_eq!(size.bytes, written);
    assert_eq!(claim.output(), size);
    let log = store.log(id).await.expect("the job is there");
    let query = OutputQuery::from(Position::Start).with_max_bytes(u64::MAX);
    let chunk = read(log.as_ref(), size.bytes, &query).expect("it is read");
    let kept = chunk.bytes(None);
    assert!(kept.len() <= 64 * 1024, "{}", kept.len());
    assert!(kept.len() > 48 * 1024, "{}", kept.len());
    assert!(kept.starts_with(line(0).as_bytes()));
    assert!(kept.ends_with(line(49_999).as_bytes()));
    assert_eq!(chunk.omitted(), size.dropped);
    assert_eq!(kept.len() as u64 + size.dropped, written);
}

/// No wake-up is lost between a look and a wait.
pub async fn whoever_waits_is_woken_by_the_end(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let waiter = backend.open();
    let waiting = tokio::spawn(async move {
        while waiter.evidence(id).await.expect("the job is there").ended.is_none() {
            waiter.settled(id).await.expect("it returns");
        }
    });
    tokio::task::yield_now().await;
    claim.finish(&ended(0)).await.expect("it is written");
    // The lock is still held: the end alone wakes.
    soon("the end", waiting).await.expect("no panic");
    drop(claim);
}

/// A holder that dies wakes those who wait, too.
pub async fn whoever_waits_is_woken_when_nobody_is_in_charge_any_more(backend: &Backend) {
    let store = backend.open();
    let (id, claim) = create(store.as_ref()).await;
    let waiter = backend.open();
    let waiting = tokio::spawn(async move {
        while waiter.evidence(id).await.expect("the job is there").held {
            waiter.settled(id).await.expect("it returns");
        }
    });
    tokio::task::yield_now().await;
    drop(claim);
    soon("the lock to fall", waiting).await.expect("no panic");
}

/// Who waits for his turn need not ask again and again.
pub async fn whoever_waits_for_a_queued_job_is_woken_by_its_start(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    let waiter = backend.open();
    let waiting = tokio::spawn(async move {
        while waiter.evidence(id).await.expect("the job is there").start.is_none() {
            waiter.left_queue(id).await.expect("it returns");
        }
    });
    // It waits, instead of returning at once again and again: one turn of it leaves time for others.
    let mut turns = 0;
    let some = tokio::time::timeout(Duration::from_millis(50), async {
        loop {
            store.left_queue(id).await.expect("it returns");
            turns += 1;
        }
    });
    assert!(some.await.is_err());
    assert!(turns < 10, "{turns}");
    claim.start(&start()).await.expect("it is written");
    soon("the start", waiting).await.expect("no panic");
    soon("what has been started", store.left_queue(id)).await.expect("it returns");
}

/// A follower need not ask again and again.
pub async fn whoever_follows_is_woken_by_output(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    for round in 0..10 {
        let follower = backend.open();
        let following = tokio::spawn(async move { follower.written(id, round).await.expect("it returns") });
        tokio::task::yield_now().await;
        claim.append(Stream::Stdout, SystemClock.now(), b"x").await;
        soon("the output", following).await.expect("no panic");
    }
}

/// Questions come to whoever is in charge, from any handle.
pub async fn a_request_is_answered_by_the_holder(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let holder = tokio::spawn(async move {
        for count in 1..=2 {
            let incoming = claim.next_request().await;
            assert_eq!(incoming.request, Request::Count);
            incoming.answer(Answer::Processes { count });
        }
        claim
    });
    for count in 1..=2 {
        let answer = soon("an answer", backend.open().request(id, Request::Count)).await.expect("it is answered");
        assert_eq!(answer, Answer::Processes { count });
    }
    drop(soon("the holder", holder).await.expect("no panic"));
}

/// Nobody there is told as such, in bounded time.
pub async fn a_request_without_a_holder_is_not_answered(backend: &Backend) {
    let store = backend.open();
    let (id, mut claim) = create(store.as_ref()).await;
    claim.start(&start()).await.expect("it is written");
    let silent = soon("a refusal", store.request(id, Request::Count)).await;
    assert!(matches!(silent, Err(Error::NoAnswer { .. })), "{silent:?}");
    drop(claim);
    let nobody = soon("a refusal", store.request(id, Request::Count)).await;
    assert!(matches!(nobody, Err(Error::NoAnswer { .. })), "{nobody:?}");
}

/// What somebody is in charge of is not taken away.
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

/// There is no half of a job.
pub async fn what_is_removed_is_gone_for_every_handle(backend: &Backend) {
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

/// Many handles at once: each job is there exactly once, with its own records.
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

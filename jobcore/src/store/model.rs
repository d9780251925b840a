//! Tests each store against a model that is simple enough to be obviously right: whatever is done, the answers must
//! agree.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::select;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::{Created, JobClaim, JobStore, Query, WhenFull};
use crate::clock::Timestamp;
use crate::generate::cases;
use crate::queue::{AfterWhen, Place};
use crate::record::{Ended, Running, Start, Submission};
use crate::state::{Cause, Outcome, Status};
use crate::sys::process::ProcessId;
use crate::{Error, FileStore, JobId, JobSpec, MemoryStore, Name};

/// How far a job has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Queued,
    Running,
    Ended(i32),
    Skipped,
}

impl Phase {
    fn is_final(self) -> bool {
        matches!(self, Self::Ended(_) | Self::Skipped)
    }

    fn status(self) -> Option<Status> {
        match self {
            Self::Queued | Self::Running => None,
            Self::Ended(0) => Some(Status::Completed),
            Self::Ended(_) => Some(Status::Failed),
            Self::Skipped => Some(Status::Skipped),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    what: What,
    phase: Phase,
    /// Whether its lock is held.
    held: bool,
    /// Whether it was claimed as due, which takes a slot.
    slot: bool,
    priority: i32,
    on_hold: bool,
}

impl Job {
    fn is_queued(&self) -> bool {
        self.phase == Phase::Queued
    }

    /// A slot whose holder gave up before anything was started: the job is due again, and a store may keep its slot.
    fn is_stale(&self) -> bool {
        self.slot && self.is_queued() && !self.held
    }

    fn counts(&self) -> bool {
        self.slot && !self.phase.is_final() && !self.is_stale()
    }

    /// It is running and not supervised.
    fn is_lost(&self) -> bool {
        self.phase == Phase::Running && !self.held
    }
}

/// Returns whether a job is wanted.
type Wanted<'a> = &'a dyn Fn(&Job) -> bool;

/// What is submitted: each value is one of a few, so that they collide.
#[derive(Debug, Clone, PartialEq, Eq)]
struct What {
    name: Option<&'static str>,
    key: Option<&'static str>,
    group: Option<&'static str>,
    label: bool,
    command: &'static str,
    weight: u32,
    priority: i32,
    on_hold: bool,
    /// Whether it waits for more free memory than any machine has.
    busy: bool,
    /// A job that exists at that time, by its number, and what must become of it.
    after: Option<(u32, AfterWhen)>,
}

const NAMES: [&str; 2] = ["web", "db"];
const KEYS: [&str; 2] = ["k1", "k2"];
const GROUPS: [&str; 2] = ["fast", "slow"];

#[derive(Debug, Clone)]
struct Model<K> {
    /// By the order in which they were created.
    jobs: BTreeMap<u32, Job>,
    created: u32,
    max_running: u32,
    limits: BTreeMap<&'static str, u32>,
    refuses: bool,
    kind: PhantomData<K>,
}

#[derive(Debug, Clone)]
enum Step {
    Create(What),
    /// Takes the lock of a job.
    Claim(u32),
    /// Claims what is due.
    Due,
    /// Starts a job whose lock is held.
    Launch(u32),
    Finish(u32, i32),
    /// Releases a lock, as the death of its holder does.
    Drop(u32),
    Remove(u32),
    Hold(u32, bool),
    Priority(u32, i32),
    MaxRunning(u32),
    Limit(&'static str, u32),
    Refuse(bool),
    Reopen,
}

impl<K: Kind> Model<K> {
    /// Which limits a job would exceed next to others: that of the store, that of its group.
    fn reached(&self, what: &What, taken: &[&Job]) -> [bool; 2] {
        let is_reached = |in_use: u32, limit: u32| limit != 0 && in_use > 0 && in_use + what.weight > limit;
        let of_group = taken.iter().filter(|job| what.group.is_some() && job.what.group == what.group);
        let limit = what.group.and_then(|group| self.limits.get(group)).copied().unwrap_or(0);
        [
            is_reached(taken.iter().map(|job| job.what.weight).sum(), self.max_running),
            is_reached(of_group.map(|job| job.what.weight).sum(), limit),
        ]
    }

    /// The jobs that wait, in order.
    fn waiting(&self) -> Vec<(u32, &Job)> {
        let is_waiting = |job: &&Job| job.is_queued() && !(job.held && (job.slot || K::HELD_HAS_SLOT));
        let mut waiting: Vec<_> = self.jobs.iter().map(|(number, job)| (*number, job)).collect();
        waiting.retain(|(_, job)| is_waiting(job));
        waiting.sort_by_key(|(number, job)| (-job.priority, *number));
        waiting
    }

    /// Whether the condition that a job waits for is met; nothing if it can no longer be.
    fn is_met(&self, job: &Job) -> Option<bool> {
        let Some((number, when)) = job.what.after else { return Some(true) };
        match self.jobs.get(&number)?.phase.status() {
            None => Some(false),
            Some(status) => when.is_met_by(status).then_some(true),
        }
    }

    /// Ends jobs that wait in vain.
    fn skip(&mut self) {
        loop {
            let in_vain = |(number, job): (u32, &Job)| (!job.held && self.is_met(job).is_none()).then_some(number);
            let skipped: Vec<u32> = self.waiting().into_iter().filter_map(in_vain).collect();
            if skipped.is_empty() {
                return;
            }
            for number in skipped {
                self.jobs.entry(number).and_modify(|job| job.phase = Phase::Skipped);
            }
        }
    }

    /// The job to start next. If a stale slot is kept, it counts as taken, and its job needs no other.
    fn next(&self, keeps_stale: bool) -> Option<u32> {
        let mut model = self.clone();
        model.skip();
        let is_taken = |job: &&Job| job.counts() || keeps_stale && job.is_stale();
        let taken: Vec<&Job> = model.jobs.values().filter(is_taken).collect();
        let (mut store_is_kept, mut kept_groups) = (false, Vec::new());
        for (number, job) in model.waiting() {
            if job.on_hold || job.what.busy || model.is_met(job) != Some(true) {
                continue;
            }
            let [store, group] = model.reached(&job.what, &taken);
            let has_slot = keeps_stale && job.is_stale();
            if !has_slot && (store || group) {
                // What is left is kept for this job.
                store_is_kept |= store;
                kept_groups.extend(job.what.group.filter(|_| group));
                continue;
            }
            let is_kept = store_is_kept || job.what.group.is_some_and(|group| kept_groups.contains(&group));
            if !job.held && (has_slot || !is_kept) {
                return Some(number);
            }
        }
        None
    }

    fn due(&self) -> Option<u32> {
        self.next(false)
    }

    fn create(&self, what: &What) -> Answer {
        if what.key.is_some()
            && let Some((number, job)) = self.jobs.iter().find(|(_, job)| job.what.key == what.key)
        {
            return if job.what.command == what.command {
                Answer::Existing(*number)
            } else {
                Answer::KeyTaken(*number)
            };
        }
        if what.name.is_some()
            && let Some((number, job)) = self.jobs.iter().rev().find(|(_, job)| job.what.name == what.name)
            && !job.phase.is_final()
        {
            return Answer::NameTaken(*number);
        }
        let taken: Vec<&Job> = self.jobs.values().filter(|job| job.counts() || job.is_queued()).collect();
        if self.refuses && self.reached(what, &taken).contains(&true) {
            return Answer::Full;
        }
        Answer::New
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    New,
    Existing(u32),
    KeyTaken(u32),
    NameTaken(u32),
    Full,
}

impl<K: Kind> ReferenceStateMachine for Model<K> {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        let limits = BTreeMap::new();
        Just(Self { jobs: BTreeMap::new(), created: 0, max_running: 10, limits, refuses: false, kind: PhantomData })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Step> {
        let some = |values: &'static [&'static str]| prop_oneof![2 => Just(None), 1 => select(values).prop_map(Some)];
        let numbers: Vec<u32> = state.jobs.keys().copied().collect();
        let other = if numbers.is_empty() { Just(None).boxed() } else { select(numbers).prop_map(Some).boxed() };
        let when = select(&[AfterWhen::Ended, AfterWhen::Ok, AfterWhen::Failed][..]);
        let after = prop_oneof![2 => Just(None), 1 => (other, when).prop_map(|(other, when)| Some((other?, when)))];
        let queueing = (
            prop_oneof![3 => Just(1), 1 => Just(2_u32)],
            -1..2,
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
            after,
        );
        let what = (some(&NAMES), some(&KEYS), some(&GROUPS), any::<bool>(), select(&["true", "false"][..]), queueing);
        let create = what.prop_map(|(name, key, group, label, command, (weight, priority, on_hold, busy, after))| {
            Step::Create(What { name, key, group, label, command, weight, priority, on_hold, busy, after })
        });
        let shared = prop_oneof![
            8 => create,
            6 => Just(Step::Due),
            1 => (0..4_u32).prop_map(Step::MaxRunning),
            1 => (select(&GROUPS[..]), 1..3_u32).prop_map(|(group, limit)| Step::Limit(group, limit)),
            1 => any::<bool>().prop_map(Step::Refuse),
            1 => Just(Step::Reopen),
        ];
        if state.jobs.is_empty() {
            return shared.boxed();
        }
        let numbers: Vec<u32> = state.jobs.keys().copied().collect();
        let of_job = (select(numbers), 0..10_u32, 0..3_i32).prop_map(|(number, step, code)| match step {
            0 => Step::Claim(number),
            1 | 2 => Step::Launch(number),
            3 | 4 => Step::Finish(number, code),
            5 | 6 => Step::Drop(number),
            7 => Step::Hold(number, code == 0),
            8 => Step::Priority(number, code - 1),
            _ => Step::Remove(number),
        });
        prop_oneof![1 => shared, 1 => of_job].boxed()
    }

    fn preconditions(state: &Self, step: &Step) -> bool {
        let job = |number: &u32| state.jobs.get(number);
        match step {
            Step::Claim(number) => job(number).is_some_and(|job| !job.is_stale()),
            Step::Launch(number) => job(number).is_some_and(|job| job.held && job.is_queued()),
            Step::Finish(number, _) | Step::Drop(number) => job(number).is_some_and(|job| job.held),
            Step::Remove(number) => job(number).is_some(),
            Step::Hold(number, _) | Step::Priority(number, _) => {
                job(number).is_some_and(|job| job.is_queued() && !job.held && !job.is_stale())
            }
            Step::Due => state.due() == state.next(true),
            Step::Create(_) | Step::MaxRunning(_) | Step::Limit(..) | Step::Refuse(_) | Step::Reopen => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Create(what) => {
                if state.create(what) == Answer::New {
                    let (priority, on_hold) = (what.priority, what.on_hold);
                    let job =
                        Job { what: what.clone(), phase: Phase::Queued, held: false, slot: false, priority, on_hold };
                    state.jobs.insert(state.created, job);
                }
                state.created += 1;
            }
            Step::Due => {
                state.skip();
                if let Some(job) = state.due().and_then(|number| state.jobs.get_mut(&number)) {
                    (job.held, job.slot) = (true, true);
                }
            }
            Step::Remove(number) => {
                if state.jobs.get(number).is_some_and(|job| !job.held) {
                    state.jobs.remove(number);
                }
            }
            Step::Claim(number) => {
                if let Some(job) = state.jobs.get_mut(number) {
                    (job.held, job.slot) = (true, job.slot || K::HELD_HAS_SLOT);
                }
            }
            Step::Launch(number) => {
                if let Some(job) = state.jobs.get_mut(number) {
                    (job.phase, job.slot) = (Phase::Running, true);
                }
            }
            Step::Drop(number) => drop(state.jobs.get_mut(number).map(|job| job.held = false)),
            Step::Finish(number, code) => {
                // An end is never replaced.
                if let Some(job) = state.jobs.get_mut(number)
                    && !job.phase.is_final()
                {
                    job.phase = Phase::Ended(*code);
                }
            }
            Step::Hold(number, on_hold) => drop(state.jobs.entry(*number).and_modify(|job| job.on_hold = *on_hold)),
            Step::Priority(number, priority) => {
                state.jobs.entry(*number).and_modify(|job| job.priority = *priority);
            }
            Step::MaxRunning(limit) => state.max_running = *limit,
            Step::Limit(group, limit) => drop(state.limits.insert(group, *limit)),
            Step::Refuse(refuses) => state.refuses = *refuses,
            Step::Reopen => {}
        }
        state
    }
}

/// A kind of store: opens one handle after another of the same store.
trait Kind: Clone + fmt::Debug + 'static {
    /// Whether every claim takes a slot, and not only that of a due job.
    const HELD_HAS_SLOT: bool;

    fn make() -> Opener;
}

type Opener = Box<dyn Fn() -> Arc<dyn JobStore>>;

#[derive(Debug, Clone)]
struct OnDisk;

impl Kind for OnDisk {
    const HELD_HAS_SLOT: bool = false;

    fn make() -> Opener {
        let directory = tempfile::tempdir().unwrap();
        Box::new(move || Arc::new(FileStore::open(directory.path().join("store")).unwrap()))
    }
}

#[derive(Debug, Clone)]
struct InMemory;

impl Kind for InMemory {
    const HELD_HAS_SLOT: bool = true;

    fn make() -> Opener {
        let store = MemoryStore::new();
        Box::new(move || Arc::new(store.clone()))
    }
}

/// A store on disk through its required methods only.
#[derive(Debug, Clone)]
struct Required;

impl Kind for Required {
    const HELD_HAS_SLOT: bool = true;

    fn make() -> Opener {
        let directory = tempfile::tempdir().unwrap();
        Box::new(move || super::derived::tests::required(&directory.path().join("store")))
    }
}

struct Tested {
    open: Opener,
    store: Arc<dyn JobStore>,
    claims: BTreeMap<u32, Box<dyn JobClaim>>,
}

/// Shared by all tests, because a claim is used by many calls.
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());

/// Ids in the order of the numbers, spread over several days.
fn id_of(number: u32) -> JobId {
    let at = Timestamp::from_second(1_764_000_000 + i64::from(number) * 30_000).unwrap();
    JobId::mint(at, &crate::testing::SeededRandom::new(number.into())).unwrap()
}

fn own_process() -> ProcessId {
    ProcessId::of_this_program().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn submission(number: u32, what: &What) -> Submission {
    let mut spec = JobSpec::command([what.command]);
    spec = what.name.into_iter().fold(spec, |spec, text| spec.name(name(text)));
    spec = what.group.into_iter().fold(spec, |spec, text| spec.group(name(text)));
    spec = what.key.into_iter().fold(spec, |spec, key| spec.key(key));
    if what.label {
        spec = spec.label("l", "yes");
    }
    spec = spec.slots(what.weight).priority(what.priority);
    if what.on_hold {
        spec = spec.on_hold();
    }
    if what.busy {
        spec = spec.when("free-mem>1000000T".parse().unwrap());
    }
    if let Some((other, when)) = what.after {
        spec = spec.after(id_of(other), when);
    }
    let (id, world) = (id_of(number), crate::sys::world::capture().unwrap());
    Submission::new(id, id.minted_at(), spec.build().unwrap(), "/bin/true".into(), world)
}

fn ended(code: i32) -> Ended {
    let mut outcome = Outcome::new(Cause::Exited, Timestamp::now());
    outcome.exit_code = Some(code);
    Ended::new(Some(Timestamp::now()), outcome)
}

impl Tested {
    async fn step<K: Kind>(&mut self, before: &Model<K>, step: &Step) {
        let store = Arc::clone(&self.store);
        match step {
            Step::Create(what) => {
                let number_of = |id: JobId| *before.jobs.keys().find(|number| id_of(**number) == id).unwrap();
                let answer = match store.create(submission(before.created, what)).await {
                    Ok(Created::New) => Answer::New,
                    Ok(Created::Existing(id)) => Answer::Existing(number_of(id)),
                    Err(Error::KeyTaken { id, .. }) => Answer::KeyTaken(number_of(id)),
                    Err(Error::NameTaken { id, .. }) => Answer::NameTaken(number_of(id)),
                    Err(Error::Full { .. }) => Answer::Full,
                    Err(error) => panic!("{error}"),
                };
                assert_eq!(answer, before.create(what));
            }
            Step::Claim(number) => {
                let claim = store.claim(id_of(*number)).await.unwrap();
                assert_eq!(claim.is_none(), before.jobs[number].held, "a lock is held once");
                self.claims.extend(claim.map(|claim| (*number, claim)));
            }
            Step::Due => {
                let due = store.next_due().await.unwrap();
                let expected = before.due();
                assert_eq!(due.as_ref().map(|claim| claim.submission().job_id), expected.map(id_of));
                self.claims.extend(expected.zip(due));
            }
            Step::Launch(number) => {
                let claim = self.claims.get_mut(number).unwrap();
                claim.start(&Start::new(own_process(), false, Timestamp::now())).await.unwrap();
                claim.running(&Running::new(own_process(), Timestamp::now())).await.unwrap();
            }
            Step::Finish(number, code) => self.claims.get_mut(number).unwrap().finish(&ended(*code)).await.unwrap(),
            Step::Drop(number) => drop(self.claims.remove(number)),
            Step::Remove(number) => {
                let removed = store.remove(id_of(*number)).await;
                match before.jobs[number].held {
                    true => assert!(matches!(removed, Err(Error::Refused { .. })), "{removed:?}"),
                    false => removed.unwrap(),
                }
            }
            Step::Hold(number, on_hold) => self.place(*number, |place| place.on_hold = *on_hold).await,
            Step::Priority(number, priority) => self.place(*number, |place| place.priority = *priority).await,
            Step::MaxRunning(limit) => self.set(&mut |settings| settings.max_running = *limit).await,
            Step::Limit(group, limit) => self.set(&mut |settings| settings.set_group(name(group), *limit)).await,
            Step::Refuse(refuses) => {
                let when_full = if *refuses { WhenFull::Refuse } else { WhenFull::Queue };
                self.set(&mut |settings| settings.when_full = when_full).await;
            }
            Step::Reopen => self.store = (self.open)(),
        }
    }

    async fn set(&self, change: &mut (dyn for<'s> FnMut(&'s mut super::StoreSettings) + Send)) {
        self.store.change_settings(change).await.unwrap();
    }

    async fn place(&self, number: u32, change: impl FnOnce(&mut Place)) {
        let mut claim = self.store.claim(id_of(number)).await.unwrap().unwrap();
        let mut place = claim.place().await.unwrap();
        change(&mut place);
        claim.set_place(&place).await.unwrap();
        self.store.admit().await.unwrap().note_change(id_of(number)).await.unwrap();
    }

    /// Calls everything that can be queried.
    async fn look<K: Kind>(&self, model: &Model<K>) {
        let store = self.store.as_ref();
        let ids = |wanted: Wanted<'_>| -> Vec<JobId> {
            let numbers = model.jobs.iter().rev().filter(|(_, job)| wanted(job)).map(|(number, _)| id_of(*number));
            numbers.collect()
        };
        for (number, job) in &model.jobs {
            let evidence = store.evidence(id_of(*number)).await.unwrap();
            assert_eq!((evidence.submission.job_id, evidence.held), (id_of(*number), job.held));
            let (shown, _) = evidence.judge(Timestamp::now()).unwrap();
            let expected = match job.phase {
                Phase::Queued => vec![Status::Queued, Status::Running],
                Phase::Running => vec![Status::Running],
                Phase::Ended(0) => vec![Status::Completed],
                Phase::Ended(_) => vec![Status::Failed],
                Phase::Skipped => vec![Status::Skipped],
            };
            assert_eq!((evidence.place.priority, evidence.place.on_hold), (job.priority, job.on_hold));
            // A job that is held and not started may be reported as either.
            let either = 1 + usize::from(job.held && expected.len() > 1);
            assert!(expected[..either].contains(&shown.status()), "{job:?}: {shown:?}");
            if let Phase::Ended(code) = job.phase {
                assert_eq!(shown.state.outcome().unwrap().exit_code, Some(code));
            }
        }
        self.look_at_lists(model, &ids).await;
        for text in NAMES {
            assert_eq!(
                store.named(&name(text), None).await.unwrap(),
                ids(&|job| job.what.name == Some(text)).first().copied()
            );
        }
        for key in KEYS {
            assert_eq!(store.keyed(key).await.unwrap(), ids(&|job| job.what.key == Some(key)).first().copied());
        }
        let load = store.load().await.unwrap();
        assert_eq!(
            (load.settings.max_running, load.settings.when_full == WhenFull::Refuse),
            (model.max_running, model.refuses)
        );
        let stale = ids(&Job::is_stale);
        // For released jobs, a store may keep the order in which they were submitted, or another.
        let order: Vec<JobId> = load.waiting.iter().map(|slot| slot.id).filter(|id| !stale.contains(id)).collect();
        let waits = |number: &u32| !stale.contains(&id_of(*number)) && !model.jobs[number].counts();
        let expected = model.waiting().into_iter().map(|(number, _)| number).filter(waits).map(id_of);
        assert_eq!(order, expected.collect::<Vec<_>>(), "the order in which they wait");
        let sorted = |slots: &[super::Slot]| {
            let mut ids: Vec<JobId> = slots.iter().map(|slot| slot.id).filter(|id| !stale.contains(id)).collect();
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids
        };
        assert_eq!(sorted(&load.running), ids(&Job::counts), "jobs with a slot");
        assert_eq!(
            sorted(&load.waiting),
            ids(&|job| job.is_queued() && !job.counts() && !job.is_stale()),
            "jobs that wait"
        );
        let mut unsupervised = store.unsupervised().await.unwrap();
        unsupervised.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(unsupervised, ids(&|job| job.slot && job.is_lost()), "jobs that need a supervisor");
        let mut ended_jobs: Vec<JobId> = store.ended_jobs().await.unwrap().into_iter().map(|job| job.id).collect();
        ended_jobs.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(ended_jobs, ids(&|job| job.phase.is_final()));
        let tally = store.tally().await.unwrap();
        let mut others = tally.others.clone();
        others.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(others, ids(&|job| !job.phase.is_final()));
        for status in [Status::Completed, Status::Failed, Status::Skipped] {
            let expected = ids(&|job| job.phase.status() == Some(status)).len() as u64;
            assert_eq!(tally.ended.get(&status).copied().unwrap_or(0), expected, "{status:?}");
        }
    }

    /// Every wanted job is included, none that does not exist is, and the newest come first.
    async fn look_at_lists<K: Kind>(&self, model: &Model<K>, ids: &dyn Fn(Wanted<'_>) -> Vec<JobId>) {
        let store = self.store.as_ref();
        let all = ids(&|_| true);
        assert_eq!(store.ids(&Query::default(), None, usize::MAX).await.unwrap(), all);
        let mut paged: Vec<JobId> = Vec::new();
        loop {
            let page = store.ids(&Query::default(), paged.last().copied(), 2).await.unwrap();
            assert!(page.len() <= 2);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, all);
        let queries: [(Query, Wanted<'_>); 4] = [
            (Query::default().with_name(Some(name(NAMES[0]))), &|job| job.what.name == Some(NAMES[0])),
            (Query::default().with_group(Some(name(GROUPS[0]))), &|job| job.what.group == Some(GROUPS[0])),
            (Query::default().with_labels(vec![("l".to_owned(), String::new())]), &|job| job.what.label),
            (Query::default().with_statuses(vec![Status::Failed]), &|job| matches!(job.phase, Phase::Ended(1..))),
        ];
        for (query, wanted) in queries {
            let found = store.ids(&query, None, usize::MAX).await.unwrap();
            let wanted = ids(wanted);
            assert!(wanted.iter().all(|id| found.contains(id)), "{query:?}: {wanted:?} in {found:?}");
            assert!(found.iter().all(|id| all.contains(id)) && found.is_sorted_by(|a, b| a > b), "{found:?}");
        }
        assert_eq!(model.jobs.len(), all.len());
    }
}

struct Machine<K>(PhantomData<K>);

impl<K: Kind> StateMachineTest for Machine<K> {
    type SystemUnderTest = (Tested, Model<K>);
    type Reference = Model<K>;

    fn init_test(model: &Model<K>) -> Self::SystemUnderTest {
        let open = K::make();
        (Tested { store: open(), open, claims: BTreeMap::new() }, model.clone())
    }

    fn apply((mut tested, before): Self::SystemUnderTest, model: &Model<K>, step: Step) -> Self::SystemUnderTest {
        RUNTIME.block_on(tested.step(&before, &step));
        (tested, model.clone())
    }

    fn check_invariants((tested, _): &Self::SystemUnderTest, model: &Model<K>) {
        RUNTIME.block_on(tested.look(model));
    }
}

prop_state_machine! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_store_on_disk_behaves_like_the_model(sequential 1..40 => Machine<OnDisk>);
}

prop_state_machine! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_store_in_memory_behaves_like_the_model(sequential 1..40 => Machine<InMemory>);
}

prop_state_machine! {
    #![proptest_config(cases(24))]

    #[test]
    fn derived_methods_behave_like_the_model(sequential 1..40 => Machine<Required>);
}

//! Each store against a model that is so simple that it is seen to be right: whatever is done, the answers are the same.

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
use crate::record::{Ended, Running, Start, Submission};
use crate::state::{Cause, Outcome, Status};
use crate::sys::process::ProcessId;
use crate::{Error, FileStore, JobId, JobSpec, MemoryStore, Name};

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Queued,
    Running,
    Ended(i32),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    what: What,
    phase: Phase,
    /// Whether somebody holds its lock.
    held: bool,
    /// Whether it got its claim as one that is due, which takes a slot.
    slot: bool,
}

impl Job {
    fn is_queued(&self) -> bool {
        self.phase == Phase::Queued
    }

    /// A slot whose holder gave up before anything was started: the job is due again, and a store may keep its place.
    fn is_stale(&self) -> bool {
        self.slot && self.is_queued() && !self.held
    }

    fn counts(&self) -> bool {
        self.slot && !matches!(self.phase, Phase::Ended(_)) && !self.is_stale()
    }

    /// It runs, and nobody is in charge of it.
    fn is_lost(&self) -> bool {
        self.phase == Phase::Running && !self.held
    }
}

/// Returns whether a job is one of those that are meant.
type Wanted<'a> = &'a dyn Fn(&Job) -> bool;

/// What is submitted: each is one of a few, so that they meet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct What {
    name: Option<&'static str>,
    key: Option<&'static str>,
    group: Option<&'static str>,
    label: bool,
    command: &'static str,
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
    /// Takes what is due.
    Due,
    /// Starts a job whose lock is held.
    Launch(u32),
    Finish(u32, i32),
    /// Lets go of a lock, as the death of its holder does.
    Drop(u32),
    Remove(u32),
    MaxRunning(u32),
    Limit(&'static str, u32),
    Refuse(bool),
    Reopen,
}

impl<K: Kind> Model<K> {
    fn has_room(&self, group: Option<&'static str>, taken: &[&Job]) -> bool {
        let of_group = taken.iter().filter(|job| group.is_some() && job.what.group == group).count();
        let limit = group.and_then(|group| self.limits.get(group)).copied().unwrap_or(0);
        (self.max_running == 0 || taken.len() < self.max_running as usize) && (limit == 0 || of_group < limit as usize)
    }

    /// Who is to start next.
    fn due(&self) -> Option<u32> {
        let taken: Vec<&Job> = self.jobs.values().filter(|job| job.counts()).collect();
        let mut waiting = self.jobs.iter().filter(|(_, job)| job.is_queued() && !job.held);
        waiting.find(|(_, job)| self.has_room(job.what.group, &taken)).map(|(number, _)| *number)
    }

    /// Who is to start next where a stale slot is kept: it takes a place, and its job needs no other.
    fn due_if_kept(&self) -> Option<u32> {
        let taken: Vec<&Job> = self.jobs.values().filter(|job| job.counts() || job.is_stale()).collect();
        let mut waiting = self.jobs.iter().filter(|(_, job)| job.is_queued() && !job.held);
        let may_start = |job: &Job| job.is_stale() || self.has_room(job.what.group, &taken);
        waiting.find(|(_, job)| may_start(job)).map(|(number, _)| *number)
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
            && !matches!(job.phase, Phase::Ended(_))
        {
            return Answer::NameTaken(*number);
        }
        let taken: Vec<&Job> = self.jobs.values().filter(|job| job.counts() || job.is_queued()).collect();
        if self.refuses && !self.has_room(what.group, &taken) {
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
        let what = (some(&NAMES), some(&KEYS), some(&GROUPS), any::<bool>(), select(&["true", "false"][..]));
        let create =
            what.prop_map(|(name, key, group, label, command)| Step::Create(What { name, key, group, label, command }));
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
        let of_job = (select(numbers), 0..8_u32, 0..3_i32).prop_map(|(number, step, code)| match step {
            0 => Step::Claim(number),
            1 | 2 => Step::Launch(number),
            3 | 4 => Step::Finish(number, code),
            5 | 6 => Step::Drop(number),
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
            Step::Due => state.due() == state.due_if_kept(),
            Step::Create(_) | Step::MaxRunning(_) | Step::Limit(..) | Step::Refuse(_) | Step::Reopen => true,
        }
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        match step {
            Step::Create(what) => {
                if state.create(what) == Answer::New {
                    let job = Job { what: what.clone(), phase: Phase::Queued, held: false, slot: false };
                    state.jobs.insert(state.created, job);
                }
                state.created += 1;
            }
            Step::Due => {
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
                    && !matches!(job.phase, Phase::Ended(_))
                {
                    job.phase = Phase::Ended(*code);
                }
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
    /// Whether any claim takes a slot, and not only that of what is due.
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

/// A store on disk of which only what must be implemented is used.
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

/// One for all: a claim is used by many calls.
static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());

/// Ids in the order of the numbers, over several days.
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

    /// Asks everything that can be asked.
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
            };
            // One that is held and not started may be called either.
            let either = 1 + usize::from(job.held && expected.len() > 1);
            assert!(expected[..either].contains(&shown.status()), "{job:?}: {shown:?}");
            if let Phase::Ended(code) = job.phase {
                assert_eq!(shown.state.outcome().unwrap().exit_code, Some(code));
            }
        }
        self.look_at_lists(model, &ids).await;
        for text in NAMES {
            assert_eq!(
                store.named(&name(text)).await.unwrap(),
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
        let sorted = |slots: &[super::Slot]| {
            let mut ids: Vec<JobId> = slots.iter().map(|slot| slot.id).filter(|id| !stale.contains(id)).collect();
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids
        };
        assert_eq!(sorted(&load.running), ids(&Job::counts), "who has a slot");
        assert_eq!(sorted(&load.waiting), ids(&|job| job.is_queued() && !job.counts() && !job.is_stale()), "who waits");
        let mut unattended = store.unattended().await.unwrap();
        unattended.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(unattended, ids(&|job| job.slot && job.is_lost()), "who needs a supervisor");
        let mut disposable: Vec<JobId> = store.disposable().await.unwrap().into_iter().map(|job| job.id).collect();
        disposable.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(disposable, ids(&|job| matches!(job.phase, Phase::Ended(_))));
        let tally = store.tally().await.unwrap();
        let mut others = tally.others.clone();
        others.sort_unstable_by(|a, b| b.cmp(a));
        assert_eq!(others, ids(&|job| !matches!(job.phase, Phase::Ended(_))));
        for (status, is_of) in [(Status::Completed, true), (Status::Failed, false)] {
            let expected = ids(&|job| matches!(job.phase, Phase::Ended(code) if (code == 0) == is_of)).len() as u64;
            assert_eq!(tally.ended.get(&status).copied().unwrap_or(0), expected, "{status:?}");
        }
    }

    /// No job that is wanted may be left out, none that is not there may be in, and the newest come first.
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
    fn a_store_on_disk_does_as_the_model_does(sequential 1..40 => Machine<OnDisk>);
}

prop_state_machine! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_store_in_memory_does_as_the_model_does(sequential 1..40 => Machine<InMemory>);
}

prop_state_machine! {
    #![proptest_config(cases(24))]

    #[test]
    fn what_is_derived_does_as_the_model_does(sequential 1..40 => Machine<Required>);
}

//! What holds in every life, whatever events happen and in whatever order.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::generate::cases;
use crate::spec::NotReady;

/// An event in a life.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Time(Duration),
    MainEnds(Exit),
    ChildEnds,
    ChildrenLeft(usize),
    Stop(Option<Duration>),
    Signal(Signal, bool),
    Pause,
    Resume,
    Ready,
}

/// The state of the job, which its life learns of only through events.
#[derive(Debug)]
struct World {
    life: Life,
    now: Duration,
    /// How many other processes there are.
    children: usize,
    obeys: bool,
    can_be_asked: bool,
    /// Whether killed processes end.
    is_mortal: bool,
    exit: Option<Exit>,
    /// When the rest must be killed at the latest, after the first stop.
    kill_by: Option<Duration>,
    recorded: Vec<(Cause, Option<String>)>,
    sent: Vec<Signal>,
    killed_at: Option<Duration>,
    is_asked: bool,
    /// Whether a stop was requested while the main process ran.
    was_wanted_to_end: bool,
    /// Since when everything has been stopped, and for how long it was before.
    stands_since: Option<Duration>,
    stood: Duration,
    is_ready: bool,
    timeout: Option<Duration>,
    outcomes: Vec<Outcome>,
}

impl World {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Time(time) => self.now += time,
            Happening::MainEnds(exit) => self.main_ends(exit),
            Happening::ChildEnds => {
                self.children = self.children.saturating_sub(1);
                self.life.child_ended(self.now);
            }
            Happening::ChildrenLeft(count) if self.killed_at.is_none() => self.children += count,
            Happening::ChildrenLeft(_) => {}
            Happening::Stop(grace) => {
                self.was_wanted_to_end |= self.exit.is_none();
                self.life.stop(grace, "a caller".to_owned(), self.now);
                if self.outcomes.is_empty() {
                    self.bound(self.now + grace.unwrap_or(self.life.grace));
                }
            }
            Happening::Signal(signal, is_possible) => {
                let mut was_tried = false;
                let send = || {
                    was_tried = true;
                    if is_possible { Ok(()) } else { Err("impossible".to_owned()) }
                };
                let answer = self.life.signal(signal, "a caller".to_owned(), self.now, send);
                let is_alive = self.exit.is_none();
                assert_eq!((was_tried, answer == Answer::Accepted), (is_alive, is_alive && is_possible));
                self.sent.extend((answer == Answer::Accepted).then_some(signal));
            }
            Happening::Pause => {
                let is_paused = self.life.pause(self.now).is_ok();
                assert!(!is_paused || self.outcomes.is_empty() && !self.was_wanted_to_end, "{self:?}");
            }
            Happening::Resume => drop(self.life.resume(self.now)),
            Happening::Ready => self.life.is_ready(),
        }
    }

    fn bound(&mut self, kill_by: Duration) {
        self.kill_by = Some(self.kill_by.map_or(kill_by, |before| before.min(kill_by)));
    }

    fn main_ends(&mut self, exit: Exit) {
        if self.exit.is_none() {
            self.exit = Some(exit);
            self.life.main_ended(exit, self.now);
        }
    }

    fn dies_of(&mut self, signal: Signal) {
        self.main_ends(Exit { signal: Some(signal), ..Exit::unseen(Timestamp::UNIX_EPOCH) });
    }

    /// Performs all due actions, as a driver does.
    fn act(&mut self) {
        for turn in 0.. {
            assert!(turn < 10, "it never comes to rest: {self:?}");
            let Some(action) = self.life.next(self.now) else { break };
            match action {
                Action::RecordStop { cause, requester, grace } => {
                    assert!(self.outcomes.is_empty());
                    assert!(cause == Cause::Stopped || self.stands_since.is_none(), "no timeout runs during a pause");
                    self.recorded.push((cause, requester));
                    self.bound(self.now + grace);
                }
                Action::Ask(signal) => {
                    assert!(self.exit.is_none() && !self.recorded.is_empty());
                    self.is_asked = true;
                    match (self.can_be_asked, self.obeys) {
                        (false, _) => self.life.cannot_ask(),
                        (true, true) => self.dies_of(signal),
                        (true, false) => {}
                    }
                }
                Action::Terminate => {
                    assert!(self.exit.is_some() || !self.recorded.is_empty());
                    self.is_asked = true;
                    if self.exit.is_some() && self.kill_by.is_none() {
                        self.bound(self.now + self.life.grace);
                    }
                    if self.obeys {
                        self.children = 0;
                        self.dies_of(Signal::TERM);
                    }
                }
                Action::LookAtUse => self.life.used(Some(Duration::ZERO), self.now),
                Action::NoteStall { .. } => panic!("a stalled job is stopped"),
                Action::NotePause { .. } | Action::NoteNotReady => {}
                Action::NoteLease { .. } => panic!("it has no lease"),
                Action::StartAgain | Action::CallOff => panic!("it has one attempt"),
                Action::NoteReady => {
                    assert!(!self.is_ready, "it becomes ready once");
                    self.is_ready = true;
                }
                Action::Pause => {
                    self.stands_since = self.stands_since.or(Some(self.now));
                    self.life.stands_still(Vec::new(), self.now);
                }
                Action::Continue => {
                    self.stood += self.stands_since.take().map_or(Duration::ZERO, |since| self.now - since);
                }
                Action::Count => self.life.counted(self.children),
                Action::Kill | Action::KillAgain => self.kill(),
                Action::GiveUp => {
                    self.kill();
                    let survivors = (0..self.children).map(|_| Survivor::new(1, String::new(), String::new()));
                    self.life.survived(survivors.collect());
                }
            }
        }
        let children = self.children;
        if let Some(outcome) = self.life.end(|| children == 0) {
            self.outcomes.push(outcome);
        }
    }

    fn kill(&mut self) {
        assert!(self.is_asked, "nothing is killed before it was asked");
        assert!(self.outcomes.len() == 1 || self.kill_by.is_some_and(|at| at <= self.now), "the grace is granted");
        self.killed_at.get_or_insert(self.now);
        if self.is_mortal {
            self.children = 0;
        }
        self.dies_of(Signal::KILL);
    }

    /// Lets everything that is due happen, and nothing else, until nothing is due.
    fn rest(&mut self) {
        for turn in 0.. {
            assert!(turn < 1000, "it never ends: {self:?}");
            self.act();
            match self.life.deadline() {
                Some(deadline) if self.outcomes.is_empty() => self.now = self.now.max(deadline),
                Some(_) | None => return,
            }
        }
    }

    fn check(&self) {
        let Some(outcome) = self.outcomes.first() else {
            if self.life.is_paused() {
                assert!(self.stands_since.is_some() && self.kill_by.is_none(), "{self:?}");
                return;
            }
            assert!(self.exit.is_none() && self.kill_by.is_none(), "every stop and every end completes: {self:?}");
            return;
        };
        assert_eq!(self.outcomes.len(), 1, "{self:?}");
        let exit = self.exit.expect("no job ends before its main process");
        assert_eq!((outcome.exit_code, outcome.signal), (exit.code, exit.signal));
        let who = outcome.stopped_by.as_deref();
        let was_sent = exit.signal.is_some_and(|signal| self.sent.contains(&signal));
        match outcome.cause {
            Cause::Exited => assert_eq!((exit.code.is_some(), exit.signal, who), (true, None, None)),
            Cause::Signalled => assert!(exit.signal.is_some() && !was_sent && who.is_none(), "{self:?}"),
            Cause::Stopped => assert!(who == Some("a caller") && (was_sent || self.was_wanted_to_end), "{self:?}"),
            Cause::TimedOut => assert!(who.is_none() && self.timeout <= Some(self.now - self.stood), "{self:?}"),
            Cause::NotReady => assert!(who.is_none() && !self.is_ready, "{self:?}"),
            Cause::Stalled => assert!(who.is_none() && self.life.stall.is_some(), "{self:?}"),
            Cause::SupervisorLost => assert_eq!((exit.code, exit.signal, who), (None, None, None)),
            other => panic!("{other:?}"),
        }
        let was_stopped = matches!(outcome.cause, Cause::Stopped | Cause::TimedOut | Cause::Stalled | Cause::NotReady);
        assert!(was_stopped || !self.was_wanted_to_end, "{self:?}");
        for (cause, requester) in &self.recorded {
            assert_eq!((*cause, requester.as_deref()), (outcome.cause, who), "the recorded stop matches the outcome");
        }
        assert!(self.recorded.is_empty() || outcome.stragglers == 0, "a stop names no stragglers: {self:?}");
    }
}

fn span() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(0), 0..300_u64, 0..20_000_u64].prop_map(Duration::from_millis)
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![Just(Signal::TERM), Just(Signal::INT), Just(Signal::KILL)]
}

fn happening() -> impl Strategy<Value = Happening> {
    let unseen = || Exit::unseen(Timestamp::UNIX_EPOCH);
    let exit = prop_oneof![
        (0..3).prop_map(move |code| Exit { code: Some(code), ..unseen() }),
        signal().prop_map(move |signal| Exit { signal: Some(signal), ..unseen() }),
        Just(unseen()),
    ];
    prop_oneof![
        4 => span().prop_map(Happening::Time),
        1 => exit.prop_map(Happening::MainEnds),
        1 => Just(Happening::ChildEnds),
        2 => (0..3_usize).prop_map(Happening::ChildrenLeft),
        2 => proptest::option::of(span()).prop_map(Happening::Stop),
        2 => Just(Happening::Pause),
        2 => Just(Happening::Resume),
        1 => Just(Happening::Ready),
        1 => (signal(), any::<bool>()).prop_map(|(signal, is_possible)| Happening::Signal(signal, is_possible)),
    ]
}

fn spec() -> impl Strategy<Value = JobSpec> {
    let rule = prop_oneof![Just(Stragglers::Stop), Just(Stragglers::Leave)];
    let options = proptest::option::of(span());
    let stall = proptest::option::of(span());
    let ready = proptest::option::of((span(), any::<bool>()));
    (span(), options, stall, ready, proptest::option::of(signal()), rule).prop_map(
        |(grace, timeout, stall, ready, stop_signal, rule)| {
            let spec = JobSpec::command(["true"]).grace(grace).stragglers(rule);
            let spec = ready.into_iter().fold(spec, |spec, (timeout, stops)| {
                let rule = if stops { NotReady::Stop } else { NotReady::Continue };
                spec.ready("file:x".parse().unwrap()).ready_timeout(timeout.max(LAST_WORDS)).not_ready(rule)
            });
            let spec = stall.into_iter().fold(spec, |spec, stall| spec.stall(stall.max(LAST_WORDS)).stall_stop(true));
            let spec = stop_signal.into_iter().fold(spec, crate::JobSpecBuilder::stop_signal);
            timeout
                .map_or_else(|| spec.clone(), |timeout| spec.clone().timeout(timeout.max(LAST_WORDS)))
                .build()
                .unwrap()
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    (spec(), any::<(bool, bool, bool)>()).prop_map(|(spec, (obeys, can_be_asked, is_mortal))| World {
        life: Life::new(&spec),
        now: Duration::ZERO,
        children: 0,
        obeys,
        can_be_asked,
        is_mortal,
        exit: None,
        kill_by: None,
        recorded: Vec::new(),
        sent: Vec::new(),
        killed_at: None,
        is_asked: false,
        was_wanted_to_end: false,
        stands_since: None,
        stood: Duration::ZERO,
        is_ready: false,
        timeout: spec.timeout(),
        outcomes: Vec::new(),
    })
}

proptest! {
    #![proptest_config(cases(512))]

    /// There is exactly one end, never before that of the main process, and its cause and signal agree with the events;
    /// nothing is killed before it was asked and its grace is over.
    #[test]
    fn every_life_has_one_end_that_agrees_with_it(mut world in world(), happenings in vec(happening(), 0..30)) {
        for happening in happenings {
            world.happen(happening);
            world.act();
        }
        world.rest();
        world.check();
    }

    /// If nothing but time happens after a stop, the job ends within the grace plus twice the time that dying may take.
    #[test]
    fn every_stop_is_bounded(mut world in world(), happenings in vec(happening(), 0..30), grace in span()) {
        for happening in happenings {
            world.happen(happening);
            world.act();
        }
        let begun = world.now;
        world.happen(Happening::Stop(Some(grace)));
        world.rest();
        prop_assert_eq!(world.outcomes.len(), 1);
        prop_assert!(world.now <= begun + grace + DYING * 2, "{:?}", world);
    }
}

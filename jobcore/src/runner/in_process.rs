//! Jobs as children of the host program: for any store, and only as long as the program lives.

use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::child::{Child, Output, spawn};
use super::readiness::Readiness;
use super::{Runner, run_hooks, start_due};
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::life::{Action, Exit, LAST_WORDS, LOOK_AGAIN, Life, NAMED, STANDING_STILL};
use crate::record::{Ended, Note, Running, Start};
use crate::signal::Signal;
use crate::spec::{Restart, Stdin};
use crate::state::{Cause, Outcome, Survivor};
use crate::store::file::layout::Layout;
use crate::store::file::supervisors::{freezer, visible_members};
use crate::store::tend::evidence_of_own;
use crate::store::{Incoming, JobClaim, JobStore};
use crate::supervisor;
use crate::supervisor::companion::{Companion, SESSION_END};
use crate::sys::members::cpu_time;
use crate::sys::pausing::{self, Standstill};
use crate::sys::process::{self, ProcessId};
use crate::sys::ready;
use crate::sys::stat::Stat;

/// Runs each job as a child of this program, watched by a task of the current tokio runtime.
///
/// Works with any store. When the program ends, the jobs are no longer watched: they are then found without a holder
/// and reported as orphaned. If a job leaves stragglers, the task stays with them, as a supervisor does. A stop reaches
/// what a job started as far as it can be seen: its process group, the descendants, and every process with the job's id
/// in its environment.
#[derive(Debug, Clone, Default)]
pub struct InProcessRunner {
    /// When a task wakes up next to start what is due then.
    waking: Arc<Mutex<Option<Timestamp>>>,
}

/// A number that no process has: `PID_MAX_LIMIT`, proc_sys_kernel(5), is far lower.
const NO_PROCESS: i32 = i32::MAX;

/// The longest sleep until a time of day: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl InProcessRunner {
    /// Returns a runner.
    pub fn new() -> Self {
        Self::default()
    }

    fn waking(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.waking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Runner for InProcessRunner {
    fn check(&self, _: &dyn JobStore) -> Result<()> {
        Ok(())
    }

    async fn start(&self, store: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>) -> Result<()> {
        if claim.submission().spec.adopts.is_some() {
            let reason = "only a detached supervisor can adopt a process that was started elsewhere";
            return Err(Error::Unsupported { reason: reason.to_owned() });
        }
        let companion = match Companion::of(claim.submission().spec.ends_with.as_ref()) {
            Companion::None => None,
            Companion::Alive(fd) => Some(ready::readable(fd).context("watch", "/proc".as_ref())?),
            Companion::Gone => return finish_unstarted(store, claim, &Companion::unstarted()).await,
        };
        let start = Start::new(ProcessId::of_this_program()?, false, Timestamp::now());
        claim.start(&start).await?;
        match start_command(claim.as_mut(), start.attempt).await? {
            Ok(child) => watch(Watcher::new(store, claim, start, Some(child), companion)),
            Err(reason) => finish_unstarted(store, claim, &Ended::new(None, failure(reason))).await?,
        }
        Ok(())
    }

    /// Starts the next attempt of a job without processes.
    async fn adopt(&self, store: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>) -> Result<()> {
        let evidence = evidence_of_own(store.as_ref(), claim.as_ref()).await?;
        let next = evidence.next_attempt(Timestamp::now()).ok_or_else(super::cannot_adopt)?;
        let companion = match Companion::of(claim.submission().spec.ends_with.as_ref()) {
            Companion::None => None,
            Companion::Alive(fd) => Some(ready::readable(fd).context("watch", "/proc".as_ref())?),
            Companion::Gone => return finish_unstarted(store, claim, &Companion::unstarted()).await,
        };
        let start = Start { holder: ProcessId::of_this_program()?, dedicated: false, ..next };
        claim.start(&start).await?;
        watch(Watcher::new(store, claim, start, None, companion));
        Ok(())
    }

    async fn wake_at(&self, store: &Arc<dyn JobStore>, at: Timestamp) -> Result<()> {
        {
            let mut waking = self.waking();
            if waking.is_some_and(|waking| waking <= at) {
                return Ok(());
            }
            *waking = Some(at);
        }
        let (runner, store) = (self.clone(), Arc::clone(store));
        tokio::spawn(async move {
            while let Ok(rest) = Duration::try_from(at.duration_since(Timestamp::now()))
                && !rest.is_zero()
            {
                tokio::time::sleep(rest.min(LONGEST_SLEEP)).await;
            }
            runner.waking().take_if(|waking| *waking == at);
            super::start_due(&runner, &store).await;
            if let Ok(Some(next)) = store.next_start().await {
                let _ = runner.wake_at(&store, next).await;
            }
        });
        Ok(())
    }

    async fn run_hooks(&self, store: &Arc<dyn JobStore>, id: JobId) -> Result<()> {
        if let Some(root) = store.directory() {
            let layout = Layout::new(root);
            tokio::task::spawn_blocking(move || {
                if let Err(error) = supervisor::on_end::run_here(&layout, id) {
                    tracing::warn!(%id, %error, "the end hooks of a job could not be run");
                }
            });
            return Ok(());
        }
        // A store of this program only, with no place to record the result.
        let (job, _) = store.evidence(id).await?.judge(Timestamp::now())?;
        let settings = store.settings().await?;
        let hooks = settings.hooks(&job);
        if !hooks.is_empty() {
            tokio::task::spawn_blocking(move || {
                for hook in hooks {
                    let ran = supervisor::on_end::run_unrecorded(&job, &hook, settings.on_end_timeout);
                    tracing::debug!(%id, %ran, "an end hook of a job has run");
                }
            });
        }
        Ok(())
    }
}

/// Starts the command of an attempt.
///
/// # Errors
/// The outer error is the store's; the inner one says why the command could not be started.
async fn start_command(claim: &mut dyn JobClaim, attempt: u32) -> Result<std::result::Result<Child, String>> {
    let (environment, place) = (claim.environment().await?, claim.place().await?);
    let stdin = match claim.submission().spec.stdin {
        Stdin::Open => Some(claim.open_input().await?),
        Stdin::Given => Some(claim.given().await?),
        Stdin::Closed | Stdin::File(_) => None,
    };
    Ok(spawn(claim, environment, (&place, attempt), stdin))
}

/// Returns the outcome of a command that could not be started.
fn failure(reason: String) -> Outcome {
    let mut outcome = Outcome::new(Cause::SpawnFailed, Timestamp::now());
    outcome.message = Some(reason);
    outcome
}

/// Watches a job in a task of its own.
fn watch(watcher: Watcher) {
    let (store, id) = (Arc::clone(&watcher.store), watcher.claim.submission().job_id);
    tokio::spawn(async move {
        let staying = watcher.watch().await;
        let runtime = Handle::current();
        // Starting processes and removing files takes time.
        tokio::task::spawn_blocking(move || runtime.block_on(follow_up(&store, id)));
        if let Some(watcher) = staying {
            watcher.stay_with_stragglers().await;
        }
    });
}

/// Records the end of a job that never had a process.
async fn finish_unstarted(store: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>, ended: &Ended) -> Result<()> {
    let id = claim.submission().job_id;
    claim.finish(ended).await?;
    drop(claim);
    run_hooks(&InProcessRunner::new(), store, id).await;
    Ok(())
}

/// Does what follows from the end of a job: starts what is due, has its end hooks run, and removes what should not be
/// kept.
async fn follow_up(store: &Arc<dyn JobStore>, id: JobId) {
    start_due(&InProcessRunner::new(), store).await;
    run_hooks(&InProcessRunner::new(), store, id).await;
    if let Err(error) = store.sweep().await {
        tracing::debug!(%error, "old jobs could not be removed");
    }
}

/// Watches one job to its end.
struct Watcher {
    store: Arc<dyn JobStore>,
    claim: Box<dyn JobClaim>,
    /// Which attempt this is, and how earlier ones went.
    start: Start,
    /// The command; `None` between two attempts.
    child: Option<Child>,
    /// Why the command of a later attempt could not be started.
    failure: Option<Outcome>,
    /// The record of the main process; `None` if it could not be identified.
    running: Option<Running>,
    /// What must still happen before the job is ready; `None` if it has no conditions or is ready.
    readiness: Option<Readiness>,
    started_at: Timestamp,
    since: Instant,
    life: Life,
    /// The process that the job ends with.
    companion: Option<AsyncFd<OwnedFd>>,
    /// The stragglers of the job, as far as known: nothing is known before the main process has ended.
    stragglers: Stragglers,
    /// What keeps the job from running while it is paused.
    standstill: Option<Standstill>,
    buffer: Vec<u8>,
}

/// The processes that are left of a job.
enum Stragglers {
    Unknown,
    Nothing,
    /// Some processes, of which this is one: until it ends, nothing changes.
    Some(AsyncFd<OwnedFd>),
    /// Some processes, but none that could be waited for: look again at this time.
    Unwatched(Instant),
}

/// What woke the watcher.
enum Wake {
    Output(usize, std::io::Result<usize>),
    Request(Incoming),
    Exit(std::io::Result<ExitStatus>),
    /// The process that the job ends with has ended.
    CompanionEnded,
    /// One of the stragglers may have ended.
    FewerStragglers,
    /// A readiness probe has a result.
    Tried,
    Due,
    TimeUp,
}

impl Watcher {
    fn new(
        store: &Arc<dyn JobStore>,
        claim: Box<dyn JobClaim>,
        start: Start,
        child: Option<Child>,
        companion: Option<AsyncFd<OwnedFd>>,
    ) -> Self {
        let life = Life::new(&claim.submission().spec);
        let mut watcher = Self {
            store: Arc::clone(store),
            claim,
            start,
            child: None,
            failure: None,
            running: None,
            readiness: None,
            started_at: Timestamp::now(),
            since: Instant::now(),
            life,
            companion,
            stragglers: Stragglers::Unknown,
            standstill: None,
            buffer: vec![0; 64 * 1024],
        };
        match child {
            Some(child) => watcher.begin_attempt(child),
            None => watcher.rest(),
        }
        watcher
    }

    /// Begins to watch a command that was just started.
    fn begin_attempt(&mut self, child: Child) {
        let submission = self.claim.submission();
        let life = Life::new(&submission.spec).with_lease_of(&self.life, self.since.elapsed());
        (self.started_at, self.since, self.life) = (Timestamp::now(), Instant::now(), life);
        self.running = child.identity.clone().map(|identity| Running::new(identity, self.started_at));
        let of_main = |running: &Running| Readiness::of(submission, running.process.clone());
        self.readiness = self.running.as_ref().and_then(of_main);
        (self.child, self.stragglers) = (Some(child), Stragglers::Unknown);
    }

    /// Begins the delay before the next attempt.
    fn rest(&mut self) {
        let spec = &self.claim.submission().spec;
        let due_at = self.start.due_at.unwrap_or(Timestamp::UNIX_EPOCH);
        let delay = Duration::try_from(due_at.duration_since(Timestamp::now())).unwrap_or_default();
        let longest = spec.restart.as_ref().map(Restart::backoff_max).unwrap_or_default();
        let life = Life::between_attempts(spec, delay.min(longest)).with_lease_of(&self.life, self.since.elapsed());
        (self.life, self.since) = (life, Instant::now());
        (self.child, self.running, self.readiness) = (None, None, None);
        self.stragglers = Stragglers::Nothing;
    }

    /// Starts the command again.
    async fn start_again(&mut self) {
        self.start = self.start.now_due(Timestamp::now());
        let started = match self.claim.start(&self.start).await {
            Ok(()) => start_command(self.claim.as_mut(), self.start.attempt).await,
            Err(error) => Err(error),
        };
        match started {
            Ok(Ok(child)) => {
                self.begin_attempt(child);
                self.record_running().await;
            }
            Ok(Err(reason)) => self.failure = Some(failure(reason)),
            Err(error) => self.failure = Some(failure(error.to_string())),
        }
    }

    async fn record_running(&mut self) {
        if let Some(running) = &self.running
            && let Err(error) = self.claim.running(running).await
        {
            tracing::warn!(%error, "the main process is not on record");
        }
    }

    /// Returns the main process, if there is one and it could be identified.
    fn main(&self) -> Option<&ProcessId> {
        self.child.as_ref()?.identity.as_ref()
    }

    /// Returns the number of the main process.
    fn pid(&self) -> i32 {
        self.child.as_ref().map_or(NO_PROCESS, |child| child.pid)
    }

    /// Watches the job until its end is on record, and returns the watcher if any processes may be left.
    async fn watch(mut self) -> Option<Self> {
        self.record_running().await;
        let mut ended = self.attempt().await;
        let restart = self.claim.submission().spec.restart.clone();
        while let Some(next) = self.start.next(restart.as_ref(), &ended, Timestamp::now()) {
            self.start = next;
            if let Err(error) = self.claim.start(&self.start).await {
                tracing::warn!(%error, "the end of an attempt is not on record");
            }
            self.rest();
            ended = self.attempt().await;
        }
        ended.started_at = self.start.first_started_at().or(ended.started_at);
        if let Err(error) = self.claim.finish(&ended).await {
            tracing::error!(%error, "the end of a job is not on record");
        }
        (!matches!(self.stragglers, Stragglers::Nothing)).then_some(self)
    }

    /// Watches one attempt to its end, including the delay before it if that is not over.
    async fn attempt(&mut self) -> Ended {
        let mut outcome = loop {
            self.act().await;
            let end = || self.life.end(|| matches!(self.stragglers, Stragglers::Nothing));
            if let Some(outcome) = self.failure.take().or_else(end) {
                break outcome;
            }
            self.turn(None).await;
        };
        self.drain().await;
        (outcome.output_bytes, outcome.dropped_bytes) = (self.claim.output().bytes, self.claim.output().dropped);
        let was_started = outcome.cause != Cause::SpawnFailed;
        Ended::new(was_started.then_some(self.started_at), outcome)
    }

    /// Stays with the stragglers of an ended job: keeps their output, and stops them on request.
    async fn stay_with_stragglers(mut self) {
        while !matches!(self.stragglers, Stragglers::Nothing) {
            self.turn(None).await;
            self.act().await;
        }
        self.drain().await;
    }

    /// Keeps what still comes until the pipes are closed or the time for last words is up: stragglers, or processes
    /// that cannot be seen, may keep writing forever.
    async fn drain(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while self.has_outputs() && self.turn(Some(until)).await {
            self.act().await;
        }
    }

    fn has_outputs(&self) -> bool {
        self.child.as_ref().is_some_and(|child| child.outputs.iter().any(Option::is_some))
    }

    /// Waits for something to happen, and handles it; returns false if nothing has happened when the time is up.
    async fn turn(&mut self, until: Option<Instant>) -> bool {
        match self.wake(until).await {
            Wake::Output(index, read) => self.keep(index, read).await,
            Wake::Request(incoming) => self.serve(incoming).await,
            Wake::Exit(status) => {
                let now = Timestamp::now();
                // If other code in this program reaped the child, its status is lost.
                let exit = status.map_or(Exit::unseen(now), |status| Exit::new(status, now));
                self.life.main_ended(exit, self.since.elapsed());
                self.look().await;
            }
            Wake::CompanionEnded => {
                self.companion = None;
                self.life.stop(None, SESSION_END.to_owned(), self.since.elapsed());
            }
            Wake::FewerStragglers => self.look().await,
            Wake::Tried | Wake::Due => {}
            Wake::TimeUp => return false,
        }
        self.look_for_ready();
        true
    }

    async fn wake(&mut self, until: Option<Instant>) -> Wake {
        let child = self.child.as_mut().map(|Child { process, outputs: [first, second], .. }| (process, first, second));
        let (process, first, second) = match child {
            Some((process, first, second)) => (Some(process), Some(first), Some(second)),
            None => (None, None, None),
        };
        let half = self.buffer.len() / 2;
        let (low, high) = self.buffer.split_at_mut(half);
        let (has_exited, is_wanted) = (self.life.has_exited(), self.life.is_wanted());
        let is_awaited = self.life.awaits_readiness();
        let looks_at = self.readiness.as_ref().filter(|_| is_awaited).and_then(Readiness::due).map(Instant::from_std);
        let due_at = self.life.deadline().map(|age| self.since + age).into_iter().chain(looks_at).min();
        tokio::select! {
            read = read_from(first.and_then(Option::as_mut), low) => Wake::Output(0, read),
            read = read_from(second.and_then(Option::as_mut), high) => Wake::Output(1, read),
            incoming = self.claim.next_request() => Wake::Request(incoming),
            () = end_of(self.companion.as_ref()), if is_wanted => Wake::CompanionEnded,
            () = tried(self.readiness.as_mut()) => Wake::Tried,
            () = at(due_at) => Wake::Due,
            () = at(until) => Wake::TimeUp,
            () = fewer(&self.stragglers) => Wake::FewerStragglers,
            status = end_of_main(process), if !has_exited => Wake::Exit(status),
        }
    }

    /// Keeps output that was read.
    async fn keep(&mut self, index: usize, read: std::io::Result<usize>) {
        let half = self.buffer.len() / 2;
        let Some(child) = &mut self.child else { return };
        match (read, &child.outputs[index]) {
            (Ok(count), Some((stream, _))) if count > 0 => {
                let bytes = &self.buffer[index * half..][..count];
                let now = Timestamp::now();
                self.claim.append(*stream, now, bytes).await;
                if let Some(readiness) = &mut self.readiness {
                    readiness.written(*stream, now, bytes, self.claim.output().bytes);
                }
                self.life.moved(self.since.elapsed());
            }
            _ => child.outputs[index] = None,
        }
    }

    /// Checks whether the job is ready, and starts the probes that are due.
    fn look_for_ready(&mut self) {
        let Some(readiness) = &mut self.readiness else { return };
        if self.life.awaits_readiness() && readiness.look(std::time::Instant::now()) {
            self.life.is_ready();
            self.readiness = None;
        }
    }

    async fn serve(&mut self, incoming: Incoming) {
        let answer = match incoming.request.clone() {
            Request::Count => Answer::processes(self.members().await.len().try_into().unwrap_or(u32::MAX)),
            Request::EndInput => {
                self.claim.end_input().await;
                Answer::Accepted
            }
            Request::Resize { .. } => Answer::Refused { reason: "it has no terminal".to_owned() },
            Request::Stop { grace_ms, requester } => {
                self.life.stop(grace_ms.map(Duration::from_millis), requester, self.since.elapsed());
                self.act().await;
                Answer::Accepted
            }
            Request::Signal { signal, requester } => {
                let (main, now) = (self.pid(), self.since.elapsed());
                let answer = self.life.signal(signal, requester, now, || supervisor::signal_main(main, signal));
                self.act().await;
                answer
            }
            Request::Pause => match self.life.pause(self.since.elapsed()) {
                Ok(()) => {
                    self.act().await;
                    self.life.pause_answer()
                }
                Err(reason) => Answer::Refused { reason },
            },
            Request::Renew => match self.life.renew(self.since.elapsed()) {
                Ok(()) => {
                    self.act().await;
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused { reason },
            },
            Request::Resume => match self.life.resume(self.since.elapsed()) {
                Ok(()) => {
                    self.act().await;
                    Answer::Accepted
                }
                Err(reason) => Answer::Refused { reason },
            },
        };
        incoming.answer(answer);
    }

    /// Does everything that is due now.
    async fn act(&mut self) {
        let now = self.since.elapsed();
        while let Some(action) = self.life.next(now) {
            match action {
                // Claims keep no record of these for a successor of this program.
                Action::RecordStop { .. } | Action::NoteStall { .. } => {}
                Action::LookAtUse => {
                    let members = self.members().await;
                    self.life.used(cpu_time(&members, self.pid()), self.since.elapsed());
                }
                Action::Ask(signal) => {
                    self.standstill = None;
                    if process::signal_group_even_stopped(self.pid(), signal).is_err() {
                        self.life.cannot_ask();
                    }
                }
                Action::Terminate => {
                    self.standstill = None;
                    drop(self.send_all(&[Signal::TERM, Signal::CONT]).await);
                }
                Action::NotePause { since, before } => {
                    let now = self.since.elapsed();
                    let at = since.map(|age| self.time_at(age, now));
                    self.note(|running| running.pause(at, before)).await;
                }
                Action::NoteLease { rest } => self.note(|running| running.renew(Timestamp::now(), rest)).await,
                Action::NoteReady => {
                    self.note(|running| running.become_ready(Timestamp::now())).await;
                    // Other jobs may have waited for that.
                    let store = Arc::clone(&self.store);
                    let runtime = Handle::current();
                    tokio::task::spawn_blocking(move || {
                        runtime.block_on(super::start_due(&InProcessRunner::new(), &store));
                    });
                }
                Action::NoteNotReady => self.note(|_| Note::NotReady).await,
                Action::Pause => {
                    let moving = self.stop_all().await;
                    self.life.stands_still(moving, self.since.elapsed());
                }
                Action::StartAgain => {
                    self.start_again().await;
                    return;
                }
                Action::CallOff => self.life.called_off(Timestamp::now(), now),
                Action::Continue => {
                    self.standstill = None;
                    pausing::continue_all(&self.members().await);
                }
                Action::Count => {
                    let members = self.members().await;
                    self.life.counted(members.len());
                }
                Action::Kill | Action::KillAgain => drop(self.send_all(&[Signal::KILL]).await),
                Action::GiveUp => {
                    let reason = "was killed and has not ended".to_owned();
                    let name = |stat: Stat| Survivor::new(stat.pid, stat.name, reason.clone());
                    let members = self.send_all(&[Signal::KILL]).await;
                    self.life.survived(members.into_iter().take(NAMED).map(name).collect());
                }
            }
        }
    }

    /// Returns the visible processes of the job. That means inspecting all processes of the machine, so other tasks of
    /// the runtime run meanwhile.
    async fn members(&self) -> Vec<Stat> {
        let (main, id) = self.identity();
        aside(move || visible_members(main.as_ref(), id)).await
    }

    fn identity(&self) -> (Option<ProcessId>, JobId) {
        (self.main().cloned(), self.claim.submission().job_id)
    }

    /// Stops all processes of the job, and returns those that are not stopped yet.
    async fn stop_all(&mut self) -> Vec<Survivor> {
        let (main, id) = self.identity();
        let until = std::time::Instant::now() + STANDING_STILL;
        let (first, before) = ((!self.life.has_exited()).then(|| self.pid()), self.standstill.take());
        let (moving, standstill) = aside(move || {
            let look = || visible_members(main.as_ref(), id);
            let Some(pid) = first.or_else(|| Some(look().first()?.pid)) else { return (Vec::new(), before) };
            let standstill = before.unwrap_or_else(|| Standstill::of(pid, &freezer(id)));
            (standstill.stop_all(first, look, until), Some(standstill))
        })
        .await;
        self.standstill = standstill;
        moving.into_iter().map(|(stat, reason)| Survivor::new(stat.pid, stat.name, reason)).collect()
    }

    /// Records a note about the main process. Without that record the job still runs.
    async fn note(&mut self, change: impl FnOnce(&mut Running) -> Note) {
        let Some(running) = &mut self.running else { return };
        let note = change(running);
        if let Err(error) = self.claim.note(running, note).await {
            tracing::warn!(%error, "a note about a job was not recorded");
        }
    }

    /// Returns the time at which the job was of age `age`, given that its age now is `now`.
    fn time_at(&self, age: Duration, now: Duration) -> Timestamp {
        Timestamp::now().checked_sub(now.saturating_sub(age)).unwrap_or(self.started_at)
    }

    /// Sends signals to the visible processes of the job, and returns these.
    async fn send_all(&self, signals: &[Signal]) -> Vec<Stat> {
        let members = self.members().await;
        for signal in signals {
            for stat in &members {
                let _ = process::signal(stat, *signal);
            }
        }
        members
    }

    /// Looks for stragglers of the job.
    async fn look(&mut self) {
        let watch = |stat: &Stat| {
            let process = process::identify(stat.pid).ok()?;
            ready::readable(process::open(&process)?).ok()
        };
        self.stragglers = match self.members().await.first().map(watch) {
            None => Stragglers::Nothing,
            Some(None) => Stragglers::Unwatched(Instant::now() + LOOK_AGAIN),
            Some(Some(process)) => Stragglers::Some(process),
        };
    }
}

/// Does slow work while other tasks of the runtime run.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down, and with it the watcher of the job.
        Err(_) => std::future::pending().await,
    }
}

async fn end_of_main(process: Option<&mut tokio::process::Child>) -> std::io::Result<ExitStatus> {
    match process {
        Some(process) => process.wait().await,
        None => std::future::pending().await,
    }
}

async fn read_from(output: Option<&mut Output>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match output {
        Some((_, pipe)) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn tried(readiness: Option<&mut Readiness>) {
    match readiness {
        Some(readiness) => readiness.tried().await,
        None => std::future::pending().await,
    }
}

async fn end_of(process: Option<&AsyncFd<OwnedFd>>) {
    match process {
        Some(process) => drop(process.readable().await),
        None => std::future::pending().await,
    }
}

/// Returns when there may be fewer stragglers than before.
async fn fewer(stragglers: &Stragglers) {
    match stragglers {
        Stragglers::Unknown | Stragglers::Nothing => std::future::pending().await,
        Stragglers::Some(process) => end_of(Some(process)).await,
        Stragglers::Unwatched(until) => sleep_until(*until).await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod conformance {
    mod over_memory {
        use std::sync::Arc;

        use crate::store::conformance::Backend;
        use crate::{InProcessRunner, MemoryStore};

        crate::runner_conformance!(
            Backend::new({
                let store = MemoryStore::new();
                move || Arc::new(store.clone())
            }),
            InProcessRunner::new()
        );
    }

    mod over_files {
        use std::sync::Arc;

        use crate::store::conformance::Backend;
        use crate::{FileStore, InProcessRunner};

        fn backend() -> Backend {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().join("store");
            Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory)
        }

        crate::runner_conformance!(backend(), InProcessRunner::new());
    }
}

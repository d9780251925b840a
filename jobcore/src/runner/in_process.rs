//! Jobs as children of the host program: for any store, and gone with the program.

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
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::life::{Action, Exit, LAST_WORDS, LOOK_AGAIN, Life, NAMED, STANDING_STILL};
use crate::record::{Ended, Note, Running, Start};
use crate::signal::Signal;
use crate::spec::Stdin;
use crate::state::{Cause, Outcome, Survivor};
use crate::store::file::layout::Layout;
use crate::store::file::supervisors::visible_members;
use crate::store::{Incoming, JobClaim, JobStore};
use crate::supervisor;
use crate::supervisor::companion::{Companion, SESSION_END};
use crate::sys::members::cpu_time;
use crate::sys::pausing;
use crate::sys::process::{self, ProcessId};
use crate::sys::ready;
use crate::sys::stat::Stat;

/// Runs each job as a child of this program, watched by a task of the current tokio runtime.
///
/// Works with any store. When the program ends, nobody watches the jobs any more: they are then found without a holder
/// and called orphaned. If processes of a job outlive its end, the task stays with them, as a supervisor does. A stop reaches
/// what a job started as far as it can be seen: its process group, the descendants, and whatever carries the job's id in its
/// environment.
#[derive(Debug, Clone, Default)]
pub struct InProcessRunner {
    /// When a task wakes up next that starts what is due then.
    waking: Arc<Mutex<Option<Timestamp>>>,
}

/// How long is slept at most until a time of day: the clock may be set.
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
        let companion = match Companion::of(claim.submission().spec.ends_with.as_ref()) {
            Companion::None => None,
            Companion::Alive(fd) => Some(ready::readable(fd).context("watch", "/proc".as_ref())?),
            Companion::Gone => return finish_unstarted(store, claim, &Companion::unstarted()).await,
        };
        claim.start(&Start::new(ProcessId::of_this_program()?, false, Timestamp::now())).await?;
        let (environment, place) = (claim.environment().await?, claim.place().await?);
        let stdin = match claim.submission().spec.stdin {
            Stdin::Open => Some(claim.open_input().await?),
            Stdin::Given => Some(claim.given().await?),
            Stdin::Closed | Stdin::File(_) => None,
        };
        match spawn(claim.as_ref(), environment, &place, stdin) {
            Ok(child) => {
                let (store, id) = (Arc::clone(store), claim.submission().job_id);
                tokio::spawn(async move {
                    let staying = Watcher::new(&store, claim, child, companion).watch().await;
                    let runtime = Handle::current();
                    // Starting processes and removing files take their time.
                    tokio::task::spawn_blocking(move || runtime.block_on(follow_up(&store, id)));
                    if let Some(watcher) = staying {
                        watcher.stay_with_stragglers().await;
                    }
                });
            }
            Err(reason) => {
                let mut outcome = Outcome::new(Cause::SpawnFailed, Timestamp::now());
                outcome.message = Some(reason);
                finish_unstarted(store, claim, &Ended::new(None, outcome)).await?;
            }
        }
        Ok(())
    }

    async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
        Err(super::cannot_adopt())
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
                    tracing::warn!(%id, %error, "what is due at the end of a job could not be run");
                }
            });
            return Ok(());
        }
        // A store of this program only, which has no place where it could be read what came of it.
        let (job, _) = store.evidence(id).await?.judge(Timestamp::now())?;
        let settings = store.settings().await?;
        let hooks = settings.hooks(&job);
        if !hooks.is_empty() {
            tokio::task::spawn_blocking(move || {
                for hook in hooks {
                    let ran = supervisor::on_end::run_unrecorded(&job, &hook, settings.on_end_timeout);
                    tracing::debug!(%id, %ran, "something was run at the end of a job");
                }
            });
        }
        Ok(())
    }
}

/// Puts the end of a job on record that never had a process.
async fn finish_unstarted(store: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>, ended: &Ended) -> Result<()> {
    let id = claim.submission().job_id;
    claim.finish(ended).await?;
    drop(claim);
    run_hooks(&InProcessRunner::new(), store, id).await;
    Ok(())
}

/// Does what follows from the end of a job: starts what is due, has run what is due at its end, and removes what is not to be
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
    child: Child,
    /// What is on record of the main process; nothing if it could not be identified.
    running: Option<Running>,
    /// What it is yet to come to before it is ready; nothing if nobody is told, or it is.
    readiness: Option<Readiness>,
    started_at: Timestamp,
    since: Instant,
    life: Life,
    /// The process that the job ends with.
    companion: Option<AsyncFd<OwnedFd>>,
    /// What is left of the job, as far as that is known: nothing is known before the main process has ended.
    stragglers: Stragglers,
    buffer: Vec<u8>,
}

/// What is left of a job.
enum Stragglers {
    Unknown,
    Nothing,
    /// Some processes, of which this is one: before it has ended, nothing changes.
    Some(AsyncFd<OwnedFd>),
    /// Some processes, of which none could be waited for: it is looked again at this time.
    Unwatched(Instant),
}

/// What woke the watcher.
enum Wake {
    Output(usize, std::io::Result<usize>),
    Request(Incoming),
    Exit(std::io::Result<ExitStatus>),
    /// The process that the job ends with is gone.
    CompanionEnded,
    /// One of those that are left may have ended.
    FewerStragglers,
    /// Something has come of what is tried out of the job.
    Tried,
    Due,
    TimeUp,
}

impl Watcher {
    fn new(
        store: &Arc<dyn JobStore>,
        claim: Box<dyn JobClaim>,
        child: Child,
        companion: Option<AsyncFd<OwnedFd>>,
    ) -> Self {
        let life = Life::new(&claim.submission().spec);
        let (started_at, since, buffer) = (Timestamp::now(), Instant::now(), vec![0; 64 * 1024]);
        let running = child.identity.clone().map(|identity| Running::new(identity, started_at));
        let of_main = |running: &Running| Readiness::of(claim.submission(), running.process.clone());
        let readiness = running.as_ref().and_then(of_main);
        Self {
            store: Arc::clone(store),
            claim,
            child,
            running,
            readiness,
            started_at,
            since,
            life,
            companion,
            stragglers: Stragglers::Unknown,
            buffer,
        }
    }

    /// Watches the job until its end is on record, and returns what watches on if anything is left of it.
    async fn watch(mut self) -> Option<Self> {
        if let Some(running) = &self.running
            && let Err(error) = self.claim.running(running).await
        {
            tracing::warn!(%error, "the main process is not on record");
        }
        let mut outcome = loop {
            self.act().await;
            if let Some(outcome) = self.life.end(|| matches!(self.stragglers, Stragglers::Nothing)) {
                break outcome;
            }
            self.turn(None).await;
        };
        self.drain().await;
        (outcome.output_bytes, outcome.dropped_bytes) = (self.claim.output().bytes, self.claim.output().dropped);
        if let Err(error) = self.claim.finish(&Ended::new(Some(self.started_at), outcome)).await {
            tracing::error!(%error, "the end of a job is not on record");
        }
        (!matches!(self.stragglers, Stragglers::Nothing)).then_some(self)
    }

    /// Stays with what is left of a job that has ended: keeps its output, and stops it when that is asked for.
    async fn stay_with_stragglers(mut self) {
        while !matches!(self.stragglers, Stragglers::Nothing) {
            self.turn(None).await;
            self.act().await;
        }
        self.drain().await;
    }

    /// Keeps what still comes until nobody has the pipes any more, or the time for last words is up: what is left, or cannot
    /// be seen, may write for ever.
    async fn drain(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while self.child.outputs.iter().any(Option::is_some) && self.turn(Some(until)).await {
            self.act().await;
        }
    }

    /// Waits for something to happen, and takes note of it; returns false if nothing has before the time is up.
    async fn turn(&mut self, until: Option<Instant>) -> bool {
        match self.wake(until).await {
            Wake::Output(index, read) => self.keep(index, read).await,
            Wake::Request(incoming) => self.serve(incoming).await,
            Wake::Exit(status) => {
                let now = Timestamp::now();
                // If somebody else in this program reaped the child, nobody will ever know.
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
        let [first, second] = &mut self.child.outputs;
        let half = self.buffer.len() / 2;
        let (low, high) = self.buffer.split_at_mut(half);
        let (has_exited, is_wanted) = (self.life.has_exited(), self.life.is_wanted());
        let is_awaited = self.life.awaits_readiness();
        let looks_at = self.readiness.as_ref().filter(|_| is_awaited).and_then(Readiness::due).map(Instant::from_std);
        let due_at = self.life.deadline().map(|age| self.since + age).into_iter().chain(looks_at).min();
        tokio::select! {
            read = read_from(first, low) => Wake::Output(0, read),
            read = read_from(second, high) => Wake::Output(1, read),
            incoming = self.claim.next_request() => Wake::Request(incoming),
            () = end_of(self.companion.as_ref()), if is_wanted => Wake::CompanionEnded,
            () = tried(self.readiness.as_mut()) => Wake::Tried,
            () = at(due_at) => Wake::Due,
            () = at(until) => Wake::TimeUp,
            () = fewer(&self.stragglers) => Wake::FewerStragglers,
            status = self.child.process.wait(), if !has_exited => Wake::Exit(status),
        }
    }

    /// Keeps what was read from an output.
    async fn keep(&mut self, index: usize, read: std::io::Result<usize>) {
        let half = self.buffer.len() / 2;
        match (read, &self.child.outputs[index]) {
            (Ok(count), Some((stream, _))) if count > 0 => {
                let bytes = &self.buffer[index * half..][..count];
                let now = Timestamp::now();
                self.claim.append(*stream, now, bytes).await;
                if let Some(readiness) = &mut self.readiness {
                    readiness.written(*stream, now, bytes, self.claim.output().bytes);
                }
                self.life.moved(self.since.elapsed());
            }
            _ => self.child.outputs[index] = None,
        }
    }

    /// Looks whether the job is ready, as far as that takes no time, and has tried out what does.
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
                let (main, now) = (self.child.pid, self.since.elapsed());
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

    /// Does all that is to be done now.
    async fn act(&mut self) {
        let now = self.since.elapsed();
        while let Some(action) = self.life.next(now) {
            match action {
                // A claim has no record of it, for whatever takes over from this program.
                Action::RecordStop { .. } | Action::NoteStall { .. } => {}
                Action::LookAtUse => {
                    let members = self.members().await;
                    self.life.used(cpu_time(&members, self.child.pid), self.since.elapsed());
                }
                Action::Ask(signal) => {
                    if process::signal_group_even_stopped(self.child.pid, signal).is_err() {
                        self.life.cannot_ask();
                    }
                }
                Action::Terminate => drop(self.send_all(&[Signal::TERM, Signal::CONT]).await),
                Action::NotePause { since, before } => {
                    let now = self.since.elapsed();
                    let at = since.map(|age| self.time_at(age, now));
                    self.note(|running| running.pause(at, before)).await;
                }
                Action::NoteReady => {
                    self.note(|running| running.become_ready(Timestamp::now())).await;
                    // Others may have waited for that.
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
                Action::Continue => pausing::continue_all(&self.members().await),
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

    /// Returns the processes of the job that can be seen. All processes of the machine are looked at for that, however many
    /// there are, while other tasks of the runtime go on.
    async fn members(&self) -> Vec<Stat> {
        let (main, id) = self.identity();
        aside(move || visible_members(main.as_ref(), id)).await
    }

    fn identity(&self) -> (Option<ProcessId>, JobId) {
        (self.child.identity.clone(), self.claim.submission().job_id)
    }

    /// Stops all processes of the job by a signal, and returns those that do not stand still yet.
    async fn stop_all(&self) -> Vec<Survivor> {
        let (main, id) = self.identity();
        if !self.life.has_exited() {
            let _ = process::signal_group(self.child.pid, Signal::STOP);
        }
        let until = std::time::Instant::now() + STANDING_STILL;
        let moving = aside(move || pausing::stop_all(|| visible_members(main.as_ref(), id), until)).await;
        moving.into_iter().map(|(stat, reason)| Survivor::new(stat.pid, stat.name, reason)).collect()
    }

    /// Puts on record what is noted of the main process. Without that the job goes on all the same.
    async fn note(&mut self, change: impl FnOnce(&mut Running) -> Note) {
        let Some(running) = &mut self.running else { return };
        let note = change(running);
        if let Err(error) = self.claim.note(running, note).await {
            tracing::warn!(%error, "what was noted of a job is not on record");
        }
    }

    /// Returns when the job was of this age, which is of that age now.
    fn time_at(&self, age: Duration, now: Duration) -> Timestamp {
        Timestamp::now().checked_sub(now.saturating_sub(age)).unwrap_or(self.started_at)
    }

    /// Sends signals to the processes of the job that can be seen, and returns these.
    async fn send_all(&self, signals: &[Signal]) -> Vec<Stat> {
        let members = self.members().await;
        for signal in signals {
            for stat in &members {
                let _ = process::signal(stat, *signal);
            }
        }
        members
    }

    /// Looks for what is left of the job.
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

/// Does what takes its time while other tasks of the runtime go on.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends, and with it whoever watches the job.
        Err(_) => std::future::pending().await,
    }
}

async fn read_from(output: &mut Option<Output>, buffer: &mut [u8]) -> std::io::Result<usize> {
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

/// Returns when there may be fewer processes left than there were.
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

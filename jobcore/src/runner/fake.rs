//! Jobs that follow a script instead of running: for tests of programs that embed jobcore.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nix::libc;
use tokio::sync::watch;

use super::{Runner, start_due};
use crate::clock::{Clock, Timestamp};
use crate::control::{Answer, Request};
use crate::error::Result;
use crate::life::{Action, Exit, Life};
use crate::output::Stream;
use crate::record::{Ended, Running, Start};
use crate::signal::Signal;
use crate::spec::{Command, JobSpec};
use crate::state::{Cause, Outcome};
use crate::store::{Incoming, JobClaim, JobStore};
use crate::sys::process::ProcessId;
use crate::testing::{ManualClock, later};

/// What signal(7) calls `Ign` and `Stop`: of all other signals a process dies unless it says otherwise.
const HARMLESS: [i32; 4] = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
const PAUSING: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];

/// Lets jobs follow scripts. Nothing is executed; output, waits, stops and signals are as with every other runner.
///
/// All time is that of a [`ManualClock`]: how long a job takes, its timeout, its grace. While the clock stands still, a
/// job goes on until its script takes time or waits; when the clock is moved past several moments at once, each is
/// recorded as of its own. A job that waits in the queue starts at the time that the clock shows then.
///
/// What is sent to a job that takes input is taken, as far as a pipe has room, and read by nobody; a terminal is only said
/// to be there.
///
/// Works with any store, and its jobs end with the program, as those of the
/// [`InProcessRunner`](crate::InProcessRunner). It removes no old jobs by itself, since a store goes by the real time.
///
/// See [`testing`](crate::testing) for an example.
#[derive(Debug, Clone)]
pub struct FakeRunner {
    clock: ManualClock,
    scripts: Vec<(String, Script)>,
    otherwise: Choice,
}

impl FakeRunner {
    /// Returns a runner that knows no command yet: what no script is about cannot be started.
    pub fn new(clock: &ManualClock) -> Self {
        let unknown = |spec: &JobSpec| Script::cannot_start(format!("there is no script for `{}`", line(spec)));
        Self { clock: clock.clone(), scripts: Vec::new(), otherwise: Choice(Arc::new(unknown)) }
    }

    /// Lets a command follow a script: a shell line as it is, or a program and its arguments with blanks between them.
    /// The last script for a command counts.
    #[must_use]
    pub fn script(mut self, command: impl Into<String>, script: Script) -> Self {
        self.scripts.push((command.into(), script));
        self
    }

    /// Lets all other commands follow the script that `choose` returns.
    #[must_use]
    pub fn otherwise(self, choose: impl Fn(&JobSpec) -> Script + Send + Sync + 'static) -> Self {
        Self { otherwise: Choice(Arc::new(choose)), ..self }
    }

    fn script_for(&self, spec: &JobSpec) -> Script {
        let line = line(spec);
        let found = self.scripts.iter().rev().find(|(command, _)| *command == line);
        found.map_or_else(|| (self.otherwise.0)(spec), |(_, script)| script.clone())
    }
}

fn line(spec: &JobSpec) -> String {
    match &spec.command {
        Command::Shell(line) => line.clone(),
        Command::Argv(argv) => argv.join(" "),
    }
}

#[derive(Clone)]
struct Choice(Arc<dyn Fn(&JobSpec) -> Script + Send + Sync>);

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Choice")
    }
}

#[async_trait]
impl Runner for FakeRunner {
    fn check(&self, _: &dyn JobStore) -> Result<()> {
        Ok(())
    }

    async fn start(&self, store: &Arc<dyn JobStore>, mut claim: Box<dyn JobClaim>) -> Result<()> {
        let now = self.clock.now();
        let holder = ProcessId::of_this_program()?;
        // One that never was and never will be: no number is so high (`PID_MAX_LIMIT`, proc_sys_kernel(5)).
        let process = ProcessId { pid: i32::MAX, start_time: 0, ..holder.clone() };
        claim.start(&Start::new(holder, false, now)).await?;
        let script = self.script_for(&claim.submission().spec);
        if let End::CannotStart(reason) = script.end {
            let mut outcome = Outcome::new(Cause::SpawnFailed, now);
            outcome.message = Some(reason);
            return claim.finish(&Ended::new(None, outcome)).await;
        }
        let input = match claim.submission().spec.takes_input() {
            true => Some(claim.open_input().await?),
            false => None,
        };
        let (runner, store) = (self.clone(), Arc::clone(store));
        tokio::spawn(async move {
            // As long as somebody could read it, something can be sent.
            let _input = input;
            Actor::new(claim, runner.clock.clone(), script, now).act(process).await;
            start_due(&runner, &store).await;
        });
        Ok(())
    }

    async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
        Err(super::cannot_adopt())
    }
}

/// What a job does: one thing after another, and then its end. Without any, it exits with 0 at once.
///
/// It dies of signals as processes do, unless it [ignores](Script::ignores) or [answers](Script::answers) them.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    steps: VecDeque<Step>,
    end: End,
    /// What becomes of a signal: nothing, or another script.
    traps: Vec<(Signal, Option<Script>)>,
}

#[derive(Debug, Clone)]
enum Step {
    Write(Stream, Vec<u8>),
    Do(Effect),
    Take(Duration),
    WaitFor(Gate),
}

#[derive(Clone)]
struct Effect(Arc<dyn Fn(&JobSpec) + Send + Sync>);

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect")
    }
}

#[derive(Debug, Clone)]
enum End {
    Exit(i32),
    Die(Signal),
    Stay,
    CannotStart(String),
}

impl Default for End {
    fn default() -> Self {
        Self::Exit(0)
    }
}

impl Script {
    /// Returns the script of a job that exits with 0 at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the script of a job whose program cannot be executed: it ends as [`Cause::SpawnFailed`] with this reason.
    pub fn cannot_start(reason: impl Into<String>) -> Self {
        Self { end: End::CannotStart(reason.into()), ..Self::default() }
    }

    /// Writes to standard output.
    pub fn stdout(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Write(Stream::Stdout, bytes.as_ref().to_vec()))
    }

    /// Writes to standard error.
    pub fn stderr(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Write(Stream::Stderr, bytes.as_ref().to_vec()))
    }

    /// Does what the command would do to the world, such as writing a file. It should not block.
    pub fn does(self, what: impl Fn(&JobSpec) + Send + Sync + 'static) -> Self {
        self.step(Step::Do(Effect(Arc::new(what))))
    }

    /// Lets so much time go by, by the clock.
    pub fn takes(self, time: Duration) -> Self {
        self.step(Step::Take(time))
    }

    /// Goes on when the gate is open.
    pub fn waits_for(self, gate: &Gate) -> Self {
        self.step(Step::WaitFor(gate.clone()))
    }

    /// Ends with this exit code.
    pub fn exits(self, code: i32) -> Self {
        Self { end: End::Exit(code), ..self }
    }

    /// Ends by this signal, which nobody sent.
    pub fn dies_of(self, signal: Signal) -> Self {
        Self { end: End::Die(signal), ..self }
    }

    /// Does not end by itself: it stays until it is stopped.
    pub fn stays(self) -> Self {
        Self { end: End::Stay, ..self }
    }

    /// Does not care about a signal. One that ignores `SIGTERM` is killed when the grace is over; `SIGKILL` cannot be
    /// ignored.
    pub fn ignores(mut self, signal: Signal) -> Self {
        self.traps.push((signal, None));
        self
    }

    /// Follows another script from when it gets this signal.
    pub fn answers(mut self, signal: Signal, script: Script) -> Self {
        self.traps.push((signal, Some(script)));
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }
}

/// What jobs wait for until a test lets them go on. Clones are the same gate; once open, it stays open.
#[derive(Debug, Clone)]
pub struct Gate {
    clock: ManualClock,
    opened_at: Arc<watch::Sender<Option<Timestamp>>>,
}

impl Gate {
    /// Returns a gate that is closed.
    pub fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), opened_at: Arc::new(watch::Sender::new(None)) }
    }

    /// Lets all jobs go on that wait, and those that come later.
    pub fn open(&self) {
        self.opened_at.send_modify(|at| *at = at.or(Some(self.clock.now())));
    }

    /// Returns when it is open, and since when it is.
    async fn opened(&self) -> Timestamp {
        let mut opened_at = self.opened_at.subscribe();
        match opened_at.wait_for(Option::is_some).await.map(|at| *at) {
            Ok(Some(at)) => at,
            // The sender is this gate: it is not gone while it is asked.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

/// Plays one job to its end.
struct Actor {
    claim: Box<dyn JobClaim>,
    clock: ManualClock,
    script: Script,
    pause: Option<Pause>,
    life: Life,
    started_at: Timestamp,
    /// How far it has come: not past what the clock shows, but behind where that was moved far at once.
    age: Duration,
}

/// What keeps a script from going on.
#[derive(Debug, Clone)]
enum Pause {
    Until(Duration),
    Gate(Gate),
    Forever,
}

impl Actor {
    fn new(claim: Box<dyn JobClaim>, clock: ManualClock, script: Script, now: Timestamp) -> Self {
        let life = Life::new(&claim.submission().spec);
        Self { claim, clock, script, pause: None, life, started_at: now, age: Duration::ZERO }
    }

    async fn act(mut self, process: ProcessId) {
        if let Err(error) = self.claim.running(&Running::new(process, self.started_at)).await {
            tracing::warn!(%error, "the main process is not on record");
        }
        let mut outcome = self.play().await;
        outcome.output_bytes = self.claim.output().bytes;
        outcome.dropped_bytes = self.claim.output().dropped;
        if let Err(error) = self.claim.finish(&Ended::new(Some(self.started_at), outcome)).await {
            tracing::error!(%error, "the end of a job is not on record");
        }
    }

    async fn play(&mut self) -> Outcome {
        loop {
            if self.pause.is_none() && !self.life.has_exited() {
                self.go_on().await;
            }
            self.obey();
            if let Some(outcome) = self.life.end(|| true) {
                return outcome;
            }
            if let Some(pause) = self.pause.clone() {
                self.wait(pause).await;
            }
        }
    }

    /// Does all that is to be done now to the one process that there seems to be.
    fn obey(&mut self) {
        while let Some(action) = self.life.next(self.age) {
            match action {
                Action::RecordStop { .. } => {}
                Action::Count => self.life.counted(0),
                Action::Ask(signal) => self.receive(signal),
                Action::Terminate => self.receive(Signal::TERM),
                Action::Kill | Action::KillAgain | Action::GiveUp => self.receive(Signal::KILL),
            }
        }
    }

    /// Waits until the script goes on, or something is due, or somebody asks something: in this order, so that what was due
    /// before a request came is done before it.
    async fn wait(&mut self, pause: Pause) {
        let (clock, started_at) = (self.clock.clone(), self.started_at);
        let deadline = self.life.deadline();
        tokio::select! {
            biased;
            age = pause_is_over(&pause, &clock, started_at, deadline) => {
                self.age = self.age.max(age);
                self.pause = None;
            }
            age = reached(&clock, started_at, deadline) => self.age = self.age.max(age),
            incoming = self.claim.next_request() => {
                self.age = age_at(clock.now(), started_at);
                self.serve(incoming).await;
            }
        }
    }

    /// Goes through the script to where it has to wait, or to its end.
    async fn go_on(&mut self) {
        while let Some(step) = self.script.steps.pop_front() {
            match step {
                Step::Write(stream, bytes) => {
                    let stream = if self.claim.submission().spec.merge { Stream::Stdout } else { stream };
                    self.claim.append(stream, later(self.started_at, self.age), &bytes).await;
                }
                Step::Do(effect) => (effect.0)(&self.claim.submission().spec),
                Step::Take(time) => {
                    self.pause = Some(Pause::Until(self.age.saturating_add(time)));
                    return;
                }
                Step::WaitFor(gate) => {
                    self.pause = Some(Pause::Gate(gate));
                    return;
                }
            }
        }
        match self.script.end {
            End::Exit(code) => self.end(Some(code), None),
            End::Die(signal) => self.end(None, Some(signal)),
            // What answers a signal has started long ago.
            End::Stay | End::CannotStart(_) => self.pause = Some(Pause::Forever),
        }
    }

    fn end(&mut self, code: Option<i32>, signal: Option<Signal>) {
        let exit = Exit { code, signal, ..Exit::unseen(later(self.started_at, self.age)) };
        self.life.main_ended(exit, self.age);
    }

    async fn serve(&mut self, incoming: Incoming) {
        let answer = match incoming.request.clone() {
            Request::Count => Answer::processes(1),
            Request::EndInput => {
                self.claim.end_input().await;
                Answer::Accepted
            }
            Request::Resize { .. } => Answer::Accepted,
            Request::Stop { grace_ms, requester } => {
                self.life.stop(grace_ms.map(Duration::from_millis), requester, self.age);
                self.obey();
                Answer::Accepted
            }
            Request::Signal { signal, .. } if PAUSING.contains(&signal.number()) => {
                Answer::Refused { reason: format!("a scripted job cannot be paused by {signal}") }
            }
            Request::Signal { signal, requester } => {
                let answer = self.life.signal(signal, requester, || Ok(()));
                self.receive(signal);
                answer
            }
        };
        incoming.answer(answer);
    }

    /// Gets a signal: dies of it, or follows another script from now on, or takes no notice.
    fn receive(&mut self, signal: Signal) {
        let trap = self.script.traps.iter().rev().find(|(trapped, _)| *trapped == signal && signal != Signal::KILL);
        match trap.cloned() {
            None if HARMLESS.contains(&signal.number()) => {}
            None => self.end(None, Some(signal)),
            Some((_, None)) => {}
            Some((_, Some(script))) => (self.script, self.pause) = (script, None),
        }
    }
}

fn age_at(at: Timestamp, started_at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(started_at)).unwrap_or_default()
}

/// Returns when a job is of this age, and the age.
async fn reached(clock: &ManualClock, started_at: Timestamp, age: Option<Duration>) -> Duration {
    let Some(age) = age else { return std::future::pending().await };
    clock.reached(later(started_at, age)).await;
    age
}

/// Returns when a pause is over, and at what age of the job it was; never if that is after `deadline`.
async fn pause_is_over(
    pause: &Pause,
    clock: &ManualClock,
    started_at: Timestamp,
    deadline: Option<Duration>,
) -> Duration {
    let age = match pause {
        Pause::Until(age) => reached(clock, started_at, Some(*age)).await,
        Pause::Gate(gate) => age_at(gate.opened().await, started_at),
        Pause::Forever => std::future::pending().await,
    };
    match deadline {
        Some(deadline) if deadline < age => std::future::pending().await,
        _ => age,
    }
}

#[cfg(test)]
mod conformance {
    //! What the contract says of jobs that need no real process, with scripts that do what the lines of the cases do.

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn runner() -> FakeRunner {
        let clock = ManualClock::new();
        let ticking = clock.clone();
        let ready = || Script::new().does(|spec| std::fs::write(spec.cwd.join("ready"), "").unwrap());
        let no_program = |spec: &JobSpec| {
            let path = spec.cwd.join("no-program");
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        let turns = |script: Script, n: u32| script.stdout(format!("o{n}\n")).stderr(format!("e{n}\n"));
        FakeRunner::new(&clock)
            .script("exit 0", Script::new())
            .script("exit 1", Script::new().exits(1))
            .script("exit 255", Script::new().exits(255))
            .script("kill -KILL $$", Script::new().dies_of(Signal::KILL))
            .script("exec sleep 1000", Script::new().does(move |_| ticking.advance(Duration::from_secs(1))).stays())
            .script("touch ready; sleep 1000 & wait", ready().stays())
            .otherwise(move |spec| match line(spec) {
                line if line.starts_with("for i in 1 2 3; do echo o$i") => (1..4).fold(Script::new(), turns),
                line if line.starts_with("i=0; while [ $i -lt 200 ]") => (0..200).fold(Script::new(), turns),
                line if line.starts_with("for i in 1 2 3; do echo $i; sleep") => Script::new().stdout("1\n2\n3\n"),
                line if line.starts_with("trap 'echo bye; exit 0' TERM") => {
                    ready().stays().answers(Signal::TERM, Script::new().stdout("bye\n"))
                }
                line if line.ends_with("> no-program; chmod 755 no-program") => Script::new().does(no_program),
                line if line.ends_with("/no-program") => Script::cannot_start(format!("cannot execute `{line}`")),
                _ => Script::new(),
            })
    }

    macro_rules! cases {
        ($backend:expr) => {
            crate::runner_conformance! { @cases $backend, super::runner() =>
                an_exit_code_is_recorded
                a_signal_is_recorded
                both_streams_are_kept_apart
                merged_streams_keep_their_order
                what_cannot_be_executed_is_an_ended_job
                a_stop_asks_first
                a_timeout_ends_the_job
                output_is_followed_to_the_end
                what_was_asked_is_answered_for_every_handle
                usage_is_recorded_or_absent
            }
        };
    }

    mod over_memory {
        use std::sync::Arc;

        use crate::MemoryStore;
        use crate::store::conformance::Backend;

        cases!(Backend::new({
            let store = MemoryStore::new();
            move || Arc::new(store.clone())
        }));
    }

    mod over_files {
        use std::sync::Arc;

        use crate::FileStore;
        use crate::store::conformance::Backend;

        fn backend() -> Backend {
            let directory = tempfile::tempdir().unwrap();
            let root = directory.path().join("store");
            Backend::new(move || Arc::new(FileStore::open(&root).unwrap())).keeping(directory)
        }

        cases!(backend());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::{StopOptions, StopReport};
    use crate::store::{Change, Query};
    use crate::testing::SeededRandom;
    use crate::{Error, Job, JobManager, MemoryStore, Status};

    const SECOND: Duration = Duration::from_secs(1);

    fn manager(clock: &ManualClock, runner: FakeRunner) -> JobManager {
        let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap();
        jobs.with_clock(Arc::new(clock.clone())).with_random(Arc::new(SeededRandom::new(0)))
    }

    async fn submit(jobs: &JobManager, line: &str) -> Job {
        let spec = JobSpec::shell(line).timeout(SECOND * 60).grace(SECOND * 5);
        jobs.submit(spec.build().unwrap()).await.unwrap()
    }

    /// How long a job ran, its status, and why it ended.
    async fn end(jobs: &JobManager, job: &Job) -> (u64, Status, Cause) {
        let job = jobs.wait_for(job.id).await.unwrap();
        (jobs.shape(&job).duration_ms.unwrap(), job.status(), job.state.outcome().unwrap().cause)
    }

    #[tokio::test]
    async fn what_no_script_is_about_does_not_start() {
        let clock = ManualClock::new();
        let jobs = manager(&clock, FakeRunner::new(&clock).script("true", Script::new()));
        let job = submit(&jobs, "false").await;
        let outcome = job.state.outcome().unwrap();
        assert_eq!(outcome.cause, Cause::SpawnFailed);
        assert_eq!(outcome.message.as_deref(), Some("there is no script for `false`"));
        let known = jobs.submit(JobSpec::command(["true"]).build().unwrap()).await.unwrap();
        assert_eq!(end(&jobs, &known).await, (0, Status::Completed, Cause::Exited));
        let newest_first: Vec<_> = jobs.list(&Query::default()).await.unwrap().jobs.iter().map(|job| job.id).collect();
        assert_eq!(newest_first, [known.id, job.id]);
    }

    /// Although the clock is moved far at once, and before any of them has begun.
    #[tokio::test]
    async fn each_moment_is_recorded_as_of_its_own() {
        let clock = ManualClock::new();
        let runner = FakeRunner::new(&clock)
            .script("short", Script::new().takes(SECOND * 20).takes(SECOND * 10))
            .script("just in time", Script::new().takes(SECOND * 60))
            .script("too long", Script::new().takes(SECOND * 61))
            .script("deaf", Script::new().takes(SECOND * 70).ignores(Signal::TERM));
        let jobs = manager(&clock, runner);
        let mut submitted = Vec::new();
        for line in ["short", "just in time", "too long", "deaf"] {
            submitted.push(submit(&jobs, line).await);
        }
        clock.advance(SECOND * 1000);
        let mut ends = Vec::new();
        for job in &submitted {
            ends.push(end(&jobs, job).await);
        }
        assert_eq!(
            ends,
            [
                (30_000, Status::Completed, Cause::Exited),
                (60_000, Status::Completed, Cause::Exited),
                (60_000, Status::TimedOut, Cause::TimedOut),
                (65_000, Status::TimedOut, Cause::TimedOut),
            ]
        );
    }

    #[tokio::test]
    async fn jobs_wait_until_they_are_told_to_go_on_and_in_the_queue() {
        let clock = ManualClock::new();
        let gate = Gate::new(&clock);
        let runner = FakeRunner::new(&clock).script("gated", Script::new().waits_for(&gate).takes(SECOND));
        let jobs = manager(&clock, runner);
        jobs.change_settings(|settings| settings.max_running = 1).await.unwrap();
        let (first, second) = (submit(&jobs, "gated").await, submit(&jobs, "gated").await);
        assert_eq!((first.status(), second.status()), (Status::Running, Status::Queued));
        clock.advance(SECOND * 10);
        gate.open();
        clock.advance(SECOND * 10);
        assert_eq!(end(&jobs, &first).await, (11_000, Status::Completed, Cause::Exited));
        clock.advance(SECOND * 10);
        assert_eq!(end(&jobs, &second).await.1, Status::Completed);
    }

    #[tokio::test]
    async fn a_signal_kills_or_is_answered_or_is_refused() {
        let clock = ManualClock::new();
        let reload = Script::new().stdout("reloaded\n").stays();
        let runner =
            FakeRunner::new(&clock).script("serve", Script::new().stays().answers("HUP".parse().unwrap(), reload));
        let jobs = manager(&clock, runner);
        let job = submit(&jobs, "serve").await;
        jobs.signal(job.id, Signal::CONT).await.unwrap();
        let pause = jobs.signal(job.id, "STOP".parse().unwrap()).await.unwrap_err();
        assert!(matches!(pause, Error::Refused { .. }), "{pause:?}");
        jobs.signal(job.id, "HUP".parse().unwrap()).await.unwrap();
        jobs.store().changed(Change::Output { id: job.id, beyond: 0 }).await.unwrap();
        assert_eq!(jobs.job(job.id).await.unwrap().status(), Status::Running);
        jobs.signal(job.id, Signal::INT).await.unwrap();
        assert_eq!(end(&jobs, &job).await, (0, Status::Killed, Cause::Stopped));
    }

    /// As every runner does: the signal of the spec first, and after half of the grace the usual one.
    #[tokio::test]
    async fn what_ignores_its_stop_signal_is_terminated() {
        let clock = ManualClock::new();
        let runner = FakeRunner::new(&clock).script("deaf", Script::new().stays().ignores(Signal::INT));
        let jobs = manager(&clock, runner);
        let spec = JobSpec::shell("deaf").stop_signal(Signal::INT).grace(SECOND * 8).build().unwrap();
        let job = jobs.submit(spec).await.unwrap();
        jobs.stop(job.id, &StopOptions::default().with_wait(false)).await.unwrap();
        clock.advance(SECOND * 4);
        assert_eq!(end(&jobs, &job).await, (4_000, Status::Killed, Cause::Stopped));
    }

    #[tokio::test]
    async fn what_ignores_a_stop_is_killed_when_the_grace_is_over() {
        let clock = ManualClock::new();
        let runner = FakeRunner::new(&clock).script("deaf", Script::new().stays().ignores(Signal::TERM));
        let jobs = manager(&clock, runner);
        let job = submit(&jobs, "deaf").await;
        let report = jobs.stop(job.id, &StopOptions::default().with_wait(false)).await.unwrap();
        assert!(matches!(report, StopReport::Stopping { processes: Some(1), .. }), "{report:?}");
        clock.advance(SECOND * 5);
        assert_eq!(end(&jobs, &job).await, (5_000, Status::Killed, Cause::Stopped));
        let outcome = jobs.job(job.id).await.unwrap().state.outcome().unwrap().clone();
        assert_eq!((outcome.exit_code, outcome.signal), (None, Some(Signal::KILL)));
    }
}

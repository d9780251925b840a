//! Jobs that follow a script instead of running: for tests of programs that embed jobcore.

// In the order in which to read them:
// - `script.rs`: what a job does
// - `actor.rs`: playing a script

mod actor;
mod script;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Runner, start_due};
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::record::{Ended, Start};
use crate::spec::{Command, JobSpec};
use crate::state::{Cause, Outcome};
use crate::store::{JobClaim, JobStore};
use crate::sys::process::ProcessId;
use crate::testing::ManualClock;
use actor::Actor;
use script::End;

pub use script::{Gate, Script};

/// Lets jobs follow scripts. Nothing is executed; output, waits, stops and signals work as with every other runner.
///
/// All time is that of a [`ManualClock`]: how long a job takes, its timeout, its grace. While the clock stands still, a
/// job continues until its script takes time or waits; when the clock is moved past several moments at once, each event
/// is recorded at its own time. A queued job starts at the time that the clock then shows.
///
/// Input sent to a job is accepted as far as a pipe has room, and is never read; a terminal only seems to exist.
///
/// Works with any store, and its jobs end with the program, as those of the
/// [`InProcessRunner`](crate::InProcessRunner). It does not remove old jobs, since a store goes by the real time.
///
/// See [`testing`](crate::testing) for an example.
#[derive(Debug, Clone)]
pub struct FakeRunner {
    clock: ManualClock,
    scripts: Vec<(String, Script)>,
    otherwise: Choice,
}

impl FakeRunner {
    /// Returns a runner without scripts: commands without a script cannot be started.
    pub fn new(clock: &ManualClock) -> Self {
        let unknown = |spec: &JobSpec| Script::cannot_start(format!("there is no script for `{}`", line(spec)));
        Self { clock: clock.clone(), scripts: Vec::new(), otherwise: Choice(Arc::new(unknown)) }
    }

    /// Lets a command follow a script. The command is a shell line as it is, or a program and its arguments separated
    /// by spaces. The last script for a command counts.
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
        // A process that never exists: no process number is this high (`PID_MAX_LIMIT`, proc_sys_kernel(5)).
        let process = ProcessId { pid: i32::MAX, start_time: 0, ..holder.clone() };
        let start = Start::new(holder, false, now);
        claim.start(&start).await?;
        let script = self.script_for(&claim.submission().spec);
        if let End::CannotStart(reason) = script.end {
            return claim.finish(&Ended::new(None, failure(reason, now))).await;
        }
        let input = match claim.submission().spec.takes_input() {
            true => Some(claim.open_input().await?),
            false => None,
        };
        let (runner, store) = (self.clone(), Arc::clone(store));
        tokio::spawn(async move {
            // Input can be sent as long as the read end is open.
            let _input = input;
            Actor::new(claim, runner.clone(), start, script, process).act().await;
            start_due(&runner, &store).await;
        });
        Ok(())
    }

    async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
        Err(super::cannot_adopt())
    }
}

/// Returns the outcome of a command that could not be started.
fn failure(reason: String, now: Timestamp) -> Outcome {
    let mut outcome = Outcome::new(Cause::SpawnFailed, now);
    outcome.message = Some(reason);
    outcome
}

#[cfg(test)]
mod conformance {
    //! The contract's cases that need no real process, with scripts that do what the command lines of the cases do.

    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use super::*;
    use crate::signal::Signal;

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
                a_program_that_cannot_be_executed_ends_the_job
                a_stop_asks_first
                a_timeout_ends_the_job
                output_is_followed_to_the_end
                requests_are_answered_for_every_handle
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
    use std::time::Duration;

    use super::*;
    use crate::manager::{StopOptions, StopReport};
    use crate::signal::Signal;
    use crate::spec::Restart;
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
    async fn a_command_without_a_script_does_not_start() {
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

    /// Even if the clock is moved far at once, and before any job has begun.
    #[tokio::test]
    async fn each_event_is_recorded_at_its_own_time() {
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
    async fn attempts_follow_each_other_after_their_delays() {
        let clock = ManualClock::new();
        let restart = Restart::default().with_backoff(SECOND * 10, SECOND * 30).with_limit(Some(3));
        let jobs = manager(&clock, FakeRunner::new(&clock).script("fails", Script::new().takes(SECOND).exits(1)));
        let spec = JobSpec::shell("fails").restart(restart).build().unwrap();
        let job = jobs.submit(spec).await.unwrap();
        clock.advance(SECOND * 1000);
        // Four attempts of one second, and delays of 10, 20 and 30 seconds between them.
        assert_eq!(end(&jobs, &job).await, (64_000, Status::Failed, Cause::Exited));
        let job = jobs.job(job.id).await.unwrap();
        let began: Vec<_> = job.attempts.iter().map(|attempt| attempt.started_at.unwrap()).collect();
        let gaps: Vec<_> = began.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
        assert_eq!((job.attempt, gaps), (4, vec![11, 21]), "{job:?}");
    }

    #[tokio::test]
    async fn jobs_wait_at_a_gate_and_in_the_queue() {
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

    #[tokio::test]
    async fn a_script_does_not_continue_while_its_job_is_paused() {
        let clock = ManualClock::new();
        let jobs = manager(&clock, FakeRunner::new(&clock).script("long", Script::new().takes(SECOND * 50)));
        let job = submit(&jobs, "long").await;
        clock.advance(SECOND * 20);
        assert_eq!(jobs.pause(job.id).await.unwrap().status(), Status::Paused);
        clock.advance(SECOND * 1000);
        assert_eq!(jobs.pause(job.id).await.unwrap().paused, SECOND * 1000);
        assert_eq!(jobs.resume(job.id).await.unwrap().status(), Status::Running);
        clock.advance(SECOND * 30);
        assert_eq!(end(&jobs, &job).await, (1_050_000, Status::Completed, Cause::Exited));
        let paused = submit(&jobs, "long").await;
        jobs.pause(paused.id).await.unwrap();
        clock.advance(SECOND * 7);
        jobs.stop(paused.id, &StopOptions::default()).await.unwrap();
        assert_eq!(end(&jobs, &paused).await, (7_000, Status::Killed, Cause::Stopped));
    }

    #[tokio::test]
    async fn a_script_determines_when_its_job_is_ready() {
        let clock = ManualClock::new();
        let script = |time| Script::new().takes(time).is_ready().stays();
        let jobs = manager(
            &clock,
            FakeRunner::new(&clock).script("early", script(SECOND * 3)).script("late", script(SECOND * 30)),
        );
        let spec =
            |line| JobSpec::shell(line).ready("port:80".parse().unwrap()).ready_timeout(SECOND * 5).build().unwrap();
        let (early, late) = (jobs.submit(spec("early")).await.unwrap(), jobs.submit(spec("late")).await.unwrap());
        assert!(jobs.job(early.id).await.unwrap().is_starting());
        clock.advance(SECOND * 60);
        assert_eq!(end(&jobs, &late).await, (5_000, Status::TimedOut, Cause::NotReady));
        let until = crate::manager::WaitOptions::default().with_until(crate::until::Until::Ready);
        let waited = jobs.wait_until(&[early.id], &until).await.unwrap();
        let ready = waited.jobs[0].ready_at.unwrap();
        assert_eq!(ready.duration_since(early.submitted_at).as_secs(), 3);
        jobs.stop(early.id, &StopOptions::default()).await.unwrap();
    }

    /// As with every runner: first the signal of the spec, and after half of the grace the usual one.
    #[tokio::test]
    async fn a_job_that_ignores_its_stop_signal_is_terminated() {
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
    async fn a_job_that_ignores_a_stop_is_killed_after_the_grace() {
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

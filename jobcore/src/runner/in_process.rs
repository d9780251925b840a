//! Jobs as children of the host program: for any store, and gone with the program.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::Signal as RawSignal;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

use super::{Runner, cause_of, start_due};
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::environment::Environment;
use crate::environment::assignment;
use crate::error::{IoContext, Result};
use crate::output::Stream;
use crate::program::exec;
use crate::record::{Ended, Running, Start};
use crate::signal::Signal;
use crate::spec::{Stdin, Stragglers};
use crate::state::{Cause, Outcome, Survivor};
use crate::store::file::supervisors::visible_members;
use crate::store::{Incoming, JobClaim, JobStore};
use crate::supervisor;
use crate::supervisor::companion::{Companion, SESSION_END};
use crate::sys::process;
use crate::sys::process::ProcessId;

/// What ends by itself within this time of the main process is no straggler.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long killed processes may take to be gone, and how often that is looked at.
const DYING: Duration = Duration::from_secs(5);
const DYING_LOOK: Duration = Duration::from_millis(10);

/// Runs each job as a child of this program, watched by a task of the current tokio runtime.
///
/// Works with any store. When the program ends, nobody watches the jobs any more: they are then found without a holder
/// and called orphaned. A stop reaches the session-less part of what a job started as far as it can be seen: its
/// process group, the descendants, and whoever carries the job's id in the environment.
#[derive(Debug, Clone, Copy, Default)]
pub struct InProcessRunner;

impl InProcessRunner {
    /// Returns a runner.
    pub fn new() -> Self {
        Self
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
            Companion::Alive(fd) => Some(crate::sys::readable(fd).context("watch", "/proc".as_ref())?),
            Companion::Gone => return claim.finish(&Companion::unstarted()).await,
        };
        claim.start(&Start::new(ProcessId::of_this_program()?, false, Timestamp::now())).await?;
        let environment = claim.environment().await?;
        let stdin = match claim.submission().spec.stdin {
            Stdin::Open => Some(claim.open_input().await?),
            Stdin::Given => Some(claim.given().await?),
            Stdin::Closed | Stdin::File(_) => None,
        };
        match spawn(claim.as_ref(), environment, stdin) {
            Ok(child) => {
                let store = Arc::clone(store);
                tokio::spawn(async move {
                    Watcher::new(claim, child, companion).watch().await;
                    let runtime = Handle::current();
                    // Starting processes and removing files take their time.
                    tokio::task::spawn_blocking(move || runtime.block_on(follow_up(&store)));
                });
            }
            Err(reason) => {
                let mut outcome = Outcome::new(Cause::SpawnFailed, Timestamp::now());
                outcome.message = Some(reason);
                claim.finish(&Ended::new(None, outcome)).await?;
            }
        }
        Ok(())
    }

    async fn adopt(&self, _: &Arc<dyn JobStore>, _: Box<dyn JobClaim>) -> Result<()> {
        Err(super::cannot_adopt())
    }
}

/// Does what follows from the end of a job: starts what is due, and removes what is not to be kept.
async fn follow_up(store: &Arc<dyn JobStore>) {
    start_due(&InProcessRunner, store).await;
    if let Err(error) = store.sweep().await {
        tracing::debug!(%error, "old jobs could not be removed");
    }
}

/// The command, and the pipes that its output comes through.
struct Child {
    process: tokio::process::Child,
    pid: i32,
    identity: Option<ProcessId>,
    outputs: [Option<Output>; 2],
}

type Output = (Stream, Box<dyn AsyncRead + Send + Sync + Unpin>);

fn spawn(claim: &dyn JobClaim, environment: Environment, stdin: Option<OwnedFd>) -> Result<Child, String> {
    let submission = claim.submission();
    let spec = &submission.spec;
    if spec.terminal.is_some() {
        return Err("only a detached supervisor can give a job a terminal".to_owned());
    }
    let variables = exec::variables(submission, environment);
    let stdin = match (&spec.stdin, stdin) {
        (_, Some(pipe)) => Some(pipe),
        (Stdin::Closed | Stdin::Open | Stdin::Given, None) => None,
        (Stdin::File(path), None) => {
            Some(File::open(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?.into())
        }
    };
    let merged = match spec.merge {
        false => None,
        true => Some(std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?),
    };
    let start = |program: &Path, arguments: &[Vec<u8>]| {
        let mut arguments = arguments.iter().map(|word| OsStr::from_bytes(word));
        let mut command = std::process::Command::new(program);
        command.arg0(arguments.next().unwrap_or_default()).args(arguments);
        command.current_dir(&spec.cwd).env_clear().process_group(0);
        for variable in &variables {
            command.envs(assignment(OsStr::from_bytes(variable)));
        }
        command.stdin(match &stdin {
            Some(file) => file.try_clone()?.into(),
            None => Stdio::null(),
        });
        match &merged {
            Some((_, writer)) => command.stdout(writer.try_clone()?).stderr(writer.try_clone()?),
            None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        tokio::process::Command::from(command).spawn()
    };
    let mut process = supervisor::execute(&submission.program, exec::arguments(submission), start)
        .map_err(|error| format!("cannot execute `{}`: {error}", submission.program.display()))?;
    let merged = merged.map(|(reader, _)| reader);
    let pid = process.id().and_then(|pid| pid.try_into().ok()).unwrap_or(0);
    let identity = process::identify(pid).ok();
    let outputs = match merged {
        Some(reader) => {
            let reader = OwnedFd::from(reader);
            let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader).map_err(|error| error.to_string())?;
            [Some((Stream::Stdout, Box::new(reader) as Box<dyn AsyncRead + Send + Sync + Unpin>)), None]
        }
        None => [
            process.stdout.take().map(|pipe| (Stream::Stdout, Box::new(pipe) as _)),
            process.stderr.take().map(|pipe| (Stream::Stderr, Box::new(pipe) as _)),
        ],
    };
    Ok(Child { process, pid, identity, outputs })
}

/// Watches one job to its end.
struct Watcher {
    claim: Box<dyn JobClaim>,
    child: Child,
    started_at: Timestamp,
    exit: Option<(ExitStatus, Timestamp)>,
    cause: Option<(Cause, Option<String>)>,
    sent: Vec<(Signal, String)>,
    /// When everything is asked to end, if only the main process has been so far, by the signal that its spec names.
    terminate_at: Option<Instant>,
    kill_at: Option<Instant>,
    /// The process that the job ends with.
    companion: Option<AsyncFd<OwnedFd>>,
    stragglers: u32,
    survivors: Vec<Survivor>,
}

/// What woke the watcher.
enum Wake {
    Output(usize, std::io::Result<usize>),
    Request(Incoming),
    Exit(std::io::Result<ExitStatus>),
    TimedOut,
    Left,
    TerminateNow,
    KillNow,
}

impl Watcher {
    fn new(claim: Box<dyn JobClaim>, child: Child, companion: Option<AsyncFd<OwnedFd>>) -> Self {
        Self {
            claim,
            child,
            started_at: Timestamp::now(),
            exit: None,
            cause: None,
            sent: Vec::new(),
            terminate_at: None,
            kill_at: None,
            companion,
            stragglers: 0,
            survivors: Vec::new(),
        }
    }

    async fn watch(mut self) {
        if let Some(identity) = self.child.identity.clone() {
            let running = Running::new(identity, self.started_at);
            if let Err(error) = self.claim.running(&running).await {
                tracing::warn!(%error, "the main process is not on record");
            }
        }
        let times_out_at = self.claim.submission().spec.timeout().map(|timeout| Instant::now() + timeout);
        let mut buffer = vec![0; 64 * 1024];
        while self.exit.is_none() {
            match self.wake(&mut buffer, times_out_at).await {
                Wake::Output(index, read) => self.keep(index, read, &buffer).await,
                Wake::Request(incoming) => self.serve(incoming).await,
                Wake::Exit(Ok(status)) => self.exit = Some((status, Timestamp::now())),
                // Somebody else in this program reaped the child: nobody will ever know.
                Wake::Exit(Err(_)) => break,
                Wake::TimedOut => {
                    self.cause.get_or_insert((Cause::TimedOut, None));
                    self.begin_stop(self.claim.submission().spec.grace()).await;
                }
                Wake::Left => {
                    self.companion = None;
                    self.cause.get_or_insert((Cause::Stopped, Some(SESSION_END.to_owned())));
                    self.begin_stop(self.claim.submission().spec.grace()).await;
                }
                Wake::TerminateNow => self.terminate().await,
                Wake::KillNow => {
                    self.send_all(RawSignal::KILL).await;
                    self.kill_at = Some(Instant::now() + DYING);
                }
            }
        }
        self.drain(LAST_WORDS, &mut buffer).await;
        // One that was asked to stop meanwhile leaves nothing.
        let leaves = self.claim.submission().spec.stragglers == Stragglers::Leave && self.kill_at.is_none();
        self.stragglers = self.members().await.len().try_into().unwrap_or(u32::MAX);
        if self.cause.is_some() {
            // A stop names no stragglers: all of it was asked to end.
            self.stragglers = 0;
        }
        if !leaves {
            self.stop_the_rest(&mut buffer).await;
        }
        let ended = self.ended();
        if let Err(error) = self.claim.finish(&ended).await {
            tracing::error!(%error, "the end of a job is not on record");
        }
    }

    async fn wake(&mut self, buffer: &mut [u8], times_out_at: Option<Instant>) -> Wake {
        let [first, second] = &mut self.child.outputs;
        let (low, high) = buffer.split_at_mut(buffer.len() / 2);
        let times_out_at = times_out_at.filter(|_| self.kill_at.is_none());
        tokio::select! {
            read = read_from(first, low) => Wake::Output(0, read),
            read = read_from(second, high) => Wake::Output(1, read),
            incoming = self.claim.next_request() => Wake::Request(incoming),
            () = at(times_out_at) => Wake::TimedOut,
            () = end_of(self.companion.as_ref()) => Wake::Left,
            () = at(self.terminate_at) => Wake::TerminateNow,
            () = at(self.kill_at) => Wake::KillNow,
            status = self.child.process.wait() => Wake::Exit(status),
        }
    }

    /// Keeps what was read from an output.
    async fn keep(&mut self, index: usize, read: std::io::Result<usize>, buffer: &[u8]) {
        let half = buffer.len() / 2;
        match (read, &self.child.outputs[index]) {
            (Ok(count), Some((stream, _))) if count > 0 => {
                let bytes = &buffer[index * half..][..count];
                self.claim.append(*stream, Timestamp::now(), bytes).await;
            }
            _ => self.child.outputs[index] = None,
        }
    }

    /// Keeps what still comes after the end of the main process, until nobody has the pipes any more or the time is up.
    async fn drain(&mut self, time: Duration, buffer: &mut [u8]) {
        let deadline = Instant::now() + time;
        while self.child.outputs.iter().any(Option::is_some) && self.attend(deadline, buffer).await {}
    }

    /// Keeps output, or answers whoever asks, after the end of the main process: returns false if there was neither before
    /// the deadline.
    async fn attend(&mut self, deadline: Instant, buffer: &mut [u8]) -> bool {
        let [first, second] = &mut self.child.outputs;
        let (low, high) = buffer.split_at_mut(buffer.len() / 2);
        tokio::select! {
            read = read_from(first, low) => self.keep(0, read, buffer).await,
            read = read_from(second, high) => self.keep(1, read, buffer).await,
            incoming = self.claim.next_request() => self.serve(incoming).await,
            () = sleep_until(deadline) => return false,
        }
        true
    }

    async fn serve(&mut self, incoming: Incoming) {
        let answer = match &incoming.request {
            Request::Count => Answer::processes(self.members().await.len().try_into().unwrap_or(u32::MAX)),
            Request::EndInput => {
                self.claim.end_input().await;
                Answer::Accepted
            }
            Request::Resize { .. } => Answer::Refused { reason: "it has no terminal".to_owned() },
            Request::Stop { grace_ms, requester } => {
                let spec = &self.claim.submission().spec;
                let grace = grace_ms.map_or(spec.grace(), Duration::from_millis);
                // What ended by itself before anybody asked did so, even while its stragglers are being stopped.
                if self.exit.is_none() {
                    self.cause.get_or_insert((Cause::Stopped, Some(requester.clone())));
                }
                self.begin_stop(grace).await;
                Answer::Accepted
            }
            // The number of its group may be that of another by now.
            Request::Signal { .. } if self.exit.is_some() => {
                Answer::Refused { reason: "its main process has ended".to_owned() }
            }
            Request::Signal { signal, requester } => {
                let group = rustix::process::Pid::from_raw(self.child.pid);
                match (group, signal.to_rustix()) {
                    (Some(group), Some(raw)) if rustix::process::kill_process_group(group, raw).is_ok() => {
                        self.sent.push((*signal, requester.clone()));
                        Answer::Accepted
                    }
                    _ => Answer::Refused { reason: format!("cannot send {signal} to its process group") },
                }
            }
        };
        incoming.answer(answer);
    }

    async fn begin_stop(&mut self, grace: Duration) {
        let kill_at = Instant::now() + grace;
        if let Some(earlier) = self.kill_at {
            self.kill_at = Some(earlier.min(kill_at));
            return;
        }
        self.kill_at = Some(kill_at);
        let signal = self.claim.submission().spec.stop_signal.and_then(Signal::to_rustix);
        match signal.filter(|_| self.exit.is_none()) {
            Some(signal) if process::signal_group(self.child.pid, signal) => {
                self.terminate_at = Some(Instant::now() + grace / 2);
            }
            _ => self.terminate().await,
        }
    }

    /// Asks all of the job to end.
    async fn terminate(&mut self) {
        self.terminate_at = None;
        self.send_all(RawSignal::TERM).await;
        self.send_all(RawSignal::CONT).await;
    }

    /// Returns the processes of the job that can be seen. All processes of the machine are looked at for that, however many
    /// there are, while other tasks of the runtime go on.
    async fn members(&self) -> Vec<process::Stat> {
        let id = self.claim.submission().job_id;
        let main = self.child.identity.clone();
        let looking = move || visible_members(main.as_ref(), id);
        match tokio::task::spawn_blocking(looking).await {
            Ok(members) => members,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends, and with it whoever watches the job.
            Err(_) => std::future::pending().await,
        }
    }

    async fn send_all(&self, signal: RawSignal) {
        for stat in self.members().await {
            let _ = process::signal(&stat, signal);
        }
    }

    /// Stops what is left when the main process has ended, as far as it can be seen.
    async fn stop_the_rest(&mut self, buffer: &mut [u8]) {
        if self.members().await.is_empty() {
            return self.drain(LAST_WORDS, buffer).await;
        }
        self.begin_stop(self.claim.submission().spec.grace()).await;
        if self.terminate_at.is_some() {
            self.terminate().await;
        }
        loop {
            let members = self.members().await;
            let now = Instant::now();
            // Somebody may ask for less grace meanwhile.
            let kill_at = self.kill_at.unwrap_or(now);
            let give_up_at = kill_at + DYING;
            if members.is_empty() {
                break;
            }
            if now >= give_up_at {
                let reason = "was killed and has not ended".to_owned();
                let name = |stat: process::Stat| Survivor::new(stat.pid, stat.name, reason.clone());
                self.survivors = members.into_iter().take(8).map(name).collect();
                break;
            }
            if now >= kill_at {
                self.send_all(RawSignal::KILL).await;
            }
            // Nobody tells a stranger that these are gone: this is the one place that looks again and again.
            let look_at = now + DYING_LOOK;
            while self.attend(look_at, buffer).await {}
        }
        self.drain(LAST_WORDS, buffer).await;
    }

    fn ended(&mut self) -> Ended {
        let status = self.exit.map(|(status, _)| status);
        let signal = status.and_then(|status| status.signal()).map(Signal::from_number);
        let (cause, stopped_by) = match (self.cause.take(), status) {
            (None, None) => (Cause::SupervisorLost, None),
            (cause, _) => cause_of(cause, signal, &self.sent),
        };
        let mut outcome = Outcome::new(cause, self.exit.map_or_else(Timestamp::now, |(_, at)| at));
        outcome.exit_code = status.and_then(|status| status.code());
        outcome.signal = signal;
        outcome.core_dumped = status.is_some_and(|status| status.core_dumped());
        outcome.stopped_by = stopped_by;
        outcome.stragglers = self.stragglers;
        outcome.survivors = std::mem::take(&mut self.survivors);
        outcome.output_bytes = self.claim.output().bytes;
        outcome.dropped_bytes = self.claim.output().dropped;
        Ended::new(Some(self.started_at), outcome)
    }
}

async fn read_from(output: &mut Option<Output>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match output {
        Some((_, pipe)) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn end_of(process: Option<&AsyncFd<OwnedFd>>) {
    match process {
        Some(process) => drop(process.readable().await),
        None => std::future::pending().await,
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

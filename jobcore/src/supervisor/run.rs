//! The life of a supervisor: start the command, keep its output, stop what must stop, put the end on record.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec};

use super::account::{self, Exit};
use super::pipe::OutputPipe;
use super::{command, tree};
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::error::{IoContext, Result};
use crate::output::Stream;
use crate::record::{Ended, RECORD_VERSION, Running, Start, Submission};
use crate::signal::Signal;
use crate::spec::Stragglers;
use crate::state::{Cause, Outcome, Survivor};
use crate::store::file::control;
use crate::store::file::log::FileLogWriter;
use crate::store::file::{FileStore, Records};
use crate::sys::process;

/// What ends by itself within this time of the main process is no straggler: the reader of a process substitution,
/// the last stage of a pipeline.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long killed processes may take to be gone before they are called survivors.
const DYING: Duration = Duration::from_secs(5);
/// How long the end of a job is tried to be put on record, and at what distance.
const RECORDING: Duration = Duration::from_secs(600);
const RECORDING_AGAIN: Duration = Duration::from_millis(200);

/// Runs the job to its end. The lock falls when this returns and the process ends.
pub(super) fn supervise(records: &Records) -> Result<()> {
    let submission = records.submission()?;
    if submission.v > RECORD_VERSION {
        // Whoever wrote this knows better; the job stays queued for a supervisor that does, too.
        return Ok(());
    }
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let holder = process::identify(own).context("look at", "/proc/self".as_ref())?;
    let control_path = records.attempt.control();
    let control = control::listen(&control_path).context("make the pipe", &control_path);
    records.start(&Start::new(holder, true, Timestamp::now()))?;
    match control.and_then(|control| Supervisor::start(records, submission, control)) {
        Ok(Ok(mut supervisor)) => supervisor.run(),
        Ok(Err(reason)) => record_failure(records, &reason),
        Err(error) => record_failure(records, &error_chain(&error)),
    }
    records.remove_pipes();
    Ok(())
}

/// Starts what is due now that a slot is free. What cannot be started from here is left to whoever uses the store next.
fn start_due(records: &Records) {
    let Ok(store) = FileStore::open(&records.layout.root) else { return };
    while let Ok(Some(next)) = store.due() {
        let program = Path::new("/proc/self/exe");
        if super::start(program, store.root(), next.id, next.lock.as_fd()).is_err() {
            return;
        }
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn record_failure(records: &Records, reason: &str) {
    let mut outcome = Outcome::new(Cause::SpawnFailed, Timestamp::now());
    outcome.message = Some(reason.chars().take(512).collect());
    record(records, &Ended::new(None, outcome));
    start_due(records);
}

/// Puts the end on record. There is room for it; should it fail all the same, it is tried again while the lock is kept.
fn record(records: &Records, ended: &Ended) {
    let deadline = Instant::now() + RECORDING;
    while records.finish(ended).is_err() && Instant::now() < deadline {
        std::thread::sleep(RECORDING_AGAIN);
    }
}

/// A stop that is under way: everything was asked to end.
#[derive(Debug, Clone)]
struct Stop {
    kill_at: Instant,
}

struct Supervisor<'a> {
    records: &'a Records,
    submission: Submission,
    log: FileLogWriter,
    pipes: Vec<OutputPipe>,
    control: File,
    child_signals: SignalFd,
    main: i32,
    started_at: Timestamp,
    times_out_at: Option<Instant>,
    exit: Option<Exit>,
    /// When what is left of the job counts as stragglers.
    last_words_until: Option<Instant>,
    stragglers: u32,
    stop: Option<Stop>,
    /// Why the job ends, if not by itself, and who asked.
    cause: Option<(Cause, Option<String>)>,
    /// Signals that were sent on request: dying of one of them was asked for.
    sent: Vec<(Signal, String)>,
    survivors: Vec<Survivor>,
}

impl<'a> Supervisor<'a> {
    /// Starts the command.
    ///
    /// # Errors
    /// The outer one is the store's or the system's; the inner one says why the command could not be started.
    fn start(records: &'a Records, submission: Submission, control: File) -> Result<Result<Self, String>> {
        let attempt = &records.attempt;
        let streams = [(attempt.stdout(), Stream::Stdout), (attempt.stderr(), Stream::Stderr)];
        let wanted = if submission.spec.merge { 1 } else { 2 };
        let mut pipes = Vec::new();
        for (path, stream) in streams.iter().take(wanted) {
            pipes.push(OutputPipe::make(path, *stream).context("make the pipe", path)?);
        }
        let mask = SigSet::from_iter([NixSignal::SIGCHLD]);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let child_signals = SignalFd::with_flags(&mask, flags).context("make", "a signal descriptor".as_ref())?;
        let environment = records.environment()?;
        let main = match command::start(&submission, environment, attempt) {
            Ok(main) => main,
            Err(reason) => return Ok(Err(reason)),
        };
        let started_at = Timestamp::now();
        // A process that is over already is still there to be looked at, since only this one may reap it.
        if let Ok(process) = process::identify(main) {
            // Without this record the job goes on all the same; should this process die, nobody will find the command.
            let _ = records.running(&Running::new(process, started_at));
        }
        Ok(Ok(Self {
            log: FileLogWriter::new(attempt, submission.spec.output_limit),
            times_out_at: submission.spec.timeout().map(|timeout| Instant::now() + timeout),
            records,
            submission,
            pipes,
            control,
            child_signals,
            main,
            started_at,
            exit: None,
            last_words_until: None,
            stragglers: 0,
            stop: None,
            cause: None,
            sent: Vec::new(),
            survivors: Vec::new(),
        }))
    }

    fn run(&mut self) {
        while !self.is_over() {
            let ready = self.wait();
            self.turn(&ready);
        }
        self.drain();
        record(self.records, &self.ended());
        start_due(self.records);
        self.keep_company();
    }

    /// Waits until there is something to do, and returns which descriptors it is at: the pipes in order, then the
    /// control pipe, then the children.
    fn wait(&self) -> Vec<bool> {
        let deadlines = [
            self.stop.as_ref().map(|stop| stop.kill_at),
            self.last_words_until.filter(|_| self.stop.is_none()),
            self.times_out_at.filter(|_| self.stop.is_none() && self.exit.is_none()),
        ];
        let shrinking = self.pipes.iter().filter_map(OutputPipe::shrinks_at);
        let next = deadlines.into_iter().flatten().chain(shrinking).min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        let outputs = self.pipes.iter().map(|pipe| pipe.file.as_fd());
        poll(outputs.chain([self.control.as_fd(), self.child_signals.as_fd()]), timeout)
    }

    /// Does all that is to be done now.
    fn turn(&mut self, ready: &[bool]) {
        let now = Instant::now();
        for (pipe, is_ready) in self.pipes.iter_mut().zip(ready) {
            if *is_ready {
                // What cannot be read now is tried again at the next turn.
                let _ = pipe.pump(&mut self.log);
            } else {
                pipe.shrink_if_quiet(now);
            }
        }
        if let [.., is_asked, has_children] = ready {
            if *has_children {
                self.reap();
            }
            if *is_asked {
                self.answer_requests();
            }
        }
        if self.stop.is_none() && self.exit.is_none() && self.times_out_at.is_some_and(|at| at <= now) {
            self.cause = Some((Cause::TimedOut, None));
            self.begin_stop(self.submission.spec.grace());
        }
        if self.stop.is_none() && self.last_words_until.is_some_and(|until| until <= now) {
            self.stragglers = count(&tree::members());
            self.begin_stop(self.submission.spec.grace());
        }
        if self.stop.as_ref().is_some_and(|stop| stop.kill_at <= now) {
            self.kill();
        }
    }

    fn reap(&mut self) {
        while let Ok(Some(_)) = self.child_signals.read_signal() {}
        if let Some(exit) = account::reap(self.main) {
            self.exit = Some(exit);
            self.last_words_until = Some(Instant::now() + LAST_WORDS);
        }
    }

    fn is_over(&self) -> bool {
        if self.exit.is_none() {
            return false;
        }
        if !self.survivors.is_empty() || self.leaves_stragglers() {
            return true;
        }
        tree::children().is_empty()
    }

    /// Returns whether what is left when the main process has ended by itself is to be left alone.
    fn leaves_stragglers(&self) -> bool {
        self.submission.spec.stragglers == Stragglers::Leave && self.cause.is_none()
    }

    fn begin_stop(&mut self, grace: Duration) {
        tree::terminate(self.exit.is_none().then_some(self.main));
        self.stop = Some(Stop { kill_at: Instant::now() + grace });
    }

    /// Kills until nothing is left, or until it is clear what cannot be killed.
    fn kill(&mut self) {
        tree::kill_all();
        let deadline = Instant::now() + DYING;
        loop {
            self.reap();
            if tree::kill_children() == 0 {
                return;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // A process that was killed while the list was read has children that come to us without a signal of
            // their own; so the wait is short.
            poll([self.child_signals.as_fd()], Some(left.min(Duration::from_millis(20))));
        }
        if self.exit.is_some() {
            self.survivors = tree::survivors();
        }
        // The main process itself is still there: the job is not over, and is tried again.
        self.stop = Some(Stop { kill_at: Instant::now() + DYING });
    }

    fn answer_requests(&mut self) {
        loop {
            match control::read_request(&self.control) {
                Ok(None) => return,
                Ok(Some((request_id, request))) => {
                    let answer = self.serve(request);
                    control::answer(&self.records.attempt, request_id, &answer);
                }
                Err(rejected) => match rejected.request_id {
                    Some(request_id) => {
                        let answer = Answer::Refused { reason: rejected.reason };
                        control::answer(&self.records.attempt, request_id, &answer);
                    }
                    None => return,
                },
            }
        }
    }

    fn serve(&mut self, request: Request) -> Answer {
        match request {
            Request::Count => Answer::Processes { count: count(&tree::members()) },
            Request::Stop { grace_ms, requester } => {
                let grace = grace_ms.map_or(self.submission.spec.grace(), Duration::from_millis);
                // What ended by itself before anybody asked did so, even while its stragglers are still being stopped.
                if self.exit.is_none() && self.cause.is_none() {
                    self.cause = Some((Cause::Stopped, Some(requester)));
                }
                match &mut self.stop {
                    Some(stop) => stop.kill_at = stop.kill_at.min(Instant::now() + grace),
                    None => self.begin_stop(grace),
                }
                Answer::Accepted
            }
            Request::Signal { signal, requester } => {
                let group = rustix::process::Pid::from_raw(self.main).filter(|_| self.exit.is_none());
                let (Some(group), Some(raw)) = (group, signal.to_rustix()) else {
                    return Answer::Refused { reason: "its main process has ended".to_owned() };
                };
                match rustix::process::kill_process_group(group, raw) {
                    Ok(()) => {
                        self.sent.push((signal, requester));
                        Answer::Accepted
                    }
                    Err(error) => {
                        Answer::Refused { reason: format!("cannot send {signal}: {}", io::Error::from(error)) }
                    }
                }
            }
        }
    }

    /// Moves into the log what is still in the pipes. A turn moves more than a pipe can hold, and nobody is left to
    /// write; or somebody was left, and goes on writing for ever.
    fn drain(&mut self) {
        for pipe in &mut self.pipes {
            let _ = pipe.pump(&mut self.log);
        }
    }

    fn ended(&mut self) -> Ended {
        if self.leaves_stragglers() {
            self.stragglers = count(&tree::members());
        }
        let exit = self.exit.unwrap_or(Exit { code: None, signal: None, core_dumped: false, at: Timestamp::now() });
        let asked_for = |signal| self.sent.iter().find(|(sent, _)| Some(*sent) == signal).map(|(_, who)| who.clone());
        let (cause, stopped_by) = match (self.cause.take(), exit.signal) {
            (Some(cause), _) => cause,
            (None, None) => (Cause::Exited, None),
            (None, signal) => match asked_for(signal) {
                Some(who) => (Cause::Stopped, Some(who)),
                None => (Cause::Signalled, None),
            },
        };
        let mut outcome = Outcome::new(cause, exit.at);
        (outcome.cpu_ms, outcome.peak_rss_bytes) = account::usage();
        outcome.exit_code = exit.code;
        outcome.signal = exit.signal;
        outcome.core_dumped = exit.core_dumped;
        outcome.stopped_by = stopped_by;
        outcome.stragglers = self.stragglers;
        outcome.survivors = std::mem::take(&mut self.survivors);
        outcome.output_bytes = self.log.size().bytes;
        outcome.dropped_bytes = self.log.size().dropped;
        Ended::new(Some(self.started_at), outcome)
    }

    /// Stays with what was left, or could not be stopped: keeps its output, and stops it when asked to.
    fn keep_company(&mut self) {
        self.stop = None;
        self.last_words_until = None;
        while !tree::children().is_empty() {
            let ready = self.wait();
            self.turn(&ready);
            // A reap begins the last words of the main process only once.
            self.last_words_until = None;
        }
        self.drain();
    }
}

fn count(members: &[process::Stat]) -> u32 {
    members.len().try_into().unwrap_or(u32::MAX)
}

/// Waits until one of the descriptors can be read, or the time is up; for ever without one. Returns which can be read.
fn poll<'f>(descriptors: impl IntoIterator<Item = BorrowedFd<'f>>, timeout: Option<Duration>) -> Vec<bool> {
    let mut descriptors: Vec<_> =
        descriptors.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    // A wait that failed is a wait that is over, with nothing ready.
    let _ = rustix::event::poll(&mut descriptors, timeout.as_ref());
    descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect()
}

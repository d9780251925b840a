//! The life of a supervisor: start the command, keep its output, stop what must stop, put the end on record.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::account::{self, Exit};
use super::command::{self, Input};
use super::companion::{Companion, SESSION_END};
use super::main_end::MainEnd;
use super::pipe::OutputPipe;
use super::tree::Family;
use crate::clock::Timestamp;
use crate::control::{Answer, Request};
use crate::environment::marker;
use crate::error::{IoContext, Result};
use crate::output::Stream;
use crate::record::{Ended, RECORD_VERSION, Running, Start, Stopping, Submission};
use crate::signal::Signal;
use crate::spec::Stragglers;
use crate::state::{Cause, Outcome, Survivor};
use crate::store::file::log::{FileLog, FileLogWriter};
use crate::store::file::supervisors::is_other_supervisor;
use crate::store::file::{FileStore, Records, atomic, control, input};
use crate::store::tend;
use crate::sys::oom::OomKills;
use crate::sys::{namespace, process};

/// What ends by itself within this time of the main process is no straggler: the reader of a process substitution,
/// the last stage of a pipeline.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How long killed processes may take to be gone before they are called survivors.
const DYING: Duration = Duration::from_secs(5);
/// How often what is left is killed until then. A process that was killed while the list was read has children that come
/// to the supervisor without a signal of their own.
const KILL_AGAIN: Duration = Duration::from_millis(20);
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
    // A front end starts no supervisor where this fails; by the processes of another namespace it would stop strangers.
    namespace::check_proc()?;
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let holder = process::identify(own).context("look at", "/proc/self".as_ref())?;
    let control_path = records.attempt.control();
    let control = control::listen(&control_path).context("make the pipe", &control_path);
    match atomic::read::<Start>(&records.attempt.start())? {
        // It may have run, and is never started again: what there is of it is taken care of.
        Some(before) => {
            // First of all: with the last who has a pipe open goes what is in it.
            let mut pipes = open_pipes(records)?;
            let limit = submission.spec.output_limit;
            // Only a hint for those who wait: without it they look again and again.
            let _ = records.start_again(&Start { holder, dedicated: true, ..before });
            match Supervisor::adopt(records, submission, control?, &mut pipes)? {
                Some(mut supervisor) => {
                    if let Some(stopping) = atomic::read(&records.attempt.stopping()).ok().flatten() {
                        supervisor.resume_stop(stopping);
                    }
                    supervisor.run();
                }
                None => {
                    rescue(records, limit, pipes);
                    record_loss(records);
                }
            }
        }
        None if matches!(Companion::of(submission.spec.ends_with.as_ref()), Companion::Gone) => {
            record(records, &Companion::unstarted());
            tend(records);
        }
        None => {
            records.start(&Start::new(holder, true, Timestamp::now()))?;
            match control.and_then(|control| Supervisor::start(records, submission, control)) {
                Ok(Ok(mut supervisor)) => supervisor.run(),
                Ok(Err(reason)) => record_failure(records, &reason),
                Err(error) => record_failure(records, &error_chain(&error)),
            }
        }
    }
    records.remove_pipes();
    // Whoever makes a store larger sees to it that it does not grow for ever. What fails is tried by the next.
    let _ = open_store(records).map(|store| store.sweep_if_due());
    Ok(())
}

/// Opens the store. One that somebody deleted is not made again.
fn open_store(records: &Records) -> Option<FileStore> {
    let root = &records.layout.root;
    root.exists().then(|| FileStore::open(root).ok())?
}

/// Puts supervisors in charge of jobs that lost theirs, and starts what is due now that a slot is free. What cannot be
/// done from here is left to whoever uses the store next.
fn tend(records: &Records) {
    let Some(store) = open_store(records) else { return };
    let start = |claim| std::future::ready(super::start(Path::new("/proc/self/exe"), claim).map(drop));
    tend::at_once(tend::tend(&store, start));
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{cause}")
}

fn record_failure(records: &Records, reason: &str) {
    let mut outcome = Outcome::new(Cause::SpawnFailed, Timestamp::now());
    outcome.message = Some(reason.chars().take(512).collect());
    record(records, &Ended::new(None, outcome));
    tend(records);
}

/// Opens the pipes that the supervisor before had. A job that ran within another program wrote to that, and has none.
fn open_pipes(records: &Records) -> Result<Vec<OutputPipe>> {
    let attempt = &records.attempt;
    let paths = [(attempt.stdout(), Stream::Stdout), (attempt.stderr(), Stream::Stderr)];
    let there = paths.into_iter().filter(|(path, _)| path.exists());
    there.map(|(path, stream)| OutputPipe::make(&path, stream).context("open the pipe", &path)).collect()
}

/// Keeps what a command wrote that ended while nobody watched it.
fn rescue(records: &Records, limit: u64, pipes: Vec<OutputPipe>) {
    let Ok(mut log) = FileLogWriter::resume(&records.attempt, limit) else { return };
    for mut pipe in pipes {
        let _ = pipe.pump(&mut log);
    }
}

/// Puts on record that nobody saw the end.
fn record_loss(records: &Records) {
    let mut outcome = Outcome::new(Cause::SupervisorLost, Timestamp::now());
    if let Ok(size) = FileLog::new(records.attempt.clone()).size() {
        (outcome.output_bytes, outcome.dropped_bytes) = (size.bytes, size.dropped);
    }
    let running: Option<Running> = atomic::read(&records.attempt.running()).ok().flatten();
    record(records, &Ended::new(running.map(|running| running.at), outcome));
    tend(records);
}

/// Puts the end on record. There is room for it; should it fail all the same, it is tried again while the lock is kept.
fn record(records: &Records, ended: &Ended) {
    let deadline = Instant::now() + RECORDING;
    // Where somebody deleted the store, there will never be a place for it.
    while records.finish(ended).is_err() && records.attempt.path.exists() && Instant::now() < deadline {
        std::thread::sleep(RECORDING_AGAIN);
    }
}

/// What there is to say of a stop that could not be proven.
const ADOPTED_STOP: &str =
    "its first supervisor had been killed; what was stopped is what could be seen to belong to it";
/// What there is to say of a main process that the kernel killed for its memory.
const OUT_OF_MEMORY: &str = "the kernel killed it because memory ran out";
/// How often what is left of a job is looked for when nobody tells of its end.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What there is to do.
struct Ready {
    /// Which of the output pipes can be read.
    pipes: Vec<bool>,
    is_asked: bool,
    has_ended: bool,
    /// Whether the process that the job ends with is gone.
    is_left: bool,
    /// Whether something came to be typed, or there is room for it.
    is_typed_to: bool,
}

/// A command, and what it takes to watch it.
struct Charge {
    log: FileLogWriter,
    pipes: Vec<OutputPipe>,
    input: Input,
    control: File,
    family: Family,
    main_end: MainEnd,
    main: i32,
    started_at: Timestamp,
    times_out_at: Option<Instant>,
    companion: Companion,
    oom_kills: Option<OomKills>,
}

/// A stop that is under way.
#[derive(Debug, Clone)]
struct Stop {
    /// When everything is asked to end, if only the main process has been so far, by the signal that its spec names.
    terminate_at: Option<Instant>,
    /// When what is left is killed, and then when it is killed again.
    kill_at: Instant,
    /// When what was killed and is still there counts as survivors; known from the first time on that it is killed.
    gives_up_at: Option<Instant>,
}

struct Supervisor<'a> {
    records: &'a Records,
    submission: Submission,
    charge: Charge,
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
    /// Whether nobody tells when what is left of the job is gone, so that it is looked for again and again.
    looks_again: bool,
    /// Whether the kernel killed the main process because memory ran out.
    is_out_of_memory: bool,
}

impl<'a> Supervisor<'a> {
    /// Starts the command.
    ///
    /// # Errors
    /// The outer one is the store's or the system's; the inner one says why the command could not be started.
    fn start(records: &'a Records, submission: Submission, control: File) -> Result<Result<Self, String>> {
        let attempt = &records.attempt;
        let streams = [(attempt.stdout(), Stream::Stdout), (attempt.stderr(), Stream::Stderr)];
        let wanted = match (&submission.spec.terminal, submission.spec.merge) {
            (Some(_), _) => 0,
            (None, true) => 1,
            (None, false) => 2,
        };
        let mut pipes = Vec::new();
        for (path, stream) in streams.iter().take(wanted) {
            pipes.push(OutputPipe::make(path, *stream).context("make the pipe", path)?);
        }
        let main_end = MainEnd::of_child().context("make", "a signal descriptor".as_ref())?;
        let oom_kills = OomKills::of("self");
        let environment = records.environment()?;
        let (main, input) = match command::start(&submission, environment, attempt, &records.job.given()) {
            Ok(started) => started,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Input::Terminal(terminal) = &input {
            let output = terminal.output().context("read from", terminal.device())?;
            pipes.push(OutputPipe::of_terminal(output));
        }
        let started_at = Timestamp::now();
        // A process that is over already is still there to be looked at, since only this one may reap it.
        if let Ok(process) = process::identify(main) {
            // Without this record the job goes on all the same; should this process die, nobody will find the command.
            let _ = records.running(&Running::new(process, started_at));
        }
        let log = FileLogWriter::new(attempt, submission.spec.output_limit);
        let times_out_at = submission.spec.timeout().map(|timeout| Instant::now() + timeout);
        let family = Family::Own { layout: records.layout.clone(), id: records.id };
        let companion = Companion::of(submission.spec.ends_with.as_ref());
        Ok(Ok(Self::new(
            records,
            submission,
            Charge {
                log,
                pipes,
                input,
                control,
                family,
                main_end,
                main,
                started_at,
                times_out_at,
                companion,
                oom_kills,
            },
        )))
    }

    /// Takes charge of a command whose supervisor was killed, and of its pipes; nothing if no process of the job is left.
    fn adopt(
        records: &'a Records,
        submission: Submission,
        control: File,
        pipes: &mut Vec<OutputPipe>,
    ) -> Result<Option<Self>> {
        let attempt = &records.attempt;
        let marker = marker(records.id);
        let running = match atomic::read::<Running>(&attempt.running())? {
            Some(running) => Some(running),
            // It was killed after the start of the command and before that was on record.
            None => process::visible_tree(None, &marker, is_other_supervisor).first().and_then(|first| {
                let running = Running::new(process::identify(first.pid).ok()?, Timestamp::now());
                let _ = records.running(&running);
                Some(running)
            }),
        };
        let Some(running) = running else { return Ok(None) };
        let main_end = MainEnd::of_stranger(&running.process).context("watch", "/proc".as_ref())?;
        let log = FileLogWriter::resume(attempt, submission.spec.output_limit)?;
        // How long the machine was asleep while nobody watched is not known.
        let age = Duration::try_from(Timestamp::now().duration_since(running.at)).unwrap_or_default();
        let times_out_at = submission.spec.timeout().map(|timeout| Instant::now() + timeout.saturating_sub(age));
        let (main, started_at) = (running.process.pid, running.at);
        let family = Family::Adopted { main: running.process, marker };
        let is_gone = matches!(main_end, MainEnd::Unseen);
        if is_gone && family.members().is_empty() {
            return Ok(None);
        }
        // A terminal is gone with the supervisor that held it.
        let input = match &submission.spec {
            spec if spec.terminal.is_none() => input::Open::resume(attempt).map_or(Input::None, Input::Pipe),
            _ => Input::None,
        };
        let companion = Companion::of(submission.spec.ends_with.as_ref());
        let pipes = std::mem::take(pipes);
        let oom_kills = OomKills::of(&main.to_string());
        let charge = Charge {
            log,
            pipes,
            input,
            control,
            family,
            main_end,
            main,
            started_at,
            times_out_at,
            companion,
            oom_kills,
        };
        let mut supervisor = Self::new(records, submission, charge);
        if is_gone {
            supervisor.reap();
        }
        Ok(Some(supervisor))
    }

    fn new(records: &'a Records, submission: Submission, charge: Charge) -> Self {
        Self {
            records,
            submission,
            charge,
            exit: None,
            last_words_until: None,
            stragglers: 0,
            stop: None,
            cause: None,
            sent: Vec::new(),
            survivors: Vec::new(),
            looks_again: false,
            is_out_of_memory: false,
        }
    }

    fn run(&mut self) {
        while !self.is_over() {
            let ready = self.wait();
            self.turn(&ready);
        }
        self.drain();
        record(self.records, &self.ended());
        tend(self.records);
        self.keep_company();
    }

    /// Waits until there is something to do, and returns what.
    fn wait(&self) -> Ready {
        let deadlines = [
            self.stop.as_ref().map(|stop| stop.terminate_at.unwrap_or(stop.kill_at).min(stop.kill_at)),
            self.last_words_until.filter(|_| self.stop.is_none()),
            self.charge.times_out_at.filter(|_| self.is_wanted()),
            self.looks_again.then(|| Instant::now() + LOOK_AGAIN),
            self.is_left().then(Instant::now),
        ];
        let shrinking = self.charge.pipes.iter().filter_map(OutputPipe::shrinks_at);
        let next = deadlines.into_iter().flatten().chain(shrinking).min();
        let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
        let charge = &self.charge;
        let main_end = charge.main_end.as_fd(self.exit.is_some());
        let typing = match &charge.input {
            Input::Terminal(terminal) => Some(terminal.waits_for()),
            Input::None | Input::Pipe(_) => None,
        };
        let outputs = charge.pipes.iter().map(|pipe| pipe.file.as_fd());
        let readable = outputs.chain([charge.control.as_fd()]).chain(main_end).map(|fd| (fd, PollFlags::IN));
        let companion = match &charge.companion {
            Companion::Alive(fd) if self.is_wanted() => Some((fd.as_fd(), PollFlags::IN)),
            _ => None,
        };
        let mut ready = poll(readable.chain(typing).chain(companion), timeout);
        let is_left = self.is_left() || companion.is_some() && ready.pop() == Some(true);
        let is_typed_to = typing.is_some() && ready.pop() == Some(true);
        let has_ended = main_end.is_some() && ready.pop() == Some(true);
        let is_asked = ready.pop() == Some(true);
        Ready { pipes: ready, is_asked, has_ended, is_left, is_typed_to }
    }

    /// Returns whether the command runs and nobody has asked for its end.
    fn is_wanted(&self) -> bool {
        self.stop.is_none() && self.exit.is_none()
    }

    /// Returns whether the job goes on although the process that it ends with is gone.
    fn is_left(&self) -> bool {
        self.is_wanted() && matches!(self.charge.companion, Companion::Gone)
    }

    /// Does all that is to be done now.
    fn turn(&mut self, ready: &Ready) {
        let now = Instant::now();
        for (pipe, is_ready) in self.charge.pipes.iter_mut().zip(&ready.pipes) {
            if *is_ready {
                // What cannot be read now is tried again at the next turn.
                let _ = pipe.pump(&mut self.charge.log);
            } else {
                pipe.shrink_if_quiet(now);
            }
        }
        if ready.has_ended {
            self.reap();
        }
        if ready.is_typed_to
            && let Input::Terminal(terminal) = &mut self.charge.input
        {
            // What cannot be typed now is tried again at the next turn.
            let _ = terminal.pump();
        }
        if ready.is_asked {
            self.answer_requests();
        }
        if self.is_wanted() && self.charge.times_out_at.is_some_and(|at| at <= now) {
            self.cause = Some((Cause::TimedOut, None));
            self.begin_stop(self.submission.spec.grace());
        }
        if self.is_wanted() && ready.is_left {
            self.cause = Some((Cause::Stopped, Some(SESSION_END.to_owned())));
            self.begin_stop(self.submission.spec.grace());
        }
        if self.stop.is_none() && self.last_words_until.is_some_and(|until| until <= now) {
            self.stragglers = count(&self.charge.family.members());
            self.begin_stop(self.submission.spec.grace());
        }
        let has_exited = self.exit.is_some();
        if let Some(stop) = &mut self.stop
            && stop.terminate_at.take_if(|at| has_exited || *at <= now).is_some()
        {
            self.terminate();
        }
        // The end of one that was killed may have made others children of this process.
        if self.stop.as_ref().is_some_and(|stop| stop.kill_at <= now || stop.gives_up_at.is_some() && ready.has_ended) {
            self.kill();
        }
    }

    fn reap(&mut self) {
        let Some(exit) = self.charge.main_end.collect(self.charge.main) else { return };
        self.is_out_of_memory = exit.signal == Some(Signal::from_number(nix::libc::SIGKILL))
            && self.charge.oom_kills.as_ref().is_some_and(OomKills::have_risen);
        self.exit = Some(exit);
        self.last_words_until = Some(Instant::now() + LAST_WORDS);
        if let Some(stop) = self.stop.as_mut().filter(|stop| stop.gives_up_at.is_some()) {
            // It was a survivor itself perhaps, and kept others from ending.
            (stop.kill_at, stop.gives_up_at) = (Instant::now(), None);
            self.survivors.clear();
        }
    }

    fn is_over(&mut self) -> bool {
        if self.exit.is_none() {
            return false;
        }
        !self.survivors.is_empty() || self.leaves_stragglers() || self.is_empty()
    }

    /// Returns whether no process of the job is left.
    fn is_empty(&mut self) -> bool {
        let remaining = self.charge.family.remaining();
        let is_adopted = matches!(self.charge.family, Family::Adopted { .. });
        // Nobody tells a stranger that they are gone, nor that another supervisor which is coming up is on record.
        self.looks_again = !remaining.is_empty() && (is_adopted || remaining.iter().all(is_other_supervisor));
        remaining.is_empty()
    }

    /// Returns whether what is left when the main process has ended by itself is to be left alone.
    fn leaves_stragglers(&self) -> bool {
        self.submission.spec.stragglers == Stragglers::Leave && self.cause.is_none()
    }

    /// Goes on with a stop that the supervisor before had begun.
    fn resume_stop(&mut self, stopping: Stopping) {
        let rest = stopping.rest(Timestamp::now());
        self.cause = Some((stopping.cause, stopping.requester));
        self.begin_stop(rest);
    }

    fn begin_stop(&mut self, grace: Duration) {
        self.note_stop(grace);
        let now = Instant::now();
        let terminate_at = self.ask_main().then(|| now + grace / 2);
        if terminate_at.is_none() {
            self.terminate();
        }
        self.stop = Some(Stop { terminate_at, kill_at: now + grace, gives_up_at: None });
    }

    /// Sends the signal that the spec names, and returns whether it was.
    fn ask_main(&self) -> bool {
        let signal = self.submission.spec.stop_signal.and_then(Signal::to_rustix).filter(|_| self.exit.is_none());
        signal.is_some_and(|signal| process::signal_group(self.charge.main, signal))
    }

    /// Asks all of the job to end.
    fn terminate(&self) {
        self.charge.family.terminate(self.exit.is_none().then_some(self.charge.main));
    }

    /// Puts the stop on record, before anything of it can be seen. That of stragglers is not: the end of the job was its own.
    fn note_stop(&self, grace: Duration) {
        if let Some((cause, requester)) = self.cause.clone() {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            let at = Timestamp::now();
            self.records.stopping(&Stopping { v: RECORD_VERSION, cause, requester, at, grace_ms });
        }
    }

    /// Kills what is left now. It is called again until nothing is, or until it is clear what cannot be killed; that is tried
    /// again from time to time while the main process is among it, since the job has not ended before that.
    fn kill(&mut self) {
        let now = Instant::now();
        let Some(stop) = &mut self.stop else { return };
        if stop.gives_up_at.is_none() {
            self.charge.family.kill_all();
        }
        let gives_up_at = *stop.gives_up_at.get_or_insert(now + DYING);
        let left = self.charge.family.kill_remaining();
        let has_given_up = now >= gives_up_at;
        stop.kill_at = now + if has_given_up { DYING } else { KILL_AGAIN };
        if has_given_up && left > 0 {
            self.survivors = self.charge.family.survivors();
        }
    }

    /// Names what was killed and is still there.
    fn unstoppable(&self) -> Vec<Survivor> {
        match self.stop.as_ref().and_then(|stop| stop.gives_up_at) {
            Some(_) => self.charge.family.survivors(),
            None => Vec::new(),
        }
    }

    fn answer_requests(&mut self) {
        loop {
            match control::read_request(&self.charge.control) {
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
            Request::Count => {
                let survivors = self.unstoppable();
                let members = self.charge.family.members().len().max(survivors.len());
                Answer::Processes { count: members.try_into().unwrap_or(u32::MAX), survivors }
            }
            Request::EndInput => self.end_input(),
            Request::Resize { size } => match &self.charge.input {
                Input::Terminal(terminal) => match terminal.resize(size) {
                    Ok(()) => Answer::Accepted,
                    Err(error) => Answer::Refused { reason: format!("its terminal cannot get this size: {error}") },
                },
                Input::None | Input::Pipe(_) => Answer::Refused { reason: "it has no terminal".to_owned() },
            },
            Request::Stop { grace_ms, requester } => {
                let grace = grace_ms.map_or(self.submission.spec.grace(), Duration::from_millis);
                // What ended by itself before anybody asked did so, even while its stragglers are still being stopped.
                if self.exit.is_none() && self.cause.is_none() {
                    self.cause = Some((Cause::Stopped, Some(requester)));
                }
                let kill_at = Instant::now() + grace;
                match &mut self.stop {
                    Some(stop) if stop.gives_up_at.is_some() || stop.kill_at <= kill_at => {}
                    Some(stop) => {
                        stop.kill_at = kill_at;
                        self.note_stop(grace);
                    }
                    None => self.begin_stop(grace),
                }
                Answer::Accepted
            }
            Request::Signal { signal, requester } => {
                let group = rustix::process::Pid::from_raw(self.charge.main).filter(|_| self.exit.is_none());
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

    fn end_input(&mut self) -> Answer {
        match std::mem::replace(&mut self.charge.input, Input::None) {
            Input::Pipe(pipe) => pipe.end(),
            Input::Terminal(mut terminal) => {
                terminal.end();
                self.charge.input = Input::Terminal(terminal);
            }
            // It was ended before, or there never was any: nothing more can be read.
            Input::None => {}
        }
        Answer::Accepted
    }

    /// Moves into the log what is still in the pipes. A turn moves more than a pipe can hold, and nobody is left to
    /// write; or somebody was left, and goes on writing for ever.
    fn drain(&mut self) {
        for pipe in &mut self.charge.pipes {
            let _ = pipe.pump(&mut self.charge.log);
        }
    }

    fn ended(&mut self) -> Ended {
        if self.leaves_stragglers() {
            self.stragglers = count(&self.charge.family.members());
        }
        let exit = self.exit.unwrap_or_else(Exit::unseen);
        let asked_for = |signal| self.sent.iter().find(|(sent, _)| Some(*sent) == signal).map(|(_, who)| who.clone());
        let is_adopted = matches!(self.charge.family, Family::Adopted { .. });
        let was_asked_to_end = self.cause.is_some();
        let (cause, stopped_by) = match (self.cause.take(), exit.signal) {
            (Some(cause), _) => cause,
            (None, None) if exit.code.is_none() => (Cause::SupervisorLost, None),
            (None, None) => (Cause::Exited, None),
            (None, signal) => match asked_for(signal) {
                Some(who) => (Cause::Stopped, Some(who)),
                None if self.is_out_of_memory => (Cause::Oom, None),
                None => (Cause::Signalled, None),
            },
        };
        let mut outcome = Outcome::new(cause, exit.at);
        if is_adopted {
            // What it used was told to the supervisor that was killed, or to nobody.
            outcome.message = was_asked_to_end.then(|| ADOPTED_STOP.to_owned());
        } else {
            (outcome.cpu_ms, outcome.peak_rss_bytes) = account::usage();
        }
        if cause == Cause::Oom {
            outcome.message = Some(OUT_OF_MEMORY.to_owned());
        }
        outcome.exit_code = exit.code;
        outcome.signal = exit.signal;
        outcome.core_dumped = exit.core_dumped;
        outcome.stopped_by = stopped_by;
        outcome.stragglers = self.stragglers;
        outcome.survivors = std::mem::take(&mut self.survivors);
        outcome.output_bytes = self.charge.log.size().bytes;
        outcome.dropped_bytes = self.charge.log.size().dropped;
        Ended::new(Some(self.charge.started_at), outcome)
    }

    /// Stays with what was left, or could not be stopped: keeps its output, and stops it when asked to.
    fn keep_company(&mut self) {
        self.stop = None;
        self.last_words_until = None;
        while !self.is_empty() {
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

/// Waits until one of the descriptors is ready, or the time is up; for ever without one. Returns which are ready.
fn poll<'f>(
    descriptors: impl IntoIterator<Item = (BorrowedFd<'f>, PollFlags)>,
    timeout: Option<Duration>,
) -> Vec<bool> {
    let mut descriptors: Vec<_> =
        descriptors.into_iter().map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)).collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    // A wait that failed is a wait that is over, with nothing ready.
    let _ = rustix::event::poll(&mut descriptors, timeout.as_ref());
    descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::clock::SystemRandom;
    use crate::id::JobId;
    use crate::output::{OutputQuery, Position};
    use crate::spec::JobSpec;
    use crate::store::JobStore;
    use crate::store::file::layout::Layout;
    use crate::sys::{pipe, world};

    /// It ended between the opening of its pipes and the look at it.
    #[test]
    fn what_a_command_wrote_that_ended_while_nobody_watched_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let store = FileStore::open(&root).unwrap();
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        let spec = JobSpec::command(["true"]).build().unwrap();
        let submission = Submission::new(id, Timestamp::now(), spec, "/bin/true".into(), world::capture().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.create(submission)).unwrap();
        let records = Records::claim(&Layout::new(&root), id).unwrap().unwrap();
        pipe::make(&records.attempt.stdout()).unwrap();
        let mut command = pipe::open(&records.attempt.stdout()).unwrap();
        command.write_all(b"last words").unwrap();
        let pipes = open_pipes(&records).unwrap();
        drop(command);
        rescue(&records, 0, pipes);
        let log = FileLog::new(records.attempt);
        let chunk = crate::output::read(&log, 0, &OutputQuery::from(Position::Start)).unwrap();
        assert_eq!(chunk.bytes(None), b"last words");
    }
}

//! A watched command, and how it is started.

use std::io;

use super::command::{self, Input};
use super::main_end::MainEnd;
use super::pipe::OutputPipe;
use super::tree::Family;
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::output::Stream;
use crate::record::{Running, Submission};
use crate::store::file::log::FileLogWriter;
use crate::store::file::supervisors::control_group;
use crate::store::file::{JobFile, Records};
use crate::sys::cgroup::MemoryGroup;
use crate::sys::oom::OomKills;
use crate::sys::process;

/// A command, and what is needed to watch it.
pub(super) struct Watched {
    pub(super) log: FileLogWriter,
    pub(super) pipes: Vec<OutputPipe>,
    pub(super) input: Input,
    pub(super) family: Family,
    pub(super) main_end: MainEnd,
    pub(super) main: i32,
    pub(super) started_at: Timestamp,
    pub(super) oom_kills: Option<OomKills>,
    /// The control group that holds the processes to their limit of memory together.
    pub(super) memory: Option<MemoryGroup>,
}

/// A number that no process has: `PID_MAX_LIMIT`, proc_sys_kernel(5), is far lower.
const NO_PROCESS: i32 = i32::MAX;

impl Watched {
    /// Returns what a supervisor that has seen no attempt watches between two attempts.
    pub(super) fn between_attempts(records: &Records, limit: u64) -> Result<Self> {
        let log = FileLogWriter::resume(&records.job, limit)?;
        let family = Family::Own { layout: records.layout.clone(), id: records.id, apart: None };
        let (pipes, input, main_end) = (Vec::new(), Input::None, MainEnd::Unseen);
        let (main, started_at) = (NO_PROCESS, Timestamp::now());
        Ok(Self { log, pipes, input, family, main_end, main, started_at, oom_kills: None, memory: None })
    }

    /// Drops what belonged to an ended command, before another is started.
    pub(super) fn let_go(&mut self) {
        (self.input, self.main_end, self.main) = (Input::None, MainEnd::Unseen, NO_PROCESS);
        self.pipes.clear();
        self.memory = None;
    }

    /// Starts the command.
    ///
    /// # Errors
    /// The outer error is the store's or the system's; the inner one says why the command could not be started.
    pub(super) fn start(
        records: &Records,
        read: &JobFile,
        submission: &Submission,
        attempt: u32,
    ) -> Result<Result<Self, String>> {
        let job = &records.job;
        let streams = [(job.stdout(), Stream::Stdout), (job.stderr(), Stream::Stderr)];
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
        let gone = || Error::io("read the environment from", &job.record())(io::ErrorKind::NotFound.into());
        let environment = read.environment().ok_or_else(gone)?;
        let place = read.place(&submission.spec);
        let mut limits = submission.spec.limits.clone();
        let memory = limits.memory.and_then(|limit| MemoryGroup::enter(&control_group(records.id), limit));
        let oom_kills = match &memory {
            Some(group) => {
                limits.memory = None;
                group.oom_kills()
            }
            None => OomKills::of("self"),
        };
        let started = command::start(submission, &limits, environment, (&place, attempt), job);
        memory.iter().for_each(MemoryGroup::leave);
        let (main, input) = match started {
            Ok(started) => started,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Input::Terminal(terminal) = &input {
            let output = terminal.output().context("read from", terminal.device())?;
            pipes.push(OutputPipe::of_terminal(output));
        }
        let started_at = Timestamp::now();
        // A process that has already ended can still be inspected, since only this process may reap it.
        if let Ok(process) = process::identify(main) {
            // Without this record the job still runs; but if this process dies, nothing will find the command.
            let _ = records.running(&Running::new(process, started_at));
        }
        if submission.spec.restart.is_none() {
            // Tried again at the end. Secrets in it should not stay on disk longer than necessary.
            let _ = records.erase_environment(read);
        }
        let limit = submission.spec.output_limit;
        let log = if attempt == 1 { FileLogWriter::new(job, limit) } else { FileLogWriter::resume(job, limit)? };
        let family = Family::Own { layout: records.layout.clone(), id: records.id, apart: None };
        Ok(Ok(Self { log, pipes, input, family, main_end, main, started_at, oom_kills, memory }))
    }
}

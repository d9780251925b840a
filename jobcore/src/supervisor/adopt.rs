//! Taking over a command whose supervisor was killed.

use std::fs::File;
use std::time::Duration;

use super::command::Input;
use super::main_end::MainEnd;
use super::outcome::{loss, record};
use super::pipe::OutputPipe;
use super::run::Supervisor;
use super::stranger;
use super::tree::Family;
use super::watched::Watched;
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::output::Stream;
use crate::record::{Ended, Running, Start, Stopping, Submission};
use crate::state::Cause;
use crate::store::file::log::FileLogWriter;
use crate::store::file::supervisors::{control_group, visible_members};
use crate::store::file::{JobFile, Records, input};
use crate::sys::cgroup::MemoryGroup;
use crate::sys::oom::OomKills;
use crate::sys::process::{self, ProcessId};

/// Why a stop cannot be proven to have reached all of its processes.
const CAVEAT: &str = "its first supervisor had been killed";

/// Takes over a job that may have run, and whose command is not started again.
// A function of its own, so that a supervisor that takes over nothing spends no stack on it.
#[inline(never)]
pub(super) fn take_over(
    records: &Records,
    read: &JobFile,
    submission: &Submission,
    (before, holder): (Start, ProcessId),
    control: Result<File>,
) -> Result<()> {
    // First of all: what is in a pipe is lost when the last process closes it.
    let mut pipes = match &submission.spec.adopts {
        Some(adoption) => stranger::outputs_again(adoption, records),
        None => open_pipes(records)?,
    };
    // Only a hint for waiters: without it they look again and again.
    let start = Start { holder, dedicated: true, ..before.clone() };
    let _ = records.start_again(&start);
    let control = control?;
    let was_stopped = read.get::<Stopping>().ok().flatten().is_some_and(|stopping| stopping.cause == Cause::Stopped);
    if start.due_at.is_some() && !was_stopped {
        Supervisor::between_attempts(records, submission, start, control)?.run();
        return Ok(());
    }
    if let Some(mut supervisor) = adopt(records, read, submission, &start, &control, &mut pipes)? {
        supervisor.run();
        return Ok(());
    }
    rescue(records, submission.spec.output_limit, pipes);
    let ended = loss(records, &before.holder);
    let restart = submission.spec.restart.as_ref().filter(|_| !was_stopped);
    match start.next(restart, &ended, Timestamp::now()) {
        Some(next) => {
            // Without this record the same is found out again.
            let _ = records.start(&next);
            Supervisor::between_attempts(records, submission, next, control)?.run();
        }
        None => record(records, &Ended { started_at: start.first_started_at().or(ended.started_at), ..ended }),
    }
    Ok(())
}

/// Opens the pipes of the previous supervisor. A job that ran within another program wrote to that program, and has
/// none.
fn open_pipes(records: &Records) -> Result<Vec<OutputPipe>> {
    let job = &records.job;
    let paths = [(job.stdout(), Stream::Stdout), (job.stderr(), Stream::Stderr)];
    let there = paths.into_iter().filter(|(path, _)| path.exists());
    there.map(|(path, stream)| OutputPipe::make(&path, stream).context("open the pipe", &path)).collect()
}

/// Keeps what a command wrote that ended while it was not watched.
fn rescue(records: &Records, limit: u64, pipes: Vec<OutputPipe>) {
    let Ok(mut log) = FileLogWriter::resume(&records.job, limit) else { return };
    for mut pipe in pipes {
        let _ = pipe.pump(&mut log);
    }
}

/// Takes over a command and its pipes, and continues a stop that was under way; `None` if no process of the job is
/// left.
fn adopt<'a>(
    records: &'a Records,
    read: &JobFile,
    submission: &'a Submission,
    start: &Start,
    control: &File,
    pipes: &mut Vec<OutputPipe>,
) -> Result<Option<Supervisor<'a>>> {
    let job = &records.job;
    let running = match read.get::<Running>()? {
        Some(running) => Some(running),
        // The supervisor was killed between the start of the command and its record.
        None => {
            let first = || process::identify(visible_members(None, records.id).first()?.pid).ok();
            let main = submission.spec.adopts.as_ref().map(|adoption| adoption.process.clone()).or_else(first);
            let running = main.map(|main| Running::new(main, Timestamp::now()));
            running.inspect(|running| drop(records.running(running)))
        }
    };
    let Some(running) = running else { return Ok(None) };
    let Running {
        process: main, at: started_at, waiting, stalled_at, paused_at, paused_ms, ready_at, lease_until, ..
    } = running;
    let main_end = MainEnd::of_stranger(&main).context("watch", "/proc".as_ref())?;
    let mut log = FileLogWriter::resume(job, submission.spec.output_limit)?;
    stranger::pump(pipes, &mut log);
    // How long the machine was suspended while the job was not watched is unknown.
    let age_at = |at: Timestamp| Duration::try_from(at.duration_since(started_at)).unwrap_or_default();
    let age = age_at(Timestamp::now());
    let caveat = if submission.spec.adopts.is_some() { stranger::CAVEAT } else { CAVEAT };
    let family = Family::Adopted { main: main.clone(), id: records.id, caveat };
    let is_gone = matches!(main_end, MainEnd::Unseen);
    if is_gone && family.members().is_empty() {
        return Ok(None);
    }
    // A terminal disappears with the supervisor that held it.
    let input = match &submission.spec {
        spec if spec.terminal.is_none() => input::Open::resume(job).map_or(Input::None, Input::Pipe),
        _ => Input::None,
    };
    let memory = MemoryGroup::around(main.pid, &control_group(records.id));
    let oom_kills = match &memory {
        Some(group) => group.oom_kills(),
        None => OomKills::of(&main.pid.to_string()),
    };
    let (pipes, main) = (std::mem::take(pipes), main.pid);
    let watched = Watched { log, pipes, input, family, main_end, main, started_at, oom_kills, memory };
    let control = control.try_clone().context("copy", &records.job.control())?;
    let mut supervisor = Supervisor::new(records, submission, start.clone(), control, watched, age);
    if stalled_at.is_some() {
        supervisor.life.resume_stall();
    }
    if waiting.is_some() {
        // A process that was reading when the supervisor was killed has reached the end of its input since.
        records.note(|running| running.waiting = None, None);
    }
    supervisor.life.resume_pause(paused_at.map(age_at), Duration::from_millis(paused_ms), age);
    supervisor.life.resume_readiness(ready_at.is_some(), age);
    if let Some(until) = lease_until.or(submission.spec.lease_from(started_at)) {
        let rest = Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default();
        supervisor.life.resume_lease(rest, age);
    }
    if is_gone {
        supervisor.reap();
    }
    if let Some(stopping) = read.get::<Stopping>().ok().flatten() {
        supervisor.resume_stop(stopping);
    }
    Ok(Some(supervisor))
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
    use crate::store::file::FileStore;
    use crate::store::file::layout::Layout;
    use crate::store::file::log::FileLog;
    use crate::sys::{pipe, world};

    /// It ended after its pipes were opened and before it was looked at.
    #[test]
    fn output_of_a_command_that_ended_while_unwatched_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("store");
        let store = FileStore::open(&root).unwrap();
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        let spec = JobSpec::command(["true"]).build().unwrap();
        let submission = Submission::new(id, Timestamp::now(), spec, "/bin/true".into(), world::capture().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.create(submission)).unwrap();
        let records = Records::claim(&Layout::new(&root), id).unwrap().unwrap();
        pipe::make(&records.job.stdout()).unwrap();
        let mut command = pipe::open(&records.job.stdout()).unwrap();
        command.write_all(b"last words").unwrap();
        let pipes = open_pipes(&records).unwrap();
        drop(command);
        rescue(&records, 0, pipes);
        let log = FileLog::new(records.job);
        let chunk = crate::output::read(&log, 0, &OutputQuery::from(Position::Start)).unwrap();
        assert_eq!(chunk.bytes(None), b"last words");
    }
}

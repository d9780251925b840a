//! Adopting a process that was started elsewhere.

use super::command::Input;
use super::main_end::MainEnd;
use super::pipe::OutputPipe;
use super::tree::Family;
use super::watched::Watched;
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::output::{JobLog, Stream};
use crate::record::{Running, Submission};
use crate::spec::{Adoption, Outlet};
use crate::store::file::Records;
use crate::store::file::log::{FileLog, FileLogWriter};
use crate::sys::oom::OomKills;

/// Why a stop of an adopted process cannot be proven to have reached all of its processes.
pub(super) const CAVEAT: &str = "it was started elsewhere";

/// Adopts the process.
///
/// # Errors
/// The outer error is the store's or the system's; the inner one says why the process cannot be watched.
// A function of its own, so that a supervisor that starts its command spends no stack on it.
#[inline(never)]
pub(super) fn take_charge(
    records: &Records,
    submission: &Submission,
    adoption: &Adoption,
) -> Result<Result<Watched, String>> {
    let Adoption { process, .. } = adoption;
    let main_end = MainEnd::of_stranger(process).context("watch", "/proc".as_ref())?;
    if matches!(main_end, MainEnd::Unseen) {
        return Ok(Err(format!("process {} ended before it could be adopted", process.pid)));
    }
    let started_at = Timestamp::now();
    records.running(&Running::new(process.clone(), started_at))?;
    let mut log = FileLogWriter::new(&records.job, submission.spec.output_limit);
    let mut pipes = match outputs(adoption, [0, 0]) {
        Ok(pipes) => pipes,
        Err(reason) => return Ok(Err(reason)),
    };
    pump(&mut pipes, &mut log);
    let family = Family::Adopted { main: process.clone(), id: records.id, caveat: CAVEAT };
    let oom_kills = OomKills::of(&process.pid.to_string());
    Ok(Ok(Watched {
        log,
        pipes,
        input: Input::None,
        family,
        main_end,
        main: process.pid,
        started_at,
        oom_kills,
        memory: None,
    }))
}

/// Follows the output of the process from where the previous supervisor stopped. If that fails, the process is watched
/// without its output.
pub(super) fn outputs_again(adoption: &Adoption, records: &Records) -> Vec<OutputPipe> {
    let read = read_before(adoption, &FileLog::new(records.job.clone()));
    read.ok().and_then(|read| outputs(adoption, read).ok()).unwrap_or_default()
}

/// Returns how many bytes of each stream are in the log. If two streams are followed and some of their output was
/// dropped, the positions are unknown, and both continue at their current ends.
fn read_before(adoption: &Adoption, log: &FileLog) -> Result<[u64; 2]> {
    let size = log.size()?;
    let has_two = matches!(adoption.stderr, Outlet::File { .. }) && adoption.stdout.is_followed();
    if !has_two {
        return Ok([size.bytes; 2]);
    }
    let mut read = [0; 2];
    for segment in log.segments()? {
        let rows = usize::try_from(log.row_count(segment.start)?).unwrap_or(0);
        let rows = log.rows(segment.start, 0, rows)?;
        let ends = rows.iter().skip(1).map(|row| row.offset).chain([segment.start + segment.len]);
        for (row, end) in rows.iter().zip(ends) {
            read[usize::from(row.stream == Stream::Stderr)] += end.saturating_sub(row.offset);
        }
    }
    Ok(if size.dropped == 0 { read } else { [u64::MAX; 2] })
}

/// Opens the outputs of the process, each after the bytes already read.
fn outputs(adoption: &Adoption, read: [u64; 2]) -> Result<Vec<OutputPipe>, String> {
    let pid = adoption.process.pid;
    let outlets = [(&adoption.stdout, Stream::Stdout, 1), (&adoption.stderr, Stream::Stderr, 2)];
    let mut pipes = Vec::new();
    for ((outlet, stream, fd), read) in outlets.into_iter().zip(read) {
        let followed = outlet.open(pid, fd, read);
        let followed = followed.map_err(|error| format!("the output of process {pid} cannot be read: {error}"))?;
        pipes.extend(followed.map(|followed| OutputPipe::of_followed(followed, stream)));
    }
    Ok(pipes)
}

/// Moves what was written to files before they were watched into the log.
pub(super) fn pump(pipes: &mut [OutputPipe], log: &mut FileLogWriter) {
    for pipe in pipes.iter_mut().filter(|pipe| pipe.is_file()) {
        // What cannot be read now is retried when there is more.
        let _ = pipe.pump(log);
    }
}

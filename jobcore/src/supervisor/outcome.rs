//! How the end of a job gets on record.

use std::time::{Duration, Instant};

use super::tend::tend;
use super::tree::Family;
use super::watched::Watched;
use crate::clock::Timestamp;
use crate::record::{Ended, Running};
use crate::state::{Cause, Outcome};
use crate::store::file::Records;
use crate::store::file::log::FileLog;
use crate::sys::child;
use crate::sys::process::{self, ProcessId, Seen};

/// How long the end of a job is tried to be put on record, and at what distance.
const RECORDING: Duration = Duration::from_secs(600);
const RECORDING_AGAIN: Duration = Duration::from_millis(200);

/// What there is to say of a main process that the kernel killed for its memory.
const OUT_OF_MEMORY: &str = "the kernel killed it because memory ran out";

/// Returns the end of an attempt, with what its life does not know.
pub(super) fn end_of(watched: &Watched, was_stopped: bool, mut outcome: Outcome) -> Ended {
    if let Family::Adopted { caveat, .. } = watched.family {
        // What it used was told to its parent, or to nobody.
        outcome.message =
            was_stopped.then(|| format!("{caveat}; what was stopped is what could be seen to belong to it"));
    } else {
        (outcome.cpu_ms, outcome.peak_rss_bytes) = child::usage();
    }
    if outcome.cause == Cause::Oom {
        outcome.message = Some(OUT_OF_MEMORY.to_owned());
    }
    let size = watched.log.size();
    (outcome.output_bytes, outcome.dropped_bytes) = (size.bytes, size.dropped);
    let was_started = outcome.cause != Cause::SpawnFailed;
    Ended::new(was_started.then_some(watched.started_at), outcome)
}

/// Returns the outcome of a command that could not be started.
pub(super) fn failure(reason: &str) -> Outcome {
    let mut outcome = Outcome::new(Cause::SpawnFailed, Timestamp::now());
    outcome.message = Some(reason.chars().take(512).collect());
    outcome
}

/// Returns an end that nobody saw, of an attempt of which this process was in charge.
pub(super) fn loss(records: &Records, holder: &ProcessId) -> Ended {
    let running: Option<Running> = records.read().and_then(|read| read.get()).ok().flatten();
    let was_rebooted = process::look(holder) == Seen::Rebooted;
    let cause = if was_rebooted { Cause::Rebooted } else { Cause::SupervisorLost };
    let mut outcome = Outcome::new(cause, Timestamp::now());
    if let Ok(size) = FileLog::new(records.job.clone()).size() {
        (outcome.output_bytes, outcome.dropped_bytes) = (size.bytes, size.dropped);
    }
    Ended::new(running.map(|running| running.at), outcome)
}

/// Puts the end on record, and tends the store. There is room for it; should it fail all the same, it is tried again while the
/// lock is kept.
pub(super) fn record(records: &Records, ended: &Ended) {
    let deadline = Instant::now() + RECORDING;
    let mut finished = records.finish(ended);
    // Where somebody deleted the store, there will never be a place for it.
    while finished.is_err() && records.job.record().exists() && Instant::now() < deadline {
        std::thread::sleep(RECORDING_AGAIN);
        finished = records.finish(ended);
    }
    tend(records, finished.unwrap_or(false));
}

/// Returns an error and its cause in one sentence.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{cause}")
}

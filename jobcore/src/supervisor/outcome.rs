//! How the end of a job is recorded.

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

/// How long to keep trying to record the end of a job, and how often.
const RECORDING: Duration = Duration::from_secs(600);
const RECORDING_AGAIN: Duration = Duration::from_millis(200);

/// The message for a main process that the kernel killed because of its memory.
const OUT_OF_MEMORY: &str = "the kernel killed it because memory ran out";

/// Returns the end of an attempt, completed with what its life does not know.
pub(super) fn end_of(watched: &Watched, was_stopped: bool, mut outcome: Outcome) -> Ended {
    if let Family::Adopted { caveat, .. } = watched.family {
        // Its usage is reported only to its parent.
        outcome.message =
            was_stopped.then(|| format!("{caveat}; only processes that visibly belonged to it were stopped"));
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

/// Returns the end of an attempt of this holder that no process saw.
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

/// Records the end, and tends the store. Room is reserved for it; should it fail all the same, it is retried while the
/// lock is held.
pub(super) fn record(records: &Records, ended: &Ended) {
    let deadline = Instant::now() + RECORDING;
    let mut finished = records.finish(ended);
    // If the store was deleted, there will never be a place for it.
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

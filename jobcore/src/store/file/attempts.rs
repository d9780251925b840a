//! The file `attempts` of a job whose command was started again: how it ended before.

use serde::{Deserialize, Serialize};

use super::atomic;
use super::job_file;
use super::layout::JobDir;
use crate::error::Result;
use crate::id::JobId;
use crate::record::{Attempt, RECORD_VERSION, Start};

/// What it is called in its seal.
const NAME: &str = "attempts";

#[derive(Serialize, Deserialize)]
struct Attempts {
    v: u32,
    attempts: Vec<Attempt>,
}

/// Writes the attempts before this one, as a whole.
pub(super) fn write(job: &JobDir, id: JobId, start: &Start) -> Result<()> {
    let path = job.attempts();
    let attempts = Attempts { v: RECORD_VERSION, attempts: start.before.clone() };
    atomic::publish(&path, &job_file::sealed(&attempts, NAME, id, &path)?)
}

/// Adds to the record of a later attempt what the file says of those before it. Without that, which is damaged or gone, the record
/// still says which attempt it is.
pub(super) fn complete(job: &JobDir, id: JobId, start: Option<Start>) -> Option<Start> {
    let mut start = start?;
    if start.attempt > 1 {
        let path = job.attempts();
        let read = atomic::read_bytes(&path).ok().flatten();
        let read = read.and_then(|bytes| job_file::unsealed::<Attempts>(&bytes, NAME, id, &path).ok());
        // It is written before the record.
        let is_before = |attempt: &Attempt| attempt.number < start.attempt;
        start.before = read.map(|read| read.attempts).unwrap_or_default().into_iter().filter(is_before).collect();
    }
    Some(start)
}

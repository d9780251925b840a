//! The file `attempts` of a job whose command was started again: how the earlier attempts ended.

use serde::{Deserialize, Serialize};

use super::atomic;
use super::job_file;
use super::layout::JobDir;
use crate::error::Result;
use crate::id::JobId;
use crate::record::{Attempt, RECORD_VERSION, Start};

/// The name of the file in its seal.
const NAME: &str = "attempts";

#[derive(Serialize, Deserialize)]
struct Attempts {
    v: u32,
    attempts: Vec<Attempt>,
}

/// Writes the attempts before this one as a whole.
pub(super) fn write(job: &JobDir, id: JobId, start: &Start) -> Result<()> {
    let path = job.attempts();
    let attempts = Attempts { v: RECORD_VERSION, attempts: start.before.clone() };
    atomic::publish(&path, &job_file::sealed(&attempts, NAME, id, &path)?)
}

/// Adds the earlier attempts from the file to the record of a later attempt. If the file is damaged or missing, the
/// record still says which attempt it is.
pub(super) fn complete(job: &JobDir, id: JobId, start: Option<Start>) -> Option<Start> {
    let mut start = start?;
    if start.attempt > 1 {
        let path = job.attempts();
        let read = atomic::read_bytes(&path).ok().flatten();
        let read = read.and_then(|bytes| job_file::unsealed::<Attempts>(&bytes, NAME, id, &path).ok());
        // The file is written before the record.
        let is_before = |attempt: &Attempt| attempt.number < start.attempt;
        start.before = read.map(|read| read.attempts).unwrap_or_default().into_iter().filter(is_before).collect();
    }
    Some(start)
}

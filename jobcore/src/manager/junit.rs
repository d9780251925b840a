//! Reports that test runners leave on disk.

use std::time::Duration;

use super::JobManager;
use crate::digest::{Failures, junit_xml};
use crate::error::Result;
use crate::job::Job;
use crate::sys::file;

/// How much of a report is read.
const LARGEST: u64 = 4 << 20;
/// File systems use the time of the kernel's last tick, which may be before the start of the job.
const TICK: Duration = Duration::from_millis(10);

impl JobManager {
    /// Returns the failures in a JUnit report that the command of a job names, such as `--junitxml=report.xml`, and
    /// that was written after the job was started. `None` if there is none, or it cannot be read.
    ///
    /// # Errors
    /// None today.
    pub async fn junit_report(&self, job: &Job) -> Result<Option<Failures>> {
        let job = job.clone();
        self.offload(move |_| async move { Ok(read(&job)) }).await
    }
}

fn read(job: &Job) -> Option<Failures> {
    let started = job.state.started_at()?;
    let earliest = started.checked_sub(jiff::SignedDuration::try_from(TICK).ok()?).ok()?;
    let line = job.shape(started).command_line();
    let words = line.split(|letter: char| letter.is_whitespace() || "='\";&|()".contains(letter));
    words.filter(|word| word.ends_with(".xml")).find_map(|word| {
        let (bytes, written) = file::read_regular(&job.spec.cwd.join(word), LARGEST).ok()?;
        let is_of_job = crate::clock::Timestamp::try_from(written).is_ok_and(|written| written >= earliest);
        junit_xml(&String::from_utf8_lossy(&bytes)).filter(|_| is_of_job)
    })
}

//! The directories of the jobs that are on record, and what they contain.

use std::fs::{File, OpenOptions};

use super::atomic;
use super::attempts;
use super::job_file::JobFile;
use super::layout::{JobDir, Layout};
use super::log::FileLog;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::output::OutputSize;
use crate::record::{Ended, Evidence, Running, Submission};
use crate::spec::Stragglers;
use crate::sys::process::Seen;
use crate::sys::{lock, process};

/// The jobs of a store, for readers.
#[derive(Debug, Clone)]
pub(crate) struct Jobs {
    layout: Layout,
}

impl Jobs {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone() }
    }

    /// Returns the directory of a job that is on record.
    pub(super) fn existing(&self, id: JobId) -> Result<JobDir> {
        let job = self.layout.job(id);
        if self.is_there(id)? { Ok(job) } else { Err(Error::not_found(id)) }
    }

    pub(super) fn is_there(&self, id: JobId) -> Result<bool> {
        atomic::is_there(&self.layout.job(id).path)
    }

    /// Returns the days that have jobs, the newest first.
    pub(super) fn days(&self) -> Result<Vec<String>> {
        let mut days = atomic::names(&self.layout.days())?;
        days.retain(|name| name.parse::<jiff::civil::Date>().is_ok());
        days.sort_unstable_by(|a, b| b.cmp(a));
        Ok(days)
    }

    /// Returns the jobs of a day, in no order.
    pub(super) fn of_day(&self, day: &str) -> Result<Vec<JobId>> {
        let names = atomic::names(&self.layout.days().join(day))?;
        Ok(names.into_iter().filter_map(|name| name.parse().ok()).filter(|id: &JobId| id.day() == day).collect())
    }

    /// Returns all jobs, the oldest first.
    pub(super) fn all(&self) -> Result<Vec<JobId>> {
        let mut ids = Vec::new();
        for day in self.days()? {
            ids.extend(self.of_day(&day)?);
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Opens the file of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Damaged`] if the job has none.
    fn open(&self, id: JobId) -> Result<File> {
        let path = self.layout.job(id).record();
        match atomic::open_if_there(&path, OpenOptions::new().read(true))? {
            Some(file) => Ok(file),
            None if self.is_there(id)? => Err(Error::Damaged { path, reason: "it is missing".to_owned() }),
            None => Err(Error::not_found(id)),
        }
    }

    /// Reads the records of a job.
    ///
    /// # Errors
    /// [`Error::NotFound`], and [`Error::Damaged`] if the job has none.
    pub(crate) fn read(&self, id: JobId) -> Result<JobFile> {
        JobFile::read(&self.open(id)?, self.layout.job(id).record(), id)
    }

    /// Returns what was submitted.
    pub(super) fn submission(&self, id: JobId) -> Result<Submission> {
        self.read(id)?.submission()
    }

    pub(super) fn is_held(&self, id: JobId) -> Result<bool> {
        lock::is_held(&self.open(id)?).context("check the lock", &self.layout.job(id).record())
    }

    /// Marks a job as one that only waits for others, as long as the file is open.
    pub(super) fn lend(&self, id: JobId) -> Result<File> {
        let file = self.open(id)?;
        lock::lend(&file).context("lock", &self.layout.job(id).record())?;
        Ok(file)
    }

    /// Returns whether a job only waits for others.
    pub(super) fn is_lent(&self, id: JobId) -> Result<bool> {
        lock::is_lent(&self.open(id)?).context("check the lock", &self.layout.job(id).record())
    }

    /// Returns whether the main process of a job is alive, as far as that is on record.
    pub(super) fn has_living_process(&self, id: JobId) -> Result<bool> {
        let running: Option<Running> = match self.read(id).and_then(|read| read.get()) {
            Err(Error::Damaged { .. }) => None,
            running => running?,
        };
        Ok(running.is_some_and(|running| matches!(process::look(&running.process), Seen::Alive(_) | Seen::Paused(_))))
    }

    /// Returns everything that is known of a job.
    pub(super) fn evidence(&self, id: JobId) -> Result<Evidence> {
        let job = self.layout.job(id);
        let file = self.open(id)?;
        let read = || JobFile::read(&file, job.record(), id);
        let mut records = read()?;
        let held = lock::is_held(&file).context("check the lock", &job.record())?;
        if !held && !records.has::<Ended>() {
            // It may have started and ended between the two reads; the record is written before the lock is released.
            records = read()?;
        }
        let mut evidence = Evidence::new(records.submission()?);
        evidence.held = held;
        evidence.place = records.place(&evidence.submission.spec);
        evidence.ended = records.get()?;
        // For a job that has ended, only its earlier attempts matter.
        if evidence.ended.is_none() || evidence.submission.spec.restart.is_some() {
            let start = if evidence.ended.is_some() { records.get().ok().flatten() } else { records.get()? };
            evidence.start = attempts::complete(&job, id, start);
            if evidence.ended.is_none() && evidence.submission.spec.restart.is_some() {
                evidence.stopping = records.get().ok().flatten();
            }
        }
        let log = FileLog::new(job);
        if let Some(ended) = &evidence.ended {
            let (bytes, dropped) = (ended.outcome.output_bytes, ended.outcome.dropped_bytes);
            evidence.output = OutputSize::new(bytes, dropped);
            if !evidence.submission.spec.ready.is_empty() {
                // For the time at which it became ready.
                evidence.running = records.get()?;
            }
            // Stragglers may have written more. The log shows that, but not what could not be kept at its end.
            if evidence.submission.spec.stragglers == Stragglers::Leave || !ended.outcome.survivors.is_empty() {
                if evidence.held {
                    // Stragglers are recognized by the main process.
                    evidence.running = records.get()?;
                }
                let there = log.size()?;
                evidence.output = OutputSize::new(bytes.max(there.bytes), dropped.max(there.dropped));
            }
            return Ok(evidence);
        }
        if evidence.start.is_some() {
            evidence.output = log.size()?;
        }
        evidence.running = records.get()?;
        evidence.seen = crate::store::look(&evidence);
        Ok(evidence)
    }
}

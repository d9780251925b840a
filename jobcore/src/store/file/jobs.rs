//! The directories of the jobs that are on record, and what they say.

use std::fs::OpenOptions;
use std::path::PathBuf;

use super::atomic;
use super::layout::{JobDir, Layout};
use super::log::FileLog;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::output::OutputSize;
use crate::record::{Ended, Evidence, Running, Submission};
use crate::spec::Stragglers;
use crate::sys::process::Seen;
use crate::sys::{lock, process};

/// The jobs of a store, for whoever reads them.
#[derive(Debug, Clone)]
pub(super) struct Jobs {
    layout: Layout,
}

impl Jobs {
    pub(super) fn new(layout: &Layout) -> Self {
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

    /// Returns the days of which there are jobs, the newest first.
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

    /// Returns what was submitted; nothing if that is not on record.
    pub(super) fn submission(&self, id: JobId) -> Result<Option<Submission>> {
        atomic::read(&self.layout.job(id).submission())
    }

    pub(super) fn is_held(&self, id: JobId) -> Result<bool> {
        let path = self.layout.job(id).lock();
        match atomic::open_if_there(&path, OpenOptions::new().read(true))? {
            Some(file) => lock::is_held(&file).context("look at the lock", &path),
            None => Err(self.missing(id, path)?),
        }
    }

    /// Returns the error for a job that lacks a record: there is no such job, or the record was lost.
    fn missing(&self, id: JobId, path: PathBuf) -> Result<Error> {
        Ok(match self.is_there(id)? {
            true => Error::Damaged { path, reason: "it is not there".to_owned() },
            false => Error::not_found(id),
        })
    }

    /// Returns whether the main process of a job lives, as far as that is on record.
    pub(super) fn has_living_process(&self, id: JobId) -> Result<bool> {
        let running: Option<Running> = match atomic::read(&self.layout.job(id).attempt().running()) {
            Err(Error::Damaged { .. }) => None,
            running => running?,
        };
        Ok(running.is_some_and(|running| matches!(process::look(&running.process), Seen::Alive(_) | Seen::Paused(_))))
    }

    /// Returns how a job ended, if that is on record.
    pub(super) fn end(&self, id: JobId) -> Result<Option<Ended>> {
        end_of(&self.layout.job(id))
    }

    /// Returns all that is known of a job.
    pub(super) fn evidence(&self, id: JobId) -> Result<Evidence> {
        let job = self.layout.job(id);
        let attempt = job.attempt();
        let Some(submission) = self.submission(id)? else { return Err(self.missing(id, job.submission())?) };
        if submission.job_id != id {
            let reason = format!("it is the record of another job, {}", submission.job_id);
            return Err(Error::Damaged { path: job.submission(), reason });
        }
        let mut evidence = Evidence::new(submission);
        evidence.ended = end_of(&job)?;
        evidence.held = self.is_held(id)?;
        if evidence.ended.is_none() && !evidence.held {
            // It may have ended between the two looks; the record is there before the lock falls.
            evidence.ended = end_of(&job)?;
        }
        let log = FileLog::new(attempt.clone());
        if let Some(ended) = &evidence.ended {
            let (bytes, dropped) = (ended.outcome.output_bytes, ended.outcome.dropped_bytes);
            evidence.output = OutputSize::new(bytes, dropped);
            // Stragglers may have written more. The log knows of that, but not of what it could not keep at its end.
            if evidence.submission.spec.stragglers == Stragglers::Leave || !ended.outcome.survivors.is_empty() {
                if evidence.held {
                    // Stragglers are recognised by the main process.
                    evidence.running = atomic::read(&attempt.running())?;
                }
                let there = log.size()?;
                evidence.output = OutputSize::new(bytes.max(there.bytes), dropped.max(there.dropped));
            }
            return Ok(evidence);
        }
        evidence.output = log.size()?;
        evidence.start = atomic::read(&attempt.start())?;
        evidence.running = atomic::read(&attempt.running())?;
        evidence.seen = crate::store::look(&evidence);
        Ok(evidence)
    }
}

/// Returns how a job ended, if that is on record.
pub(super) fn end_of(job: &JobDir) -> Result<Option<Ended>> {
    match atomic::read(&job.ended())? {
        Some(ended) => Ok(Some(ended)),
        // Whoever published it died before it was linked; as long as there is one attempt, it is the job's end.
        None => atomic::read(&job.attempt().ended()),
    }
}

/// Returns whether a job has an end on record, whatever that says.
pub(super) fn has_ended(job: &JobDir) -> Result<bool> {
    Ok(atomic::is_there(&job.ended())? || atomic::is_there(&job.attempt().ended())?)
}

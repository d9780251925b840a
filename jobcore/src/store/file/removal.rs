//! How a job is removed: one rename moves it to the trash, and everything that points to it is removed.

use std::fs;
use std::path::PathBuf;

use super::admission::Admission;
use super::atomic;
use super::events::EventLog;
use super::index::{Index, RowState};
use super::job_file::Queued;
use super::jobs::Jobs;
use super::layout::Layout;
use super::names::Names;
use super::records::Records;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::record::Ended;
use crate::store::{EventKind, JobEvent};

/// Removes jobs from a store.
#[derive(Debug, Clone)]
pub(super) struct Removal {
    layout: Layout,
    jobs: Jobs,
    index: Index,
    events: EventLog,
    names: Names,
}

impl Removal {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            jobs: Jobs::new(layout),
            index: Index::new(layout),
            events: EventLog::new(layout),
            names: Names::new(layout),
        }
    }

    /// Removes a job, whatever its records say, unless it is held.
    pub(super) fn remove(&self, id: JobId) -> Result<()> {
        // Kept until everything is removed, so that no other process takes the lock meanwhile.
        let _records = match Records::claim(&self.layout, id) {
            Ok(records) => {
                let records = records.ok_or_else(|| crate::store::held(id))?;
                // The last chance to report its end. A record that cannot be read has none to report.
                let _ = records.complete_end();
                Some(records)
            }
            // If the lock cannot be taken, no process can ever hold it; only the main process shows whether the job is
            // running.
            Err(error) => {
                if !self.jobs.is_there(id)? || self.jobs.has_living_process(id)? {
                    return Err(error);
                }
                None
            }
        };
        let trash = self.unlink(id)?;
        fs::remove_dir_all(&trash).context("remove", &trash)
    }

    /// Removes a job that has ended and is not held; does nothing to any other.
    pub(super) fn remove_ended(&self, id: JobId) {
        match Records::claim(&self.layout, id) {
            Ok(Some(records)) if records.read().is_ok_and(|read| read.has::<Ended>()) => {
                // Kept until everything is removed, so that no other process takes the lock meanwhile.
                if let Ok(trash) = self.unlink(id) {
                    let _ = fs::remove_dir_all(trash);
                }
            }
            // The row's job no longer exists.
            Err(Error::NotFound { .. }) => drop(self.unlink(id)),
            Ok(_) | Err(_) => {}
        }
    }

    /// Moves a job from its place to the trash, and removes everything that points to it.
    fn unlink(&self, id: JobId) -> Result<PathBuf> {
        let job = self.layout.job(id);
        let read = self.jobs.read(id).ok();
        let submission = read.as_ref().and_then(|read| read.submission().ok());
        let queued = read.as_ref().and_then(|read| read.get::<Queued>().ok().flatten());
        // Under the lock, because another job may get the name or the key at this moment.
        let mut admission = Admission::take(&self.layout)?;
        if let Some(submission) = submission {
            self.names.take(&admission, id, &submission.spec);
        }
        let row = queued.and_then(|queued| queued.row);
        // A death between these steps leaves a row that has to be checked, but nothing that is wrong.
        self.index.mark(id, row, RowState::Open);
        let trash = self.layout.trash().join(id.to_string());
        let rename = || atomic::unless_missing(fs::rename(&job.path, &trash).context("remove", &job.path));
        let mut renamed = rename()?;
        if renamed.is_none() && self.jobs.is_there(id)? {
            atomic::ensure_dir(&self.layout.trash())?;
            renamed = rename()?;
        }
        if renamed.is_none() {
            self.index.mark(id, row, RowState::Removed);
            return Err(Error::not_found(id));
        }
        self.events.add(&JobEvent::now(id, EventKind::Removed));
        self.index.mark(id, row, RowState::Removed);
        // A row that stays is removed by the next process that looks for the job.
        let _ = admission.remove(id);
        Ok(trash)
    }
}

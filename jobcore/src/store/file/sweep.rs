//! Retention on disk: lazily, in small steps, by whoever ends a job.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, SystemTime};

use super::index::RowState;
use super::queue::Admission;
use super::{FileStore, Records, names};
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::store::Disposable;

/// How often retention is looked at, while nothing has to go.
const EVERY: Duration = Duration::from_secs(60);
/// How many jobs are removed at a time: a few milliseconds of work.
const STEP: usize = 20;

impl FileStore {
    /// Returns the jobs that are over, the oldest first.
    pub(super) fn read_disposable(&self) -> Result<Vec<Disposable>> {
        let over = |row: &super::index::Row| match row.state() {
            RowState::Over(status) => Some(Disposable::new(row.id()?, status, row.ended_at(), row.output_bytes())),
            RowState::Open | RowState::Unreadable | RowState::Removed => None,
        };
        let mut jobs = self.all_rows(over)?;
        jobs.sort_unstable_by_key(|job| (job.ended_at, job.id));
        Ok(jobs)
    }

    /// Removes a few of the jobs that the settings do not keep, unless that was looked at a moment ago.
    pub(crate) fn sweep_if_due(&self) -> Result<()> {
        let path = self.layout.swept();
        let looked_at = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let age = looked_at.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        if age.is_some_and(|age| age < EVERY) {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.context("open", &path)?;
        // First, so that not everybody who ends now does the same.
        touch(&file, SystemTime::now());
        let excess = self.read_settings()?.retention().excess(self.read_disposable()?, Timestamp::now());
        for job in excess.iter().take(STEP) {
            self.dispose(job.id);
        }
        if excess.len() > STEP {
            // Whoever ends next goes on.
            touch(&file, SystemTime::UNIX_EPOCH);
        } else {
            self.forget_empty_days()?;
        }
        Ok(())
    }

    /// Removes one job, if it is over and nobody is in charge of it.
    fn dispose(&self, id: JobId) {
        match Records::claim(&self.layout, id) {
            Ok(Some(records)) if records.has_ended() => {
                // Kept until all is gone, so that nobody takes charge of it meanwhile.
                if let Ok(trash) = self.unlink(id) {
                    let _ = fs::remove_dir_all(trash);
                }
            }
            // What its row says is not so any more.
            Err(Error::NotFound { .. }) => drop(self.unlink(id)),
            Ok(_) | Err(_) => {}
        }
    }

    /// Removes the directories of days of which nothing is left.
    fn forget_empty_days(&self) -> Result<()> {
        for day in names(&self.layout.days())? {
            let directory = self.layout.days().join(&day);
            if fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_none()) {
                // Whoever publishes a job of this day makes the directory again.
                let _admission = Admission::take(&self.layout)?;
                if fs::remove_dir(&directory).is_ok() {
                    let _ = fs::remove_file(self.layout.index(&day));
                }
            }
        }
        Ok(())
    }
}

fn touch(file: &File, time: SystemTime) {
    let _ = file.set_times(FileTimes::new().set_modified(time));
}

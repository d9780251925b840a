//! What is cleared away, lazily and in small steps: jobs that are not kept, by whoever ends one, and what processes left
//! that were killed in the middle of something.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::index::RowState;
use super::queue::Admission;
use super::{FileStore, Records, atomic};
use crate::clock::Timestamp;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::store::Disposable;
use crate::sys::lock;

/// How often retention is looked at, while nothing has to go.
const EVERY: Duration = Duration::from_secs(60);
/// How many jobs are removed at a time: a few milliseconds of work.
const STEP: usize = 20;
/// What a process left that was killed is cleared away when it is this old: nobody writes for so long.
const LEFT_OVER: Duration = Duration::from_secs(60);

impl FileStore {
    /// Removes what processes that were killed left half made or half removed, as far as it is quickly found.
    pub(super) fn clear_left_overs(&self) {
        for directory in [self.layout.staging(), self.layout.trash()] {
            for path in paths(&directory).filter(|path| is_left_over(path)) {
                let is_held = File::open(path.join("lock")).is_ok_and(|file| lock::is_held(&file).unwrap_or(true));
                if !is_held {
                    let _ = fs::remove_dir_all(&path);
                }
            }
        }
        clear_staged(&self.layout.root);
    }

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
        // In these may be many files, so that not everybody who opens the store looks at them.
        for directory in [self.layout.indexes(), self.layout.names(), self.layout.keys()] {
            clear_staged(&directory);
        }
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
        for day in self.days()? {
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

/// Removes files whose writers were killed before they could publish them.
fn clear_staged(directory: &Path) {
    for path in paths(directory).filter(|path| atomic::is_staged(path) && is_left_over(path)) {
        let _ = fs::remove_file(path);
    }
}

fn paths(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Returns whether something was left as it is for so long that nobody can be busy with it.
fn is_left_over(path: &Path) -> bool {
    let changed = fs::symlink_metadata(path).and_then(|metadata| metadata.modified()).ok();
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age >= LEFT_OVER)
}

fn touch(file: &File, time: SystemTime) {
    let _ = file.set_times(FileTimes::new().set_modified(time));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_published_is_cleared_away_when_nobody_can_be_writing_it() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        let shared = [store.layout.indexes(), store.layout.names(), store.layout.keys()];
        let make = |directory: &Path, name: &str, age: Duration| {
            let path = directory.join(name);
            touch(&atomic::create_file(&path).unwrap(), SystemTime::now() - age);
            path
        };
        let (mut old, mut others) = (Vec::new(), Vec::new());
        for directory in &shared {
            super::super::make_dir(directory).unwrap();
            old.push(make(directory, ".web.staged.1", LEFT_OVER));
            others.push(make(directory, ".web.staged.2", LEFT_OVER / 2));
            // What is there of a job of such a name.
            others.push(make(directory, "web.staged.1", LEFT_OVER));
        }
        store.sweep_if_due().unwrap();
        assert!(old.iter().all(|path| !path.exists()), "{old:?}");
        assert!(others.iter().all(|path| path.exists()), "{others:?}");
    }
}

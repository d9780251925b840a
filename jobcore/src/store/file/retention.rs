//! What is pruned by rule, lazily and in small steps: jobs that the settings do not keep, and files of processes that
//! were killed before they could publish them.

use std::collections::HashSet;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::admission::{self, Admission};
use super::atomic;
use super::catalogue::Catalogue;
use super::inboxes;
use super::index::{Row, RowState};
use super::jobs::Jobs;
use super::layout::Layout;
use super::removal::Removal;
use super::settings::SettingsFile;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::store::EndedJob;
use crate::sys::lock;

/// How often retention is checked while nothing has to be removed.
const EVERY: Duration = Duration::from_secs(60);
/// How many jobs are removed at a time: a few milliseconds of work.
const STEP: usize = 20;
/// The age at which leftovers of killed processes are cleared away: no write takes that long.
const LEFT_OVER: Duration = Duration::from_secs(60);

/// Prunes a store.
#[derive(Debug, Clone)]
pub(super) struct Retention {
    layout: Layout,
    jobs: Jobs,
    settings: SettingsFile,
    catalogue: Catalogue,
    removal: Removal,
}

impl Retention {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            jobs: Jobs::new(layout),
            settings: SettingsFile::new(layout),
            catalogue: Catalogue::new(layout),
            removal: Removal::new(layout),
        }
    }

    /// Removes what killed processes left half created or half removed, as far as it is quickly found.
    fn clear_left_overs(&self) {
        for directory in [self.layout.staging(), self.layout.trash()] {
            for path in paths(&directory).filter(|path| is_left_over(path)) {
                if !may_be_held(&path.join("job")) {
                    let _ = fs::remove_dir_all(&path);
                }
            }
        }
        for directory in [&*self.layout.root, &self.layout.indexes(), &self.layout.names(), &self.layout.keys()] {
            clear_staged(directory);
        }
    }

    /// Returns the jobs that have ended, the oldest first.
    pub(super) fn ended_jobs(&self) -> Result<Vec<EndedJob>> {
        let over = |row: &Row| match row.state() {
            RowState::Over(status) => Some(EndedJob::new(row.id()?, status, row.ended_at(), row.output_bytes())),
            RowState::Open | RowState::Unreadable | RowState::Removed => None,
        };
        let mut jobs = self.catalogue.rows(over)?;
        jobs.sort_unstable_by_key(|job| (job.ended_at, job.id));
        Ok(jobs)
    }

    /// Removes a few of the jobs that the settings do not keep, unless that was checked a moment ago.
    pub(super) fn prune_if_due(&self) -> Result<()> {
        let path = self.layout.swept();
        let looked_at = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        // A time in the future was set by a wrong clock. Retention must not stop until then.
        let distance = |time| SystemTime::now().duration_since(time).unwrap_or_else(|error| error.duration());
        if looked_at.map(distance).is_some_and(|distance| distance < EVERY) {
            return Ok(());
        }
        let file = atomic::open_or_create(&path, OpenOptions::new().write(true).truncate(false))?;
        // First, so that not every process that ends a job now does the same.
        touch(&file, SystemTime::now());
        self.clear_left_overs();
        let mut excess = self.settings.read()?.retention().excess(self.ended_jobs()?, Timestamp::now());
        let waited_for = self.waited_for()?;
        excess.retain(|job| !waited_for.contains(&job.id));
        for job in excess.iter().take(STEP) {
            self.removal.remove_ended(job.id);
        }
        if excess.len() > STEP {
            // The next process that ends a job continues.
            touch(&file, SystemTime::UNIX_EPOCH);
        } else {
            self.remove_empty_days()?;
            inboxes::clear_old(&self.layout);
        }
        Ok(())
    }

    /// Returns the jobs that queued jobs are to start after: their outcomes are still needed.
    fn waited_for(&self) -> Result<HashSet<JobId>> {
        let waiting = admission::entries(&self.layout)?.1.into_iter().filter(|entry| entry.has_dependencies);
        let submissions = waiting.filter_map(|entry| self.jobs.submission(entry.slot.id).ok());
        Ok(submissions.flat_map(|submission| submission.spec.after).map(|after| after.job_id).collect())
    }

    /// Removes the directories of days without jobs.
    fn remove_empty_days(&self) -> Result<()> {
        for day in self.jobs.days()? {
            let directory = self.layout.days().join(&day);
            if fs::read_dir(&directory).is_ok_and(|mut entries| entries.next().is_none()) {
                // A process that publishes a job of this day creates the directory again.
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
        // A directory of hints that was being rebuilt, or a file.
        let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
    }
}

/// Returns the contents of a directory of the store. A link counts as empty: its target is not jobcore's to remove.
fn paths(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let is_ours = fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_dir());
    let entries = is_ours.then(|| fs::read_dir(directory));
    entries.into_iter().flatten().flatten().flatten().map(|entry| entry.path())
}

/// Returns whether this lock may be held, which includes that it cannot be determined. Anything other than a file is no
/// lock.
fn may_be_held(lock: &Path) -> bool {
    match atomic::open_if_there(lock, OpenOptions::new().read(true)) {
        Ok(Some(file)) => lock::is_held(&file).unwrap_or(true),
        Ok(None) | Err(Error::Damaged { .. }) => false,
        Err(_) => true,
    }
}

/// Returns whether something has been unchanged for so long that no process can be working on it.
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
    use crate::store::file::FileStore;

    /// The trash was once a link, and its target was cleared.
    #[test]
    fn the_target_of_a_link_is_not_cleared_away() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        let elsewhere = directory.path().join("elsewhere");
        let precious = elsewhere.join("01a1fdbc-1c9c-728b-8d5e-f8c40c2a6702");
        fs::create_dir_all(&precious).unwrap();
        touch(&File::open(&precious).unwrap(), SystemTime::now() - 2 * LEFT_OVER);
        for part in [store.layout.trash(), store.layout.staging()] {
            fs::remove_dir(&part).unwrap();
            std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
        }
        Retention::new(&store.layout).clear_left_overs();
        assert!(precious.exists());
    }

    /// A clock that was wrong once stopped retention until the time that it had shown.
    #[test]
    fn a_time_in_the_future_does_not_stop_retention() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        store.prune_if_due().unwrap();
        let swept = || fs::metadata(store.layout.swept()).unwrap().modified().unwrap();
        let future = SystemTime::now() + 1000 * EVERY;
        touch(&File::options().write(true).open(store.layout.swept()).unwrap(), future);
        store.prune_if_due().unwrap();
        assert!(swept() < future);
    }

    #[test]
    fn unpublished_files_are_cleared_away_once_no_process_can_be_writing_them() {
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
            atomic::ensure_dir(directory).unwrap();
            old.push(make(directory, ".web.staged.1", LEFT_OVER));
            others.push(make(directory, ".web.staged.2", LEFT_OVER / 2));
            // What exists for a job with such a name.
            others.push(make(directory, "web.staged.1", LEFT_OVER));
        }
        store.prune_if_due().unwrap();
        assert!(old.iter().all(|path| !path.exists()), "{old:?}");
        assert!(others.iter().all(|path| path.exists()), "{others:?}");
    }
}

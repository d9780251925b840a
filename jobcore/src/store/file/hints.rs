//! The directories whose files only point to jobs: those that wait, those that count against the limits, and those that have
//! a name or a key. The jobs themselves say all of it, so a directory that was removed is made again as it was.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use super::queue::{Admission, Queued, entries};
use super::{FileStore, atomic, names};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::record::{RECORD_VERSION, Submission};

/// One of these directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hints {
    Queue,
    Slots,
    Names,
    Keys,
}

impl Hints {
    pub(super) fn directory(self, layout: &Layout) -> PathBuf {
        match self {
            Self::Queue => layout.queue(),
            Self::Slots => layout.slots(),
            Self::Names => layout.names(),
            Self::Keys => layout.keys(),
        }
    }
}

impl FileStore {
    /// Makes a directory of hints again from all jobs. It appears as a whole, so that a death in between loses none.
    pub(super) fn make_again(&self, _: &Admission, hints: Hints) -> Result<()> {
        let directory = hints.directory(&self.layout);
        tracing::warn!(path = %directory.display(), "it was not as it should be, and is made again from the jobs");
        let staged = atomic::staged(&directory);
        // A process of the same number may have died here.
        let _ = fs::remove_dir_all(&staged);
        atomic::create_dir(&staged).context("make", &staged)?;
        let made = self.fill_again(hints, &staged).and_then(|()| {
            // What is there cannot be used: it points to nothing.
            atomic::unless_missing(fs::remove_dir_all(&directory).context("remove", &directory))?;
            fs::rename(&staged, &directory).context("publish", &directory)
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&staged);
        }
        made
    }

    fn fill_again(&self, hints: Hints, staged: &Path) -> Result<()> {
        let mut files: BTreeMap<String, JobId> = BTreeMap::new();
        // From the oldest on: the newest of a name is the one that is meant.
        for id in self.all_ids()? {
            let name = match self.hint(hints, id) {
                Ok(name) => name,
                // It is no job of which anything is known, and spoils nothing but itself.
                Err(Error::Damaged { .. }) => None,
                Err(error) => return Err(error),
            };
            files.extend(name.map(|name| (name, id)));
        }
        for (name, id) in files {
            let content = if matches!(hints, Hints::Queue | Hints::Slots) { String::new() } else { id.to_string() };
            atomic::write_private(&staged.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// Returns the name of the file that a job has in such a directory, if it has one.
    fn hint(&self, hints: Hints, id: JobId) -> Result<Option<String>> {
        let job = self.layout.job(id);
        if matches!(hints, Hints::Queue | Hints::Slots) {
            if atomic::is_there(&job.ended())? || atomic::is_there(&job.attempt().ended())? {
                return Ok(None);
            }
            let has_started = atomic::is_there(&job.attempt().start())?;
            let is_wanted = match hints {
                Hints::Queue => !has_started,
                // Who holds the lock has a slot, or is about to find out that there is none to have.
                _ => has_started || self.is_held(id)?,
            };
            if !is_wanted {
                return Ok(None);
            }
            let queued = match self.place_of(id)? {
                Some(queued) => queued,
                None => self.first_place(id)?,
            };
            return Ok(Some(if hints == Hints::Queue { queued.entry_name(id) } else { queued.slot_name(id) }));
        }
        let Some(Submission { spec, .. }) = self.spec_of(id)? else { return Ok(None) };
        let path = match hints {
            Hints::Names => spec.name.map(|name| self.layout.name(&name)),
            _ => spec.key.map(|key| self.layout.key(&key)),
        };
        Ok(path.and_then(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned)))
    }

    /// Puts a job back into the queue that waits and is not in it, and returns whether that was so. The queue is no truth,
    /// but a job that is not in it is never started.
    pub(super) fn put_back_queued(&self, id: JobId) -> Result<bool> {
        let directory = self.layout.queue();
        let queued = match self.place_of(id)? {
            Some(queued) => queued,
            None if entries(&directory)?.is_some_and(|there| there.iter().any(|entry| entry.slot.id == id)) => {
                return Ok(false);
            }
            None => self.first_place(id)?,
        };
        let entry = directory.join(queued.entry_name(id));
        if atomic::is_there(&entry)? {
            return Ok(false);
        }
        match atomic::create_file(&entry) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_again(&Admission::take(&self.layout)?, Hints::Queue)?;
            }
            Err(error) => return Err(Error::io("make", &entry)(error)),
        }
        tracing::warn!(%id, "a job that waits was not in the queue, and was put back");
        Ok(true)
    }

    /// Returns where a job stands in the queue; nothing if that is no longer known.
    fn place_of(&self, id: JobId) -> Result<Option<Queued>> {
        match Queued::read(&self.layout.job(id)) {
            Err(Error::Damaged { .. }) => Ok(None),
            read => read,
        }
    }

    /// Returns the place of a job of which it is not known where it stood: before all others, of which most have waited for
    /// less time.
    fn first_place(&self, id: JobId) -> Result<Queued> {
        let group = self.spec_of(id)?.and_then(|submission| submission.spec.group);
        Ok(Queued { v: RECORD_VERSION, sequence: 0, row: None, group })
    }

    fn spec_of(&self, id: JobId) -> Result<Option<Submission>> {
        atomic::read(&self.layout.job(id).submission())
    }

    /// Returns the ids of all jobs that have a directory, the oldest first.
    fn all_ids(&self) -> Result<Vec<JobId>> {
        let mut ids = Vec::new();
        for day in self.days()? {
            let names = names(&self.layout.days().join(&day))?;
            ids.extend(names.into_iter().filter_map(|name| name.parse::<JobId>().ok()).filter(|id| id.day() == day));
        }
        ids.sort_unstable();
        Ok(ids)
    }
}

//! The directories whose files only point to jobs: those that wait, those that count against the limits, and those that have
//! a name or a key. The jobs themselves say all of it, so a directory that was removed is made again as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::admission::Admission;
use super::atomic;
use super::entry::{Entry, Queued, entries};
use super::jobs::{self, Jobs};
use super::layout::Layout;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::record::RECORD_VERSION;

/// One of these directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Queue,
    Slots,
    Names,
    Keys,
}

/// The directories of hints of a store.
#[derive(Debug, Clone)]
pub(super) struct Hints {
    layout: Layout,
    jobs: Jobs,
}

impl Hints {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), jobs: Jobs::new(layout) }
    }

    fn directory(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Queue => self.layout.queue(),
            Kind::Slots => self.layout.slots(),
            Kind::Names => self.layout.names(),
            Kind::Keys => self.layout.keys(),
        }
    }

    /// Returns what is in `queue/` or `slots/`, which are made again if they are missing.
    pub(super) fn entries(&self, admission: &Admission, kind: Kind) -> Result<Vec<Entry>> {
        let directory = self.directory(kind);
        if let Some(entries) = entries(&directory)? {
            return Ok(entries);
        }
        self.make_again(admission, kind)?;
        Ok(entries(&directory)?.unwrap_or_default())
    }

    /// Returns the job that a file in `names` or `keys` points to, if it is on record.
    ///
    /// # Errors
    /// Also if it points to nothing that could be a job: then it is not known whether the name or the key is taken.
    pub(super) fn pointed_to(&self, pointer: &Path) -> Result<Option<JobId>> {
        let Some(bytes) = atomic::read_bytes(pointer)? else { return Ok(None) };
        let id: Option<JobId> = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        let Some(id) = id else {
            let reason = "it holds no id of a job".to_owned();
            return Err(Error::Damaged { path: pointer.to_owned(), reason });
        };
        Ok(self.jobs.is_there(id)?.then_some(id))
    }

    /// Returns the job that a file in `names` or `keys` points to. If these are missing or cannot be read they are made again
    /// first: otherwise a name or a key that is taken would be free.
    pub(super) fn find_pointed(&self, admission: &Admission, kind: Kind, pointer: &Path) -> Result<Option<JobId>> {
        match self.pointed_to(pointer) {
            Ok(None) if !atomic::is_there(&self.directory(kind))? => {}
            Err(Error::Damaged { .. }) => {}
            found => return found,
        }
        self.make_again(admission, kind)?;
        self.pointed_to(pointer)
    }

    /// Makes a directory of hints again from all jobs. It appears as a whole, so that a death in between loses none.
    pub(super) fn make_again(&self, _: &Admission, kind: Kind) -> Result<()> {
        let directory = self.directory(kind);
        tracing::warn!(path = %directory.display(), "it was not as it should be, and is made again from the jobs");
        let staged = atomic::staged(&directory);
        // A process of the same number may have died here.
        let _ = fs::remove_dir_all(&staged);
        atomic::create_dir(&staged).context("make", &staged)?;
        let made = self.fill(kind, &staged).and_then(|()| {
            // What is there cannot be used: it points to nothing.
            atomic::unless_missing(fs::remove_dir_all(&directory).context("remove", &directory))?;
            fs::rename(&staged, &directory).context("publish", &directory)
        });
        if made.is_err() {
            let _ = fs::remove_dir_all(&staged);
        }
        made
    }

    fn fill(&self, kind: Kind, staged: &Path) -> Result<()> {
        let mut files: BTreeMap<String, JobId> = BTreeMap::new();
        // From the oldest on: the newest of a name is the one that is meant.
        for id in self.jobs.all()? {
            let name = match self.hint(kind, id) {
                Ok(name) => name,
                // It is no job of which anything is known, and spoils nothing but itself.
                Err(Error::Damaged { .. }) => None,
                Err(error) => return Err(error),
            };
            files.extend(name.map(|name| (name, id)));
        }
        for (name, id) in files {
            let content = if matches!(kind, Kind::Queue | Kind::Slots) { String::new() } else { id.to_string() };
            atomic::write_private(&staged.join(name), content.as_bytes())?;
        }
        Ok(())
    }

    /// Returns the name of the file that a job has in such a directory, if it has one.
    fn hint(&self, kind: Kind, id: JobId) -> Result<Option<String>> {
        let job = self.layout.job(id);
        if matches!(kind, Kind::Queue | Kind::Slots) {
            if jobs::has_ended(&job)? {
                return Ok(None);
            }
            let has_started = atomic::is_there(&job.attempt().start())?;
            let is_wanted = match kind {
                Kind::Queue => !has_started,
                // The holder of the lock has a slot, or is about to find out that there is none to have.
                _ => has_started || self.jobs.is_held(id)?,
            };
            if !is_wanted {
                return Ok(None);
            }
            let queued = match self.place_of(id)? {
                Some(queued) => queued,
                None => self.first_place(id)?,
            };
            return Ok(Some(if kind == Kind::Queue { queued.entry_name(id) } else { queued.slot_name(id) }));
        }
        let Some(spec) = self.jobs.submission(id)?.map(|submission| submission.spec) else { return Ok(None) };
        let path = match kind {
            Kind::Names => spec.name.map(|name| self.layout.name(&name)),
            _ => spec.key.map(|key| self.layout.key(&key)),
        };
        Ok(path.and_then(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned)))
    }

    /// Returns where a job stands in the queue; nothing if that is no longer known.
    pub(super) fn place_of(&self, id: JobId) -> Result<Option<Queued>> {
        match Queued::read(&self.layout.job(id)) {
            Err(Error::Damaged { .. }) => Ok(None),
            read => read,
        }
    }

    /// Returns the place of a job if it is not known where it stood: before all others, most of which have waited for less
    /// time.
    pub(super) fn first_place(&self, id: JobId) -> Result<Queued> {
        let group = self.jobs.submission(id)?.and_then(|submission| submission.spec.group);
        Ok(Queued { v: RECORD_VERSION, sequence: 0, row: None, group })
    }
}

//! The directories whose files only point to the jobs that have a name or a key. The jobs themselves contain all of it,
//! so a removed directory is rebuilt as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::admission::Admission;
use super::atomic;
use super::jobs::Jobs;
use super::layout::Layout;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;

/// One of these directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
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
            Kind::Names => self.layout.names(),
            Kind::Keys => self.layout.keys(),
        }
    }

    /// Returns the job that a file in `names` or `keys` points to, if it is on record.
    ///
    /// # Errors
    /// Also if it does not contain a job id: then it is not known whether the name or the key is taken.
    pub(super) fn pointed_to(&self, pointer: &Path) -> Result<Option<JobId>> {
        let Some(bytes) = atomic::read_bytes(pointer)? else { return Ok(None) };
        let id: Option<JobId> = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        let Some(id) = id else {
            let reason = "it does not contain a job id".to_owned();
            return Err(Error::Damaged { path: pointer.to_owned(), reason });
        };
        Ok(self.jobs.is_there(id)?.then_some(id))
    }

    /// Returns the job that a file in `names` or `keys` points to. If the directory is missing or the file cannot be
    /// read, the directory is rebuilt first: otherwise a taken name or key would seem free.
    pub(super) fn find_pointed(&self, admission: &Admission, kind: Kind, pointer: &Path) -> Result<Option<JobId>> {
        match self.pointed_to(pointer) {
            Ok(None) if !atomic::is_there(&self.directory(kind))? => {}
            Err(Error::Damaged { .. }) => {}
            found => return found,
        }
        self.make_again(admission, kind)?;
        self.pointed_to(pointer)
    }

    /// Rebuilds a directory of hints from all jobs. It appears as a whole, so that a death in between loses none.
    fn make_again(&self, _: &Admission, kind: Kind) -> Result<()> {
        let directory = self.directory(kind);
        tracing::warn!(path = %directory.display(), "it was missing or damaged, and is rebuilt from the jobs");
        let staged = atomic::staged(&directory);
        // A process with the same number may have died here.
        let _ = fs::remove_dir_all(&staged);
        atomic::create_dir(&staged).context("make", &staged)?;
        let made = self.fill(kind, &staged).and_then(|()| {
            // What is there is useless: it points to nothing.
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
        // From the oldest on, because a name refers to its newest job.
        for id in self.jobs.all()? {
            let name = match self.hint(kind, id) {
                Ok(name) => name,
                // Nothing is known of such a job, and it affects no other.
                Err(Error::Damaged { .. } | Error::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            files.extend(name.map(|name| (name, id)));
        }
        files
            .into_iter()
            .try_for_each(|(name, id)| atomic::write_private(&staged.join(name), id.to_string().as_bytes()))
    }

    /// Returns the file name of a job's entry in such a directory, if it has one.
    fn hint(&self, kind: Kind, id: JobId) -> Result<Option<String>> {
        let spec = self.jobs.submission(id)?.spec;
        let path = match kind {
            Kind::Names => spec.name.map(|name| self.layout.name(&name, spec.project.as_deref())),
            Kind::Keys => spec.key.map(|key| self.layout.key(&key)),
        };
        Ok(path.and_then(|path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned)))
    }
}

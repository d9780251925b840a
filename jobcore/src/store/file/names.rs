//! Names, each of which at most one unfinished job has, and keys, each of which at most one job has.

use std::fs;
use std::path::{Path, PathBuf};

use super::admission::Admission;
use super::atomic;
use super::catalogue::Catalogue;
use super::hints::{Hints, Kind};
use super::jobs::Jobs;
use super::layout::Layout;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::name::Name;
use crate::record::Submission;
use crate::spec::JobSpec;
use crate::store::{Created, Query};

/// The names and keys of a store.
#[derive(Debug, Clone)]
pub(super) struct Names {
    layout: Layout,
    jobs: Jobs,
    hints: Hints,
    catalogue: Catalogue,
}

impl Names {
    pub(super) fn new(layout: &Layout) -> Self {
        let (jobs, hints, catalogue) = (Jobs::new(layout), Hints::new(layout), Catalogue::new(layout));
        Self { layout: layout.clone(), jobs, hints, catalogue }
    }

    /// Returns the newest job of a name in a project.
    pub(super) fn named(&self, name: &Name, project: Option<&Path>) -> Result<Option<JobId>> {
        match self.hints.pointed_to(&self.layout.name(name, project)) {
            Ok(Some(id)) => return Ok(Some(id)),
            // The newest job was removed, or is not known. There may be others. A job that has a row may have been
            // removed, or be unreadable.
            Ok(None) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        let is_named = |id: &JobId| {
            let spec = self.jobs.submission(*id).map(|submission| submission.spec);
            spec.is_ok_and(|spec| spec.name.as_ref() == Some(name) && spec.project.as_deref() == project)
        };
        let ids = self.catalogue.ids(&Query::default().with_name(Some(name.clone())), None, usize::MAX)?;
        Ok(ids.into_iter().find(is_named))
    }

    fn pointer(&self, name: &Name, spec: &JobSpec) -> PathBuf {
        self.layout.name(name, spec.project.as_deref())
    }

    /// Returns the job that has a key.
    pub(super) fn keyed(&self, key: &str) -> Result<Option<JobId>> {
        let pointer = self.layout.key(key);
        match self.hints.pointed_to(&pointer) {
            Err(Error::Damaged { .. }) => {
                self.hints.find_pointed(&Admission::take(&self.layout)?, Kind::Keys, &pointer)
            }
            found => found,
        }
    }

    /// Refuses a taken name, and finds the job that already has the key.
    pub(super) fn check(&self, admission: &Admission, submission: &Submission) -> Result<Created> {
        if let Some(key) = &submission.spec.key
            && let Some(id) = self.hints.find_pointed(admission, Kind::Keys, &self.layout.key(key))?
        {
            return crate::store::same_key(submission, &self.jobs.submission(id)?).map(Created::Existing);
        }
        if let Some(name) = &submission.spec.name
            && let Some(id) = self.hints.find_pointed(admission, Kind::Names, &self.pointer(name, &submission.spec))?
        {
            let (job, _) = self.jobs.evidence(id)?.judge(Timestamp::now())?;
            if !job.status().is_final() {
                return Err(crate::store::name_taken(name, &job, &submission.spec.cwd));
            }
        }
        Ok(Created::New)
    }

    /// Gives a job its name and its key.
    pub(super) fn give(&self, _: &Admission, id: JobId, spec: &JobSpec) -> Result<()> {
        let name = spec.name.as_ref().map(|name| self.pointer(name, spec));
        let key = spec.key.as_ref().map(|key| self.layout.key(key));
        name.into_iter().chain(key).try_for_each(|pointer| atomic::publish(&pointer, id.to_string().as_bytes()))
    }

    /// Takes the name and the key away from a job, unless another job has them by now.
    pub(super) fn take(&self, _: &Admission, id: JobId, spec: &JobSpec) {
        let name = spec.name.as_ref().map(|name| self.pointer(name, spec));
        let key = spec.key.as_ref().map(|key| self.layout.key(key));
        for pointer in name.into_iter().chain(key) {
            if self.hints.pointed_to(&pointer).is_ok_and(|found| found == Some(id)) {
                let _ = fs::remove_file(pointer);
            }
        }
    }
}

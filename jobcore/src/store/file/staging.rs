//! How a job is put into place: its directory is created out of sight and then renamed.

use std::fs::{self, File};
use std::io::Write;

use super::layout::{JobDir, Layout};
use super::root::Root;
use super::{atomic, job_file};
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::record::Submission;
use crate::spec::Stdin;

/// How many times publishing a job is tried while the directory of its day comes and goes.
const PUBLISHING: usize = 8;

/// The jobs that are being created.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    layout: Layout,
    root: Root,
}

impl Staging {
    pub(super) fn new(layout: &Layout, root: &Root) -> Self {
        Self { layout: layout.clone(), root: root.clone() }
    }

    /// Creates the directory of a job, and the store if there is none. Returns the file of the job.
    pub(super) fn stage(&self, submission: &Submission) -> Result<File> {
        let job = self.layout.staged(submission.job_id);
        self.root.make()?;
        let make = || atomic::create_dir(&job.path).context("make", &job.path);
        if atomic::unless_missing(make())?.is_none() {
            // The directory, or the whole store, was removed since it was opened.
            self.root.make_again()?;
            atomic::ensure_dir(&self.layout.staging())?;
            make()?;
        }
        fill(&job, submission).inspect_err(|_| self.discard(submission.job_id))
    }

    /// Renames a staged job into its place.
    pub(super) fn publish(&self, id: JobId) -> Result<()> {
        let (from, to) = (self.layout.staged(id).path, self.layout.job(id).path);
        let rename = || fs::rename(&from, &to).context("publish", &to);
        for _ in 0..PUBLISHING {
            if atomic::unless_missing(rename())?.is_some() {
                return Ok(());
            }
            // The first job of a day; an empty day may also be removed at any time.
            if atomic::unless_missing(atomic::ensure_dir(&self.layout.day(id)))?.is_none() {
                atomic::ensure_dir(&self.layout.days())?;
            }
        }
        rename()
    }

    /// Removes a staged job that will not be published.
    pub(super) fn discard(&self, id: JobId) {
        let _ = fs::remove_dir_all(self.layout.staged(id).path);
    }
}

fn fill(job: &JobDir, submission: &Submission) -> Result<File> {
    let path = job.record();
    let bytes = job_file::new(submission, &path)?;
    let mut file = atomic::create_file(&path).context("make", &path)?;
    file.write_all(&bytes).context("write", &path)?;
    if submission.spec.stdin == Stdin::Given {
        atomic::write_private(&job.given(), &submission.spec.given.0)?;
    }
    Ok(file)
}

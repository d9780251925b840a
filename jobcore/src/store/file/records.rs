//! The lock of a job, and the records that its holder writes.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileTypeExt;

use super::atomic;
use super::attempts;
use super::events::EventLog;
use super::index::Index;
use super::job_file::{self, JobFile, Kept, Queued};
use super::layout::{JobDir, Layout};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::queue::Place;
use crate::record::{Ended, Record, Running, Start, Stopping};
use crate::spec::JobSpec;
use crate::store::{EventKind, JobEvent};
use crate::sys::lock;

/// The records of a job, for the holder of its lock: the only code that writes them. Used by the supervisor, which is
/// not async, and by [`FileClaim`](super::claim::FileClaim).
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) id: JobId,
    pub(crate) layout: Layout,
    pub(crate) job: JobDir,
    /// Holds the lock for as long as it is open.
    pub(crate) file: File,
    events: EventLog,
}

impl Records {
    /// Takes the lock of a published job; nothing while it is held elsewhere.
    pub(crate) fn claim(layout: &Layout, id: JobId) -> Result<Option<Self>> {
        let job = layout.job(id);
        let path = job.record();
        let Some(file) = atomic::open_if_there(&path, OpenOptions::new().read(true).write(true))? else {
            return match atomic::is_there(&job.path)? {
                true => Err(Error::Damaged { path, reason: "it is missing".to_owned() }),
                false => Err(Error::not_found(id)),
            };
        };
        if !lock::try_take(&file).context("lock", &path)? {
            return Ok(None);
        }
        // The job may have been removed, or be on its way to the trash, since the file was opened.
        if !atomic::is_at(&file, &path)? {
            return Err(Error::not_found(id));
        }
        Ok(Some(Self::with_lock(layout, id, file)))
    }

    /// Takes over a lock that was handed over.
    ///
    /// # Errors
    /// If `file` is not that job's, or its lock is held elsewhere.
    pub(crate) fn adopt_lock(layout: &Layout, id: JobId, file: File) -> Result<Self> {
        let path = layout.job(id).record();
        if !atomic::is_at(&file, &path)? || !lock::try_take(&file).context("lock", &path)? {
            return Err(Error::Refused {
                id,
                reason: "the descriptor that was handed over is not its lock".to_owned(),
            });
        }
        Ok(Self::with_lock(layout, id, file))
    }

    pub(crate) fn with_lock(layout: &Layout, id: JobId, file: File) -> Self {
        Self { id, layout: layout.clone(), job: layout.job(id), file, events: EventLog::new(layout) }
    }

    /// Reads what is on record.
    pub(crate) fn read(&self) -> Result<JobFile> {
        JobFile::read(&self.file, self.job.record(), self.id)
    }

    fn write<T: Kept>(&self, record: &T) -> Result<()> {
        job_file::write(&self.file, &self.job.record(), self.id, record)
    }

    /// Puts the supervisor of an attempt on record. For a later attempt, the records of the one before are cleared.
    pub(crate) fn start(&self, start: &Start) -> Result<()> {
        if start.attempt == 1 {
            return self.write(start);
        }
        if start.due_at.is_some()
            && let Err(error) = attempts::write(&self.job, self.id, start)
        {
            // A full disk loses what is known of earlier attempts, but not the job: there is room for the record of
            // this one.
            tracing::warn!(id = %self.id, %error, "the attempts of a job could not be kept");
        }
        job_file::write_next_start(&self.file, &self.job.record(), self.id, &without_attempts(start))?;
        if let Some(event) = JobEvent::of(self.id, Record::Start(start)) {
            self.events.add(&event);
        }
        Ok(())
    }

    /// Returns the supervisor on record in `read`, with the earlier attempts.
    pub(crate) fn started(&self, read: &JobFile) -> Result<Option<Start>> {
        Ok(attempts::complete(&self.job, self.id, read.get()?))
    }

    /// Puts a new supervisor on record, in the place of one that was killed.
    pub(crate) fn start_again(&self, start: &Start) -> Result<()> {
        self.write(&without_attempts(start))?;
        self.events.add(&JobEvent::now(self.id, EventKind::Adopted));
        Ok(())
    }

    pub(crate) fn running(&self, running: &Running) -> Result<()> {
        self.write(running)?;
        self.events.add(&JobEvent::now(self.id, EventKind::Started));
        Ok(())
    }

    /// Changes what is noted about the running command, and reports that as `event`, if given. If that fails, the job
    /// continues all the same.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Running), event: Option<EventKind>) {
        let Ok(Some(mut running)) = self.read().and_then(|read| read.get::<Running>()) else { return };
        change(&mut running);
        let _ = self.noted(&running, event);
    }

    /// Puts on record what is noted about the running command, and reports that as `event`, if given.
    pub(super) fn noted(&self, running: &Running, event: Option<EventKind>) -> Result<()> {
        self.write(running)?;
        if let Some(event) = event {
            self.events.add(&JobEvent::now(self.id, event));
        }
        Ok(())
    }

    /// Puts the job's place in the queue on record.
    pub(super) fn set_place(&self, spec: &JobSpec, place: &Place) -> Result<()> {
        let before = self.read()?.get::<Queued>().ok().flatten();
        let queued = Queued::new(spec, place, before.as_ref().and_then(|queued| queued.row));
        let (submission_at, ends_at) = before.map_or((None, None), |queued| (queued.submission_at, queued.ends_at));
        self.write(&Queued { submission_at, ends_at, ..queued })
    }

    /// Puts a stop on record that is about to begin. If that fails, it is carried out all the same.
    pub(crate) fn stopping(&self, stopping: &Stopping) {
        let _ = self.write(stopping);
    }

    /// Puts the end on record, unless there is one: an end is never replaced. If a process dies before it has done what
    /// follows from the end, the next one does it. Returns whether nothing is left to do, as [`Records::complete_end`]
    /// does.
    pub(crate) fn finish(&self, ended: &Ended) -> Result<bool> {
        let read = self.read()?;
        match read.get::<Ended>()? {
            Some(there) => Ok(self.complete(&read, &there)),
            None => {
                self.write(ended)?;
                self.copy_if_replaced(ended);
                Ok(self.complete(&read, ended))
            }
        }
    }

    /// If the locked file was replaced by another one that has no end, puts the end on record there as well.
    fn copy_if_replaced(&self, ended: &Ended) {
        let path = self.job.record();
        if let Ok(false) = atomic::is_at(&self.file, &path)
            && let Ok(other) = atomic::open(&path, OpenOptions::new().read(true).write(true))
            && JobFile::read(&other, path.clone(), self.id).is_ok_and(|read| !read.has::<Ended>())
        {
            let _ = job_file::write(&other, &path, self.id, ended);
        }
    }

    /// Does what follows from an end on record, as far as that has not been done: the end is reported at least once.
    /// Returns whether nothing is left to do. If the environment cannot be erased, the row of the job in `admission`
    /// has to stay, so that this is found and tried again.
    pub(super) fn complete_end(&self) -> Result<bool> {
        let read = self.read()?;
        Ok(read.get::<Ended>()?.is_none_or(|ended| self.complete(&read, &ended)))
    }

    fn complete(&self, read: &JobFile, ended: &Ended) -> bool {
        let row = read.get::<Queued>().ok().flatten().and_then(|queued| queued.row);
        Index::new(&self.layout).note_end(self.id, row, ended, || {
            self.events.add(&JobEvent::end(self.id, &ended.outcome));
        });
        // No further attempt can follow, so the environment is no longer needed.
        let erased = self.erase_environment(read);
        if let Err(error) = &erased {
            tracing::warn!(id = %self.id, %error, "the environment of a job that has ended could not be erased");
        }
        erased.is_ok()
    }

    /// Cuts the environment off, if it exists.
    pub(crate) fn erase_environment(&self, read: &JobFile) -> Result<()> {
        job_file::erase_superseded(&self.file, read)?;
        match read.without_environment() {
            Some(length) => self.file.set_len(length).context("erase the environment in", &self.job.record()),
            None => Ok(()),
        }
    }

    /// Removes the pipes, through which nothing can come any more.
    pub(crate) fn remove_pipes(&self) {
        remove_pipes(&self.job);
    }
}

/// Returns the record as it is kept in its place. The earlier attempts have a file of their own.
fn without_attempts(start: &Start) -> Start {
    Start { before: Vec::new(), ..start.clone() }
}

pub(super) fn remove_pipes(job: &JobDir) {
    // Those of this job, and answers that are no longer awaited.
    let is_pipe = |kind: fs::FileType| kind.is_fifo();
    for entry in fs::read_dir(&job.path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(is_pipe) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

//! The lock of a job, and the records that its holder writes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use super::entry::{Queued, forget};
use super::events::EventLog;
use super::index::Index;
use super::layout::{AttemptDir, JobDir, Layout};
use super::{atomic, jobs};
use crate::environment::Environment;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::record::{Ended, Running, Start, Stopping, Submission};
use crate::store::{EventKind, JobEvent};
use crate::sys::lock;

/// The records of a job, for the holder of its lock: the one place that writes them. Used by the supervisor, which is no async
/// program, and by [`FileClaim`](super::claim::FileClaim).
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) id: JobId,
    pub(crate) layout: Layout,
    pub(crate) job: JobDir,
    pub(crate) attempt: AttemptDir,
    /// Holds the lock for as long as it is open.
    pub(crate) lock: File,
}

impl Records {
    /// Takes the lock of a published job; nothing while it is held elsewhere.
    pub(crate) fn claim(layout: &Layout, id: JobId) -> Result<Option<Self>> {
        let job = layout.job(id);
        let path = job.lock();
        let Some(lock) = atomic::open_if_there(&path, OpenOptions::new().read(true).write(true))? else {
            return match atomic::is_there(&job.path)? {
                true => Err(Error::Damaged { path, reason: "it is not there".to_owned() }),
                false => Err(Error::not_found(id)),
            };
        };
        if !lock::try_take(&lock).context("lock", &path)? {
            return Ok(None);
        }
        // The job may have been removed, or be on its way to the trash, since the file was opened.
        if !is_at(&lock, &path)? {
            return Err(Error::not_found(id));
        }
        Ok(Some(Self::with_lock(layout, id, lock)))
    }

    /// Takes over a lock that was handed on.
    ///
    /// # Errors
    /// If `lock` is not that job's, or is held elsewhere.
    pub(crate) fn adopt_lock(layout: &Layout, id: JobId, lock: File) -> Result<Self> {
        let path = layout.job(id).lock();
        if !is_at(&lock, &path)? || !lock::try_take(&lock).context("lock", &path)? {
            return Err(Error::Refused {
                id,
                reason: "the descriptor that was handed over is not its lock".to_owned(),
            });
        }
        Ok(Self::with_lock(layout, id, lock))
    }

    pub(crate) fn with_lock(layout: &Layout, id: JobId, lock: File) -> Self {
        let job = layout.job(id);
        let attempt = job.attempt();
        Self { id, layout: layout.clone(), job, attempt, lock }
    }

    pub(crate) fn submission(&self) -> Result<Submission> {
        let path = self.job.submission();
        let missing = || Error::Damaged { path: path.clone(), reason: "it is not there".to_owned() };
        atomic::read(&path)?.ok_or_else(missing)
    }

    pub(crate) fn environment(&self) -> Result<Environment> {
        let path = self.job.environment();
        let bytes =
            atomic::read_bytes(&path)?.ok_or_else(|| Error::io("read", &path)(io::ErrorKind::NotFound.into()))?;
        Ok(Environment::from_bytes(&bytes))
    }

    pub(crate) fn start(&self, start: &Start) -> Result<()> {
        atomic::publish_reserved(&self.attempt.start(), start)?;
        // The job is no longer queued. If its entry cannot be removed, the next process that looks for what is due does
        // that.
        if let Ok(Some(queued)) = Queued::read(&self.job) {
            let _ = fs::remove_file(self.layout.queue().join(queued.entry_name(self.id)));
        }
        Ok(())
    }

    /// Puts on record who is in charge now, in the place of one that was killed.
    pub(crate) fn start_again(&self, start: &Start) -> Result<()> {
        let path = self.attempt.start();
        atomic::publish(&path, &atomic::to_json(start, &path)?)?;
        self.events().add(&JobEvent::now(self.id, EventKind::Adopted));
        Ok(())
    }

    pub(crate) fn running(&self, running: &Running) -> Result<()> {
        atomic::publish_reserved(&self.attempt.running(), running)?;
        self.events().add(&JobEvent::now(self.id, EventKind::Started));
        Ok(())
    }

    /// Puts a stop on record that is about to begin. Without that record, on a full disk, it is carried out all the same.
    pub(crate) fn stopping(&self, stopping: &Stopping) {
        let path = self.attempt.stopping();
        let _ = atomic::to_json(stopping, &path).and_then(|json| atomic::publish(&path, &json));
    }

    /// Publishes the end: of the attempt first, then, as the same file, of the job. Whoever died in between is helped
    /// by whoever comes next, and no end is ever replaced.
    pub(crate) fn finish(&self, ended: &Ended) -> Result<()> {
        let of_attempt = self.attempt.ended();
        if !atomic::is_there(&of_attempt)? {
            atomic::publish_once(&of_attempt, ended)?;
        }
        let of_job = self.job.ended();
        match fs::hard_link(&of_attempt, &of_job) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::io("publish", &of_job)(error));
            }
            Ok(()) | Err(_) => {}
        }
        self.complete_end()
    }

    /// Returns whether it may have run, or has ended: then it is never started.
    pub(super) fn is_past_queue(&self) -> Result<bool> {
        Ok(atomic::is_there(&self.attempt.start())? || jobs::has_ended(&self.job)?)
    }

    /// Does what follows from an end that is on record, as far as whoever published it has not done it: it is told once at
    /// least. If the environment cannot be erased, the slot of the job stays, by which that is found and tried again.
    pub(super) fn complete_end(&self) -> Result<()> {
        let Some(ended) = jobs::end_of(&self.job)? else { return Ok(()) };
        // No further attempt can follow, so that nobody needs the environment any more.
        let erased = erase(&self.job.environment());
        let queued = Queued::read(&self.job).ok().flatten();
        let row = queued.as_ref().and_then(|queued| queued.row);
        Index::new(&self.layout).note_end(self.id, row, &ended, || {
            self.events().add(&JobEvent::end(self.id, &ended.outcome));
        });
        match erased {
            Ok(()) => forget(&self.layout, self.id, queued.as_ref()),
            Err(error) => {
                tracing::warn!(id = %self.id, %error, "the environment of a job that has ended could not be erased");
            }
        }
        Ok(())
    }

    fn events(&self) -> EventLog {
        EventLog::new(&self.layout)
    }

    /// Removes the pipes, through which nothing can come any more.
    pub(crate) fn remove_pipes(&self) {
        remove_pipes(&self.attempt);
    }
}

pub(super) fn remove_pipes(attempt: &AttemptDir) {
    for pipe in attempt.pipes() {
        let _ = fs::remove_file(pipe);
    }
    // Answers that nobody waits for any more.
    for entry in fs::read_dir(&attempt.path).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b"answer.") {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Returns whether an open file is (still) the one at `path`. If that cannot be found out, it is an error and not `false`.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata().context("look at", path)?;
    let there = atomic::unless_missing(fs::symlink_metadata(path).context("look at", path))?;
    Ok(there.is_some_and(|there| (open.dev(), open.ino()) == (there.dev(), there.ino())))
}

/// Removes a file that holds secrets. Where it cannot be removed, what it holds is: that needs no change of the directory.
fn erase(path: &Path) -> Result<()> {
    let removed = fs::remove_file(path).context("remove", path);
    match atomic::unless_missing(removed) {
        Ok(_) => Ok(()),
        Err(error) => {
            atomic::open(path, OpenOptions::new().write(true))?.set_len(0).context("erase", path)?;
            tracing::debug!(%error, "a file that could not be removed was emptied");
            Ok(())
        }
    }
}

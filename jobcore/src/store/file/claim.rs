//! The lock of a job in a file store, and what its holder may write.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use async_trait::async_trait;
use tokio::net::unix::pipe;

use super::layout::{AttemptDir, JobDir, Layout};
use super::log::FileLogWriter;
use super::queue::{Queued, forget};
use super::{FileStore, atomic, control, feed, index, input};
use crate::clock::Timestamp;
use crate::control::{Answer, FRAME};
use crate::environment::Environment;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::output::{OutputSize, Stream};
use crate::record::{Ended, Record, Running, Start, Stopping, Submission};
use crate::spec::Given;
use crate::store::{EventKind, HandOver, Incoming, JobClaim, JobEvent};
use crate::sys::lock;

/// The records of a job, for whoever holds its lock: the one place that writes them. Used by the supervisor, which is
/// no async program, and by [`FileClaim`].
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
    /// Takes the lock of a published job; nothing while somebody else holds it.
    pub(crate) fn claim(layout: &Layout, id: JobId) -> Result<Option<Self>> {
        let job = layout.job(id);
        let path = job.lock();
        let not_found = || Error::NotFound { reference: id.to_string() };
        let Some(lock) = atomic::open_if_there(&path, OpenOptions::new().read(true).write(true))? else {
            return match atomic::is_there(&job.path)? {
                true => Err(Error::Damaged { path, reason: "it is not there".to_owned() }),
                false => Err(not_found()),
            };
        };
        if !lock::try_take(&lock).context("lock", &path)? {
            return Ok(None);
        }
        // The job may have been removed, or be on its way to the trash, since the file was opened.
        if !is_at(&lock, &path)? {
            return Err(not_found());
        }
        Ok(Some(Self::with_lock(layout, id, lock)))
    }

    /// Takes over a lock that was handed on.
    ///
    /// # Errors
    /// If `lock` is not that job's, or is held by somebody else.
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
        feed::add(&self.layout, &JobEvent::now(self.id, EventKind::Adopted));
        Ok(())
    }

    pub(crate) fn running(&self, running: &Running) -> Result<()> {
        atomic::publish_reserved(&self.attempt.running(), running)?;
        feed::add(&self.layout, &JobEvent::now(self.id, EventKind::Started));
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

    pub(super) fn has_ended(&self) -> Result<bool> {
        Ok(atomic::is_there(&self.job.ended())? || atomic::is_there(&self.attempt.ended())?)
    }

    /// Returns whether it may have run, or has ended: then it is never started.
    pub(super) fn is_past_queue(&self) -> Result<bool> {
        Ok(atomic::is_there(&self.attempt.start())? || self.has_ended()?)
    }

    /// Does what follows from an end that is on record, as far as whoever published it has not done it: it is told once at
    /// least. If the environment cannot be erased, the slot of the job stays, by which that is found and tried again.
    pub(super) fn complete_end(&self) -> Result<()> {
        let Some(ended) = FileStore::end_on_record(&self.job)? else { return Ok(()) };
        // No further attempt can follow, so that nobody needs the environment any more.
        let erased = erase(&self.job.environment());
        let queued = Queued::read(&self.job).ok().flatten();
        let row = queued.as_ref().and_then(|queued| queued.row);
        index::note_end(&self.layout, self.id, row, &ended, || {
            feed::add(&self.layout, &JobEvent::end(self.id, &ended.outcome));
        });
        match erased {
            Ok(()) => forget(&self.layout, self.id, queued.as_ref()),
            Err(error) => {
                tracing::warn!(id = %self.id, %error, "the environment of a job that has ended could not be erased");
            }
        }
        Ok(())
    }

    /// Removes the pipes, through which nothing can come any more.
    pub(crate) fn remove_pipes(&self) {
        remove_pipes(&self.attempt);
    }
}

fn remove_pipes(attempt: &AttemptDir) {
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

/// The claim of a job in a [`FileStore`](super::FileStore).
#[derive(Debug)]
pub(crate) struct FileClaim {
    /// Dropped before the lock is.
    ended: Option<Pipes>,
    pub(super) records: Records,
    submission: Submission,
    log: FileLogWriter,
    control: Option<pipe::Receiver>,
    input: Option<input::Open>,
}

/// Removes the pipes of an attempt that has ended when its claim is let go of: until then, requests are answered.
#[derive(Debug)]
struct Pipes(AttemptDir);

impl Drop for Pipes {
    fn drop(&mut self) {
        remove_pipes(&self.0);
    }
}

impl FileClaim {
    pub(super) fn new(records: Records, submission: Submission) -> Self {
        let log = FileLogWriter::new(&records.attempt, submission.spec.output_limit);
        Self { ended: None, records, submission, log, control: None, input: None }
    }

    /// Opens the pipe through which requests come.
    fn listen(&self) -> Result<pipe::Receiver> {
        let path = self.records.attempt.control();
        control::listen(&path).and_then(pipe::Receiver::from_file).context("open", &path)
    }
}

#[async_trait]
impl JobClaim for FileClaim {
    fn submission(&self) -> &Submission {
        &self.submission
    }

    async fn secrets(&self) -> Result<(Environment, Given)> {
        let given = atomic::read_bytes(&self.records.job.given())?.unwrap_or_default();
        Ok((self.records.environment()?, given.into()))
    }

    async fn environment(&self) -> Result<Environment> {
        self.records.environment()
    }

    async fn given(&self) -> Result<OwnedFd> {
        let path = self.records.job.given();
        Ok(atomic::open(&path, OpenOptions::new().read(true))?.into())
    }

    async fn record(&mut self, record: Record<'_>) -> Result<()> {
        match record {
            Record::Start(start) => {
                self.control = Some(self.listen()?);
                self.records.start(start)
            }
            Record::Running(running) => self.records.running(running),
            Record::Ended(ended) => {
                self.records.finish(ended)?;
                self.input = None;
                self.ended.get_or_insert_with(|| Pipes(self.records.attempt.clone()));
                Ok(())
            }
        }
    }

    async fn open_input(&mut self) -> Result<OwnedFd> {
        let path = self.records.attempt.stdin();
        let (pipe, reader) = input::Open::make(&self.records.attempt).context("make the pipe", &path)?;
        self.input = Some(pipe);
        Ok(reader.into())
    }

    async fn end_input(&mut self) {
        if let Some(pipe) = self.input.take() {
            pipe.end();
        }
    }

    async fn append(&mut self, stream: Stream, at: Timestamp, bytes: &[u8]) {
        self.log.append(stream, u64::try_from(at.as_microsecond()).unwrap_or(0), bytes);
    }

    fn output(&self) -> OutputSize {
        self.log.size()
    }

    async fn next_request(&mut self) -> Incoming {
        let Some(control) = &self.control else { return std::future::pending().await };
        loop {
            if control.readable().await.is_err() {
                return std::future::pending().await;
            }
            let mut frame = [0; FRAME];
            let Ok(FRAME) = control.try_read(&mut frame) else { continue };
            let attempt = self.records.attempt.clone();
            match control::parse_request(&frame) {
                Ok((request_id, request)) => {
                    return Incoming::new(request, move |answer| control::answer(&attempt, request_id, &answer));
                }
                Err(rejected) => {
                    if let Some(request_id) = rejected.request_id {
                        control::answer(&attempt, request_id, &Answer::Refused { reason: rejected.reason });
                    }
                }
            }
        }
    }

    fn hand_over(self: Box<Self>) -> Option<HandOver> {
        let Records { id, layout, lock, .. } = self.records;
        Some(HandOver { directory: layout.root, id, lock: lock.into() })
    }
}

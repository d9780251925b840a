//! The claim of a job in a file store, for async programs.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use tokio::net::unix::pipe;

use super::index::Index;
use super::job_file::{self, Queued};
use super::layout::JobDir;
use super::log::FileLogWriter;
use super::records::{Records, remove_pipes};
use super::slots::Slots;
use super::{atomic, control, input};
use crate::clock::Timestamp;
use crate::control::{Answer, FRAME};
use crate::environment::Environment;
use crate::error::{Error, IoContext, Result};
use crate::output::{OutputSize, Stream};
use crate::queue::Place;
use crate::record::{Record, Submission};
use crate::spec::Given;
use crate::store::{EventKind, HandOver, Incoming, JobClaim};
use crate::sys::lock;

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
    /// Gives back the slot of the job when it has ended; nothing if the holder of the admission lock does that.
    slots: Option<Slots>,
    /// Whether the job has been given a slot and is not being started yet.
    is_due: bool,
}

impl Drop for FileClaim {
    fn drop(&mut self) {
        if self.is_due {
            // The job waits again. A process that checks the queue after that must not find it locked.
            let _ = lock::release(&self.records.file);
            if let Err(error) = Slots::new(&self.records.layout).put_back(self.records.id) {
                tracing::debug!(id = %self.records.id, %error, "a job that was not started could not be put back");
            }
        }
    }
}

/// Removes the pipes of a job that has ended when its claim is dropped: until then, requests are answered.
#[derive(Debug)]
struct Pipes(JobDir);

impl Drop for Pipes {
    fn drop(&mut self) {
        remove_pipes(&self.0);
    }
}

impl FileClaim {
    /// Creates a claim whose slot `slots` gives back, if that is not left to the holder of the admission lock.
    pub(super) fn new(records: Records, submission: Submission, slots: Option<Slots>) -> Self {
        let log = FileLogWriter::new(&records.job, submission.spec.output_limit);
        Self { ended: None, records, submission, log, control: None, input: None, slots, is_due: false }
    }

    /// Returns the claim of a job that has been given a slot, and that waits again unless it is started.
    pub(super) fn due(records: Records, submission: Submission, slots: Slots) -> Self {
        let mut claim = Self::new(records, submission, Some(slots));
        claim.is_due = true;
        claim
    }

    /// Opens the pipe for requests.
    fn listen(&self) -> Result<pipe::Receiver> {
        let path = self.records.job.control();
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
        Ok((self.environment().await?, given.into()))
    }

    async fn environment(&self) -> Result<Environment> {
        let gone =
            || Error::io("read the environment from", &self.records.job.record())(io::ErrorKind::NotFound.into());
        self.records.read()?.environment().ok_or_else(gone)
    }

    async fn given(&self) -> Result<OwnedFd> {
        let path = self.records.job.given();
        Ok(atomic::open(&path, OpenOptions::new().read(true))?.into())
    }

    async fn record(&mut self, record: Record<'_>) -> Result<()> {
        let was_due = std::mem::take(&mut self.is_due);
        match record {
            Record::Start(start) => {
                if start.attempt > 1 {
                    return self.records.start(start);
                }
                self.control = Some(self.listen()?);
                if let Some(slots) = self.slots.as_ref().filter(|_| !was_due) {
                    slots.take(&self.records, &self.submission.spec)?;
                }
                self.records.start(start)
            }
            Record::Running(running) => self.records.running(running),
            Record::Noted(running, note) => self.records.noted(running, EventKind::of(note)),
            Record::Ended(ended) => {
                if self.records.finish(ended)?
                    && let Some(slots) = &self.slots
                {
                    // The list shows what is to be run at its end.
                    let _ = slots.forget(self.records.id);
                }
                self.input = None;
                self.ended.get_or_insert_with(|| Pipes(self.records.job.clone()));
                Ok(())
            }
        }
    }

    async fn open_input(&mut self) -> Result<OwnedFd> {
        let path = self.records.job.stdin();
        let (pipe, reader) = input::Open::make(&self.records.job).context("make the pipe", &path)?;
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
            let job = self.records.job.clone();
            match control::parse_request(&frame) {
                Ok((request_id, request)) => {
                    return Incoming::new(request, move |answer| control::answer(&job, request_id, &answer));
                }
                Err(rejected) => {
                    if let Some(request_id) = rejected.request_id {
                        control::answer(&job, request_id, &Answer::Refused { reason: rejected.reason });
                    }
                }
            }
        }
    }

    async fn take_slot(&mut self) -> Result<()> {
        self.slots.as_ref().map_or(Ok(()), |slots| slots.take(&self.records, &self.submission.spec))
    }

    async fn place(&self) -> Result<Place> {
        Ok(self.records.read()?.place(&self.submission.spec))
    }

    async fn set_place(&mut self, place: &Place) -> Result<()> {
        self.records.set_place(&self.submission.spec, place)
    }

    async fn replace(&mut self, submission: Submission) -> Result<()> {
        let read = self.records.read()?;
        let place = read.place(&submission.spec);
        // First, because an index that says too much about a job is corrected by its record, and one that says too
        // little is not.
        Index::new(&self.records.layout).add_marks(
            self.records.id,
            read.get::<Queued>()?.and_then(|q| q.row),
            &submission.spec,
        );
        job_file::replace_submission(&self.records.file, &read, &submission, &place)?;
        self.submission = submission;
        Ok(())
    }

    fn hand_over(mut self: Box<Self>) -> Option<HandOver> {
        self.is_due = false;
        let Records { id, layout, file, .. } = &self.records;
        Some(HandOver { directory: layout.root.to_path_buf(), id: *id, lock: file.try_clone().ok()?.into() })
    }
}

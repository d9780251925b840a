//! The claim of a job in a file store, for programs that wait.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use tokio::net::unix::pipe;

use super::layout::AttemptDir;
use super::log::FileLogWriter;
use super::records::{Records, remove_pipes};
use super::{atomic, control, input};
use crate::clock::Timestamp;
use crate::control::{Answer, FRAME};
use crate::environment::Environment;
use crate::error::{IoContext, Result};
use crate::output::{OutputSize, Stream};
use crate::record::{Record, Submission};
use crate::spec::Given;
use crate::store::{HandOver, Incoming, JobClaim};

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
        Some(HandOver { directory: layout.root.to_path_buf(), id, lock: lock.into() })
    }
}

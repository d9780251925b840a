//! Sending input to jobs.

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::JobManager;
use crate::control::{Answer, Request};
use crate::error::{Error, NoInput, Result};
use crate::id::JobId;
use crate::job::Job;
use crate::key::Key;
use crate::output::Cursor;
use crate::state::State;
use crate::sys::pty::TerminalSize;

/// The result of sending input to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// How many bytes were taken by the job, or by the pipe to it.
    pub bytes: usize,
    /// How many were not taken, because the job is not reading at the moment or no longer reads.
    pub refused: usize,
    /// Where its output ended before: its answer comes after this.
    pub cursor: Cursor,
}

/// Input for a job: text and keys, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Message {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Bytes(Vec<u8>),
    Line(Vec<u8>),
    Key(Key),
}

impl Message {
    /// Creates a message of these bytes, as they are.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().with_bytes(bytes)
    }

    /// Creates a message of this text as a line: ended by a line feed, or by Enter on a terminal, unless it already
    /// ends with one.
    pub fn line(text: impl Into<Vec<u8>>) -> Self {
        Self::default().with_line(text)
    }

    /// Adds these bytes, as they are.
    pub fn with_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            self.parts.push(Part::Bytes(bytes));
        }
        self
    }

    /// Adds this text as a line, as [`Message::line`].
    pub fn with_line(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.parts.push(Part::Line(text.into()));
        self
    }

    /// Adds these key presses.
    pub fn with_keys(mut self, keys: Vec<Key>) -> Self {
        self.parts.extend(keys.into_iter().map(Part::Key));
        self
    }

    /// Returns whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    fn to_bytes(&self, job: &Job) -> Result<Vec<u8>> {
        let has_terminal = job.spec.terminal.is_some();
        let mut bytes = Vec::new();
        for part in &self.parts {
            match part {
                Part::Bytes(part) => bytes.extend(part),
                Part::Line(text) => {
                    bytes.extend(text);
                    if !text.ends_with(b"\n") && !text.ends_with(&[Key::ENTER]) {
                        bytes.push(if has_terminal { Key::ENTER } else { b'\n' });
                    }
                }
                Part::Key(key) if has_terminal => bytes.extend(key.bytes()),
                Part::Key(_) => return Err(Error::NoTerminal { id: job.id }),
            }
        }
        Ok(bytes)
    }
}

impl JobManager {
    /// How long [`JobManager::send`] waits by default for a job that is not reading.
    pub const PATIENCE: Duration = Duration::from_millis(500);

    /// Sends a message to the input of a job, or types it on its terminal. Never waits longer than `patience` while the
    /// job takes nothing. Up to 4 KiB arrive in one piece even if others send at the same time (`PIPE_BUF`, pipe(7)).
    ///
    /// On a terminal that is read line by line, the initial mode, the kernel keeps 4,095 bytes of a line and drops the
    /// rest, termios(3).
    ///
    /// # Errors
    /// [`Error::NoInput`] for a job that was submitted without an input or a terminal, whose input was ended, or that
    /// has closed it; [`Error::NoTerminal`] for keys to a job without a terminal; [`Error::NotRunning`].
    pub async fn send(&self, id: JobId, message: &Message, patience: Duration) -> Result<Sent> {
        let job = self.listener(id).await?;
        let cursor = Cursor(job.output.bytes);
        let bytes = message.to_bytes(&job)?;
        match self.store.send(id, &bytes, patience).await {
            Ok(taken) => Ok(Sent { bytes: taken, refused: bytes.len() - taken, cursor }),
            Err(error) => Err(self.why_not(id, error).await),
        }
    }

    /// Lets a job read the end of its input; on a terminal, presses Ctrl-D. What was sent earlier is read first.
    ///
    /// # Errors
    /// As [`JobManager::send`]. Ending an input twice is no error.
    pub async fn end_input(&self, id: JobId) -> Result<()> {
        self.listener(id).await?;
        self.ask(id, Request::EndInput).await
    }

    /// Resizes the terminal of a job. Its contents are redrawn even if it already has that size.
    ///
    /// # Errors
    /// [`Error::NoTerminal`]; [`Error::NotRunning`].
    pub async fn resize(&self, id: JobId, size: TerminalSize) -> Result<()> {
        let job = self.listener(id).await?;
        if job.spec.terminal.is_none() {
            return Err(Error::NoTerminal { id });
        }
        self.ask(id, Request::Resize { size }).await
    }

    /// Waits for the answer to what was sent: for output after `cursor` that is followed by silence for `quiet`, or for
    /// the end of the job; at most for `limit`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn answered(&self, id: JobId, cursor: Cursor, quiet: Duration, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let Ok(first) = timeout_at(deadline, self.more_output(id, cursor)).await else { return Ok(()) };
        first?;
        loop {
            let job = self.job(id).await?;
            if job.status().is_final() {
                return Ok(());
            }
            let more = timeout(quiet, self.more_output(id, Cursor(job.output.bytes)));
            match timeout_at(deadline, more).await {
                Ok(Ok(more)) => more?,
                // It is quiet, or the time is up.
                Ok(Err(_)) | Err(_) => return Ok(()),
            }
        }
    }

    /// Returns a job that can receive input.
    async fn listener(&self, id: JobId) -> Result<Job> {
        let job = self.job(id).await?;
        match &job.state {
            State::Queued | State::Ended(_) => Err(Error::NotRunning { id, status: job.status() }),
            State::Running(_) | State::Paused(_) if !job.spec.takes_input() => {
                Err(Error::NoInput { id, reason: NoInput::NeverHad })
            }
            State::Running(_) | State::Paused(_) => Ok(job),
        }
    }

    /// Sends a request to the holder of a job.
    pub(super) async fn ask(&self, id: JobId, request: Request) -> Result<()> {
        match self.store.request(id, request).await {
            Ok(Answer::Refused { reason }) => Err(Error::Refused { id, reason }),
            Ok(Answer::Accepted | Answer::Processes { .. }) => Ok(()),
            Err(error) => Err(self.why_not(id, error).await),
        }
    }

    /// Returns the more specific error if the job has ended meanwhile.
    async fn why_not(&self, id: JobId, error: Error) -> Error {
        match self.job(id).await {
            Ok(job) if job.status().is_final() => Error::NotRunning { id, status: job.status() },
            _ => error,
        }
    }
}

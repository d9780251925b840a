//! How input reaches a job: through its named pipe `in`, directly from the sender to the reader.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::time::Duration;

use tokio::net::unix::pipe::Sender;
use tokio::time::Instant;

use super::atomic;
use super::job_file::JobFile;
use super::layout::JobDir;
use crate::error::{Error, IoContext, NoInput, Result};
use crate::id::JobId;
use crate::record::Running;
use crate::store::STARTING;
use crate::sys::pipe;

/// How much unread input a pipe holds: no more than the pipes for output, because a user may have only so much in
/// pipes.
pub(crate) const SIZE: usize = 16 * 1024;
/// How often to look for the pipe of a supervisor that is starting up.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The writing end, held so that the reader does not see an end between two senders.
#[derive(Debug)]
pub(crate) struct Open {
    job: JobDir,
    _writer: File,
}

impl Open {
    /// Creates the pipe, and returns the end that the command is to read from.
    pub(crate) fn make(job: &JobDir) -> io::Result<(Self, File)> {
        let path = job.stdin();
        // Opening either end of a named pipe waits for the other; with both held, neither open waits.
        let _both = pipe::make_and_open(&path, SIZE)?;
        let reader = File::open(&path)?;
        let writer = pipe::open_writer(&path)?;
        Ok((Self { job: job.clone(), _writer: writer }, reader))
    }

    /// Takes over the pipe of a supervisor that was killed; nothing if its input was ended or is no longer read.
    pub(crate) fn resume(job: &JobDir) -> Option<Self> {
        let writer = pipe::open_writer(&job.stdin()).ok()?;
        Some(Self { job: job.clone(), _writer: writer })
    }

    /// Ends the input: it can no longer be opened for sending, and the reader sees the end once the current senders are
    /// done.
    pub(crate) fn end(self) {
        let _ = fs::remove_file(self.job.stdin());
    }
}

/// Returns whether the main process of a job is on record.
fn is_running(id: JobId, job: &JobDir) -> bool {
    let file = atomic::open(&job.record(), OpenOptions::new().read(true));
    file.and_then(|file| JobFile::read(&file, job.record(), id)).is_ok_and(|read| read.has::<Running>())
}

/// Sends, and returns how many bytes were accepted.
pub(crate) async fn send(id: JobId, job: &JobDir, bytes: &[u8], patience: Duration) -> Result<usize> {
    let path = job.stdin();
    let no_input = |reason| Error::NoInput { id, reason };
    let deadline = Instant::now() + STARTING;
    let writer = loop {
        // Checked first: once the job runs, the pipe has been created and opened.
        let runs = is_running(id, job);
        let error = match pipe::open_writer(&path) {
            Ok(writer) => break writer,
            Err(error) => error,
        };
        let reason = match error {
            error if error.kind() == io::ErrorKind::NotFound => NoInput::Ended,
            error if pipe::has_no_reader(&error) => NoInput::Closed,
            error => return Err(Error::io("open", &path)(error)),
        };
        if runs {
            return Err(no_input(reason));
        }
        // Its supervisor has not got that far yet.
        if Instant::now() >= deadline {
            return Err(Error::NoAnswer { id });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    };
    let sender = Sender::from_file(writer).context("open", &path)?;
    match pipe::push(&sender, bytes, patience).await {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(no_input(NoInput::Closed)),
        pushed => pushed.context("write to", &path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemRandom, Timestamp};
    use crate::store::file::job_file;

    /// A sender that came between the creation of the pipe and its opening was once told that the job had closed its
    /// input.
    #[tokio::test]
    async fn sending_waits_for_a_pipe_that_its_supervisor_has_yet_to_open() {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        pipe::make(&job.stdin()).unwrap();
        // The first future is polled first, and has tried once when the second opens the pipe.
        let sending = send(id, &job, b"hello", Duration::from_secs(60));
        let (sent, reader) = tokio::join!(sending, async { pipe::open(&job.stdin()).unwrap() });
        assert_eq!(sent.unwrap(), 5);
        drop(reader);
        let file = fs::File::create(job.record()).unwrap();
        let own = crate::record::ProcessId::of_this_program().unwrap();
        job_file::write(&file, &job.record(), id, &Running::new(own, Timestamp::now())).unwrap();
        let sent = send(id, &job, b"hello", Duration::ZERO).await;
        assert!(matches!(sent, Err(Error::NoInput { reason: NoInput::Closed, .. })), "{sent:?}");
    }
}

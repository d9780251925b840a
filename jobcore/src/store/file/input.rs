//! How input reaches a job: through the named pipe `in` of its job, straight from whoever sends to whoever reads.

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

/// How much a pipe holds of what nobody has read yet: no more than those for output, of which a user may not have many.
pub(crate) const SIZE: usize = 16 * 1024;
/// How often to look for the pipe of a supervisor that is just coming up.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The writing end, held so that what is read does not end between two who send.
#[derive(Debug)]
pub(crate) struct Open {
    job: JobDir,
    _writer: File,
}

impl Open {
    /// Makes the pipe, and returns the end that the command is to read from.
    pub(crate) fn make(job: &JobDir) -> io::Result<(Self, File)> {
        let path = job.stdin();
        // A command may read only where somebody writes, or the other way round: with both held, neither open waits.
        let _both = pipe::make_and_open(&path, SIZE)?;
        let reader = File::open(&path)?;
        let writer = pipe::open_writer(&path)?;
        Ok((Self { job: job.clone(), _writer: writer }, reader))
    }

    /// Takes over the pipe of a supervisor that was killed; nothing if its input was ended, or nobody reads any more.
    pub(crate) fn resume(job: &JobDir) -> Option<Self> {
        let writer = pipe::open_writer(&job.stdin()).ok()?;
        Some(Self { job: job.clone(), _writer: writer })
    }

    /// Ends what can be read: nobody can send from here on, and when those are done who do so now, the end comes.
    pub(crate) fn end(self) {
        let _ = fs::remove_file(self.job.stdin());
    }
}

/// Returns whether the main process of a job is on record.
fn is_running(id: JobId, job: &JobDir) -> bool {
    let file = atomic::open(&job.record(), OpenOptions::new().read(true));
    file.and_then(|file| JobFile::read(&file, job.record(), id)).is_ok_and(|read| read.has::<Running>())
}

/// Sends, and returns how many bytes were taken.
pub(crate) async fn send(id: JobId, job: &JobDir, bytes: &[u8], patience: Duration) -> Result<usize> {
    let path = job.stdin();
    let no_input = |reason| Error::NoInput { id, reason };
    let deadline = Instant::now() + STARTING;
    let writer = loop {
        // Looked at first: once it runs, the pipe has been made and opened.
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
        // Its supervisor has not come so far.
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

    /// Somebody sent between the making of the pipe and its opening, and was told that the job had closed its input.
    #[tokio::test]
    async fn a_pipe_that_its_supervisor_has_yet_to_open_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        pipe::make(&job.stdin()).unwrap();
        // The first is polled first, and has tried once when the second opens the pipe.
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

//! How input reaches a job: through the named pipe `in` of its attempt, straight from whoever sends to whoever reads.

use std::fs::{self, File};
use std::io;
use std::time::Duration;

use tokio::net::unix::pipe::Sender;
use tokio::time::Instant;

use super::layout::AttemptDir;
use crate::error::{Error, IoContext, NoInput, Result};
use crate::id::JobId;
use crate::store::STARTING;
use crate::sys::pipe;

/// How much a pipe holds of what nobody has read yet: no more than those for output, of which a user may not have many.
pub(crate) const SIZE: usize = 16 * 1024;
/// How often to look for the pipe of a supervisor that is just coming up.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The writing end, held so that what is read does not end between two who send.
#[derive(Debug)]
pub(crate) struct Open {
    attempt: AttemptDir,
    _writer: File,
}

impl Open {
    /// Makes the pipe, and returns the end that the command is to read from.
    pub(crate) fn make(attempt: &AttemptDir) -> io::Result<(Self, File)> {
        let path = attempt.stdin();
        // A command may read only where somebody writes, or the other way round: with both held, neither open waits.
        let _both = pipe::make_and_open(&path, SIZE)?;
        let reader = File::open(&path)?;
        let writer = pipe::open_writer(&path)?;
        Ok((Self { attempt: attempt.clone(), _writer: writer }, reader))
    }

    /// Takes over the pipe of a supervisor that was killed; nothing if its input was ended, or nobody reads any more.
    pub(crate) fn resume(attempt: &AttemptDir) -> Option<Self> {
        let writer = pipe::open_writer(&attempt.stdin()).ok()?;
        Some(Self { attempt: attempt.clone(), _writer: writer })
    }

    /// Ends what can be read: nobody can send from here on, and when those are done who do so now, the end comes.
    pub(crate) fn end(self) {
        let _ = fs::remove_file(self.attempt.stdin());
    }
}

/// Sends, and returns how many bytes were taken.
pub(crate) async fn send(id: JobId, attempt: &AttemptDir, bytes: &[u8], patience: Duration) -> Result<usize> {
    let path = attempt.stdin();
    let no_input = |reason| Error::NoInput { id, reason };
    let deadline = Instant::now() + STARTING;
    let writer = loop {
        // Looked at first: once it runs, the pipe has been made and opened.
        let runs = attempt.running().exists();
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

    /// Somebody sent between the making of the pipe and its opening, and was told that the job had closed its input.
    #[tokio::test]
    async fn a_pipe_that_its_supervisor_has_yet_to_open_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let attempt = AttemptDir { path: directory.path().to_owned() };
        let id = JobId::mint(Timestamp::now(), &SystemRandom).unwrap();
        pipe::make(&attempt.stdin()).unwrap();
        // The first is polled first, and has tried once when the second opens the pipe.
        let sending = send(id, &attempt, b"hello", Duration::from_secs(60));
        let (sent, reader) = tokio::join!(sending, async { pipe::open(&attempt.stdin()).unwrap() });
        assert_eq!(sent.unwrap(), 5);
        drop(reader);
        fs::write(attempt.running(), "").unwrap();
        let sent = send(id, &attempt, b"hello", Duration::ZERO).await;
        assert!(matches!(sent, Err(Error::NoInput { reason: NoInput::Closed, .. })), "{sent:?}");
    }
}

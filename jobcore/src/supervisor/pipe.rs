//! The supervisor's end of a job's output: a pipe, small while it is quiet and larger for a job that writes much; a
//! terminal; or the output of a process that was started elsewhere.

use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::clock::Timestamp;
use crate::output::Stream;
use crate::store::file::log::FileLogWriter;
use crate::sys::outlet::Followed;
use crate::sys::pipe;
use crate::sys::watch::Watch;

/// A quiet pipe takes little of what one user may have in pipes, `pipe-user-pages-soft` in pipe(7): of a thousand jobs
/// with the default of 64 KiB per pipe, the last would get one page each.
const SMALL: usize = 16 * 1024;
const LARGE: usize = 1024 * 1024;
/// A pipe that has been quiet for this long is made small again.
const QUIET: Duration = Duration::from_secs(1);
/// How many bytes are moved before other work gets its turn.
const TURN: u64 = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct OutputPipe {
    file: File,
    /// Reports that there is something to read, if `file` does not.
    watch: Option<Watch>,
    stream: Stream,
    /// The size of the pipe; 0 if it is not one of the supervisor's own.
    size: usize,
    used: Instant,
}

impl OutputPipe {
    /// Creates and opens the named pipe, or takes over the one of an earlier supervisor.
    pub(super) fn make(path: &Path, stream: Stream) -> io::Result<Self> {
        let file = pipe::make_and_open(path, SMALL)?;
        Ok(Self { file, watch: None, stream, size: SMALL, used: Instant::now() })
    }

    /// Reads from a terminal, which has a fixed size and one stream.
    pub(super) fn of_terminal(file: File) -> Self {
        Self { file, watch: None, stream: Stream::Stdout, size: 0, used: Instant::now() }
    }

    /// Reads the output of a process that was started elsewhere.
    pub(super) fn of_followed(Followed { file, watch }: Followed, stream: Stream) -> Self {
        Self { file, watch, stream, size: 0, used: Instant::now() }
    }

    fn is_own_pipe(&self) -> bool {
        self.size != 0
    }

    /// Returns whether it is a file, which may have something to read although nothing reports it any more.
    pub(super) fn is_file(&self) -> bool {
        self.watch.is_some()
    }

    /// Moves what is available into the log, but not much more than a pipe can hold.
    pub(super) fn pump(&mut self, log: &mut FileLogWriter) -> io::Result<()> {
        if let Some(watch) = &self.watch {
            begin_again_if_emptied(&mut self.file, watch)?;
        }
        let mut moved = 0;
        while moved < TURN {
            let micros = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0);
            let count = match self.is_own_pipe() {
                true => log.pump(&self.file, self.stream, micros)?,
                false => log.copy(&self.file, self.stream, micros)?,
            };
            if count == 0 {
                return Ok(());
            }
            moved += count;
            self.used = Instant::now();
            if self.is_own_pipe() && count >= self.size as u64 && self.size < LARGE {
                self.resize(self.size * 4);
            }
        }
        Ok(())
    }

    /// Returns when the pipe should be made small, if it is large.
    pub(super) fn shrinks_at(&self) -> Option<Instant> {
        (self.size > SMALL).then(|| self.used + QUIET)
    }

    pub(super) fn shrink_if_quiet(&mut self, now: Instant) {
        if self.shrinks_at().is_some_and(|at| at <= now) {
            self.used = now;
            self.resize(SMALL);
        }
    }

    fn resize(&mut self, size: usize) {
        // If it cannot grow, it does not, and this is not tried again at every turn.
        self.size = pipe::resize(&self.file, size).unwrap_or(size);
    }
}

/// Consumes the notices of a file's watch, and returns to the beginning of a file that was truncated and written again,
/// as by `copytruncate` of logrotate(8).
// A function of its own, so that a supervisor that follows no file spends no stack on it.
#[inline(never)]
fn begin_again_if_emptied(file: &mut File, watch: &Watch) -> io::Result<()> {
    let _ = watch.has_word();
    if file.metadata()?.len() < file.stream_position()? {
        file.rewind()?;
    }
    Ok(())
}

impl AsFd for OutputPipe {
    /// Returns the descriptor that becomes readable when there is something to move.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_ref().map_or(self.file.as_fd(), Watch::as_fd)
    }
}

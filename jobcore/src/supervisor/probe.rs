//! Whether a program can be a supervisor: it is asked once, before a job depends on it.

use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use super::launch::away;
use crate::error::{Error, IoContext, Result};
use crate::signal::Signal;
use crate::store::file::supervisors::{HANDOVER_VERSION, MARKER, NAME};
use crate::sys::ready::{self, Wanted};
use crate::sys::spawn::{self, Source};
use crate::sys::{child, process};

/// Takes the place of a store and a job.
pub(super) const WORD: &str = "probe";

/// How long the answer may take. A correct one takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(5);

fn expected() -> String {
    format!("{NAME} {HANDOVER_VERSION}\n")
}

/// Answers a probe of this program.
pub(super) fn answer() -> io::Result<()> {
    io::stdout().write_all(expected().as_bytes())
}

/// Asks a program whether it calls [`run_if_asked`](super::run_if_asked), and waits for the answer for a bounded time.
/// A program that does not answer correctly is killed.
///
/// # Errors
/// [`Error::Unsupported`] if it is not, and [`Error::Io`] if it cannot be started.
pub(crate) fn probe(program: &Path) -> Result<()> {
    let (reader, writer) = io::pipe().context("make a pipe for", program)?;
    let writer = away(writer.into())?;
    let arguments = [NAME, MARKER, HANDOVER_VERSION, WORD].map(|word| word.as_bytes().to_vec());
    let null = Source::ReadWrite("/dev/null".as_ref());
    let streams = [null, Source::Descriptor(writer.as_fd()), null];
    let pid = spawn::session_leader(program, &arguments, &[], streams).context("start a supervisor from", program)?;
    drop(writer);
    let is_right = read_answer(&reader).is_ok_and(|answer| answer == expected().as_bytes());
    if !is_right {
        // It has not been reaped yet, so the number is still its own.
        let _ = process::signal_group(pid, Signal::KILL);
    }
    child::reap(pid);
    match is_right {
        true => Ok(()),
        false => {
            let reason = format!(
                "`{}` did not answer as a supervisor of this version does; name a program that is built with the same \
                 version of jobcore and whose plain `fn main` begins with `jobcore::supervisor::run_if_asked()`, before \
                 there are threads",
                program.display()
            );
            Err(Error::Unsupported { reason })
        }
    }
}

/// Reads what a program writes until it closes its output, has written more than an answer, or the time is up.
fn read_answer(mut reader: &PipeReader) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE;
    let (mut answer, mut buffer) = (Vec::new(), [0; 64]);
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if ready::wait([Wanted::Read(reader.as_fd())], Some(left)) != [true] {
            continue;
        }
        match reader.read(&mut buffer)? {
            0 => return Ok(answer),
            count => answer.extend_from_slice(&buffer[..count]),
        }
        if answer.len() > expected().len() {
            return Ok(answer);
        }
    }
}

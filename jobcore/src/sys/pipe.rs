//! Pipes, named and nameless, whose other end may stand still.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::libc;
#[cfg(target_os = "linux")]
use rustix::pipe::SpliceFlags;
use tokio::net::unix::pipe::Sender;

/// Makes a named pipe that only the owner may open. There must be none of this name.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    Ok(nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600))?)
}

/// Makes a named pipe, or takes over the one that somebody left who was killed, and opens it.
pub(crate) fn make_and_open(path: &Path, size: usize) -> io::Result<File> {
    match make(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let pipe = open(path)?;
    resize(&pipe, size);
    Ok(pipe)
}

/// Opens a named pipe for reading and writing: this never waits, and the pipe stays open whoever else closes it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Opens a named pipe for writing, without waiting.
///
/// # Errors
/// One that [`has_no_reader`] if nobody reads from it.
pub(crate) fn open_writer(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Returns whether a named pipe could not be opened for writing since nobody reads from it.
pub(crate) fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// Gives a pipe another size, and returns the one that it got; nothing if it stays as it is, since the user has too
/// much in pipes already (`pipe-user-pages-soft`, pipe(7)), or since there is more in it than would fit.
pub(crate) fn resize(pipe: &File, size: usize) -> Option<usize> {
    #[cfg(target_os = "linux")]
    return rustix::pipe::fcntl_setpipe_size(pipe, size).ok();
    #[cfg(not(target_os = "linux"))]
    return None;
}

/// Moves bytes from a pipe into a file at an offset within the kernel, splice(2), and returns how many: 0 if no writer is left.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if the pipe is empty, and [`io::ErrorKind::InvalidInput`] where such bytes or this file cannot be
/// moved so.
#[cfg(target_os = "linux")]
pub(crate) fn move_into(file: &File, pipe: &impl AsFd, mut at: u64, length: usize) -> io::Result<u64> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(rustix::pipe::splice(pipe, None, file, Some(&mut at), length, flags)? as u64)
}

/// There is no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn move_into(_: &File, _: &impl AsFd, _: u64, _: usize) -> io::Result<u64> {
    Err(io::ErrorKind::InvalidInput.into())
}

/// Writes, and returns how many bytes were taken: fewer if nobody took one for as long as `patience`, or nobody reads
/// any more.
///
/// # Errors
/// [`io::ErrorKind::BrokenPipe`] if there was nobody to read even the first byte.
pub(crate) async fn push(pipe: &Sender, bytes: &[u8], patience: Duration) -> io::Result<usize> {
    let mut taken = 0;
    while taken < bytes.len() {
        match pipe.try_write(&bytes[taken..]) {
            Ok(count) => taken += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if tokio::time::timeout(patience, pipe.writable()).await.is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && taken > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

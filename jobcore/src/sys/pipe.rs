//! Named and anonymous pipes whose other end may stall.

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

/// Creates a named pipe that only the owner may open. The name must be free.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    Ok(nix::unistd::mkfifo(path, nix::sys::stat::Mode::from_bits_truncate(0o600))?)
}

/// Creates a named pipe, or takes over one left by a killed process, and opens it.
pub(crate) fn make_and_open(path: &Path, size: usize) -> io::Result<File> {
    match make(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let pipe = open(path)?;
    resize(&pipe, size);
    Ok(pipe)
}

/// Opens a named pipe for reading and writing: this never blocks, and the pipe stays open even if every other process
/// closes it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Opens a named pipe for writing, without blocking.
///
/// # Errors
/// One that [`has_no_reader`] recognises, if the pipe has no reader.
pub(crate) fn open_writer(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Returns whether opening a named pipe for writing failed because it has no reader.
pub(crate) fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// Resizes a pipe, and returns the size that it got; `None` if it is unchanged, because the user already has too much
/// in pipes (`pipe-user-pages-soft`, pipe(7)) or because the pipe holds more than would fit.
pub(crate) fn resize(pipe: &File, size: usize) -> Option<usize> {
    #[cfg(target_os = "linux")]
    return rustix::pipe::fcntl_setpipe_size(pipe, size).ok();
    #[cfg(not(target_os = "linux"))]
    return None;
}

/// Moves bytes from a pipe into a file at an offset inside the kernel, splice(2), and returns how many: 0 if no writer
/// is left.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] if the pipe is empty, and [`io::ErrorKind::InvalidInput`] if these bytes or this file
/// do not support it.
#[cfg(target_os = "linux")]
pub(crate) fn move_into(file: &File, pipe: &impl AsFd, mut at: u64, length: usize) -> io::Result<u64> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(rustix::pipe::splice(pipe, None, file, Some(&mut at), length, flags)? as u64)
}

/// Not available on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn move_into(_: &File, _: &impl AsFd, _: u64, _: usize) -> io::Result<u64> {
    Err(io::ErrorKind::InvalidInput.into())
}

/// Writes, and returns how many bytes were taken: fewer if none was taken for as long as `patience`, or if the reader
/// is gone.
///
/// # Errors
/// [`io::ErrorKind::BrokenPipe`] if not even the first byte had a reader.
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

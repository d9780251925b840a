//! What the standard library lacks for files: where they are, how much room there is, and files without a name.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::SystemTime;

/// Reads a file of `/proc` or of another file system that does not report sizes: starts with a whole page, where the
/// standard library would start with a few bytes.
pub(crate) fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let (mut bytes, mut length) = (vec![0; 4096], 0);
    loop {
        let read = file.read(&mut bytes[length..])?;
        length += read;
        // If the buffer had room left and the text ends with a newline, this was everything; otherwise there may be
        // more.
        if read == 0 || length < bytes.len() && bytes[..length].ends_with(b"\n") {
            break;
        }
        if length == bytes.len() {
            bytes.resize(2 * length, 0);
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

/// Reads text as [`read`] does.
pub(crate) fn read_text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Reads at most `most` bytes of a regular file, and returns when it was last written. Does not wait for a FIFO.
pub(crate) fn read_regular(path: &Path, most: u64) -> io::Result<(Vec<u8>, SystemTime)> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes, metadata.modified()?))
}

/// The free space on a file system for this user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    /// How many files can be created; `None` if their number is not fixed.
    pub(crate) files: Option<u64>,
}

/// Returns the free space on the file system of a path, statvfs(3).
pub(crate) fn room(path: &Path) -> io::Result<Room> {
    let there = rustix::fs::statvfs(path)?;
    let bytes = there.f_bavail.saturating_mul(there.f_frsize);
    // File systems without a fixed number of files report 0 of 0.
    Ok(Room { bytes, files: (there.f_files > 0).then_some(there.f_favail) })
}

/// Returns the kernel's number for the type of a file system, statfs(2); `None` on systems without such numbers.
pub(crate) fn system(path: &Path) -> io::Result<Option<u32>> {
    #[cfg(target_os = "linux")]
    // The field has the machine's word size; the number has 32 bits.
    return Ok(Some(rustix::fs::statfs(path)?.f_type as u32));
    #[cfg(not(target_os = "linux"))]
    return std::fs::metadata(path).map(|_| None);
}

/// Creates a file that nothing else can find, memfd_create(2), to be read from its beginning.
pub(crate) fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("jobcore", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

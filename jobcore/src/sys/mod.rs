//! What talks to the kernel, so that nothing else has to. Safe calls of rustix and nix, and the few that neither has.

pub(crate) mod appear;
pub(crate) mod lock;
pub(crate) mod namespace;
pub(crate) mod oom;
pub(crate) mod pipe;
pub(crate) mod port;
pub(crate) mod process;
pub(crate) mod pty;
pub(crate) mod spawn;
pub(crate) mod world;

use std::fs::File;
use std::io::{self, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::inotify;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whether programs keep secrets where files do not show them.
#[cfg(feature = "agents")]
pub(crate) const HAS_KEYCHAIN: bool = cfg!(target_os = "macos");

/// Returns the number by which the kernel knows the kind of a file system, statfs(2); nothing where there are no such numbers.
pub(crate) fn file_system(path: &Path) -> io::Result<Option<u32>> {
    #[cfg(target_os = "linux")]
    // The word is as wide as the machine's; the number has 32 bits.
    return Ok(Some(rustix::fs::statfs(path)?.f_type as u32));
    #[cfg(not(target_os = "linux"))]
    return std::fs::metadata(path).map(|_| None);
}

/// Returns whether this process has one thread, as far as `/proc` says: where it says nothing, it has.
pub(crate) fn is_single_threaded() -> bool {
    // A directory has a link for each directory in it, here one a thread, and two more: one call, and nothing to parse.
    std::fs::metadata("/proc/self/task").map_or(true, |threads| threads.nlink() <= 3)
}

/// Registers a descriptor with the current tokio runtime, to be told when it can be read.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `AsyncFd` asks that the descriptor stays the same open file until it is dropped. It owns it, an `OwnedFd`
    // always returns the same number, and nobody else can close it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(|error| error.into_parts().1)
}

/// Makes a file that nobody else can find, memfd_create(2), to be read from its beginning.
pub(crate) fn file_in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("jobcore", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// Waits for an event of an inotify(7) instance.
pub(crate) async fn inotified(fd: &AsyncFd<OwnedFd>) {
    while let Ok(mut guard) = fd.readable().await {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        match inotify::Reader::new(fd.get_ref(), &mut buffer).next() {
            Err(error) if io::Error::from(error).kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
            Ok(_) | Err(_) => return,
        }
    }
}

/// Closes every descriptor from 3 on, close_range(2): what a caller forgot to mark close-on-exec must not be held open
/// for as long as a job runs.
///
/// Only for the very beginning of a process, when it has opened nothing itself. Neither rustix nor nix has the call;
/// kernels before 5.9 do not either, and there the descriptors are walked.
pub(crate) fn close_inherited() {
    #[cfg(target_os = "linux")]
    {
        let last = nix::libc::c_uint::MAX;
        // SAFETY: the call takes numbers and touches no memory. Nothing in this process owns any of the descriptors,
        // which the caller guarantees: it is the first thing that the process does.
        let result = unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3, last, 0) };
        if result == 0 {
            return;
        }
    }
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return };
    let numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: as above; the listing's own descriptor is closed by now, and closing it again is an EBADF.
        unsafe { nix::libc::close(fd) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_noticed() {
        // Tests have threads of their own; that one alone is seen as such is shown by each program that embeds this.
        let (stay, until) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || until.recv().unwrap_err());
        assert!(!is_single_threaded());
        drop(stay);
        thread.join().unwrap();
    }
}

//! Descriptors of this process: which are kept, and under which numbers.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

/// Copies a descriptor to a number above 2: a caller may have closed 0 to 2, and then files it opens get these numbers.
pub(crate) fn away(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(&fd, 3)?)
}

/// Closes everything inherited except standard input, and returns that: a descriptor that a caller forgot to mark
/// close-on-exec must not stay open for as long as a job runs. Afterwards standard input is a copy of standard output.
///
/// Only for the very beginning of a process, before it has opened anything itself.
pub(crate) fn keep_stdin() -> io::Result<File> {
    close_inherited();
    let kept = away(rustix::stdio::stdin())?;
    rustix::stdio::dup2_stdin(rustix::stdio::stdout())?;
    Ok(kept.into())
}

/// Returns a path to a file that this process has open, even if it has been renamed or removed, proc_pid_fd(5).
pub(crate) fn path_of(fd: impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()).into()
}

/// Opens `/dev/null` in place of each standard stream that is closed.
#[cfg(feature = "front")]
pub(crate) fn open_missing_streams() {
    use std::os::fd::IntoRawFd;

    use rustix::event::{PollFd, PollFlags, Timespec};
    use rustix::stdio::{stderr, stdin, stdout};

    let mut streams = [stdin(), stdout(), stderr()].map(|stream| PollFd::from_borrowed_fd(stream, PollFlags::empty()));
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = rustix::event::poll(&mut streams, Some(&at_once));
    for _ in streams.iter().filter(|stream| stream.revents().contains(PollFlags::NVAL)) {
        // An open gets the lowest free number.
        match rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty()) {
            Ok(null) => drop(null.into_raw_fd()),
            Err(_) => std::process::abort(),
        }
    }
}

/// Closes every descriptor from 3 on, close_range(2). Neither rustix nor nix has the call. Kernels before 5.9 lack it
/// too; there, the descriptors are closed one by one.
fn close_inherited() {
    #[cfg(target_os = "linux")]
    {
        let last = nix::libc::c_uint::MAX;
        // SAFETY: the call takes numbers and touches no memory. Nothing in this process owns any of the descriptors:
        // the caller guarantees that this is the first thing that the process does.
        let result = unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3, last, 0) };
        if result == 0 {
            return;
        }
    }
    let Ok(entries) = std::fs::read_dir("/dev/fd") else { return };
    let numbers: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: as above; the listing's own descriptor is closed by now, and closing it again fails with EBADF.
        unsafe { nix::libc::close(fd) };
    }
}

//! Waiting until descriptors are ready: for any of several, poll(2), or as a task of a tokio runtime.

use std::io;
#[cfg(feature = "front")]
use std::os::fd::AsFd;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor, and what it should be ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'f> {
    Read(BorrowedFd<'f>),
    Write(BorrowedFd<'f>),
}

/// Waits until one of the descriptors is ready or the time is up; without a timeout, forever. Returns which are ready.
pub(crate) fn wait<'f>(wanted: impl IntoIterator<Item = Wanted<'f>>, timeout: Option<Duration>) -> Vec<bool> {
    let descriptor = |wanted| match wanted {
        Wanted::Read(fd) => PollFd::from_borrowed_fd(fd, PollFlags::IN),
        Wanted::Write(fd) => PollFd::from_borrowed_fd(fd, PollFlags::OUT),
    };
    let mut descriptors: Vec<_> = wanted.into_iter().map(descriptor).collect();
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    // A wait that fails ends with nothing ready.
    let _ = rustix::event::poll(&mut descriptors, timeout.as_ref());
    descriptors.iter().map(|descriptor| !descriptor.revents().is_empty()).collect()
}

/// Registers a descriptor with the current tokio runtime, to be notified when it can be read.
pub(crate) fn readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: `AsyncFd` requires that the descriptor stays the same open file until it is dropped. It owns it, an
    // `OwnedFd` always returns the same number, and nothing else can close it.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.map_err(|error| error.into_parts().1)
}

/// Reads what is available as soon as there is something, and nothing once it is no longer polled.
#[cfg(feature = "front")]
pub(crate) async fn read(fd: &AsyncFd<OwnedFd>, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        let mut ready = fd.readable().await?;
        // Another program may have read it since.
        if wait([Wanted::Read(fd.get_ref().as_fd())], Some(Duration::ZERO)) == [true] {
            return Ok(rustix::io::read(fd, bytes)?);
        }
        ready.clear_ready();
    }
}

/// Returns when a pipe or socket no longer has a reader. Files report nothing; for them, this never returns.
#[cfg(feature = "front")]
pub(crate) async fn unread(fd: OwnedFd) {
    // SAFETY: as in `readable`: it owns the descriptor, which nothing else can close.
    let registered = unsafe { AsyncFd::register_with_interest(fd, Interest::ERROR) };
    let Ok(fd) = registered else { return std::future::pending().await };
    let _ = fd.ready(Interest::ERROR).await;
}

/// Returns when the other end of a pipe or socket is closed, even while it holds unread data. Files report nothing; for
/// them, this never returns.
#[cfg(feature = "front")]
pub(crate) async fn closed(fd: OwnedFd) {
    let Ok(fd) = readable(fd) else { return std::future::pending().await };
    while let Ok(mut ready) = fd.readable().await {
        if ready.ready().is_read_closed() {
            return;
        }
        ready.clear_ready();
    }
}

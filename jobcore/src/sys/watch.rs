//! Notification of changed files, inotify(7).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;

/// Reports changes in directories from the moment on that each is watched.
#[derive(Debug)]
pub(crate) struct Watch(OwnedFd);

impl Watch {
    /// Creates a watch that watches nothing yet.
    ///
    /// # Errors
    /// If the kernel has no inotify, or the user's limit is reached: the only way then is to look again.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
    }

    /// Watches for names that appear in a directory, and for the directory itself being moved or removed.
    pub(crate) fn names(&self, directory: &Path) -> io::Result<()> {
        self.add(directory, WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF)
    }

    /// Watches for files in a directory that are created or written to.
    pub(crate) fn writes(&self, directory: &Path) -> io::Result<()> {
        self.add(directory, WatchFlags::MODIFY | WatchFlags::CREATE)
    }

    /// Watches for a file being written to, moved or removed.
    pub(crate) fn file(&self, path: &Path) -> io::Result<()> {
        self.add(path, WatchFlags::MODIFY | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF)
    }

    fn add(&self, directory: &Path, changes: WatchFlags) -> io::Result<()> {
        inotify::add_watch(&self.0, directory, changes)?;
        Ok(())
    }

    /// Returns whether something has changed since the last call.
    pub(crate) fn has_word(&self) -> io::Result<bool> {
        take_word(&self.0)
    }

    /// Registers the watch with the current tokio runtime.
    pub(crate) fn register(self) -> io::Result<Changes> {
        super::ready::readable(self.0).map(|fd| Changes(Some(fd)))
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A watch that can be waited for.
#[derive(Debug)]
pub(crate) struct Changes(Option<AsyncFd<OwnedFd>>);

impl Changes {
    /// Waits for something to change.
    pub(crate) async fn next(&self) {
        let Some(fd) = &self.0 else { return };
        while let Ok(mut guard) = fd.readable().await
            && let Ok(false) = take_word(fd.get_ref())
        {
            guard.clear_ready();
        }
    }
}

impl Drop for Changes {
    /// Closing such a descriptor blocks for 5 to 20 ms, until the kernel is sure that no thread is looking at its
    /// watches. Another thread does it, since something has just changed and a caller is waiting for it.
    fn drop(&mut self) {
        if let (Some(fd), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn_blocking(|| drop(fd));
        }
    }
}

fn take_word(fd: &OwnedFd) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    match inotify::Reader::new(fd, &mut buffer).next().map_err(io::Error::from) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        next => next.map(|_| true),
    }
}

/// Returns whether this kernel notifies of bytes that [`move_into`](super::pipe::move_into) moves into a file.
pub(crate) fn tells_of_moved_bytes() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(8))
}

//! Waiting for a job without polling: a descriptor of the process that holds its lock, and word of changed files.
//!
//! A holder that is a process of its own ends with the job, so its pidfd says it all, also when it is killed. Where the
//! holder stays on (the job runs inside a larger program, or its stragglers are left), the end record is watched too.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;

use super::layout::AttemptDir;
use crate::error::{Error, Result};
use crate::record::ProcessId;
use crate::sys::process;

/// The fallback where the kernel cannot tell: the holder is seen under another number from here, is about to put
/// itself on record, or all of the user's inotify instances are taken.
const POLL_FIRST: Duration = Duration::from_millis(1);
const POLL_LAST: Duration = Duration::from_millis(100);
/// How often it is looked again where not every change gives word of itself: kernels before 6.8 tell nothing of bytes
/// that are spliced into a file, and a program that runs jobs within itself may let go of a lock and live on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What to be woken by.
#[derive(Debug, Default)]
pub(super) struct Watch {
    process: Option<AsyncFd<OwnedFd>>,
    files: Option<AsyncFd<OwnedFd>>,
    looks_again: bool,
    /// The files tell of everything, so that nothing else has to be looked at.
    files_suffice: bool,
}

impl Watch {
    /// Watches for the end of a process. Whoever it is, the caller looks at the lock again after this.
    pub(super) fn process(&mut self, holder: &ProcessId) -> Result<()> {
        self.process = match process::open(holder) {
            Some(fd) => Some(registered(fd)?),
            None => None,
        };
        Ok(())
    }

    /// Watches for an end record, and for output if that is wanted. The caller looks again after this.
    ///
    /// `looks_again` says that not every change will be told.
    pub(super) fn files(&mut self, attempt: &AttemptDir, output: bool, looks_again: bool) -> Result<()> {
        use inotify::{CreateFlags, WatchFlags};
        self.looks_again = output || looks_again;
        let Ok(fd) = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) else { return Ok(()) };
        if inotify::add_watch(&fd, &attempt.path, WatchFlags::MOVED_TO | WatchFlags::CREATE).is_err() {
            return Ok(());
        }
        if output {
            // Not there before the first byte; then its creation is what wakes.
            let _ = inotify::add_watch(&fd, attempt.log(), WatchFlags::MODIFY | WatchFlags::CREATE);
        }
        self.files = Some(registered(fd)?);
        Ok(())
    }

    /// Watches for files that change in a directory. The caller looks again after this.
    pub(super) fn directory(&mut self, path: &Path) -> Result<()> {
        use inotify::{CreateFlags, WatchFlags};
        let Ok(fd) = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) else { return Ok(()) };
        if inotify::add_watch(&fd, path, WatchFlags::MODIFY | WatchFlags::CREATE).is_ok() {
            self.files_suffice = true;
            self.files = Some(registered(fd)?);
        }
        Ok(())
    }

    /// Waits for any of it.
    pub(super) async fn changed(self, poll: &mut Backoff) {
        let process = async {
            match &self.process {
                Some(fd) => drop(fd.readable().await),
                None => std::future::pending().await,
            }
        };
        let files = async {
            match &self.files {
                Some(fd) => crate::sys::inotified(fd).await,
                None => std::future::pending().await,
            }
        };
        let again = async {
            match (&self.process, self.looks_again, &self.files) {
                (None, false, Some(_)) if self.files_suffice => std::future::pending().await,
                (Some(_), false, _) => std::future::pending().await,
                (_, true, Some(_)) => tokio::time::sleep(LOOK_AGAIN).await,
                (None, _, _) | (Some(_), true, None) => poll.sleep().await,
            }
        };
        tokio::select! {
            () = process => {}
            () = files => {}
            () = again => {}
        }
    }
}

/// Polls at a growing distance.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    pub(super) fn new() -> Self {
        Self(POLL_FIRST)
    }

    async fn sleep(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(POLL_LAST);
    }
}

fn registered(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    crate::sys::readable(fd).map_err(Error::io("wait for", "a descriptor".as_ref()))
}

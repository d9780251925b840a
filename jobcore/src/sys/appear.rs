//! Waiting for a file to be made, inotify(7).

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

/// How often it is looked again where the kernel cannot tell: all of the user's inotify instances are taken.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Tells of changes on the way to a file. Whoever has it looks whether the file is there, and then waits.
#[derive(Debug)]
pub(crate) struct Appearance(Option<AsyncFd<OwnedFd>>);

impl Appearance {
    /// Watches the nearest directory above `path` that is there.
    pub(crate) fn of(path: &Path) -> Self {
        let watch = || {
            let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
            let watched = path.ancestors().skip(1).find(|above| inotify::add_watch(&fd, *above, flags).is_ok())?;
            // What was made below it meanwhile is not told, nor what is made where a link leads to.
            let next = path.ancestors().take_while(|part| *part != watched).last();
            match next {
                Some(next) if next.is_symlink() || (next != path && next.exists()) => None,
                _ => super::readable(fd).ok(),
            }
        };
        Self(watch())
    }

    /// Waits for something to change, or for a moment.
    pub(crate) async fn changed(self) {
        match self.0 {
            Some(fd) => super::inotified(&fd).await,
            None => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

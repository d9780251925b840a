//! Waiting for a job without polling: a descriptor of the process that holds its lock, and word of changed files.
//!
//! A holder that is a process of its own ends with the job, so its pidfd says it all, also when it is killed. Where the
//! holder stays on (the job runs inside a larger program, or its stragglers are left), the end record is watched too.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;

use super::layout::AttemptDir;
use super::{FileStore, atomic, log};
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::spec::Stragglers;
use crate::sys::process::{self, ProcessId};

/// The fallback where the kernel cannot tell: the holder is seen under another number from here, is about to put
/// itself on record, or all of the user's inotify instances are taken.
const POLL_FIRST: Duration = Duration::from_millis(1);
const POLL_LAST: Duration = Duration::from_millis(100);
/// How often it is looked again where not every change gives word of itself: kernels before 6.8 tell nothing of bytes
/// that are spliced into a file, and a program that runs jobs within itself may let go of a lock and live on.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What to be woken by.
#[derive(Debug, Default)]
struct Watch {
    process: Option<AsyncFd<OwnedFd>>,
    files: Option<AsyncFd<OwnedFd>>,
    looks_again: bool,
    /// The files tell of everything, so that nothing else has to be looked at.
    files_suffice: bool,
}

impl Watch {
    /// Watches for the end of a process. Whoever it is, the caller looks at the lock again after this.
    fn process(&mut self, holder: &ProcessId) -> Result<()> {
        self.process = match process::open(holder) {
            Some(fd) => Some(registered(fd)?),
            None => None,
        };
        Ok(())
    }

    /// Watches for an end record, and for output if that is wanted. The caller looks again after this.
    ///
    /// `looks_again` says that not every change will be told.
    fn files(&mut self, attempt: &AttemptDir, output: bool, looks_again: bool) -> Result<()> {
        self.looks_again = looks_again || (output && !tells_of_splices());
        let Some(fd) = watched(&attempt.path, WatchFlags::MOVED_TO | WatchFlags::CREATE) else {
            // The process tells of its end and of nothing else.
            self.looks_again = true;
            return Ok(());
        };
        if output {
            // Not there before the first byte; then its creation is what wakes.
            let log = attempt.log();
            let is_watched = inotify::add_watch(&fd, &log, WatchFlags::MODIFY | WatchFlags::CREATE).is_ok();
            self.looks_again |= !is_watched && log.exists();
        }
        self.files = Some(registered(fd)?);
        Ok(())
    }

    /// Watches for files that change in a directory. The caller looks again after this.
    fn directory(&mut self, path: &Path) -> Result<()> {
        if let Some(fd) = watched(path, WatchFlags::MODIFY | WatchFlags::CREATE) {
            self.files_suffice = true;
            self.files = Some(registered(fd)?);
        }
        Ok(())
    }

    /// Waits for any of it.
    async fn changed(self, poll: &mut Backoff) {
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

impl FileStore {
    /// Returns when the job has an end record, or nobody holds its lock, or it is gone.
    pub(super) async fn settled(&self, id: JobId) -> Result<()> {
        let mut backoff = Backoff::new();
        while let Some(watch) = self.watch(id, false)? {
            watch.changed(&mut backoff).await;
        }
        Ok(())
    }

    /// Returns when the job may have been started, or ended.
    pub(super) async fn left_queue(&self, id: JobId) -> Result<()> {
        let attempt = self.layout.job(id).attempt();
        let mut watch = Watch::default();
        watch.files(&attempt, false, true)?;
        // What happened before the watch was put up woke nobody.
        let is_there = |path: PathBuf| atomic::is_there(&path);
        if is_there(attempt.path.clone())? && !is_there(attempt.start())? && !is_there(attempt.ended())? {
            watch.changed(&mut Backoff::new()).await;
        }
        Ok(())
    }

    /// Returns when the job has written more than `beyond` bytes, or is settled.
    pub(super) async fn written(&self, id: JobId, beyond: u64) -> Result<()> {
        let log = log::FileLog::new(self.layout.job(id).attempt());
        let mut backoff = Backoff::new();
        while let Some(watch) = self.watch(id, true)? {
            if log.size()?.bytes > beyond {
                break;
            }
            watch.changed(&mut backoff).await;
        }
        Ok(())
    }

    /// Returns when there may be an event of this number or a later one.
    pub(super) async fn happened(&self, number: u64) -> Result<()> {
        let mut watch = Watch::default();
        let events = if self.is_made()? { self.events.directory()? } else { self.layout.events() };
        watch.directory(&events)?;
        // What happened before the watch was put up woke nobody.
        if self.events.read(number, 1)?.next <= number {
            watch.changed(&mut Backoff::new()).await;
        }
        Ok(())
    }

    /// Returns what to be woken by; nothing if the job is settled.
    fn watch(&self, id: JobId, output: bool) -> Result<Option<Watch>> {
        let evidence = match self.jobs.evidence(id) {
            Err(Error::NotFound { .. }) => return Ok(None),
            evidence => evidence?,
        };
        let mut watch = Watch::default();
        let attempt = self.layout.job(id).attempt();
        match (&evidence.ended, evidence.held) {
            (Some(_), _) => return Ok(None),
            (None, true) => {
                let leaves = evidence.submission.spec.stragglers == Stragglers::Leave;
                let outlives = evidence.start.as_ref().is_none_or(|start| !start.dedicated);
                if output || leaves || outlives {
                    watch.files(&attempt, output, outlives)?;
                }
                if let Some(start) = &evidence.start {
                    watch.process(&start.holder)?;
                }
            }
            (None, false) => return Ok(None),
        }
        // What happened while the watch was put up woke nobody.
        let is_settled = self.jobs.end(id)?.is_some() || !self.jobs.is_held(id)?;
        Ok((!is_settled).then_some(watch))
    }
}

/// Polls at a growing distance.
#[derive(Debug)]
struct Backoff(Duration);

impl Backoff {
    fn new() -> Self {
        Self(POLL_FIRST)
    }

    async fn sleep(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(POLL_LAST);
    }
}

/// Returns what tells of changes in a directory; nothing where the kernel does not.
fn watched(directory: &Path, changes: WatchFlags) -> Option<OwnedFd> {
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&fd, directory, changes).ok()?;
    Some(fd)
}

/// Returns whether this kernel tells of bytes that are spliced into a file.
fn tells_of_splices() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(6), Some(8))
}

fn registered(fd: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    crate::sys::readable(fd).map_err(Error::io("wait for", "a descriptor".as_ref()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn who_waits_for_output_is_woken_by_output_alone() {
        if !tells_of_splices() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let attempt = AttemptDir { path: directory.path().to_owned() };
        std::fs::create_dir(attempt.log()).unwrap();
        let mut log = File::create(attempt.log().join("log")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let watch = || {
                let own = process::identify(std::process::id().try_into().unwrap()).unwrap();
                let mut watch = Watch::default();
                watch.files(&attempt, true, false).unwrap();
                watch.process(&own).unwrap();
                watch
            };
            let mut backoff = Backoff::new();
            assert!(timeout(2 * LOOK_AGAIN, watch().changed(&mut backoff)).await.is_err(), "woken by nothing");
            let told = watch();
            log.write_all(b"x").unwrap();
            timeout(Duration::from_secs(60), told.changed(&mut backoff)).await.unwrap();
        });
    }

    /// All of a user's inotify instances may be taken: editors have many. A wait for output then went on until the job ended.
    #[test]
    fn files_that_cannot_be_watched_are_looked_at_again() {
        let directory = tempfile::tempdir().unwrap();
        let attempt = AttemptDir { path: directory.path().join("none") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::default();
            watch.files(&attempt, true, false).unwrap();
            watch.process(&ProcessId::of_this_program().unwrap()).unwrap();
            timeout(Duration::from_secs(60), watch.changed(&mut Backoff::new())).await.unwrap();
        });
    }
}

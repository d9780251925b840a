//! Waiting for a job without polling: a descriptor of the process that holds its lock, and notifications of changed
//! files.
//!
//! A holder that is a process of its own ends with the job, so its pidfd is enough, even if it is killed. If the holder
//! stays alive (the job runs inside a larger program, or its stragglers are left running), the end record is watched
//! too.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use super::layout::JobDir;
use super::{FileStore, log};
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::output::JobLog;
use crate::record::{Ended, Running, Start};
use crate::spec::Stragglers;
use crate::sys::process::{self, ProcessId};
use crate::sys::ready;
use crate::sys::watch::{self, Changes, Watch as Files};

/// The fallback if the kernel cannot notify: the holder has another number from here, it is about to put itself on
/// record, or all of the user's inotify instances are taken.
const POLL_FIRST: Duration = Duration::from_millis(1);
const POLL_LAST: Duration = Duration::from_millis(100);
/// How often to check again if some changes cause no notification: kernels before 6.8 do not report bytes that are
/// spliced into a file, and a program that runs jobs within itself may release a lock and live on.
const POLL_BESIDE: Duration = Duration::from_millis(500);

/// What to report of a job besides its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    End,
    /// Every record.
    Records,
    Output,
}

/// What to be woken by.
#[derive(Debug, Default)]
struct Watch {
    process: Option<AsyncFd<OwnedFd>>,
    files: Option<Changes>,
    looks_again: bool,
    /// The files report everything, so that nothing else has to be checked.
    files_suffice: bool,
}

impl Watch {
    /// Watches for the end of a process. Whichever process it is, the caller checks the lock again after this.
    fn process(&mut self, holder: &ProcessId) -> Result<()> {
        self.process = match process::open(holder) {
            Some(fd) => Some(ready::readable(fd).map_err(cannot_wait())?),
            None => None,
        };
        Ok(())
    }

    /// Watches for an end record, and for output if that is wanted. The caller checks again after this.
    ///
    /// `looks_again` means that some changes will not be reported.
    fn files(&mut self, job: &JobDir, output: bool, looks_again: bool) -> Result<()> {
        self.looks_again = looks_again || (output && !watch::tells_of_moved_bytes());
        let is_watched = |files: &Files| files.names(&job.path).and_then(|()| files.writes(&job.record())).is_ok();
        let Some(files) = Files::new().ok().filter(is_watched) else {
            // The process reports its end and nothing else.
            self.looks_again = true;
            return Ok(());
        };
        if output {
            // It does not exist before the first byte; then its creation wakes the waiter, as does that of each later
            // one.
            let last = log::FileLog::new(job.clone()).segments()?.last().map(|segment| job.segment(segment.start));
            self.looks_again |= last.is_some_and(|last| files.writes(&last).is_err());
        }
        self.files = Some(files.register().map_err(cannot_wait())?);
        Ok(())
    }

    /// Watches for files that change in a directory. The caller checks again after this.
    fn directory(&mut self, path: &Path) -> Result<()> {
        if let Some(files) = Files::new().ok().filter(|files| files.writes(path).is_ok()) {
            self.files_suffice = true;
            self.files = Some(files.register().map_err(cannot_wait())?);
        }
        Ok(())
    }

    /// Waits for any of these.
    async fn changed(self, poll: &mut Backoff) {
        let process = async {
            match &self.process {
                Some(fd) => drop(fd.readable().await),
                None => std::future::pending().await,
            }
        };
        let files = async {
            match &self.files {
                Some(files) => files.next().await,
                None => std::future::pending().await,
            }
        };
        let again = async {
            match (&self.process, self.looks_again, &self.files) {
                (None, false, Some(_)) if self.files_suffice => std::future::pending().await,
                (Some(_), false, _) => std::future::pending().await,
                (_, true, Some(_)) => tokio::time::sleep(POLL_BESIDE).await,
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
    /// Returns when the job has an end record, its lock is not held, or it was removed.
    pub(super) async fn settled(&self, id: JobId) -> Result<()> {
        let mut backoff = Backoff::new();
        while let Some(watch) = self.watch(id, Told::End)? {
            watch.changed(&mut backoff).await;
        }
        Ok(())
    }

    /// Returns when the job may have been started, or ended.
    pub(super) async fn left_queue(&self, id: JobId) -> Result<()> {
        let job = self.layout.job(id);
        let mut watch = Watch::default();
        watch.files(&job, false, true)?;
        // A change before the watch was set up has woken nothing.
        match self.jobs.read(id) {
            Ok(read) if !read.has::<Start>() && !read.has::<Ended>() => watch.changed(&mut Backoff::new()).await,
            Ok(_) | Err(Error::NotFound { .. } | Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Returns when the job is ready, or settled.
    pub(super) async fn readied(&self, id: JobId) -> Result<()> {
        let mut backoff = Backoff::new();
        while let Some(watch) = self.watch(id, Told::Records)? {
            if self.jobs.read(id)?.get::<Running>()?.is_some_and(|running| running.ready_at.is_some()) {
                break;
            }
            watch.changed(&mut backoff).await;
        }
        Ok(())
    }

    /// Returns when the job has written more than `beyond` bytes, or is settled.
    pub(super) async fn written(&self, id: JobId, beyond: u64) -> Result<()> {
        let log = log::FileLog::new(self.layout.job(id));
        let mut backoff = Backoff::new();
        while let Some(watch) = self.watch(id, Told::Output)? {
            if log.size()?.bytes > beyond {
                break;
            }
            watch.changed(&mut backoff).await;
        }
        Ok(())
    }

    /// Returns when there may be an event with this number or a later one.
    pub(super) async fn happened(&self, number: u64) -> Result<()> {
        let mut watch = Watch::default();
        let events = if self.is_made()? { self.events.directory()? } else { self.layout.events() };
        watch.directory(&events)?;
        // A change before the watch was set up has woken nothing.
        if self.events.read(number, 1)?.next <= number {
            watch.changed(&mut Backoff::new()).await;
        }
        Ok(())
    }

    /// Returns what to be woken by; nothing if the job is settled.
    fn watch(&self, id: JobId, told: Told) -> Result<Option<Watch>> {
        let evidence = match self.jobs.evidence(id) {
            Err(Error::NotFound { .. }) => return Ok(None),
            evidence => evidence?,
        };
        let mut watch = Watch::default();
        let job = self.layout.job(id);
        match (&evidence.ended, evidence.held) {
            (Some(_), _) => return Ok(None),
            (None, true) => {
                let leaves = evidence.submission.spec.stragglers == Stragglers::Leave;
                let outlives = evidence.start.as_ref().is_none_or(|start| !start.dedicated);
                if told != Told::End || leaves || outlives {
                    watch.files(&job, told == Told::Output, outlives)?;
                }
                if let Some(start) = &evidence.start {
                    watch.process(&start.holder)?;
                }
            }
            (None, false) => return Ok(None),
        }
        // A change while the watch was being set up has woken nothing.
        let is_settled = match self.jobs.read(id) {
            Err(Error::NotFound { .. }) => true,
            read => read?.has::<Ended>() || !self.jobs.is_held(id)?,
        };
        Ok((!is_settled).then_some(watch))
    }
}

/// Polls at growing intervals.
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

fn cannot_wait() -> impl FnOnce(io::Error) -> Error {
    Error::io("wait for", "a descriptor".as_ref())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_waiter_for_output_is_woken_by_output_alone() {
        if !watch::tells_of_moved_bytes() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        File::create(job.record()).unwrap();
        let mut log = File::create(job.segment(0)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let watch = || {
                let own = process::identify(std::process::id().try_into().unwrap()).unwrap();
                let mut watch = Watch::default();
                watch.files(&job, true, false).unwrap();
                watch.process(&own).unwrap();
                watch
            };
            let mut backoff = Backoff::new();
            assert!(timeout(2 * POLL_BESIDE, watch().changed(&mut backoff)).await.is_err(), "woken by nothing");
            let told = watch();
            log.write_all(b"x").unwrap();
            timeout(Duration::from_secs(60), told.changed(&mut backoff)).await.unwrap();
        });
    }

    /// All of a user's inotify instances may be taken, because editors use many. A wait for output then lasted until
    /// the job ended.
    #[test]
    fn files_that_cannot_be_watched_are_polled() {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().join("none") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut watch = Watch::default();
            watch.files(&job, true, false).unwrap();
            watch.process(&ProcessId::of_this_program().unwrap()).unwrap();
            timeout(Duration::from_secs(60), watch.changed(&mut Backoff::new())).await.unwrap();
        });
    }
}

//! Where records are kept: in memory and on the disk, each below a directory that is removed at the end of the run.

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use jobcore::clock::{Clock, SystemClock, SystemRandom, Timestamp};
use jobcore::record::{Ended, Start, Submission, World};
use jobcore::store::JobStore;
use jobcore::{Cause, FileStore, JobId, JobSpec, Outcome as End};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::Outcome;

/// A file system.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) root: PathBuf,
}

impl Place {
    /// Makes a directory that is removed when it is dropped.
    pub(crate) fn directory(&self) -> Outcome<TempDir> {
        Ok(tempfile::tempdir_in(&self.root)?)
    }

    /// The number of free bytes.
    pub(crate) fn free(&self) -> Outcome<u64> {
        let all = rustix::fs::statvfs(&self.root)?;
        Ok(all.f_bavail * all.f_frsize)
    }

    /// The number of the next inode of this file system, which assigns them in ascending order; for tmpfs only.
    pub(crate) fn next_inode(&self) -> Outcome<u64> {
        Ok(tempfile::tempfile_in(&self.root)?.metadata()?.ino())
    }
}

/// The time between two submissions, so that many jobs span several days.
const APART: Duration = Duration::from_secs(20);

/// Makes a store with this many ended jobs, and returns their ids from the oldest to the newest.
pub(crate) fn fill(root: &Path, count: u32) -> Outcome<Vec<JobId>> {
    let store = FileStore::open(root)?;
    runtime()?.block_on(store.change_settings(&mut |settings| {
        (settings.max_running, settings.keep_days, settings.keep_jobs, settings.keep_bytes) = (0, 0, 0, 0);
    }))?;
    let (now, numbers) = (SystemClock.now(), Mutex::new(0..count));
    let next = || numbers.lock().ok()?.next();
    let part = || {
        let (runtime, mut ids) = (runtime()?, Vec::new());
        while let Some(number) = next() {
            ids.push(runtime.block_on(end(&store, now - APART * (count - number)))?);
        }
        Ok(ids)
    };
    let parts: Vec<_> = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| part().map_err(|error: Box<dyn Error>| error.to_string())));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
    });
    let mut ids = parts.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
    ids.sort();
    Ok(ids)
}

fn runtime() -> Outcome<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Submits a job, and ends one: it may be that of another thread, which then gets this one.
async fn end(store: &FileStore, at: Timestamp) -> Outcome<JobId> {
    let id = JobId::mint(at, &SystemRandom)?;
    let spec = JobSpec::command(["true"]).cwd("/").env("PATH", "/usr/bin:/bin").build()?;
    store.create(Submission::new(id, at, spec, "/bin/true".into(), world()?)).await?;
    if let Some(mut claim) = store.next_due().await? {
        claim.start(&start()?).await?;
        let mut outcome = End::new(Cause::Exited, at);
        outcome.exit_code = Some(0);
        claim.finish(&Ended::new(Some(at), outcome)).await?;
    }
    Ok(id)
}

/// A world in which this process may act on the job: only then is the job due.
fn world() -> Outcome<World> {
    let namespace = |kind: &str| Ok::<_, std::io::Error>(fs::metadata(Path::new("/proc/self/ns").join(kind))?.ino());
    let mut world = World::default();
    world.pid_namespace = Some(namespace("pid")?);
    world.mount_namespace = Some(namespace("mnt")?);
    world.sandboxed = true;
    Ok(world)
}

/// The record of the holder, with this process as the holder of all jobs.
fn start() -> Outcome<Start> {
    let own = serde_json::json!({
        "boot_id": "00000000-0000-0000-0000-000000000000",
        "pid_namespace": 0,
        "pid": std::process::id(),
        "start_time": 0,
    });
    Ok(Start::new(serde_json::from_value(own)?, false, SystemClock.now()))
}

//! Stores of format 1, in which each record was a file: brought into the format of today when they are opened.
//!
//! Each job is brought over for itself: first its output, then its records, by one rename, then what is left of the old files is
//! removed. Whoever is killed in between has lost nothing, and the next who opens the store goes on.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::job_file::{self, JobFile, Kept, Queued};
use super::jobs::Jobs;
use super::layout::{JobDir, Layout};
use super::{atomic, root};
use crate::environment::Environment;
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::record::{Ended, Running, Start, Stopping, Submission};
use crate::sys::lock;

/// How long to wait for another process that does the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// What lay in the directory of a job and has no use any more.
const OLD_FILES: [&str; 5] = ["spec.json", "queued.json", "end.json", "env", "lock"];
/// What lay in the directory of a store and has no use any more.
const OLD_DIRECTORIES: [&str; 2] = ["queue", "slots"];

/// Brings a store of format 1 into the format of today.
///
/// # Errors
/// [`Error::StoreRefused`] while a job of it runs: its supervisor knows only the old format.
pub(super) fn upgrade(layout: &Layout) -> Result<()> {
    let path = layout.admission();
    let admission = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
    if !lock::take_within(&admission, PATIENCE).context("lock", &path)? {
        return refuse(layout, "it has format 1, and another process has been at work in it for too long");
    }
    if root::has_own_format(layout)? {
        return Ok(());
    }
    let ids = Jobs::new(layout).all()?;
    for id in &ids {
        let lock = layout.job(*id).path.join("lock");
        let lock = atomic::open_if_there(&lock, OpenOptions::new().read(true)).ok().flatten();
        if lock.is_some_and(|lock| lock::is_held(&lock).unwrap_or(true)) {
            return refuse(
                layout,
                "it has format 1 and jobs run in it; wait until they have ended, or stop them, with the version that started them",
            );
        }
    }
    for id in ids {
        bring_over(&layout.job(id), id)?;
    }
    for directory in OLD_DIRECTORIES {
        let path = layout.root.join(directory);
        atomic::unless_missing(fs::remove_dir_all(&path).context("remove", &path))?;
    }
    // What it held is made again from the jobs.
    admission.set_len(0).context("write", &path)?;
    root::write_format(layout)
}

fn refuse(layout: &Layout, reason: &str) -> Result<()> {
    Err(Error::StoreRefused { path: layout.root.to_path_buf(), reason: reason.to_owned() })
}

fn bring_over(job: &JobDir, id: JobId) -> Result<()> {
    let attempt = job.path.join("attempts/1");
    if !atomic::is_there(&job.record())? {
        for name in atomic::names(&attempt.join("log"))? {
            let (from, to) = (attempt.join("log").join(&name), job.path.join(&name));
            fs::rename(&from, &to).context("move", &from)?;
        }
        let given = job.path.join("stdin");
        atomic::unless_missing(fs::rename(&given, job.given()).context("move", &given))?;
        let Some(Ok(mut submission)) = read::<Submission>(&job.path.join("spec.json"))? else {
            // Of a job of which nothing can be read, nothing is taken away either.
            return Ok(());
        };
        let environment = atomic::read_bytes(&job.path.join("env"))?;
        submission.spec.environment = environment.as_deref().map(Environment::from_bytes).unwrap_or_default();
        let staged = atomic::staged(&job.record());
        let _ = fs::remove_file(&staged);
        let mut file = atomic::create_file(&staged).context("make", &staged)?;
        file.write_all(&job_file::new(&submission, &staged)?).context("write", &staged)?;
        if environment.is_none() {
            let length = JobFile::read(&file, staged.clone(), id)?.without_environment();
            length.map_or(Ok(()), |length| file.set_len(length)).context("write", &staged)?;
        }
        put::<Queued>(&file, &staged, id, &job.path.join("queued.json"))?;
        put::<Start>(&file, &staged, id, &attempt.join("start.json"))?;
        put::<Running>(&file, &staged, id, &attempt.join("run.json"))?;
        put::<Stopping>(&file, &staged, id, &attempt.join("stop.json"))?;
        // That of the job is the same, unless its supervisor was killed between the two.
        put::<Ended>(&file, &staged, id, &attempt.join("end.json"))?;
        fs::rename(&staged, job.record()).context("publish", &staged)?;
    }
    for name in OLD_FILES {
        let path = job.path.join(name);
        atomic::unless_missing(fs::remove_file(&path).context("remove", &path))?;
    }
    let attempts = job.path.join("attempts");
    atomic::unless_missing(fs::remove_dir_all(&attempts).context("remove", &attempts)).map(drop)
}

/// Copies a record, if there is one. What cannot be read is damage there as well.
fn put<T: Kept>(file: &File, to: &Path, id: JobId, from: &Path) -> Result<()> {
    match read::<T>(from)? {
        Some(Ok(record)) => job_file::write(file, to, id, &record),
        Some(Err(bytes)) => job_file::write_damaged::<T>(file, to, &bytes),
        None => Ok(()),
    }
}

/// Reads a record, or the bytes of one that cannot be read as such; nothing if there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<std::result::Result<T, Vec<u8>>>> {
    let bytes = match atomic::read_bytes(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(Error::Damaged { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Some(serde_json::from_slice(&bytes).map_err(|_| bytes)))
}

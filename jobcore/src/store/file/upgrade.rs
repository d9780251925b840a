//! Stores of format 1, in which each record was a file: converted to the current format when they are opened.
//!
//! Each job is converted on its own: first its output, then its records, by one rename, and then the remaining old
//! files are removed. A process that is killed in between has lost nothing, and the next one that opens the store
//! continues.

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

/// How long to wait for another process that is converting the store.
const PATIENCE: Duration = Duration::from_secs(10);
/// Files in the directory of a job that are no longer used.
const OLD_FILES: [&str; 5] = ["spec.json", "queued.json", "end.json", "env", "lock"];
/// Directories of a store that are no longer used.
const OLD_DIRECTORIES: [&str; 2] = ["queue", "slots"];

/// Converts a store of format 1 to the current format.
///
/// # Errors
/// [`Error::StoreRefused`] while one of its jobs is running: the supervisor knows only the old format.
pub(super) fn upgrade(layout: &Layout) -> Result<()> {
    let path = layout.admission();
    let admission = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
    if !lock::take_within(&admission, PATIENCE).context("lock", &path)? {
        return refuse(layout, "it has format 1, and another process has kept it locked for too long");
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
                "it has format 1 and jobs are running in it; wait for them or stop them with the version that started them",
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
    // Its contents are rebuilt from the jobs.
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
            // If nothing of a job can be read, nothing of it is removed either.
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
        // The job's own copy is the same, unless its supervisor was killed between the two.
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

/// Copies a record, if there is one. An unreadable record becomes a damaged one.
fn put<T: Kept>(file: &File, to: &Path, id: JobId, from: &Path) -> Result<()> {
    match read::<T>(from)? {
        Some(Ok(record)) => job_file::write(file, to, id, &record),
        Some(Err(bytes)) => job_file::write_damaged::<T>(file, to, &bytes),
        None => Ok(()),
    }
}

/// Reads a record, or its bytes if it cannot be read as one; nothing if there is none.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<std::result::Result<T, Vec<u8>>>> {
    let bytes = match atomic::read_bytes(path) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        Err(Error::Damaged { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    Ok(Some(serde_json::from_slice(&bytes).map_err(|_| bytes)))
}

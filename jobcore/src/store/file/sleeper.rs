//! The file `sleeper`: the lock of the one process that sleeps until something is due, and the time until which it
//! sleeps, in microseconds since 1970. There is such a process only while something is due later or waits for the
//! machine to be less busy.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::admission::Admission;
use super::atomic;
use super::layout::Layout;
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::sys::lock;

/// The file `sleeper` of a store.
#[derive(Debug)]
pub(crate) struct Sleeper {
    file: File,
    pub(crate) path: PathBuf,
}

impl Sleeper {
    pub(crate) fn open(layout: &Layout) -> Result<Self> {
        let path = layout.sleeper();
        let file = atomic::open_or_create(&path, OpenOptions::new().read(true).write(true).truncate(false))?;
        Ok(Self { file, path })
    }

    /// Returns whether a sleeping process will be awake at this time. One that would sleep longer is woken.
    pub(crate) fn is_awake_at(&self, at: Timestamp) -> Result<bool> {
        if !lock::is_held(&self.file).context("check the lock", &self.path)? {
            return Ok(false);
        }
        let mut until = [0; 8];
        // If it has not written the time yet, it will check the queue before it does.
        let is_known = self.file.read_exact_at(&mut until, 0).is_ok();
        if is_known && i64::from_le_bytes(until) > at.as_microsecond() {
            self.write(0)?;
        }
        Ok(true)
    }

    /// Takes the lock, and returns whether no other process has it.
    pub(crate) fn take(&self) -> Result<bool> {
        lock::try_take(&self.file).context("lock", &self.path)
    }

    /// Lets the holder of the lock sleep until this time; without one, releases the lock. A process that queues
    /// something that is due later checks the lock after that.
    pub(super) fn sleep_until(&self, _: &Admission, next: Option<Timestamp>) -> Result<()> {
        match next {
            Some(at) => self.write(at.as_microsecond()),
            None => lock::release(&self.file).context("release the lock of", &self.path),
        }
    }

    fn write(&self, until: i64) -> Result<()> {
        self.file.write_all_at(&until.to_le_bytes(), 0).context("write", &self.path)
    }
}

/// Wakes the sleeping process, if there is one: what it sleeps for may no longer exist.
pub(super) fn wake(layout: &Layout) {
    let file = atomic::open_if_there(&layout.sleeper(), OpenOptions::new().write(true));
    // If it keeps sleeping, it finds nothing to do when it wakes up.
    let _ = file.map(|file| file.map(|file| file.write_all_at(&0_i64.to_le_bytes(), 0)));
}

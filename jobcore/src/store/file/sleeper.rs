//! The file `sleeper`: the lock of the one process that sleeps until something is due, and until when it does, in microseconds since
//! 1970. There is such a process only while something is due later, or waits for the machine to be less busy.

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

    /// Returns whether a process sleeps that will be awake at this time. One that would sleep longer is woken.
    pub(crate) fn is_awake_at(&self, at: Timestamp) -> Result<bool> {
        if !lock::is_held(&self.file).context("look at the lock", &self.path)? {
            return Ok(false);
        }
        let mut until = [0; 8];
        // It has not written yet until when, and will look before it does.
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

    /// Lets the holder of the lock sleep until this time; it no longer has the lock if there is none. A process that puts something into
    /// the queue that is due later looks at the lock after that.
    pub(super) fn sleep_until(&self, _: &Admission, next: Option<Timestamp>) -> Result<()> {
        match next {
            Some(at) => self.write(at.as_microsecond()),
            None => lock::release(&self.file).context("let go of the lock of", &self.path),
        }
    }

    fn write(&self, until: i64) -> Result<()> {
        self.file.write_all_at(&until.to_le_bytes(), 0).context("write", &self.path)
    }
}

/// Wakes the process that sleeps, if there is one: what it sleeps for may be gone.
pub(super) fn wake(layout: &Layout) {
    let file = atomic::open_if_there(&layout.sleeper(), OpenOptions::new().write(true));
    // If it sleeps on, it finds nothing to do when it wakes up.
    let _ = file.map(|file| file.map(|file| file.write_all_at(&0_i64.to_le_bytes(), 0)));
}

//! Time and randomness, passed in rather than taken, so that tests can be exact.

use std::fmt::Debug;
use std::io;

pub use jiff::Timestamp;

/// Tells the wall-clock time.
///
/// Wall time is only ever recorded and shown. What is decided by time (timeouts, grace) is measured by the
/// supervisor with a monotonic clock that stands still while the machine sleeps.
pub trait Clock: Send + Sync + Debug {
    /// Returns the time now.
    fn now(&self) -> Timestamp;
}

/// Fills bytes with randomness that cannot be guessed.
pub trait Random: Send + Sync + Debug {
    /// Overwrites all of `bytes`.
    ///
    /// # Errors
    /// If there is no randomness to be had. What `bytes` holds then must not be used.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The kernel's random number generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        // The system call needs neither a descriptor nor `/dev`: it works where all of them are used up, and in a chroot.
        Ok(getrandom::fill(bytes)?)
    }
}

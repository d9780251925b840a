//! Time and randomness, passed in as dependencies so that tests can be exact.

use std::fmt::Debug;
use std::io;

pub use jiff::Timestamp;

/// Returns the wall-clock time.
///
/// Wall time is only recorded and shown. Decisions that depend on time (timeouts, grace) are made by the supervisor
/// with a monotonic clock that stands still while the machine sleeps.
pub trait Clock: Send + Sync + Debug {
    /// Returns the current time.
    fn now(&self) -> Timestamp;
}

/// Fills buffers with unpredictable random bytes.
pub trait Random: Send + Sync + Debug {
    /// Overwrites all of `bytes`.
    ///
    /// # Errors
    /// If no randomness is available. The contents of `bytes` must not be used then.
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()>;
}

/// Truncates a time to milliseconds, as interfaces print it.
pub(crate) fn to_milliseconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

pub(crate) fn serialize_milliseconds<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&to_milliseconds(*at), serializer)
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
        // The system call needs neither a descriptor nor `/dev`: it works when all descriptors are used up, and in a
        // chroot.
        Ok(getrandom::fill(bytes)?)
    }
}

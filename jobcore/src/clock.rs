//! Time and randomness, passed in rather than taken, so that tests can be exact.

use std::fmt::Debug;

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
    fn fill(&self, bytes: &mut [u8]);
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
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel's random number generator is always there");
    }
}

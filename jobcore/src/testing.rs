//! A kit for the tests of programs that embed jobcore: jobs that follow a script, a clock that stands still, and
//! repeatable randomness. No process is started and nothing sleeps, so such tests are quick and exact.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use jobcore::stop::StopOptions;
//! use jobcore::testing::{FakeRunner, ManualClock, Script, SeededRandom};
//! use jobcore::{JobManager, JobSpec, MemoryStore, Status};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let clock = ManualClock::new();
//! let runner = FakeRunner::new(&clock)
//!     .script("make", Script::new().stderr("no rule\n").takes(Duration::from_secs(90)).exits(2))
//!     .script("./serve", Script::new().stdout("listening\n").stays());
//! let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner))?
//!     .with_clock(Arc::new(clock.clone()))
//!     .with_random(Arc::new(SeededRandom::new(7)));
//!
//! let build = jobs.submit(JobSpec::shell("make").build()?).await?;
//! clock.advance(Duration::from_secs(90));
//! let build = jobs.wait_for(build.id).await?;
//! assert_eq!((build.status(), build.state.outcome().and_then(|end| end.exit_code)), (Status::Failed, Some(2)));
//! assert_eq!(jobs.shape(&build).duration_ms, Some(90_000));
//!
//! let server = jobs.submit(JobSpec::shell("./serve").build()?).await?;
//! jobs.stop(server.id, &StopOptions::default()).await?;
//! assert_eq!(jobs.job(server.id).await?.status(), Status::Killed);
//! # Ok::<(), jobcore::Error>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The checks of [`JobManager::submit`](crate::JobManager::submit) still apply: the directory and the program of the
//! spec have to exist on the machine that runs the test. A shell line needs only a shell.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;

use crate::clock::{Clock, Random, Timestamp};

pub use crate::runner::fake::{FakeRunner, Gate, Script};

/// A clock that stands still until it is advanced. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<watch::Sender<Timestamp>>);

impl ManualClock {
    /// Creates a clock that shows the beginning of 2026, UTC.
    pub fn new() -> Self {
        Self::starting_at(Timestamp::constant(1_767_225_600, 0))
    }

    /// Creates a clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Arc::new(watch::Sender::new(start)))
    }

    /// Advances the clock, at most to the latest time that it can show.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now = later(*now, by));
    }

    /// Waits until the clock shows `at` or a later time.
    pub async fn reached(&self, at: Timestamp) {
        // The clock itself holds the sender, so the channel is open during this call.
        let _ = self.0.subscribe().wait_for(|now| *now >= at).await;
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }
}

/// Returns the time that is this long after another.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// Randomness that is the same for the same seed, and suitable only for tests.
///
/// The first two bytes of each filling count up, so that up to 16,384 ids that were minted while the clock stood still
/// sort in the order in which they were minted.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    fillings: AtomicU64,
}

impl SeededRandom {
    /// Creates the randomness of this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, fillings: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        let filling = self.fillings.fetch_add(1, Ordering::Relaxed);
        let (count, rest) = bytes.split_at_mut(bytes.len().min(2));
        count.copy_from_slice(&filling.to_be_bytes()[8 - 2..][..count.len()]);
        for (index, word) in rest.chunks_mut(8).enumerate() {
            let random = mixed(mixed(mixed(self.seed) ^ filling) ^ index as u64).to_le_bytes();
            word.copy_from_slice(&random[..word.len()]);
        }
        Ok(())
    }
}

/// The output function of SplitMix64: each bit of the output depends on every bit of the input.
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::JobId;

    #[test]
    fn a_clock_stands_still_until_it_is_advanced() {
        let clock = ManualClock::new();
        let other = clock.clone();
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00Z");
        other.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:01.5Z");
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
    }

    #[test]
    fn ids_are_repeatable_and_in_order_while_the_clock_stands_still() {
        let ids = |seed| {
            let random = SeededRandom::new(seed);
            (0..1000).map(|_| JobId::mint(ManualClock::new().now(), &random).unwrap()).collect::<Vec<_>>()
        };
        assert!(ids(1).is_sorted());
        assert_eq!(ids(1), ids(1));
        let short: std::collections::BTreeSet<_> = ids(1).into_iter().chain(ids(2)).map(JobId::short).collect();
        assert_eq!(short.len(), 2000);
    }
}

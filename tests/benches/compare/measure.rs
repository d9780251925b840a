//! Takes samples in turns, so that other load on the machine affects all contestants alike.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// A contestant of a row: each call takes one sample.
pub(crate) struct Contestant<'a> {
    name: String,
    sample: Box<dyn FnMut() -> Outcome<f64> + 'a>,
    samples: Result<Vec<f64>, String>,
    spent: Duration,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(name: impl Into<String>, sample: impl FnMut() -> Outcome<f64> + 'a) -> Self {
        Self { name: name.into(), sample: Box::new(sample), samples: Ok(Vec::new()), spent: Duration::ZERO }
    }

    /// Takes a sample, unless there are enough for the time spent. No samples are taken after a failure.
    fn go(&mut self) {
        let Ok(samples) = &mut self.samples else { return };
        if self.spent > MOST || self.spent > FAIR && samples.len() >= ENOUGH {
            return;
        }
        let begin = now();
        match (self.sample)() {
            Ok(sample) => samples.push(sample),
            Err(error) => self.samples = Err(error.to_string()),
        }
        self.spent += now() - begin;
    }
}

/// How long each contestant may take for its samples, so that slow ones do not take the rounds of quick ones.
const FAIR: Duration = Duration::from_secs(5);
/// How many samples a contestant may take even if that takes longer.
const ENOUGH: usize = 3;
/// The time after which no further sample is taken, however few there are.
const MOST: Duration = Duration::from_secs(30);

/// The result of one contestant.
pub(crate) struct Measured {
    pub(crate) name: String,
    /// The samples in ascending order, or why there are none.
    pub(crate) samples: Result<Vec<f64>, String>,
}

impl Measured {
    pub(crate) fn median(&self) -> Option<f64> {
        let samples = self.samples.as_ref().ok()?;
        let middle = samples.len() / 2;
        Some(if samples.len() % 2 == 1 { samples[middle] } else { f64::midpoint(samples[middle - 1], samples[middle]) })
    }
}

/// Takes up to `rounds` samples of each contestant, in a different order in each round.
pub(crate) fn interleave(rounds: usize, mut contestants: Vec<Contestant<'_>>) -> Vec<Measured> {
    let count = contestants.len();
    for round in 0..rounds {
        for turn in 0..count {
            contestants[(round + turn) % count].go();
        }
    }
    let measured = contestants.into_iter().map(|Contestant { name, mut samples, .. }| {
        if let Ok(samples) = &mut samples {
            samples.sort_by(f64::total_cmp);
        }
        Measured { name, samples }
    });
    measured.collect()
}

/// The time of the clock with which the programs of this benchmark stamp files.
pub(crate) fn now() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.try_into().unwrap_or(0))
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

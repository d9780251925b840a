//! Which jobs this program started, and how often.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::JobId;

/// How many jobs are remembered as started. A job that is due again comes before those that have never been due.
const REMEMBERED: usize = 512;

/// How often this program started a supervisor for each job. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts(Arc<Mutex<VecDeque<(JobId, u32)>>>);

impl Starts {
    pub(super) fn of(&self, id: JobId) -> u32 {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.iter().find(|(started, _)| *started == id).map_or(0, |(_, count)| *count)
    }

    pub(super) fn add(&self, id: JobId) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match starts.iter_mut().find(|(started, _)| *started == id) {
            Some((_, count)) => *count += 1,
            None => {
                starts.truncate(REMEMBERED - 1);
                starts.push_front((id, 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_starts_are_remembered() {
        let starts = Starts::default();
        let ids: Vec<_> = (0..=REMEMBERED)
            .map(|_| JobId::mint(jiff::Timestamp::now(), &crate::clock::SystemRandom).unwrap())
            .collect();
        for id in &ids {
            starts.add(*id);
            starts.add(*id);
        }
        let counts: Vec<_> = ids.iter().map(|id| starts.of(*id)).collect();
        assert_eq!((counts[0], counts[1], counts[REMEMBERED]), (0, 2, 2));
        assert_eq!(starts.0.lock().unwrap().len(), REMEMBERED);
    }
}

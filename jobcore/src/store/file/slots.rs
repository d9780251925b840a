//! The jobs that have taken one of the places that the limits allow.

use std::path::PathBuf;

use super::atomic;
use super::entry::entries;
use super::jobs::{self, Jobs};
use super::layout::Layout;
use super::records::Records;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::id::JobId;

/// How many of the running jobs are looked at for one whose supervisor was killed.
const LOOKED_AT: usize = 64;

/// The slots of a store.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    layout: Layout,
    jobs: Jobs,
}

impl Slots {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), jobs: Jobs::new(layout) }
    }

    /// Returns jobs that have a slot, have been started and have no end, and whose lock is free.
    pub(super) fn unattended(&self) -> Result<Vec<JobId>> {
        let mut slots = entries(&self.layout.slots())?.unwrap_or_default();
        if slots.len() > LOOKED_AT {
            // A thousand that end at the same time must not look at each other a million times. The next look begins
            // somewhere else.
            let begin = usize::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % slots.len();
            slots.rotate_left(begin);
            slots.truncate(LOOKED_AT);
        }
        slots.retain(|entry| {
            let id = entry.slot.id;
            // The lock first: of nearly all of them it is held. What cannot be read is for whoever looks at that job.
            match self.jobs.is_held(id) {
                Ok(false) => {}
                Ok(true) | Err(_) => return false,
            }
            let job = self.layout.job(id);
            let is_there = |path: PathBuf| atomic::is_there(&path).unwrap_or(false);
            if is_there(job.ended()) || is_there(job.attempt().ended()) {
                self.finish_again(id);
                return false;
            }
            is_there(job.attempt().start())
        });
        Ok(slots.into_iter().map(|entry| entry.slot.id).collect())
    }

    /// Does what is left to do after the end of a job whose supervisor was killed in the middle of that: its environment is
    /// erased, and its slot is given back.
    pub(super) fn finish_again(&self, id: JobId) {
        if let Ok(Some(records)) = Records::claim(&self.layout, id)
            && let Ok(Some(ended)) = jobs::end_of(&records.job)
            && records.finish(&ended).is_ok()
        {
            records.remove_pipes();
        }
    }
}

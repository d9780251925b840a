//! The jobs that have taken one of the places that the limits allow.

use super::admission::{Admission, Entry, entries, waiting};
use super::jobs::Jobs;
use super::layout::Layout;
use super::records::Records;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::record::{Ended, Start};

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

    /// Returns jobs that have a slot, have been started and have no end, and whose lock is free. Those that were not started
    /// wait again.
    pub(super) fn unattended(&self) -> Result<Vec<JobId>> {
        let mut slots = entries(&self.layout)?;
        slots.retain(|entry| entry.has_slot);
        if slots.len() > LOOKED_AT {
            // A thousand that end at the same time must not look at each other a million times. The next look begins
            // somewhere else.
            let begin = usize::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % slots.len();
            slots.rotate_left(begin);
            slots.truncate(LOOKED_AT);
        }
        let mut unattended = Vec::new();
        for Entry { slot, .. } in slots {
            // The lock first: of nearly all of them it is held. What cannot be read is for whoever looks at that job.
            match self.jobs.is_held(slot.id) {
                Ok(false) => {}
                Err(Error::NotFound { .. }) => {
                    self.forget(slot.id);
                    continue;
                }
                Ok(true) | Err(_) => continue,
            }
            match self.jobs.read(slot.id) {
                Ok(read) if read.has::<Ended>() => {
                    if self.finish_again(slot.id) {
                        self.forget(slot.id);
                    }
                }
                Ok(read) if read.has::<Start>() => unattended.push(slot.id),
                // Whoever was to start it was killed before.
                Ok(_) => drop(self.put_back(slot.id)),
                Err(_) => {}
            }
        }
        Ok(unattended)
    }

    /// Does what is left to do after the end of a job whose supervisor was killed in the middle of that, and returns whether
    /// all is done.
    pub(super) fn finish_again(&self, id: JobId) -> bool {
        match Records::claim(&self.layout, id) {
            Ok(Some(records)) => {
                let is_done = records.complete_end().unwrap_or(false);
                records.remove_pipes();
                is_done
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Returns whether nothing is left to do after the end of a job: its environment was erased, or it is gone.
    pub(super) fn is_done(&self, id: JobId) -> bool {
        match self.jobs.read(id) {
            Ok(read) => read.without_environment().is_none(),
            Err(error) => matches!(error, Error::NotFound { .. }),
        }
    }

    /// Gives the slot of a job back that has ended, or is gone.
    pub(super) fn forget(&self, id: JobId) {
        let forgotten = Admission::take(&self.layout).and_then(|mut admission| {
            // One that was not there may have been about to come into its place.
            match self.jobs.read(id) {
                Ok(read) if !read.has::<Ended>() => Ok(()),
                Ok(_) | Err(Error::NotFound { .. }) => admission.remove(id),
                Err(error) => Err(error),
            }
        });
        if let Err(error) = forgotten {
            tracing::debug!(%id, %error, "the slot of a job that has ended could not be given back");
        }
    }

    /// Gives a slot to a job that is started although it was not its turn.
    pub(super) fn take(&self, id: JobId) -> Result<()> {
        let mut admission = Admission::take(&self.layout)?;
        let entry = admission.entries().into_iter().find(|entry| entry.slot.id == id);
        entry.map_or(Ok(()), |entry| admission.put(Entry { has_slot: true, ..entry }))
    }

    /// Puts a job back into the queue that waits and is not in it, and returns whether that was so. The queue is no truth,
    /// but a job that is not in it is never started.
    pub(super) fn put_back(&self, id: JobId) -> Result<bool> {
        let is_in_queue = |entries: Vec<Entry>| entries.iter().any(|entry| entry.slot.id == id && !entry.has_slot);
        if is_in_queue(entries(&self.layout)?) {
            return Ok(false);
        }
        let mut admission = Admission::take(&self.layout)?;
        if is_in_queue(admission.entries()) {
            return Ok(false);
        }
        match waiting(&self.jobs, id)? {
            Some(entry) => admission.put(entry).map(|()| true),
            None => Ok(false),
        }
    }
}

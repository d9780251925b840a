//! The jobs that have taken one of the places that the limits allow.

use super::admission::{Admission, Entry, Rows, rows, waiting};
use super::jobs::Jobs;
use super::layout::Layout;
use super::on_end::EndHooks;
use super::records::Records;
use super::settings::SettingsFile;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::id::JobId;
use crate::record::{Ended, Start};
use crate::spec::JobSpec;
use crate::store::room::Room;

/// How many of the running jobs are looked at for one whose supervisor was killed.
const LOOKED_AT: usize = 64;

/// The slots of a store.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    layout: Layout,
    jobs: Jobs,
    hooks: EndHooks,
    settings: SettingsFile,
}

impl Slots {
    pub(super) fn new(layout: &Layout) -> Self {
        let (jobs, hooks, settings) = (Jobs::new(layout), EndHooks::new(layout), SettingsFile::new(layout));
        Self { layout: layout.clone(), jobs, hooks, settings }
    }

    /// Returns jobs that have a slot, have been started and have no end, and whose lock is free, and those that have ended and
    /// at whose end something is to be run that nobody runs. Those that were not started wait again.
    pub(super) fn unattended(&self) -> Result<Vec<JobId>> {
        let mut slots = rows(&self.layout)?.taken();
        if slots.len() > LOOKED_AT {
            // A thousand that end at the same time must not look at each other a million times. The next look begins
            // somewhere else.
            let begin = usize::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % slots.len();
            slots.rotate_left(begin);
            slots.truncate(LOOKED_AT);
        }
        let mut unattended = Vec::new();
        for Entry { slot, has_ended, .. } in slots {
            // The lock first: of nearly all of them it is held. What cannot be read is for whoever looks at that job.
            let is_held = if has_ended { self.hooks.are_running(slot.id) } else { self.jobs.is_held(slot.id) };
            match is_held {
                Ok(false) if has_ended => {
                    unattended.push(slot.id);
                    continue;
                }
                Ok(false) => {}
                Err(Error::NotFound { .. }) => {
                    self.forget(slot.id);
                    continue;
                }
                Ok(true) | Err(_) => continue,
            }
            match self.jobs.read(slot.id) {
                Ok(read) if read.has::<Ended>() => {
                    if self.finish_again(slot.id) && self.forget(slot.id) {
                        unattended.push(slot.id);
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
            Ok(read) => read.without_environment().is_none() && read.is_superseded_erased(),
            Err(error) => matches!(error, Error::NotFound { .. }),
        }
    }

    /// Takes a job that has ended off the list, or puts it down there as one at whose end something is to be run, and returns
    /// whether there is. It has no slot then.
    pub(super) fn vacate(&self, admission: &mut Admission, id: JobId) -> Result<bool> {
        match admission.rows.find(id) {
            Some(entry) if entry.has_ended => Ok(true),
            Some(_) if admission.may_have_hooks() && self.pause_on_failure(admission, id).is_err() => Ok(false),
            Some(entry) if (entry.has_hook || admission.may_have_hooks()) && self.hooks.are_due(id) => {
                admission.put(&Entry { has_slot: false, has_ended: true, ..entry }).map(|()| true)
            }
            _ => admission.remove(id).map(|()| false),
        }
    }

    /// Takes a job off the list at whose end nothing is left to run.
    pub(super) fn end_hooks(&self, id: JobId) {
        if let Err(error) = Admission::take(&self.layout).and_then(|mut admission| {
            let has_ended = admission.rows.find(id).is_some_and(|entry| entry.has_ended);
            if has_ended { admission.remove(id) } else { Ok(()) }
        }) {
            tracing::debug!(%id, %error, "what was run at the end of a job could not be put down as done");
        }
    }

    /// Gives the slot of a job back that has ended, or is gone, and returns whether something is to be run at its end.
    pub(super) fn forget(&self, id: JobId) -> bool {
        let forgotten = Admission::take(&self.layout).and_then(|mut admission| {
            // One that was not there may have been about to come into its place.
            match self.jobs.read(id) {
                Ok(read) if !read.has::<Ended>() => Ok(false),
                Ok(_) => self.vacate(&mut admission, id),
                Err(Error::NotFound { .. }) => admission.remove(id).map(|()| false),
                Err(error) => Err(error),
            }
        });
        forgotten.unwrap_or_else(|error| {
            tracing::debug!(%id, %error, "the slot of a job that has ended could not be given back");
            false
        })
    }

    /// Gives a slot to a job that is started although it was not its turn.
    pub(super) fn take(&self, records: &Records, spec: &JobSpec) -> Result<()> {
        let mut admission = Admission::take(&self.layout)?;
        let Some(mut entry) = admission.rows.find(records.id).filter(|entry| !entry.has_slot) else {
            return Ok(());
        };
        let (settings, taken) = (self.settings.read()?, admission.taken());
        Room::beside(&settings, taken.iter().map(|entry| &entry.slot)).give(&mut entry.slot, &[]);
        records.set_place(spec, &entry.slot.place)?;
        admission.put(&entry.with_slot())
    }

    /// Makes the entry of a job that waits agree with its records.
    pub(super) fn note_change(&self, admission: &mut Admission, id: JobId) -> Result<()> {
        let read = self.jobs.read(id)?;
        let submission = read.submission()?;
        match admission.rows.find(id) {
            Some(entry) if !entry.has_slot && !entry.has_ended => {
                admission.put(&Entry::new(id, &submission.spec, read.place(&submission.spec)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Pauses the group of a job that has failed, if that is set. Nothing of the group starts in its slot before.
    fn pause_on_failure(&self, admission: &Admission, id: JobId) -> Result<()> {
        let Ok(read) = self.jobs.read(id) else { return Ok(()) };
        if let (Ok(Some(ended)), Ok(submission)) = (read.get::<Ended>(), read.submission())
            && let mut settings = self.settings.read()?
            && let Some(group) = settings.paused_by(submission.spec.group.as_ref(), ended.outcome.status())
        {
            settings.pause_group(group.clone(), true);
            self.settings.write(admission, &settings)?;
        }
        Ok(())
    }

    /// Puts a job back into the queue that waits and is not in it, and returns whether that was so. The queue is no truth,
    /// but a job that is not in it is never started.
    pub(super) fn put_back(&self, id: JobId) -> Result<bool> {
        let is_in_queue = |rows: &Rows| rows.find(id).is_some_and(|entry| !entry.has_slot && !entry.has_ended);
        if is_in_queue(&rows(&self.layout)?) {
            return Ok(false);
        }
        let mut admission = Admission::take(&self.layout)?;
        if is_in_queue(&admission.rows) {
            return Ok(false);
        }
        match waiting(&self.jobs, id)? {
            Some(entry) => admission.put(&entry).map(|()| true),
            None => Ok(false),
        }
    }
}

//! The jobs that have a slot: one of the places that the limits allow.

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

/// How many of the running jobs are checked for a killed supervisor.
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

    /// Returns jobs that have a slot, were started, have no end and are not locked, and ended jobs for which something
    /// is to be run that no process is running. Jobs that were not started wait again.
    pub(super) fn unsupervised(&self) -> Result<Vec<JobId>> {
        let mut slots = rows(&self.layout)?.taken();
        if slots.len() > LOOKED_AT {
            // A thousand jobs that end at the same time must not check each other a million times. The next call begins
            // somewhere else.
            let begin = usize::try_from(Timestamp::now().subsec_nanosecond()).unwrap_or(0) % slots.len();
            slots.rotate_left(begin);
            slots.truncate(LOOKED_AT);
        }
        let mut unsupervised = Vec::new();
        for Entry { slot, has_ended, .. } in slots {
            // The lock first, because it is nearly always held. Unreadable jobs are left to the processes that look at
            // them.
            let is_held = if has_ended { self.hooks.are_running(slot.id) } else { self.jobs.is_held(slot.id) };
            match is_held {
                Ok(false) if has_ended => {
                    unsupervised.push(slot.id);
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
                        unsupervised.push(slot.id);
                    }
                }
                Ok(read) if read.has::<Start>() => unsupervised.push(slot.id),
                // The process that was to start it was killed before it did.
                Ok(_) => drop(self.put_back(slot.id)),
                Err(_) => {}
            }
        }
        Ok(unsupervised)
    }

    /// Completes the end of a job whose supervisor was killed in the middle of that, and returns whether everything is
    /// done.
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

    /// Returns whether the end of a job is complete: its environment was erased, or the job no longer exists.
    pub(super) fn is_done(&self, id: JobId) -> bool {
        match self.jobs.read(id) {
            Ok(read) => read.without_environment().is_none() && read.is_superseded_erased(),
            Err(error) => matches!(error, Error::NotFound { .. }),
        }
    }

    /// Removes an ended job from the list, or marks it there as one with something to be run at its end, and returns
    /// whether there is something. It has no slot after this.
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

    /// Removes a job from the list when nothing is left to run at its end.
    pub(super) fn end_hooks(&self, id: JobId) {
        if let Err(error) = Admission::take(&self.layout).and_then(|mut admission| {
            let has_ended = admission.rows.find(id).is_some_and(|entry| entry.has_ended);
            if has_ended { admission.remove(id) } else { Ok(()) }
        }) {
            tracing::debug!(%id, %error, "could not note that everything due at the end of a job was run");
        }
    }

    /// Gives back the slot of a job that has ended or was removed, and returns whether something is to be run at its
    /// end.
    pub(super) fn forget(&self, id: JobId) -> bool {
        let forgotten = Admission::take(&self.layout).and_then(|mut admission| {
            // A missing job may have been about to be published.
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

    /// Gives a slot to a job that is started out of turn.
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

    /// Updates the entry of a waiting job from its records.
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

    /// Pauses the group of a job that has failed, if that is set. Until then, no job of the group starts in its slot.
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

    /// Puts a job that waits but is missing from the queue back into it, and returns whether it was missing. The queue
    /// is not authoritative, but a job that is not in it is never started.
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

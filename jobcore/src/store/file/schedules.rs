//! Runs of schedules. A job that repeats is never started: when its time has come, the process that checks what is due
//! puts a copy of it into the queue, and the schedule waits for its next time.
//!
//! The id of the run is put on record in the schedule first, so that a process that is killed in between causes neither
//! a second run for the same time nor a missing one.

use super::FileStore;
use super::admission::{Admission, Entry};
use super::atomic;
use super::queue::{Looked, Queue, Waiting};
use crate::clock::{SystemRandom, Timestamp};
use crate::error::{Error, IoContext, Result};
use crate::id::JobId;
use crate::queue::Repeat;
use crate::sys::world::World;

impl Queue {
    /// Puts a run of each schedule whose time has come into the queue. If that fails, the schedule stays as it is and
    /// is tried again the next time.
    pub(super) async fn run_schedules(
        &self,
        store: &FileStore,
        admission: &mut Admission,
        own: &World,
        now: Timestamp,
    ) -> Result<()> {
        let due: Vec<_> = admission.waiting()?.into_iter().filter(|entry| entry.slot.is_due_schedule(now)).collect();
        for entry in due {
            let looked = match self.look_at_waiting(admission, &entry, own)? {
                // Its time may be another, or it may no longer be a schedule.
                Looked::Corrected => match admission.rows.find(entry.slot.id) {
                    Some(entry) if entry.slot.is_due_schedule(now) => self.look_at_waiting(admission, &entry, own)?,
                    Some(_) | None => Looked::Nothing,
                },
                looked => looked,
            };
            let Looked::Waits(waiting) = looked else { continue };
            if let Some(repeat) = waiting.submission.spec.repeat.clone()
                && let Err(error) = self.run_schedule(store, admission, &waiting, &repeat, now).await
            {
                tracing::warn!(id = %entry.slot.id, %error, "a schedule that is due could not be run");
            }
        }
        Ok(())
    }

    /// Puts a run of a schedule into the queue, unless its time is to be skipped, and moves the schedule to its next
    /// time.
    async fn run_schedule(
        &self,
        store: &FileStore,
        admission: &mut Admission,
        schedule: &Waiting,
        repeat: &Repeat,
        now: Timestamp,
    ) -> Result<()> {
        let Waiting { records, read, submission } = schedule;
        let (id, spec) = (submission.job_id, &submission.spec);
        let mut place = read.place(spec);
        let time = place.not_before.unwrap_or(submission.submitted_at);
        let next = repeat.next(time, now).map_err(|error| Error::Refused { id, reason: error.to_string() })?;
        let has_ended = match place.last_run {
            // The process that queued the run was killed before it moved the schedule on.
            Some(run) if self.is_run_for(run, time) => false,
            // Runs never overlap.
            Some(run) => match self.has_ended(store, run).await {
                true => true,
                false => match self.jobs.evidence(run) {
                    // Another process is about to record its end, and checks what is due after that.
                    Ok(evidence) if evidence.is_being_settled() => return Ok(()),
                    evidence => evidence.is_ok_and(|evidence| evidence.ended.is_some()),
                },
            },
            None => true,
        };
        if has_ended && !repeat.leaves_out(time, now) {
            let run = JobId::mint(now, &SystemRandom).context("read randomness from", "the kernel".as_ref())?;
            place.last_run = Some(run);
            records.set_place(spec, &place)?;
            self.add_run(admission, schedule, run, time, now)?;
        }
        place.not_before = Some(next);
        records.set_place(spec, &place)?;
        admission.put(&Entry::new(id, spec, place))
    }

    /// Returns whether a job is the run of a schedule for this time.
    fn is_run_for(&self, run: JobId, time: Timestamp) -> bool {
        let run_of = self.jobs.submission(run).ok().and_then(|submission| submission.spec.run_of);
        run_of.is_some_and(|run_of| run_of.at == time)
    }

    fn add_run(
        &self,
        admission: &mut Admission,
        schedule: &Waiting,
        run: JobId,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<()> {
        let path = schedule.records.job.record();
        let environment = schedule.read.environment();
        let environment = environment
            .ok_or_else(|| Error::io("read the environment from", &path)(std::io::ErrorKind::NotFound.into()))?;
        let given = atomic::read_bytes(&schedule.records.job.given())?.unwrap_or_default();
        let submission = schedule.submission.of_run(run, time, now, (environment, given.into()));
        let staged = self.staging.stage(&submission)?;
        let entry = self.new_entry(admission, &submission);
        self.place(admission, &submission, &staged, &entry).inspect_err(|_| self.staging.discard(run))
    }
}

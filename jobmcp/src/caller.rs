//! What one client has submitted and been shown, so that no output is shown twice and no end is missed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobcore::output::Cursor;
use jobcore::store::EventKind;
use jobcore::{Job, JobId, JobManager};

/// How many jobs are remembered: of older ones, output may be shown again, and an end is not reported unasked.
const MOST: usize = 1_000;
/// How many events are looked at for one answer.
const EVENTS: usize = 1_000;

/// The memory of one client.
#[derive(Debug, Default)]
pub(crate) struct Caller(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    /// The jobs that it submitted and of which it does not know the end.
    awaited: Vec<JobId>,
    /// The next event to be looked at, once a job is awaited.
    event: Option<u64>,
    /// How far the output of jobs was shown.
    shown: HashMap<JobId, Cursor>,
}

impl Caller {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch for ends. Called before a job is submitted, so that its end comes later.
    pub(crate) async fn watch(&self, jobs: &JobManager) {
        if self.memory().event.is_none() {
            // Ends that cannot be read now are not reported unasked.
            let end = jobs.events(0, 0).await.map(|events| events.end).ok();
            self.memory().event = end;
        }
    }

    /// Remembers a job that this client submitted.
    pub(crate) fn submitted(&self, id: JobId) {
        let mut memory = self.memory();
        if memory.awaited.len() == MOST {
            memory.awaited.remove(0);
        }
        memory.awaited.push(id);
    }

    /// Remembers that the client is shown this state of a job.
    pub(crate) fn knows(&self, job: &Job) {
        if job.status().is_final() {
            self.memory().awaited.retain(|id| *id != job.id);
        }
    }

    /// Returns up to where output of a job was shown.
    pub(crate) fn shown(&self, id: JobId) -> Cursor {
        self.memory().shown.get(&id).copied().unwrap_or_default()
    }

    /// Remembers that output of a job was shown up to there.
    pub(crate) fn show(&self, id: JobId, cursor: Cursor) {
        let mut memory = self.memory();
        if memory.shown.len() >= MOST && !memory.shown.contains_key(&id) {
            memory.shown.clear();
        }
        let shown = memory.shown.entry(id).or_default();
        *shown = cursor.max(*shown);
    }

    /// Returns the jobs of this client that have ended and that it does not know to have, each once.
    pub(crate) async fn ended(&self, jobs: &JobManager) -> Vec<JobId> {
        let since = {
            let memory = self.memory();
            memory.event.filter(|_| !memory.awaited.is_empty())
        };
        let Some(since) = since else { return Vec::new() };
        let Ok(events) = jobs.events(since, EVENTS).await else { return Vec::new() };
        let mut memory = self.memory();
        memory.event = Some(events.next.max(since));
        let ended = events.events.iter().filter(|event| matches!(event.event, EventKind::Ended));
        let ended: Vec<_> = ended.map(|event| event.job_id).collect();
        memory.awaited.extract_if(.., |id| ended.contains(id)).collect()
    }
}

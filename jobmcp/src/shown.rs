//! How much output a client has been shown, so that none is shown twice.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jobcore::JobId;
use jobcore::output::Cursor;

/// How many jobs are remembered. Output of others may be shown again.
const MOST: usize = 1_000;

/// How far the output of each job has been shown.
#[derive(Debug, Default)]
pub(crate) struct Shown(Mutex<HashMap<JobId, Cursor>>);

impl Shown {
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Cursor>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the cursor up to which output of a job has been shown.
    pub(crate) fn of(&self, id: JobId) -> Cursor {
        self.lock().get(&id).copied().unwrap_or_default()
    }

    /// Notes that output of a job has been shown up to a cursor.
    pub(crate) fn note(&self, id: JobId, cursor: Cursor) {
        let mut shown = self.lock();
        if shown.len() >= MOST && !shown.contains_key(&id) {
            shown.clear();
        }
        let shown = shown.entry(id).or_default();
        *shown = cursor.max(*shown);
    }
}

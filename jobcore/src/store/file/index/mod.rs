//! What is known of all jobs without opening them: a file for each UTC day, with rows of fixed size.
//!
//! It is a cache of the job directories, and not authoritative. A job's row is there before its directory is, so that
//! no job is missing; a row without a directory is ignored. Rows are added under the admission lock. The state of a row
//! is set when the end of the job is on record, and may lag: an open row is always checked against the job. A file that
//! is missing, damaged or from another boot (rows may be lost in a power failure) is rebuilt from the directories.

// In the order in which to read them:
// - `row.rs`: what one row says
// - `day.rs`: the file of one day
// - `tests.rs`, `properties.rs`, `invariants.rs`: what holds for any file

mod day;
#[cfg(any(test, feature = "fuzzing"))]
mod invariants;
#[cfg(test)]
mod properties;
mod row;
#[cfg(test)]
mod tests;

use super::atomic;
use super::layout::Layout;
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::record::{Ended, Submission};
use crate::spec::JobSpec;
use day::{DayIndex, header};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use invariants::check_index;
use row::output_bytes;
pub(super) use row::{Row, RowState};

/// The index of a store.
#[derive(Debug, Clone)]
pub(super) struct Index {
    layout: Layout,
}

impl Index {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone() }
    }

    /// Adds the row of a job that is about to be published, and returns its number; nothing if there is no index,
    /// because that will be built from the existing jobs. Only under the admission lock.
    pub(super) fn add(&self, submission: &Submission) -> Result<Option<u64>> {
        let layout = &self.layout;
        let path = layout.index_of(submission.job_id);
        let row = Row::new(submission.job_id, Some(&submission.spec));
        let mut index = match DayIndex::open(&path, true)? {
            Some(index) => index,
            // The first job of a day begins an index. If there are jobs without one, an index of one row would be
            // wrong.
            None if !atomic::is_there(&path)? && !atomic::is_there(&layout.day(submission.job_id))? => {
                atomic::ensure_dir(&layout.indexes())?;
                atomic::publish(&path, &header(0))?;
                match DayIndex::open(&path, true)? {
                    Some(index) => index,
                    None => return Ok(None),
                }
            }
            None => return Ok(None),
        };
        index.push(&row).context("write", &path).map(Some)
    }

    /// Marks the row of a job. If that fails, the next reader of the row finds out.
    pub(super) fn mark(&self, id: JobId, hint: Option<u64>, state: RowState) {
        if let Some((index, number, mut row)) = self.look_up(id, hint) {
            row.set_state(state);
            let _ = index.set(number, &row);
        }
    }

    /// Makes a job findable by what another spec says as well.
    pub(super) fn add_marks(&self, id: JobId, hint: Option<u64>, spec: &JobSpec) {
        if let Some((index, number, mut row)) = self.look_up(id, hint) {
            row.add_marks(spec);
            let _ = index.set(number, &row);
        }
    }

    /// Notes the end of a job in its row, unless it is noted there already. Calls `notify` before that, so that a death
    /// in between notifies twice rather than never.
    pub(super) fn note_end(&self, id: JobId, hint: Option<u64>, ended: &Ended, notify: impl FnOnce()) {
        match self.look_up(id, hint) {
            Some((_, _, row)) if matches!(row.state(), RowState::Over(_) | RowState::Removed) => {}
            Some((index, number, mut row)) => {
                notify();
                // Stragglers may write after the end of a job; one that had written nothing by then has no files to
                // look at.
                let bytes = if ended.outcome.output_bytes == 0 { 0 } else { output_bytes(&self.layout.job(id)) };
                row.end(ended, bytes);
                let _ = index.set(number, &row);
            }
            None => notify(),
        }
    }

    /// Returns the row of a job, if it is there, with what is needed to write it.
    fn look_up(&self, id: JobId, hint: Option<u64>) -> Option<(DayIndex, u64, Row)> {
        let index = DayIndex::open(&self.layout.index_of(id), true).ok()??;
        let (number, row) = index.find(id, hint).ok()??;
        Some((index, number, row))
    }

    /// Shows the rows of a day, the newest first, until `visit` has seen enough. Returns whether the index was sound as
    /// far as it was read; if not, it has to be rebuilt.
    pub(super) fn visit(&self, day: &str, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> Result<bool> {
        let path = self.layout.index(day);
        match DayIndex::open(&path, false)? {
            Some(index) => index.visit(visit).context("read", &path),
            None => Ok(false),
        }
    }

    /// Replaces whatever is there with an index of these rows.
    pub(super) fn replace(&self, day: &str, rows: &[Row]) -> Result<()> {
        let mut bytes = header(rows.len() as u64).to_vec();
        bytes.extend(rows.iter().flat_map(|row| row.0));
        atomic::ensure_dir(&self.layout.indexes())?;
        atomic::publish(&self.layout.index(day), &bytes)
    }
}

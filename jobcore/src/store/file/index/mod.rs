//! What is known of all jobs without opening them: for each UTC day a file of rows of one size.
//!
//! It is a cache of the job directories, and no truth. A job's row is there before its directory is, so that no job is
//! missing from it; a row without a directory means nothing. Rows are added under the admission lock. The state of a row
//! is set when the end of the job is on record, and may lag: a row that is open is always checked against the job. A file
//! that is missing, damaged or of another boot (after a power loss rows may be lost) is made anew from the directories.

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

use std::collections::HashSet;

use super::layout::Layout;
use super::queue::{Admission, Queued};
use super::{FileStore, atomic, names};
use crate::error::{IoContext, Result};
use crate::id::JobId;
use crate::record::{Ended, Submission};
use crate::store::Query;
use day::{DayIndex, header};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use invariants::check_index;
use row::{ROW, output_bytes};
pub(super) use row::{Row, RowState};

/// Adds the row of a job that is about to be published, and returns its number; nothing where there is no index, which
/// will be made of what is there. Only under the admission lock.
pub(super) fn add(layout: &Layout, submission: &Submission) -> Result<Option<u64>> {
    let path = layout.index_of(submission.job_id);
    let row = Row::new(submission.job_id, Some(&submission.spec));
    let mut index = match DayIndex::open(&path, true)? {
        Some(index) => index,
        // The first job of a day begins one. Where others have none, one row would be a lie.
        None if !atomic::is_there(&path)? && !atomic::is_there(&layout.day(submission.job_id))? => {
            super::make_dir(&layout.indexes())?;
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

/// Marks the row of a job. What fails is found out by whoever looks at the row.
pub(super) fn mark(layout: &Layout, id: JobId, hint: Option<u64>, state: RowState) {
    if let Some((index, number, mut row)) = look_up(layout, id, hint) {
        row.set_state(state);
        let _ = index.set(number, &row);
    }
}

/// Notes the end of a job in its row, unless it is noted there already; calls `tell` before that, so that whoever dies in
/// between is followed by one who tells again.
pub(super) fn note_end(layout: &Layout, id: JobId, hint: Option<u64>, ended: &Ended, tell: impl FnOnce()) {
    match look_up(layout, id, hint) {
        Some((_, _, row)) if matches!(row.state(), RowState::Over(_) | RowState::Removed) => {}
        Some((index, number, mut row)) => {
            tell();
            row.end(ended, output_bytes(&layout.job(id)));
            let _ = index.set(number, &row);
        }
        None => tell(),
    }
}

/// Returns the row of a job, where it is there, and how to write it.
fn look_up(layout: &Layout, id: JobId, hint: Option<u64>) -> Option<(DayIndex, u64, Row)> {
    let index = DayIndex::open(&layout.index_of(id), true).ok()??;
    let (number, row) = index.find(id, hint).ok()??;
    Some((index, number, row))
}

impl FileStore {
    /// Returns the days of which there are jobs, the newest first.
    pub(super) fn days(&self) -> Result<Vec<String>> {
        let mut days = names(&self.layout.days())?;
        days.retain(|name| name.parse::<jiff::civil::Date>().is_ok());
        days.sort_unstable_by(|a, b| b.cmp(a));
        Ok(days)
    }

    /// Shows the rows of a day from the newest on, until `visit` has seen enough. An index that is not in order is made
    /// anew first; should that happen in the middle, nothing is shown once, and then the rows from the start.
    fn visit_day(&self, day: &str, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> Result<()> {
        let path = self.layout.index(day);
        if let Some(index) = DayIndex::open(&path, false)?
            && index.visit(visit).context("read", &path)?
        {
            return Ok(());
        }
        visit(None);
        let _all = self.rebuild(day)?.iter().rev().all(|row| visit(Some(row)));
        Ok(())
    }

    /// Makes the index of a day anew. Others go on adding to it meanwhile, but for the last moment.
    fn rebuild(&self, day: &str) -> Result<Vec<Row>> {
        let ids_there = || -> Result<Vec<JobId>> {
            let ids = names(&self.layout.days().join(day))?.into_iter().filter_map(|name| name.parse().ok());
            Ok(ids.filter(|id: &JobId| id.day() == day).collect())
        };
        let make = |id: JobId| {
            let order = Queued::read(&self.layout.job(id)).ok().flatten().map_or(0, |queued| queued.sequence);
            (order, id, Row::of(&self.layout, id))
        };
        // Whose row says that it is over is taken to have been told of.
        let _ = self.find_unattended();
        let mut rows: Vec<_> = ids_there()?.into_iter().map(make).collect();
        let _admission = Admission::take(&self.layout)?;
        let now: HashSet<JobId> = ids_there()?.into_iter().collect();
        rows.retain(|(_, id, _)| now.contains(id));
        let known: HashSet<JobId> = rows.iter().map(|(_, id, _)| *id).collect();
        rows.extend(now.difference(&known).map(|id| make(*id)));
        for (_, id, row) in rows.iter_mut().filter(|(_, _, row)| row.state() == RowState::Open) {
            *row = Row::of(&self.layout, *id);
        }
        rows.sort_unstable_by_key(|(order, id, _)| (*order, *id));
        let rows: Vec<Row> = rows.into_iter().map(|(_, _, row)| row).collect();
        let mut bytes = Vec::with_capacity((rows.len() + 1) * ROW);
        bytes.extend_from_slice(&header(rows.len() as u64));
        bytes.extend(rows.iter().flat_map(|row| row.0));
        super::make_dir(&self.layout.indexes())?;
        // On a full disk or one that is read-only it serves this one time.
        if let Err(error) = atomic::publish(&self.layout.index(day), &bytes) {
            tracing::debug!(%day, %error, "an index that was made anew could not be written");
        }
        Ok(rows)
    }

    /// Returns at most `limit` ids of jobs that `query` may want, the newest first, those before `before`.
    pub(super) fn query_ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        let first_day = before.map(JobId::day);
        let since_day = query.since.map(|since| since.strftime("%Y-%m-%d").to_string());
        let mut found = Vec::new();
        for day in self.days()? {
            if first_day.as_ref().is_some_and(|first| day > *first) || found.len() >= limit {
                continue;
            }
            // Days are in order from the newest: an id names its own.
            if since_day.as_ref().is_some_and(|since| day < *since) {
                break;
            }
            // Behind the row of `before`, or, if that is gone, what was submitted before it.
            let is_behind_all = before.is_none_or(|before| before.day() != day);
            let mut is_behind = is_behind_all;
            let room = limit - found.len();
            let mut of_day = Vec::new();
            self.visit_day(&day, &mut |row| {
                let Some(row) = row else {
                    of_day.clear();
                    is_behind = is_behind_all;
                    return true;
                };
                if !is_behind {
                    is_behind = row.id() == before;
                } else if row.may_match(query) {
                    of_day.extend(row.id());
                }
                of_day.len() < room
            })?;
            if !is_behind {
                self.visit_day(&day, &mut |row| {
                    match row {
                        None => of_day.clear(),
                        Some(row) if row.id() < before && row.may_match(query) => of_day.extend(row.id()),
                        Some(_) => {}
                    }
                    of_day.len() < room
                })?;
            }
            found.extend(of_day);
        }
        Ok(found)
    }

    /// Returns all rows that `wanted` makes something of, the newest first, but for those of jobs that are gone.
    pub(super) fn all_rows<T>(&self, wanted: impl Fn(&Row) -> Option<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for day in self.days()? {
            let start = all.len();
            self.visit_day(&day, &mut |row| {
                match row {
                    None => all.truncate(start),
                    Some(row) if row.state() != RowState::Removed => all.extend(wanted(row)),
                    Some(_) => {}
                }
                true
            })?;
        }
        Ok(all)
    }
}

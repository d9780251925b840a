//! Which jobs there are, by the rows of the index. The index is rebuilt from the jobs whenever it is missing or
//! damaged.

use std::collections::HashSet;

use super::admission::Admission;
use super::index::{Index, Row, RowState};
use super::job_file::Queued;
use super::jobs::Jobs;
use super::layout::Layout;
use super::slots::Slots;
use crate::error::Result;
use crate::id::JobId;
use crate::state::Status;
use crate::store::{Query, Tally};

/// The jobs of a store, found without opening them.
#[derive(Debug, Clone)]
pub(super) struct Catalogue {
    layout: Layout,
    jobs: Jobs,
    index: Index,
    slots: Slots,
}

impl Catalogue {
    pub(super) fn new(layout: &Layout) -> Self {
        let (jobs, index, slots) = (Jobs::new(layout), Index::new(layout), Slots::new(layout));
        Self { layout: layout.clone(), jobs, index, slots }
    }

    /// Shows the rows of a day, the newest first, until `visit` has seen enough. A damaged index is rebuilt first; if
    /// the damage is found midway, `visit` gets nothing once, and then the rows from the start.
    fn visit_day(&self, day: &str, visit: &mut dyn FnMut(Option<&Row>) -> bool) -> Result<()> {
        if self.index.visit(day, visit)? {
            return Ok(());
        }
        visit(None);
        let _all = self.rebuild(day)?.iter().rev().all(|row| visit(Some(row)));
        Ok(())
    }

    /// Rebuilds the index of a day from its jobs. Others keep adding to it meanwhile, except at the very end.
    fn rebuild(&self, day: &str) -> Result<Vec<Row>> {
        let make = |id: JobId| {
            let queued = self.jobs.read(id).and_then(|read| read.get::<Queued>()).ok().flatten();
            let order = queued.map_or(0, |queued| queued.sequence);
            (order, id, Row::of(&self.layout, id))
        };
        // A row that says that its job has ended is taken to mean that the end was reported.
        let _ = self.slots.unsupervised();
        let mut rows: Vec<_> = self.jobs.of_day(day)?.into_iter().map(make).collect();
        let _admission = Admission::take(&self.layout)?;
        let now: HashSet<JobId> = self.jobs.of_day(day)?.into_iter().collect();
        rows.retain(|(_, id, _)| now.contains(id));
        let known: HashSet<JobId> = rows.iter().map(|(_, id, _)| *id).collect();
        rows.extend(now.difference(&known).map(|id| make(*id)));
        for (_, id, row) in rows.iter_mut().filter(|(_, _, row)| row.state() == RowState::Open) {
            *row = Row::of(&self.layout, *id);
        }
        rows.sort_unstable_by_key(|(order, id, _)| (*order, *id));
        let rows: Vec<Row> = rows.into_iter().map(|(_, _, row)| row).collect();
        // On a full or read-only disk, the rows serve this one time.
        if let Err(error) = self.index.replace(day, &rows) {
            tracing::debug!(%day, %error, "a rebuilt index could not be written");
        }
        Ok(rows)
    }

    /// Returns at most `limit` ids of jobs that `query` may want, the newest first, those before `before`.
    pub(super) fn ids(&self, query: &Query, before: Option<JobId>, limit: usize) -> Result<Vec<JobId>> {
        let first_day = before.map(JobId::day);
        let since_day = query.since.map(|since| since.strftime("%Y-%m-%d").to_string());
        let mut found = Vec::new();
        for day in self.jobs.days()? {
            if first_day.as_ref().is_some_and(|first| day > *first) || found.len() >= limit {
                continue;
            }
            // Days are in order from the newest, and an id contains its day.
            if since_day.as_ref().is_some_and(|since| day < *since) {
                break;
            }
            // After the row of `before`, or, if that no longer exists, what was submitted before it.
            let is_after_all = before.is_none_or(|before| before.day() != day);
            let mut is_after = is_after_all;
            let room = limit - found.len();
            let mut of_day = Vec::new();
            self.visit_day(&day, &mut |row| {
                let Some(row) = row else {
                    of_day.clear();
                    is_after = is_after_all;
                    return true;
                };
                if !is_after {
                    is_after = row.id() == before;
                } else if row.may_match(query) {
                    of_day.extend(row.id());
                }
                of_day.len() < room
            })?;
            if !is_after {
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

    /// Counts the jobs that have ended, and returns those that may not have.
    pub(super) fn tally(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        for day in self.jobs.days()? {
            let (mut ended, mut others) = ([0; Status::ALL.len()], Vec::new());
            self.visit_day(&day, &mut |row| {
                match row.map(|row| (row.state(), row.id())) {
                    None => (ended, others) = ([0; Status::ALL.len()], Vec::new()),
                    Some((RowState::Over(status), _)) => ended[status as usize] += 1,
                    Some((RowState::Open | RowState::Unreadable, id)) => others.extend(id),
                    Some((RowState::Removed, _)) => {}
                }
                true
            })?;
            for (status, count) in Status::ALL.into_iter().zip(ended).filter(|(_, count)| *count > 0) {
                *tally.ended.entry(status).or_default() += count;
            }
            tally.others.extend(others);
        }
        Ok(tally)
    }

    /// Returns what `wanted` returns for each row, the newest first, without the rows of removed jobs.
    pub(super) fn rows<T>(&self, wanted: impl Fn(&Row) -> Option<T>) -> Result<Vec<T>> {
        let mut all = Vec::new();
        for day in self.jobs.days()? {
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

//! All that is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jobcore::clock::Timestamp;
use jobcore::{JobId, Query};

use super::areas::Areas;
use super::filter::Filter;
use super::header::Header;
use super::line::Line;
use super::messages::{Action, Arrangement, Entry, Wanted};
use super::pane::Pane;
use super::row::{JobRow, Row};

/// What keys are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Moving about, and doing things to jobs.
    #[default]
    Browse,
    /// Typing a line, for something.
    Type(Line, For),
    /// Saying whether something is to be done to jobs.
    Confirm(Action, Vec<JobId>),
    /// Reading the help, from this row on.
    Help(u16),
}

/// What a line is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum For {
    /// For the filter; with what was there before.
    Filter(String),
    Search,
    /// For a signal to these jobs.
    Signal(Vec<JobId>),
    /// For the input of these.
    Input(Vec<JobId>),
}

/// What was said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) columns: u16,
    pub(super) rows: u16,
    pub(super) now: Timestamp,
    /// What was asked for on the command line.
    base: Query,
    /// The project that this program was called in, and whether only its jobs are shown.
    pub(super) project: PathBuf,
    pub(super) is_of_project: bool,
    pub(super) filter: Filter,
    pub(super) filter_text: String,
    pub(super) arrangement: Arrangement,
    pub(super) entries: Arc<Vec<Entry>>,
    /// Whether there may be more jobs than that.
    pub(super) more: bool,
    /// Whether anything has been read.
    pub(super) is_listed: bool,
    pub(super) details: BTreeMap<JobId, Row>,
    /// The entry that is selected, and the first that is shown.
    pub(super) selected: usize,
    pub(super) first: usize,
    /// Whether the last entry is to be selected, whichever it turns out to be.
    pub(super) to_last: bool,
    pub(super) marks: BTreeSet<JobId>,
    pub(super) has_pane: bool,
    /// Whether keys are for the output.
    pub(super) is_in_pane: bool,
    pub(super) pane: Pane,
    pub(super) mode: Mode,
    pub(super) notice: Option<Notice>,
    pub(super) header: Header,
}

impl State {
    /// Shows nothing yet.
    pub(super) fn new(base: Query, project: PathBuf, size: (u16, u16), now: Timestamp) -> Self {
        let filter = Filter::new(&base, None, "").unwrap_or_default();
        let is_of_project = base.project.is_some();
        let mut state = Self {
            columns: size.0,
            rows: size.1,
            now,
            base: base.with_project(None),
            project,
            is_of_project,
            filter,
            filter_text: String::new(),
            arrangement: Arrangement::default(),
            entries: Arc::default(),
            more: false,
            is_listed: false,
            details: BTreeMap::new(),
            selected: 0,
            first: 0,
            to_last: false,
            marks: BTreeSet::new(),
            has_pane: true,
            is_in_pane: false,
            pane: Pane::default(),
            mode: Mode::default(),
            notice: None,
            header: Header::default(),
        };
        state.fit();
        state
    }

    /// Returns where on the screen things are.
    pub(super) fn areas(&self) -> Areas {
        Areas::of(self.columns, self.rows, self.has_pane)
    }

    /// Returns the filter for a text.
    ///
    /// # Errors
    /// Says what cannot be understood.
    pub(super) fn filter_of(&self, text: &str) -> Result<Filter, String> {
        Filter::new(&self.base, self.is_of_project.then(|| self.project.clone()), text)
    }

    /// Returns the job that is selected.
    pub(super) fn current(&self) -> Option<JobId> {
        self.entries.get(self.selected)?.job()
    }

    /// Returns what is known of the job that is selected.
    pub(super) fn current_row(&self) -> Option<&JobRow> {
        self.row(self.current()?)
    }

    /// Returns what is known of a job, if it can be read and seen.
    pub(super) fn row(&self, id: JobId) -> Option<&JobRow> {
        match self.details.get(&id)? {
            Row::Job(row) => Some(row),
            Row::Damaged(_) => None,
        }
    }

    /// Returns the jobs that something is done to: those that are marked, or the one that is selected.
    pub(super) fn meant(&self) -> Vec<JobId> {
        match self.marks.is_empty() {
            true => self.current().into_iter().collect(),
            false => self.marks.iter().copied().collect(),
        }
    }

    /// Returns what is to be known of jobs.
    pub(super) fn wanted(&self) -> Wanted {
        let rows = usize::from(self.areas().list.height).max(1);
        let last = (self.first + 2 * rows).min(self.entries.len());
        let shown = self.entries[self.first.saturating_sub(rows).min(last)..last].iter();
        let at_least = if self.to_last { usize::MAX } else { self.first + 4 * rows };
        Wanted {
            filter: self.filter.clone(),
            arrangement: self.arrangement,
            at_least,
            visible: shown.filter_map(Entry::job).chain(self.current()).collect(),
        }
    }

    /// Moves what is shown so that what is selected can be seen.
    pub(super) fn fit(&mut self) {
        let areas = self.areas();
        let rows = usize::from(areas.list.height).max(1);
        self.selected = self.selected.min(self.entries.len().saturating_sub(1));
        self.first = self.first.clamp((self.selected + 1).saturating_sub(rows), self.selected);
        self.first = self.first.min(self.entries.len().saturating_sub(rows));
        // The title of its group comes along.
        if self.selected == 1 && matches!(self.entries.first(), Some(Entry::Group(_))) {
            self.first = 0;
        }
        self.pane.resize(usize::from(areas.pane.width), usize::from(areas.pane.height));
        if areas.pane.is_empty() {
            self.is_in_pane = false;
        }
    }

    /// Returns what a job is called, as far as it is known.
    pub(super) fn label(&self, id: JobId) -> String {
        self.row(id).map_or_else(|| id.short(), |row| row.label.clone())
    }

    /// Says something.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_error: false });
    }

    /// Says that something went wrong.
    pub(super) fn complain(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_error: true });
    }
}

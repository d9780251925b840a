//! The state of the view.

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

/// What keys currently do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// Move around, and act on jobs.
    #[default]
    Browse,
    /// Type a line for a purpose.
    Type(Line, For),
    /// Confirm or cancel an action on jobs.
    Confirm(Action, Vec<JobId>),
    /// Read the help, from this row on.
    Help(u16),
}

/// What a line is typed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum For {
    /// The filter; with its previous text.
    Filter(String),
    Search,
    /// A signal to these jobs.
    Signal(Vec<JobId>),
    /// Input for these jobs.
    Input(Vec<JobId>),
}

/// The last message to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) is_error: bool,
}

/// The state of the view.
#[derive(Debug)]
pub(super) struct State {
    pub(super) columns: u16,
    pub(super) rows: u16,
    pub(super) now: Timestamp,
    /// The query given on the command line.
    base: Query,
    /// The project of the current directory, and whether only its jobs are shown.
    pub(super) project: PathBuf,
    pub(super) is_of_project: bool,
    pub(super) filter: Filter,
    pub(super) filter_text: String,
    pub(super) arrangement: Arrangement,
    pub(super) entries: Arc<Vec<Entry>>,
    /// Whether there may be more jobs than `entries`.
    pub(super) more: bool,
    /// Whether a list has been read.
    pub(super) is_listed: bool,
    pub(super) details: BTreeMap<JobId, Row>,
    /// The selected entry, and the first visible one.
    pub(super) selected: usize,
    pub(super) first: usize,
    /// Whether to select the last entry, also when more are found.
    pub(super) to_last: bool,
    pub(super) marks: BTreeSet<JobId>,
    pub(super) has_pane: bool,
    /// Whether keys act on the output pane.
    pub(super) is_in_pane: bool,
    pub(super) pane: Pane,
    pub(super) mode: Mode,
    pub(super) notice: Option<Notice>,
    pub(super) header: Header,
}

impl State {
    /// Creates a state without jobs.
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

    /// Returns the layout of the screen.
    pub(super) fn areas(&self) -> Areas {
        Areas::of(self.columns, self.rows, self.has_pane)
    }

    /// Parses the text of a filter.
    ///
    /// # Errors
    /// Returns a message about the first word that is not understood.
    pub(super) fn filter_of(&self, text: &str) -> Result<Filter, String> {
        Filter::new(&self.base, self.is_of_project.then(|| self.project.clone()), text)
    }

    /// Returns the selected job.
    pub(super) fn current(&self) -> Option<JobId> {
        self.entries.get(self.selected)?.job()
    }

    /// Returns the row of the selected job.
    pub(super) fn current_row(&self) -> Option<&JobRow> {
        self.row(self.current()?)
    }

    /// Returns the row of a job, if it is known and can be read.
    pub(super) fn row(&self, id: JobId) -> Option<&JobRow> {
        match self.details.get(&id)? {
            Row::Job(row) => Some(row),
            Row::Damaged(_) => None,
        }
    }

    /// Returns the jobs that an action applies to: the marked ones, or the selected one.
    pub(super) fn meant(&self) -> Vec<JobId> {
        match self.marks.is_empty() {
            true => self.current().into_iter().collect(),
            false => self.marks.iter().copied().collect(),
        }
    }

    /// Returns what the reader has to provide.
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

    /// Scrolls so that the selection is visible.
    pub(super) fn fit(&mut self) {
        let areas = self.areas();
        let rows = usize::from(areas.list.height).max(1);
        self.selected = self.selected.min(self.entries.len().saturating_sub(1));
        self.first = self.first.clamp((self.selected + 1).saturating_sub(rows), self.selected);
        self.first = self.first.min(self.entries.len().saturating_sub(rows));
        // Show the title of its group as well.
        if self.selected == 1 && matches!(self.entries.first(), Some(Entry::Group(_))) {
            self.first = 0;
        }
        self.pane.resize(usize::from(areas.pane.width), usize::from(areas.pane.height));
        if areas.pane.is_empty() {
            self.is_in_pane = false;
        }
    }

    /// Returns the label of a job, or its short id if it is not known.
    pub(super) fn label(&self, id: JobId) -> String {
        self.row(id).map_or_else(|| id.short(), |row| row.label.clone())
    }

    /// Shows a message.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_error: false });
    }

    /// Shows an error.
    pub(super) fn complain(&mut self, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), is_error: true });
    }
}

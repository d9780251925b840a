//! Messages between the parts of the view.

use std::sync::Arc;

use crossterm::event::{KeyEvent, MouseEvent};
use jobcore::clock::Timestamp;
use jobcore::output::{Pattern, Stream};
use jobcore::stop::Signal;
use jobcore::{JobId, Name};

use super::filter::Filter;
use super::header::Header;
use super::output::Block;
use super::row::Row;

/// How the jobs are arranged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// Running jobs, then queued ones in the order in which they will start, then ended ones, newest first.
    #[default]
    RunningFirst,
    /// Newest first.
    Newest,
    /// By group, with each job above those that start after it.
    Tree,
}

/// What the reader has to provide.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Which jobs are shown.
    pub(super) filter: Filter,
    /// In which order.
    pub(super) arrangement: Arrangement,
    /// How many to find, if there are that many.
    pub(super) at_least: usize,
    /// The jobs whose details are needed.
    pub(super) visible: Vec<JobId>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A job, with its depth in a tree.
    Job {
        /// Which.
        id: JobId,
        /// How deep.
        depth: u16,
    },
    /// The title of the group of the jobs that follow, with its load.
    Group(String),
}

impl Entry {
    /// Returns the job, if the entry is one.
    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Self::Job { id, .. } => Some(*id),
            Self::Group(_) => None,
        }
    }
}

/// Which output of a job is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Which {
    /// Both streams; for an agent run, an account of what the agent did.
    #[default]
    Told,
    /// Both streams of an agent run as they were written.
    Both,
    /// One stream.
    Only(Stream),
}

/// A part of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first lines.
    First,
    /// The lines before this offset.
    Before(u64),
    /// The lines from this offset on.
    From(u64),
}

/// What to read of an output.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// The last lines, again whenever they change.
    Follow,
    /// A part of it.
    Part(Part),
    /// The next matching line from an offset on, or the last one before it.
    Find {
        /// The pattern.
        pattern: Pattern,
        /// The offset.
        from: u64,
        /// Whether to search backwards.
        backwards: bool,
    },
}

/// What was read of an output.
#[derive(Debug)]
pub(super) enum Read {
    /// The last lines.
    Last(Block),
    /// A part of it.
    Part(Part, Block),
    /// The lines from a match on; nothing if there is no match.
    Found(Option<Block>),
    /// The output could not be read.
    Failed(String),
}

/// An action on jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Stop,
    Signal(Signal),
    Rerun,
    Remove,
    Pause,
    Hold,
    /// Changes the priority by this amount.
    Priority(i32),
    /// Moves a queued job one place forward or back.
    Move(Towards),
    /// Sends a line.
    Send(String),
}

/// The direction in which a queued job is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Towards {
    Earlier,
    Later,
}

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    Key(KeyEvent),
    Mouse(MouseEvent),
    Paste(String),
    /// The size of the terminal: its columns and its rows.
    Resize(u16, u16),
    /// The list of jobs.
    Listed {
        /// The entries in the order shown.
        entries: Arc<Vec<Entry>>,
        /// Whether there may be more.
        more: bool,
    },
    /// The rows of visible jobs.
    Rows(Vec<(JobId, Row)>),
    /// The figures of the store.
    Header(Header),
    /// What was read of the output of a job.
    Output(JobId, Read),
    /// The result of an action, or why it failed.
    Done(Result<String, String>),
    /// The current time.
    Now(Timestamp),
}

/// Something to be done outside of the state.
#[derive(Debug)]
pub(super) enum Effect {
    /// Pass on what is wanted to the reader.
    Want,
    /// Read output of a job.
    Read(JobId, Which, Reading),
    /// Stop reading output.
    ReadNothing,
    /// Act on jobs.
    Act(Action, Vec<JobId>),
    /// Connect the terminal to that of a job.
    Attach(JobId),
    /// Show the output of a job in the pager.
    Page(JobId, Which),
    /// Copy a text to the clipboard.
    Copy(String),
    /// Suspend the program, as Ctrl-Z does in a shell.
    Suspend,
    /// Redraw the whole screen.
    Redraw,
    Quit,
}

/// Returns the title of a group in the list.
pub(super) fn group_title(group: Option<&Name>) -> String {
    group.map_or_else(|| "in no group".to_owned(), |group| format!("group {group}"))
}

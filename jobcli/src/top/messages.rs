//! What the parts of the view tell each other.

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
    /// Those that run, then those that are queued in the order in which they will start, then those that have ended, the newest
    /// first.
    #[default]
    RunningFirst,
    /// The newest first.
    Newest,
    /// By group, and below each job those that start after it.
    Tree,
}

/// What is to be known of the jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Which are shown.
    pub(super) filter: Filter,
    /// In which order.
    pub(super) arrangement: Arrangement,
    /// How many are to be found, if there are so many.
    pub(super) at_least: usize,
    /// Those of which everything is shown.
    pub(super) visible: Vec<JobId>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A job, so far below others in a tree.
    Job {
        /// Which.
        id: JobId,
        /// How deep.
        depth: u16,
    },
    /// The group of the jobs that follow, with how busy it is.
    Group(String),
}

impl Entry {
    /// Returns the job that it is, if it is one.
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
    /// Both streams; of the run of an agent, what it did.
    #[default]
    Told,
    /// Both streams as they are, of the run of an agent.
    Both,
    /// One stream.
    Only(Stream),
}

/// A part of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The first lines.
    First,
    /// Those before this offset.
    Before(u64),
    /// Those from this offset on.
    From(u64),
}

/// What is to be read of an output.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// The last lines, again and again as they come.
    Follow,
    /// A part of it.
    Part(Part),
    /// The next line that matches, from this offset on or before it.
    Find {
        /// What it matches.
        pattern: Pattern,
        /// From where.
        from: u64,
        /// Whether it is the last one before that.
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
    /// The lines from one that matches on; nothing if there is none.
    Found(Option<Block>),
    /// It could not be read.
    Failed(String),
}

/// What is done to jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Stop,
    Signal(Signal),
    Rerun,
    Remove,
    Pause,
    Hold,
    /// Changes the priority by so much.
    Priority(i32),
    /// Moves a queued job one place forward or back.
    Move(Towards),
    /// Sends a line.
    Send(String),
}

/// Where in the queue a job is moved.
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
    /// Which jobs there are.
    Listed {
        /// In the order in which they are shown.
        entries: Arc<Vec<Entry>>,
        /// Whether there may be more.
        more: bool,
    },
    /// What is known of jobs that can be seen.
    Rows(Vec<(JobId, Row)>),
    /// What is known of the store.
    Header(Header),
    /// What was read of the output of a job.
    Output(JobId, Read),
    /// What was done, or why it was not.
    Done(Result<String, String>),
    /// What time it is.
    Now(Timestamp),
}

/// What is to be done outside of the view.
#[derive(Debug)]
pub(super) enum Effect {
    /// Jobs are to be read.
    Want,
    /// Output of a job is to be read.
    Read(JobId, Which, Reading),
    /// No output is to be read any more.
    ReadNothing,
    /// Something is to be done to jobs.
    Act(Action, Vec<JobId>),
    /// The terminal is to be that of a job.
    Attach(JobId),
    /// The output of a job is to be shown by another program.
    Page(JobId, Which),
    /// A text is to be copied.
    Copy(String),
    /// The program is to be stopped, as a shell does.
    Suspend,
    /// All is to be drawn again.
    Redraw,
    Quit,
}

/// Returns what a group is called in the list.
pub(super) fn group_title(group: Option<&Name>) -> String {
    group.map_or_else(|| "in no group".to_owned(), |group| format!("group {group}"))
}

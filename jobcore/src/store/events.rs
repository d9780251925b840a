//! What happened to the jobs of a store, in the order in which it was recorded.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, serialize_milliseconds};
use crate::id::JobId;
use crate::record::{Note, Record};
use crate::state::Status;

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobEvent {
    /// Its number. Numbers have no gaps.
    pub number: u64,
    /// When it was put on record.
    #[serde(serialize_with = "serialize_milliseconds")]
    pub at: Timestamp,
    /// The job.
    pub job_id: JobId,
    /// What happened.
    pub event: EventKind,
    /// How the job ended, for an end; how the attempt ended, for a retry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The exit code, for an end with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl JobEvent {
    /// Creates an event that happens now; the store assigns its number.
    pub fn now(job_id: JobId, event: EventKind) -> Self {
        Self { number: 0, at: Timestamp::now(), job_id, event, status: None, exit_code: None }
    }

    /// Creates the event for the end of a job.
    pub(crate) fn end(job_id: JobId, outcome: &crate::state::Outcome) -> Self {
        let status = Some(outcome.status());
        Self { status, exit_code: outcome.exit_code, ..Self::now(job_id, EventKind::Ended) }
    }

    /// Creates the event for a record that is written now; nothing if the record is no event. An end that was already
    /// on record is none.
    pub fn of(job_id: JobId, record: Record<'_>) -> Option<Self> {
        match record {
            Record::Start(start) => {
                let attempt = start.before.last().filter(|_| start.due_at.is_some())?;
                Some(Self { event: EventKind::Retrying, ..Self::end(job_id, &attempt.outcome) })
            }
            Record::Running(_) => Some(Self::now(job_id, EventKind::Started)),
            Record::Noted(_, note) => EventKind::of(note).map(|kind| Self::now(job_id, kind)),
            Record::Ended(ended) => Some(Self::end(job_id, &ended.outcome)),
        }
    }
}

/// What happens to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// It was put on record, queued.
    Submitted,
    /// Its command was started.
    Started,
    /// Its supervisor was killed, and another one has taken over.
    Adopted,
    /// It has ended.
    Ended,
    /// Its record and its output were removed.
    Removed,
    /// It was found to be waiting for input. Not repeated until it has written output or received input.
    WaitingForInput,
    /// It was found to be stalled, by the definition in its spec. Not repeated until it makes progress.
    Stalled,
    /// It was paused.
    Paused,
    /// It was resumed after a pause.
    Resumed,
    /// It is ready, by the definition in its spec.
    Ready,
    /// It did not become ready in time, and keeps running.
    NotReady,
    /// Its command has ended and is started again.
    Retrying,
}

impl EventKind {
    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Started => "started",
            Self::Adopted => "adopted",
            Self::Ended => "ended",
            Self::Removed => "removed",
            Self::WaitingForInput => "waiting_for_input",
            Self::Stalled => "stalled",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Ready => "ready",
            Self::NotReady => "not_ready",
            Self::Retrying => "retrying",
        }
    }
}

impl EventKind {
    /// Returns the event for a note, if it is one.
    pub(crate) fn of(note: Note) -> Option<Self> {
        match note {
            Note::Paused => Some(Self::Paused),
            Note::Resumed => Some(Self::Resumed),
            Note::Ready => Some(Self::Ready),
            Note::NotReady => Some(Self::NotReady),
            Note::Renewed => None,
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Part of the events of a store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// The events, in order.
    pub events: Vec<JobEvent>,
    /// The number to ask for next.
    pub next: u64,
    /// How many events between the requested number and the first of these are no longer kept.
    pub gone: u64,
    /// The number that the next event to happen will have.
    pub end: u64,
}

impl Events {
    /// Creates an answer with these events.
    pub fn new(events: Vec<JobEvent>, next: u64, gone: u64, end: u64) -> Self {
        Self { events, next, gone, end }
    }
}

//! What happened to the jobs of a store, in the order in which it was put on record.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
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
    pub at: Timestamp,
    /// The job.
    pub job_id: JobId,
    /// What happened.
    pub event: EventKind,
    /// How it ended, for an end; or how the attempt did after which another follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Its exit code, for an end with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

impl JobEvent {
    /// Something that happens now; the store gives it its number.
    pub fn now(job_id: JobId, event: EventKind) -> Self {
        Self { number: 0, at: Timestamp::now(), job_id, event, status: None, exit_code: None }
    }

    /// The end of a job.
    pub(crate) fn end(job_id: JobId, outcome: &crate::state::Outcome) -> Self {
        let status = Some(outcome.status());
        Self { status, exit_code: outcome.exit_code, ..Self::now(job_id, EventKind::Ended) }
    }

    /// What a record says that happens now; nothing if it is no event. An end that was on record before is none.
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
    /// Its supervisor had been killed, and another is in charge.
    Adopted,
    /// It is over.
    Ended,
    /// Its record and its output were removed.
    Removed,
    /// It was seen to wait for input: once until it has written or was given something.
    WaitingForInput,
    /// It was seen to be stalled, as its spec says what that is: once until it goes on.
    Stalled,
    /// It was paused.
    Paused,
    /// It was paused, and goes on.
    Resumed,
    /// It is ready, as its spec says when it is.
    Ready,
    /// It was not ready in time, and goes on.
    NotReady,
    /// Its command has ended, and is started again.
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
    /// Returns the event that a note is, if it is one.
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

/// A part of what happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// What happened, in order.
    pub events: Vec<JobEvent>,
    /// The number to ask for next.
    pub next: u64,
    /// How many events before the first of these, from the one that was asked for, are not kept any more.
    pub gone: u64,
    /// The number that the next event to happen will have.
    pub end: u64,
}

impl Events {
    /// Says what happened, and how it goes on.
    pub fn new(events: Vec<JobEvent>, next: u64, gone: u64, end: u64) -> Self {
        Self { events, next, gone, end }
    }
}

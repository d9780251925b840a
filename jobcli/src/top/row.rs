//! The row of a visible job.

use jobcore::follow::Used;
use jobcore::front::moment;
use jobcore::shape::JobShape;
use jobcore::{Job, Status};

/// The row of a visible job.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Job(Box<JobRow>),
    /// The job cannot be read.
    Damaged(String),
}

/// A job with everything that its row shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JobRow {
    pub(super) shape: JobShape,
    /// Its label.
    pub(super) label: String,
    /// One line about its end or its current state.
    pub(super) summary: String,
    /// When it started, or was submitted if it has not started, in local time.
    pub(super) when: String,
    /// Its CPU use, in percent of one processor.
    pub(super) cpu: Option<u32>,
    /// The memory that it uses, or its peak.
    pub(super) memory: Option<u64>,
    /// Whether its output is shown as an account of an agent run.
    pub(super) is_agent: bool,
    /// Whether it is on hold.
    pub(super) is_held: bool,
    /// Its priority in the queue.
    pub(super) priority: i32,
}

impl JobRow {
    /// Builds the row of a job.
    pub(super) fn new(job: &Job, shape: JobShape, used: Option<(Used, Option<u32>)>) -> Self {
        Self {
            label: job.label(),
            summary: job.summary(),
            when: moment::short(shape.started_at.unwrap_or(shape.submitted_at)),
            cpu: used.and_then(|(_, cpu)| cpu),
            memory: used.map(|(used, _)| used.memory_bytes).or(shape.peak_rss_bytes),
            is_agent: jobcore::front::agents::told_run(job).is_some(),
            is_held: job.place.on_hold,
            priority: job.place.priority,
            shape,
        }
    }

    /// Returns whether the job waits for input or is stalled.
    pub(super) fn needs_attention(&self) -> bool {
        self.shape.waiting_for_input.is_some() || self.shape.stalled_since.is_some()
    }

    /// Returns whether the row changes with time alone.
    pub(super) fn moves(&self) -> bool {
        self.shape.status == Status::Running
    }
}

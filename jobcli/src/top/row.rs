//! What is known of a job that can be seen.

use jobcore::follow::Used;
use jobcore::front::moment;
use jobcore::shape::JobShape;
use jobcore::{Job, Status};

/// What is known of a job that can be seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Job(Box<JobRow>),
    /// It cannot be read.
    Damaged(String),
}

/// A job with all that its line has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JobRow {
    pub(super) shape: JobShape,
    /// What it is called.
    pub(super) label: String,
    /// One line about its end, or what it is doing.
    pub(super) summary: String,
    /// When it started or, before that, was submitted, in the time of this machine.
    pub(super) when: String,
    /// How much of a processor it uses, in percent.
    pub(super) cpu: Option<u32>,
    /// How much memory it uses, or at most used.
    pub(super) memory: Option<u64>,
    /// Whether its output is told as that of an agent.
    pub(super) is_agent: bool,
    /// Whether it is on hold.
    pub(super) is_held: bool,
    /// Where it stands in the queue.
    pub(super) priority: i32,
}

impl JobRow {
    /// Puts together what is known of a job.
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

    /// Returns whether it waits for somebody to do something.
    pub(super) fn needs_attention(&self) -> bool {
        self.shape.waiting_for_input.is_some() || self.shape.stalled_since.is_some()
    }

    /// Returns whether what is shown of it changes with time alone.
    pub(super) fn moves(&self) -> bool {
        self.shape.status == Status::Running
    }
}

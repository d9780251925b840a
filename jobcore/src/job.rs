//! A job as callers see it.

use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::time::Duration;

use crate::attempt::Attempt;
use crate::clock::Timestamp;
use crate::id::JobId;
use crate::output::{OutputSize, View};
use crate::queue::Place;
use crate::spec::{JobSpec, Stragglers};
use crate::state::{State, Status};
use crate::units::short_duration;
use crate::words::exit_code;

/// A job at one moment: what it runs and what has happened to it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// What it runs. The environment is not read back.
    pub spec: Box<JobSpec>,
    /// What it is doing, or how it ended.
    pub state: State,
    /// The main process, while it runs.
    pub pid: Option<i32>,
    /// Whether its lock is held. If the job has ended, this means that its supervisor stays with stragglers, or has not
    /// exited yet.
    pub held: bool,
    /// How much output it has written.
    pub output: OutputSize,
    /// Set if its supervisor saw that it waits for input and has not seen it continue since.
    pub waiting: Option<Waiting>,
    /// Since when it has been stalled, if its spec has a stall time and its supervisor saw it pass.
    pub stalled_at: Option<Timestamp>,
    /// Its place in the queue, and what it was assigned when it left the queue.
    pub place: Place,
    /// How long it has been paused in total.
    pub paused: Duration,
    /// When it became ready, if its spec says when it is ready.
    pub ready_at: Option<Timestamp>,
    /// When it will be stopped unless its lease is renewed, if it has a lease and is running.
    pub lease_until: Option<Timestamp>,
    /// The number of its attempt: 1 for a job that is not restarted, 0 for one that has not been started. It is not
    /// read for a job that has ended and whose spec does not restart it.
    pub attempt: u32,
    /// The earlier attempts, the oldest first. If there are very many, some are not kept.
    pub attempts: Vec<Attempt>,
    /// When its command will be started again, while it waits for that.
    pub next_attempt_at: Option<Timestamp>,
}

#[cfg(test)]
impl Job {
    /// A job of which nothing is known but this, for tests.
    pub(crate) fn sample(id: JobId, submitted_at: Timestamp, spec: JobSpec, state: State) -> Self {
        Self {
            id,
            submitted_at,
            spec: Box::new(spec),
            state,
            pid: None,
            held: false,
            output: OutputSize::default(),
            waiting: None,
            stalled_at: None,
            place: Place::default(),
            paused: Duration::ZERO,
            ready_at: None,
            lease_until: None,
            attempt: 1,
            attempts: Vec::new(),
            next_attempt_at: None,
        }
    }
}

impl Job {
    /// Returns the view for showing its output: cleaned if it was drawn on a terminal.
    pub fn view(&self) -> View {
        View::default().with_clean(self.spec.terminal.is_some())
    }

    /// Returns the label shown to people: its name and short id, or only its short id.
    pub fn label(&self) -> String {
        match &self.spec.name {
            Some(name) => format!("{name} ({})", self.id.short()),
            None => self.id.short(),
        }
    }

    /// Returns one line about the end of the job, or about what it is doing: `tests (3f9a2c1b) failed with exit code 2
    /// after 3m`. It contains only letters, digits, blanks and `()._-`, whatever the job is called, so that it can be
    /// quoted in any language.
    pub fn summary(&self) -> String {
        let how = match self.state.outcome().map(|outcome| (outcome.exit_code, outcome.signal)) {
            Some((Some(code), _)) if code != 0 => format!(" with {}", exit_code(code)),
            Some((None, Some(signal))) => format!(" by {signal}"),
            _ => String::new(),
        };
        let time = self.run_time().map(|time| format!(" after {}", short_duration(time))).unwrap_or_default();
        format!("{} {}{how}{time}", self.label(), self.status().as_str().replace('_', " "))
    }

    /// Returns how long it ran, if it was started and has ended.
    pub fn run_time(&self) -> Option<Duration> {
        let ran = self.state.outcome()?.ended_at.duration_since(self.state.started_at()?);
        Some(Duration::try_from(ran).unwrap_or_default())
    }

    /// Returns whether the command is running without a supervisor.
    pub(crate) fn is_unsupervised(&self) -> bool {
        match &self.state {
            State::Running(run) | State::Paused(run) => !run.supervised,
            State::Queued | State::Ended(_) => false,
        }
    }

    /// Returns whether it is running but not ready yet, if its spec says when it is ready.
    pub fn is_starting(&self) -> bool {
        let runs = matches!(self.state, State::Running(_) | State::Paused(_)) && self.next_attempt_at.is_none();
        runs && !self.spec.ready.is_empty() && self.ready_at.is_none()
    }

    /// Returns whether the job has ended and some of its processes are still running: stragglers that were left, or
    /// processes that could not be ended. This is not known when no supervisor stays with them, as with jobs that run
    /// inside another program.
    pub fn has_living_stragglers(&self) -> bool {
        let Some(outcome) = self.state.outcome().filter(|_| self.held) else { return false };
        let are_left = self.spec.stragglers == Stragglers::Leave && outcome.stragglers > 0;
        are_left || !outcome.survivors.is_empty()
    }

    /// Returns the range of the output that belongs to an attempt, in bytes, or `None` if there was no such attempt or
    /// its record was not kept.
    pub fn output_of_attempt(&self, number: u32) -> Option<Range<u64>> {
        let attempts = self.attempts.iter();
        let ends = || attempts.clone().map(|attempt| (attempt.number, attempt.output_end));
        let end_of = |number| ends().find(|(other, _)| *other == number).map(|(_, end)| end);
        let start = if number <= 1 { 0 } else { end_of(number - 1)? };
        match end_of(number) {
            Some(end) => Some(start..end),
            None if number == self.attempt.max(1) => Some(start..u64::MAX),
            None => None,
        }
    }

    /// Returns the status of the job.
    pub fn status(&self) -> Status {
        self.state.status()
    }
}

/// That a job was seen waiting for input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// When.
    pub at: Timestamp,
    /// How much it had written by then.
    pub output_bytes: u64,
    /// How much it had written when the unfinished line in its input was begun: the terminal may have echoed that line
    /// after the prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed_from: Option<u64>,
}

impl Waiting {
    /// Creates the record of a job that has written this much and waits for input, with nothing typed yet.
    pub fn new(at: Timestamp, output_bytes: u64) -> Self {
        Self { at, output_bytes, typed_from: None }
    }
}

//! A job as everybody sees it.

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

/// A job at one moment: what it is to run, and what has become of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// When it was submitted.
    pub submitted_at: Timestamp,
    /// What it runs. The environment is not part of what is read back.
    pub spec: Box<JobSpec>,
    /// What it is doing, or how it ended.
    pub state: State,
    /// The main process, while it runs.
    pub pid: Option<i32>,
    /// Whether somebody is in charge of it. Of a job that is over, this says that its supervisor stays with processes
    /// that were left, or has not ended yet.
    pub held: bool,
    /// How much it has written.
    pub output: OutputSize,
    /// When its supervisor saw that it waits for input, if it has not gone on since as far as that was seen.
    pub waiting: Option<Waiting>,
    /// Since when it is stalled, if its spec says after what time it is and its supervisor saw that.
    pub stalled_at: Option<Timestamp>,
    /// Where it stands in the queue, and what it was given when it left it.
    pub place: Place,
    /// For how long it has been paused in all.
    pub paused: Duration,
    /// When it was ready, if its spec says when it is, and it was.
    pub ready_at: Option<Timestamp>,
    /// When it is stopped if it is not renewed before, if it has a lease and runs.
    pub lease_until: Option<Timestamp>,
    /// The number of its attempt: 1 for a job that is not started again, 0 for one that has not been started. Of a job that is over,
    /// and whose spec does not start it again, it is not read.
    pub attempt: u32,
    /// The attempts before that, the oldest first. Of very many, some are not kept.
    pub attempts: Vec<Attempt>,
    /// When its command is started again, while it waits for that.
    pub next_attempt_at: Option<Timestamp>,
}

impl Job {
    /// Returns how its output is shown as it was meant to be seen: cleaned, if it was drawn on a terminal.
    pub fn view(&self) -> View {
        View::default().with_clean(self.spec.terminal.is_some())
    }

    /// Returns what people call it: its name, or else its short id.
    pub fn label(&self) -> String {
        match &self.spec.name {
            Some(name) => format!("{name} ({})", self.id.short()),
            None => self.id.short(),
        }
    }

    /// Returns one line about the end of the job, or what it is doing: `tests (3f9a2c1b) failed with exit code 2 after 3m`. There
    /// is nothing in it but letters, digits, blanks and `()._-`, whoever chose the name of the job, so that it may stand
    /// between quotes in any language.
    pub fn summary(&self) -> String {
        let how = match self.state.outcome().map(|outcome| (outcome.exit_code, outcome.signal)) {
            Some((Some(code), _)) if code != 0 => format!(" with {}", exit_code(code)),
            Some((None, Some(signal))) => format!(" by {signal}"),
            _ => String::new(),
        };
        let time = self.run_time().map(|time| format!(" after {}", short_duration(time))).unwrap_or_default();
        format!("{} {}{how}{time}", self.label(), self.status().as_str().replace('_', " "))
    }

    /// Returns how long it ran, if it did and has ended.
    pub fn run_time(&self) -> Option<Duration> {
        let ran = self.state.outcome()?.ended_at.duration_since(self.state.started_at()?);
        Some(Duration::try_from(ran).unwrap_or_default())
    }

    /// Returns whether the command runs and nobody watches it.
    pub(crate) fn is_unsupervised(&self) -> bool {
        match &self.state {
            State::Running(run) | State::Paused(run) => !run.supervised,
            State::Queued | State::Ended(_) => false,
        }
    }

    /// Returns whether it runs and is not ready yet, if its spec says when it is.
    pub fn is_starting(&self) -> bool {
        let runs = matches!(self.state, State::Running(_) | State::Paused(_)) && self.next_attempt_at.is_none();
        runs && !self.spec.ready.is_empty() && self.ready_at.is_none()
    }

    /// Returns whether the job has ended and processes of it are still running: stragglers that were left, or what a stop
    /// could not end. Where nobody stays with them, as where jobs run within another program, that is not known.
    pub fn has_living_stragglers(&self) -> bool {
        let Some(outcome) = self.state.outcome().filter(|_| self.held) else { return false };
        let are_left = self.spec.stragglers == Stragglers::Leave && outcome.stragglers > 0;
        are_left || !outcome.survivors.is_empty()
    }

    /// Returns which part of the output is that of an attempt, in bytes; nothing if there was no such attempt, or what is known of
    /// it was not kept.
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

    /// Returns the one word for what the job is doing.
    pub fn status(&self) -> Status {
        self.state.status()
    }
}

/// When a job was seen to wait for input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Waiting {
    /// When.
    pub at: Timestamp,
    /// How much it had written by then.
    pub output_bytes: u64,
    /// How much it had written when somebody began to type a line that was not finished by then: the terminal may show that
    /// behind what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed_from: Option<u64>,
}

impl Waiting {
    /// Says that a job that has written this much waits for input, of which nothing was typed yet.
    pub fn new(at: Timestamp, output_bytes: u64) -> Self {
        Self { at, output_bytes, typed_from: None }
    }
}

//! Conditions on what a job writes: looked at as it passes.

use std::time::{Duration, Instant};

use crate::output::{LineMatcher, OutputChunk};
use crate::spec::JobSpec;
use crate::until::{Condition, Until};

/// A line without an end counts when nothing has followed for so long: it is a prompt.
const PROMPT: Duration = Duration::from_millis(100);

/// The lines that are yet to come.
#[derive(Debug)]
pub(crate) struct Outputs {
    awaited: Vec<LineMatcher>,
    /// When a line counts that is not at its end.
    prompt_at: Option<Instant>,
}

impl Outputs {
    /// Looks for the lines that a spec names.
    pub(crate) fn of(spec: &JobSpec) -> Self {
        let pattern = |condition: &Condition| match condition {
            Condition::Until(Until::Output(pattern)) => Some(LineMatcher::new(pattern.clone())),
            _ => None,
        };
        Self { awaited: spec.ready.iter().filter_map(pattern).collect(), prompt_at: None }
    }

    /// Returns whether nothing more has to be looked at.
    pub(crate) fn have_come(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Adds what was written next.
    pub(crate) fn feed(&mut self, chunk: &OutputChunk, now: Instant) {
        self.awaited.retain_mut(|line| {
            line.feed(chunk.clone());
            line.next_match().is_none()
        });
        self.prompt_at = self.awaited.iter().any(|line| line.open_match().is_some()).then(|| now + PROMPT);
    }

    /// Returns when to look again although nothing was written.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.prompt_at
    }

    /// Lets a line count that is not at its end, if it is time for that.
    pub(crate) fn look(&mut self, now: Instant) {
        if self.prompt_at.take_if(|at| *at <= now).is_some() {
            self.awaited.retain(|line| line.open_match().is_none());
        }
    }
}

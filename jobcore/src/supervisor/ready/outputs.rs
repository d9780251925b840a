//! Conditions on what a job writes, checked as it passes.

use std::time::{Duration, Instant};

use crate::output::{LineMatcher, OutputChunk};
use crate::spec::JobSpec;
use crate::until::{Condition, Until};

/// A line without an end counts if nothing follows for this long: it is a prompt.
const PROMPT: Duration = Duration::from_millis(100);

/// The lines that have not come yet.
#[derive(Debug)]
pub(crate) struct Outputs {
    awaited: Vec<LineMatcher>,
    /// When an unfinished line counts.
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

    /// Returns whether nothing more needs to be checked.
    pub(crate) fn have_come(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Adds the next output.
    pub(crate) fn feed(&mut self, chunk: &OutputChunk, now: Instant) {
        self.awaited.retain_mut(|line| {
            line.feed(chunk.clone());
            line.next_match().is_none()
        });
        self.prompt_at = self.awaited.iter().any(|line| line.open_match().is_some()).then(|| now + PROMPT);
    }

    /// Returns when to look again even if nothing is written.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.prompt_at
    }

    /// Counts an unfinished line, if it is time for that.
    pub(crate) fn look(&mut self, now: Instant) {
        if self.prompt_at.take_if(|at| *at <= now).is_some() {
            self.awaited.retain(|line| line.open_match().is_none());
        }
    }
}

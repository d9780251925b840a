//! What there is to say about an agent's run, in one shape for all CLIs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Format;

/// What an agent is doing, or what came of it.
///
/// What is not known or does not apply is absent, never null. Fields may be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Digest {
    /// What the last final event says: `true` if the agent says that it is done. Absent while there is none, and where the
    /// output has none: then the exit code decides. An agent that was not permitted something may say that it is done:
    /// see `denials`. The process may go on after this: see `background`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// The answer of a success, at most 256 KiB of it. Of plain text, the end of what was written so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How many bytes of the answer are not in `result`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub result_cut_bytes: u64,
    /// The answer in the form that was asked for by a schema, if it has no more than 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// How many bytes it has, if that is more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub structured_cut_bytes: u64,
    /// What went wrong: for good if `success` is `false`; absent again when it is `true`, unless the answer is not what a
    /// schema asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What it is doing, in one line of at most 120 characters: `Bash: cargo test`, `retry 3 of 10 in 2.3s after HTTP 500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// By which the CLI resumes the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The model, as the CLI calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What the CLI calls turns, as far as it tells them; codex has one a prompt, the others one an answer of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// How many tools were called. Absent where the output does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// How often the model did not answer and was asked again, as far as the output tells.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
    /// Why the model has to be asked again, while it has not answered since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Failure>,
    /// How many calls of tools were not permitted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub denials: u64,
    /// The first 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Denial>,
    /// How many tasks of the agent run in the background: its process stays until they are over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub background: u64,
    /// How many final events there were: claude has another each time that a task in the background wakes it up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub results: u64,
    /// US dollars, as the CLI reckons. Of claude, it is of the whole session, with what it had cost before it was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens. Of claude and codex, they are of the whole session, with what was used before it was resumed.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
    /// How long the agent worked, in milliseconds, as the CLI tells: without the time between two results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long the model was waited for, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_duration_ms: Option<u64>,
    /// Whether a part of the output could not be read: it was not kept, or a line had more than 32 MiB. What came before is
    /// no result then, since another may have been in that part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// Names of figures above that are at least as large as said, since a part of the output could not be read.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lower_bounds: BTreeSet<String>,
    /// How many lines of the output are none of the CLI's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: u64,
    /// How many events are of a kind that is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// The last kind of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_kind: Option<String>,
}

impl Digest {
    /// Reads the answer in the form that was asked for by a schema from its text, where the CLI tells it no other way.
    pub(super) fn structure(&mut self, format: Format) {
        let Some(text) = self.result.as_ref().filter(|_| format != Format::Claude && self.structured.is_none()) else {
            return;
        };
        match self.result_cut_bytes {
            0 => self.structured = serde_json::from_str(text).ok(),
            cut => self.structured_cut_bytes = cut + text.len() as u64,
        }
    }
}

/// A call of a tool that was not permitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Denial {
    /// What the CLI calls the tool.
    pub tool: String,
    /// What it was called for: a path, a command; empty if that is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// The id of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Tokens, as the CLI counts them. What codex and gemini call input includes what was read from a cache; what claude and
/// opencode call so does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// What the model read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// What it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// What it read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// What was put into a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// What it thought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Returns whether nothing is told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns these figures without those, if none of them would be less than nothing.
    pub(crate) fn minus(self, other: Self) -> Option<Self> {
        let rest = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => one.checked_sub(other).map(Some),
            (one, _) => Some(one),
        };
        Some(Self {
            input_tokens: rest(self.input_tokens, other.input_tokens)?,
            output_tokens: rest(self.output_tokens, other.output_tokens)?,
            cache_read_tokens: rest(self.cache_read_tokens, other.cache_read_tokens)?,
            cache_write_tokens: rest(self.cache_write_tokens, other.cache_write_tokens)?,
            reasoning_tokens: rest(self.reasoning_tokens, other.reasoning_tokens)?,
        })
    }

    /// Returns the figures of both together. What only one tells is that.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self {
            input_tokens: sum(self.input_tokens, other.input_tokens),
            output_tokens: sum(self.output_tokens, other.output_tokens),
            cache_read_tokens: sum(self.cache_read_tokens, other.cache_read_tokens),
            cache_write_tokens: sum(self.cache_write_tokens, other.cache_write_tokens),
            reasoning_tokens: sum(self.reasoning_tokens, other.reasoning_tokens),
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// In words, at most 2,000 characters of them.
    pub message: String,
    /// What the CLI calls it, such as `error_max_turns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the model's server answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

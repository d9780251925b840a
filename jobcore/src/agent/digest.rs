//! The digest of an agent run, in one shape for all CLIs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Format;

/// What an agent is doing, or its result.
///
/// Values that are unknown or do not apply are absent, never null. Fields may be added.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Digest {
    /// The outcome in the last final event: `true` if the agent says that it is done. Absent while there is none, and
    /// for output formats that have none: then the exit code decides. An agent that was denied something may still say
    /// that it is done: see `denials`. The process may continue after this: see `background`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// The answer of a successful run, at most 256 KiB of it. For plain text, the end of the output so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// How many bytes of the answer are not in `result`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub result_cut_bytes: u64,
    /// The structured answer that a schema required, if it is not larger than 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
    /// The size of that answer in bytes, if it is larger.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub structured_cut_bytes: u64,
    /// What went wrong: final if `success` is `false`. Absent when `success` is `true`, unless the answer does not
    /// follow its schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// What it is doing, in one line of at most 120 characters: `Bash: cargo test`, `retry 3 of 10 in 2.3s after HTTP 500`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
    /// The id that the CLI resumes the session by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The model, by the CLI's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The turns, as the CLI counts them, if it does: codex counts one per prompt, the others one per answer of the
    /// model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<u64>,
    /// How many tools were called. Absent if the output does not report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<u64>,
    /// How often the model did not answer and was asked again, as far as the output reports it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u64,
    /// Why the model has to be asked again, as long as it has not answered since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Failure>,
    /// How many tool calls were denied.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub denials: u64,
    /// The first 20 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied: Vec<Denial>,
    /// How many background tasks the agent has: its process stays until they end.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub background: u64,
    /// How many final events there were: claude writes another one each time a background task wakes it up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub results: u64,
    /// The cost in US dollars, by the CLI's calculation. For claude, it covers the whole session, including the time
    /// before it was resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens. For claude and codex, they cover the whole session, including the time before it was resumed.
    #[serde(default, skip_serializing_if = "Usage::is_empty")]
    pub usage: Usage,
    /// How long the agent worked, in milliseconds, as reported by the CLI: without the time between two results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How long it waited for the model, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_duration_ms: Option<u64>,
    /// Whether a part of the output could not be read: it was not kept, or a line had more than 32 MiB. Earlier output
    /// is then not taken for a result, because another one may have been in that part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// The names of figures above that are lower bounds, because a part of the output could not be read.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub lower_bounds: BTreeSet<String>,
    /// How many lines of the output were not written by the CLI.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noise: u64,
    /// How many events are of an unknown kind.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown: u64,
    /// The last unknown kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown_kind: Option<String>,
}

impl Digest {
    /// Parses the structured answer from the text if a schema required one and the CLI reports it in no other way.
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

/// A tool call that was denied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Denial {
    /// The CLI's name of the tool.
    pub tool: String,
    /// The purpose of the call, such as a path or a command; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub what: String,
    /// The id of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// Tokens, as the CLI counts them. For codex and gemini, the input includes what was read from a cache; for claude and
/// opencode, it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens that the model read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that it wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens that it read from a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Tokens that were written to a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Tokens of its reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Returns whether there are no figures.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Subtracts `other`, or returns `None` if a figure would be negative.
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

    /// Adds `other`. A figure that only one of them has is kept.
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

/// An error of an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// The message, at most 2,000 characters.
    pub message: String,
    /// The CLI's name for it, such as `error_max_turns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The HTTP status of the model's server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

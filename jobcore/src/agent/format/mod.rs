//! The meaning of each CLI's events: one module per CLI, each mapping its JSON to events.

// In the order in which to read them:
// - `kind.rs`: the output formats
// - `value.rs`: reading values of every format
// - `claude.rs`, `codex.rs`, `gemini.rs`, `opencode.rs`: JSON to events
// - `text.rs`: plain text, which has no events

mod claude;
mod codex;
mod gemini;
mod kind;
mod opencode;
mod text;
mod value;

use serde_json::Value;

use super::event::AgentEvent;

pub use kind::Format;
pub(super) use text::Tail;

impl Format {
    /// Returns the event that a line of standard error reports. Most lines report none.
    pub(super) fn stderr_event(self, line: &str) -> Option<AgentEvent> {
        match self {
            Self::Gemini => gemini::stderr_event(line),
            Self::Claude | Self::Codex | Self::Opencode | Self::Text => None,
        }
    }

    /// Returns the events that one value of the output reports: usually one, sometimes none or several.
    pub(super) fn events(self, value: &Value) -> Vec<AgentEvent> {
        match self {
            Self::Claude => claude::events(value),
            Self::Codex => codex::events(value),
            Self::Gemini => gemini::events(value),
            Self::Opencode => opencode::events(value),
            Self::Text => Vec::new(),
        }
    }
}

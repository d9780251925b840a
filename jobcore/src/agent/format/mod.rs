//! What the events of each CLI mean: one module a CLI, each a table from its JSON to events.

// In the order in which to read them:
// - `kind.rs`: which formats there are
// - `value.rs`: what is read out of values of every format
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
    /// Returns what a line of standard error means. Most mean nothing.
    pub(super) fn stderr_event(self, line: &str) -> Option<AgentEvent> {
        match self {
            Self::Gemini => gemini::stderr_event(line),
            Self::Claude | Self::Codex | Self::Opencode | Self::Text => None,
        }
    }

    /// Returns what one value of the output means. Most mean one thing, some nothing, some several.
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

//! What an agent does, in one language for all CLIs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::{Denial, Failure, Usage};
use super::words::squeezed;
use crate::units::short_duration;

/// How long a line is that says what a tool does, in characters.
const SUMMARY: usize = 120;
/// How many tools that run at the same time are told apart.
const TOOLS_AT_ONCE: usize = 64;

/// Something that an agent did, as its CLI told it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AgentEvent {
    /// A session began, or went on.
    Session {
        /// By which the CLI resumes it.
        id: Option<String>,
        /// The model, as the CLI calls it.
        model: Option<String>,
    },
    /// The model was asked for its next turn. Events with the same id are of one turn.
    Turn {
        /// What tells it from others.
        id: Option<String>,
    },
    /// The model said this, whole: also when parts of it were told before.
    Text(String),
    /// The model said this next.
    TextDelta(String),
    /// The model thinks.
    Thinking,
    /// A tool was called.
    ToolStart {
        /// By which its end is known.
        id: String,
        /// What was called.
        tool: Tool,
    },
    /// A tool is done.
    ToolEnd {
        /// That of its start.
        id: String,
        /// Whether it did what it was called for.
        ok: bool,
        /// The first line of what went wrong.
        summary: Option<String>,
    },
    /// The model did not answer, and will be asked again.
    Retry(Retry),
    /// A tool was not permitted.
    Denied {
        /// That of the call.
        id: Option<String>,
        /// What was called, if this event tells. The start of the call does.
        tool: Option<Tool>,
    },
    /// So many tasks run in the background: the CLI stays until they are over.
    Background {
        /// How many.
        running: u64,
    },
    /// This was used since the last such event.
    Spent {
        /// Tokens.
        usage: Usage,
        /// US dollars.
        cost_usd: Option<f64>,
    },
    /// The final word on what it was asked for. There may be several: the last holds.
    Result(Box<AgentResult>),
    /// Something went wrong, and the agent may go on.
    Error(Failure),
    /// The CLI has something to say that is no error.
    Warning(String),
    /// An event of a kind that is not known here.
    Unknown {
        /// What the CLI calls it.
        kind: String,
    },
}

impl AgentEvent {
    /// Returns whether this comes of an answer of the model.
    pub(super) fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Text(_) | Self::TextDelta(_) | Self::Thinking | Self::ToolStart { .. } | Self::ToolEnd { .. }
        )
    }
}

/// The model will be asked again.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Retry {
    /// Which attempt this is, from 1.
    pub(super) attempt: u64,
    /// How many there will be at most.
    pub(super) of: Option<u64>,
    /// How long is waited before it, in milliseconds.
    pub(super) after_ms: Option<u64>,
    /// The HTTP status that is the reason.
    pub(super) status: Option<u16>,
    /// The reason in words.
    pub(super) reason: Option<String>,
}

/// As in `retry 3 of 10 in 2.3s after HTTP 500`.
impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry {}", self.attempt)?;
        if let Some(of) = self.of {
            write!(f, " of {of}")?;
        }
        if let Some(millis) = self.after_ms {
            write!(f, " in {}", short_duration(Duration::from_millis(millis)))?;
        }
        match (self.status, &self.reason) {
            (Some(status), _) => write!(f, " after HTTP {status}"),
            (None, Some(reason)) => write!(f, " after: {reason}"),
            (None, None) => Ok(()),
        }
    }
}

/// What a final event says. What it does not tell is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AgentResult {
    /// Whether the agent says that it is done; not whether what it did is right.
    pub(super) success: bool,
    /// The answer; if absent, it is what the model said last.
    pub(super) text: Option<String>,
    /// The answer in the form that was asked for.
    pub(super) structured: Option<Value>,
    /// By which the CLI resumes the session.
    pub(super) session_id: Option<String>,
    /// The model, if it was only one.
    pub(super) model: Option<String>,
    /// Turns since the result before.
    pub(super) turns: Option<u64>,
    /// Calls of tools, all in all.
    pub(super) tool_calls: Option<u64>,
    /// US dollars, all in all.
    pub(super) cost_usd: Option<f64>,
    /// Tokens, all in all.
    pub(super) usage: Option<Usage>,
    /// How long it took since the result before.
    pub(super) duration_ms: Option<u64>,
    /// How long the model was waited for, all in all.
    pub(super) api_duration_ms: Option<u64>,
    /// What was not permitted; some of it may have been told before.
    pub(super) denied: Vec<Denial>,
    /// What went wrong.
    pub(super) error: Option<Failure>,
}

/// A tool and what it is called for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tool {
    /// What the CLI calls it.
    pub(super) name: String,
    /// Name and purpose in one short line: `Bash: cargo test`, `Edit src/main.rs`.
    pub(super) summary: String,
}

/// Which field of a tool's input tells best what it is called for, and what stands between the name and it.
const TELLING: [(&str, &str); 14] = [
    ("command", ": "),
    ("file_path", " "),
    ("filePath", " "),
    ("notebook_path", " "),
    ("path", " "),
    ("absolute_path", " "),
    ("dir_path", " "),
    ("pattern", ": "),
    ("query", ": "),
    ("url", " "),
    ("skill", " "),
    ("description", ": "),
    ("prompt", ": "),
    ("text", ": "),
];

impl Tool {
    /// Describes a call by its input.
    pub(super) fn new(name: &str, input: &Value) -> Self {
        let name = squeezed(name, SUMMARY);
        let told = TELLING.iter().find_map(|(field, between)| Some((between, input.get(field)?.as_str()?)));
        let summary = match told {
            Some((between, purpose)) => squeezed(&format!("{name}{between}{purpose}"), SUMMARY),
            None => name.clone(),
        };
        Self { name, summary }
    }

    /// Returns what it is called for, without its name; empty if that is not known.
    pub(super) fn purpose(&self) -> &str {
        self.summary.strip_prefix(self.name.as_str()).unwrap_or_default().trim_start_matches([':', ' '])
    }
}

/// The tools that have been called and are not done, the latest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct OpenTools(Vec<(String, Tool)>);

impl OpenTools {
    pub(super) fn start(&mut self, id: &str, tool: &Tool) {
        if self.0.len() == TOOLS_AT_ONCE {
            self.0.remove(0);
        }
        self.0.push((squeezed(id, SUMMARY), tool.clone()));
    }

    pub(super) fn end(&mut self, id: &str) {
        let id = squeezed(id, SUMMARY);
        self.0.retain(|(open, _)| *open != id);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Tool> {
        let id = squeezed(id, SUMMARY);
        self.0.iter().find_map(|(open, tool)| (*open == id).then_some(tool))
    }

    pub(super) fn latest(&self) -> Option<&Tool> {
        self.0.last().map(|(_, tool)| tool)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_one_short_line() {
        let summary = |name, input: Value| Tool::new(name, &input).summary;
        assert_eq!(summary("Bash", json!({"description": "Run tests", "command": "cargo test\n"})), "Bash: cargo test");
        assert_eq!(summary("Edit", json!({"file_path": "src/main.rs", "old_string": "a"})), "Edit src/main.rs");
        assert_eq!(summary("Task", json!({"prompt": "a\u{1b}[31m\nb"})), "Task: a[31m b");
        assert_eq!(summary("Todo", json!({"command": 3})), "Todo");
        assert!(summary("Bash", json!({"command": "é".repeat(500)})).ends_with("é…"));
        assert_eq!(Tool::new("Edit", &json!({"path": "a b"})).purpose(), "a b");
        assert_eq!(Tool::new("Todo", &Value::Null).purpose(), "");
    }

    #[test]
    fn a_retry_is_one_line() {
        let retry =
            Retry { attempt: 3, of: Some(10), after_ms: Some(2376), status: Some(500), reason: Some("x".to_owned()) };
        assert_eq!(retry.to_string(), "retry 3 of 10 in 2.3s after HTTP 500");
        let retry = Retry { attempt: 1, reason: Some("high demand".to_owned()), ..Retry::default() };
        assert_eq!(retry.to_string(), "retry 1 after: high demand");
    }

    #[test]
    fn tools_may_run_at_the_same_time() {
        let tool = |name| Tool::new(name, &Value::Null);
        let mut open = OpenTools::default();
        open.start("1", &tool("A"));
        open.start("2", &tool("B"));
        assert_eq!(open.latest(), Some(&tool("B")));
        open.end("2");
        assert_eq!((open.latest(), open.get("1"), open.get("2")), (Some(&tool("A")), Some(&tool("A")), None));
        for id in 0..1000 {
            open.start(&id.to_string(), &tool("C"));
        }
        assert_eq!(open.0.len(), TOOLS_AT_ONCE);
    }
}

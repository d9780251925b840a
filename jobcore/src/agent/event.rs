//! What an agent does, as events that are the same for all CLIs.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::{Denial, Failure, Usage};
use super::words::squeezed;
use crate::units::short_duration;

/// The maximum length of a line that describes a tool call, in characters.
const SUMMARY: usize = 120;
/// How many concurrent tool calls are told apart.
const TOOLS_AT_ONCE: usize = 64;

/// Something that an agent did, as reported by its CLI.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AgentEvent {
    /// A session began or continued.
    Session {
        /// The id that the CLI resumes it by.
        id: Option<String>,
        /// The model, by the CLI's name.
        model: Option<String>,
    },
    /// The model was asked for its next turn. Events with the same id belong to one turn.
    Turn {
        /// The id of the turn.
        id: Option<String>,
    },
    /// The model wrote this text. It is complete, even if parts of it were reported before.
    Text(String),
    /// The model wrote this next part of a text.
    TextDelta(String),
    /// The model is thinking.
    Thinking,
    /// A tool was called.
    ToolStart {
        /// The id that its end refers to.
        id: String,
        /// The tool and its purpose.
        tool: Tool,
    },
    /// A tool call ended.
    ToolEnd {
        /// The id of its start.
        id: String,
        /// Whether it succeeded.
        ok: bool,
        /// The first line of the error.
        summary: Option<String>,
    },
    /// The model did not answer, and will be asked again.
    Retry(Retry),
    /// A tool call was denied.
    Denied {
        /// The id of the call.
        id: Option<String>,
        /// The tool, if this event names it; otherwise the start of the call does.
        tool: Option<Tool>,
    },
    /// Background tasks are running: the CLI stays until they end.
    Background {
        /// How many.
        running: u64,
    },
    /// Tokens and costs since the last such event.
    Spent {
        /// Tokens.
        usage: Usage,
        /// US dollars.
        cost_usd: Option<f64>,
    },
    /// The result of the task. There may be several: the last one counts.
    Result(Box<AgentResult>),
    /// An error occurred, and the agent may continue.
    Error(Failure),
    /// A message of the CLI that is not an error.
    Warning(String),
    /// An event of an unknown kind.
    Unknown {
        /// The CLI's name for it.
        kind: String,
    },
}

impl AgentEvent {
    /// Returns whether this is part of an answer of the model.
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
    /// The number of the attempt, from 1.
    pub(super) attempt: u64,
    /// The maximum number of attempts.
    pub(super) of: Option<u64>,
    /// How long the CLI waits before it, in milliseconds.
    pub(super) after_ms: Option<u64>,
    /// The HTTP status that caused it.
    pub(super) status: Option<u16>,
    /// The reason in words.
    pub(super) reason: Option<String>,
}

/// A description such as `retry 3 of 10 in 2.3s after HTTP 500`.
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

/// The contents of a final event. What it does not report is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AgentResult {
    /// Whether the agent says that it is done, which does not mean that its work is right.
    pub(super) success: bool,
    /// The answer. If absent, it is the last text of the model.
    pub(super) text: Option<String>,
    /// The structured answer that was required.
    pub(super) structured: Option<Value>,
    /// The id that the CLI resumes the session by.
    pub(super) session_id: Option<String>,
    /// The model, if there was only one.
    pub(super) model: Option<String>,
    /// Turns since the previous result.
    pub(super) turns: Option<u64>,
    /// Tool calls in total.
    pub(super) tool_calls: Option<u64>,
    /// US dollars in total.
    pub(super) cost_usd: Option<f64>,
    /// Tokens in total.
    pub(super) usage: Option<Usage>,
    /// How long it took since the previous result.
    pub(super) duration_ms: Option<u64>,
    /// How long it waited for the model in total.
    pub(super) api_duration_ms: Option<u64>,
    /// Denied calls; some of them may have been reported before.
    pub(super) denied: Vec<Denial>,
    /// What went wrong.
    pub(super) error: Option<Failure>,
}

/// A tool and the purpose of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tool {
    /// The CLI's name of the tool.
    pub(super) name: String,
    /// The name and the purpose in one short line: `Bash: cargo test`, `Edit src/main.rs`.
    pub(super) summary: String,
}

/// The fields of a tool's input that describe the purpose of a call best, and what separates the name from it.
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

    /// Returns the purpose without the name; empty if unknown.
    pub(super) fn purpose(&self) -> &str {
        self.summary.strip_prefix(self.name.as_str()).unwrap_or_default().trim_start_matches([':', ' '])
    }
}

/// The tool calls that have not ended, the latest last.
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
    fn a_tool_call_is_described_in_one_short_line() {
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
    fn a_retry_is_described_in_one_line() {
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

//! What the events of each CLI mean: one module a CLI, each a table from its JSON to events.

mod claude;
mod codex;
mod gemini;
mod opencode;
mod text;

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Failure;
use super::event::AgentEvent;
use super::words::{plain, squeezed};
use crate::output::Stream;
pub(super) use text::Tail;

/// How long a message is, in characters.
const MESSAGE: usize = 2000;

/// How an agent writes what it does on its standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// `claude -p --output-format stream-json --verbose`, or `json`.
    Claude,
    /// `codex exec --json`.
    Codex,
    /// `gemini -o stream-json`, or `json`.
    Gemini,
    /// `opencode run --format json`.
    Opencode,
    /// Plain text, of any program. What a later version calls another format is read as text.
    #[default]
    #[serde(other)]
    Text,
}

impl Format {
    /// Returns whether the cost that is told is that of the whole session, with what it had cost before it was resumed.
    pub(crate) fn sums_up_cost(self) -> bool {
        self == Self::Claude
    }

    /// Returns whether the tokens that are told are those of the whole session.
    pub(crate) fn sums_up_usage(self) -> bool {
        matches!(self, Self::Claude | Self::Codex)
    }

    /// Returns the stream that a reader needs; `None` if that is both, since the CLI reports some things on standard error
    /// only.
    pub fn stream(self) -> Option<Stream> {
        (self != Self::Gemini).then_some(Stream::Stdout)
    }

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

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Returns an id, a name or a message, if there is one.
fn owned(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| plain(text, MESSAGE))
}

fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| status.try_into().ok()).filter(|status| (100..600).contains(status))
}

fn unknown(kind: impl Into<String>) -> Vec<AgentEvent> {
    vec![AgentEvent::Unknown { kind: squeezed(&kind.into(), 80) }]
}

/// An HTTP status in a sentence: `unexpected status 401 Unauthorized`, `last status: 429`, `API Error: 400 …`, `HTTP 500`.
static HTTP_STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:status(?: code)?|api error|http)\b[:=]?\s*([1-5][0-9]{2})\b").expect("a valid pattern")
});
/// Where Gemini CLI put its report, which nobody can read once the run is on record.
static REPORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\s*Full report available at: \S+").expect("a valid pattern"));

impl Failure {
    /// Describes what went wrong by what the CLI says of it, in which there may be the server's own words in JSON.
    pub(super) fn new(said: &str) -> Self {
        let json = said.find('{').and_then(|begin| said.get(begin..=said.rfind('}')?));
        let answer: Option<Value> = json.and_then(|json| serde_json::from_str(json).ok());
        let error = answer.as_ref().map_or(&Value::Null, |answer| &answer["error"]);
        let named = |error: &Value| owned(&error["type"]).or_else(|| owned(&error["status"]));
        let number = || HTTP_STATUS.captures(said)?.get(1)?.as_str().parse().ok();
        let message = error["message"].as_str().map_or_else(|| REPORT.replace_all(said, ""), Into::into);
        Self {
            message: if message.is_empty() { "no reason is given".to_owned() } else { plain(&message, MESSAGE) },
            kind: named(error),
            http_status: status(&error["code"]).or_else(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_of_a_later_version_is_text() {
        let format = |name: &str| serde_json::from_str::<Format>(name).unwrap();
        assert_eq!(
            [format("\"claude\""), format("\"text\""), format("\"next\"")],
            [Format::Claude, Format::Text, Format::Text]
        );
        assert_eq!(serde_json::to_string(&Format::Opencode).unwrap(), "\"opencode\"");
    }

    #[test]
    fn the_words_of_the_server_are_found() {
        let failure = |message: &str, kind: Option<&str>, http_status| Failure {
            message: message.to_owned(),
            kind: kind.map(str::to_owned),
            http_status,
        };
        let cases = [
            ("no such thing {x}", failure("no such thing {x}", None, None)),
            (r#"{"error": {"message": "bad", "type": "invalid"}}"#, failure("bad", Some("invalid"), None)),
            (
                r#"[API Error: {"error":{"code":400,"message":"bad","status":"INVALID"}}]"#,
                failure("bad", Some("INVALID"), Some(400)),
            ),
            ("unexpected status 401 Unauthorized", failure("unexpected status 401 Unauthorized", None, Some(401))),
            (
                "exceeded retry limit, last status: 429 Too Many Requests",
                failure("exceeded retry limit, last status: 429 Too Many Requests", None, Some(429)),
            ),
            ("API Error: 529 overloaded", failure("API Error: 529 overloaded", None, Some(529))),
            ("request failed with status code 503", failure("request failed with status code 503", None, Some(503))),
            (
                "It failed. Full report available at: /tmp/report.json QuotaError: too much",
                failure("It failed. QuotaError: too much", None, None),
            ),
            ("}{", failure("}{", None, None)),
            ("status 4290", failure("status 4290", None, None)),
            ("status 99é", failure("status 99é", None, None)),
            ("", failure("no reason is given", None, None)),
        ];
        for (said, expected) in cases {
            assert_eq!(Failure::new(said), expected);
        }
    }
}

//! Reading values of every format.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::agent::digest::Failure;
use crate::agent::event::AgentEvent;
use crate::agent::words::{plain, squeezed};

/// The maximum length of a message, in characters.
pub(super) const MESSAGE: usize = 2000;

pub(super) fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// Returns an id, a name or a message, if there is one.
pub(super) fn owned(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| plain(text, MESSAGE))
}

pub(super) fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| status.try_into().ok()).filter(|status| (100..600).contains(status))
}

pub(super) fn unknown(kind: impl Into<String>) -> Vec<AgentEvent> {
    vec![AgentEvent::Unknown { kind: squeezed(&kind.into(), 80) }]
}

/// An HTTP status in a sentence: `unexpected status 401 Unauthorized`, `last status: 429`, `API Error: 400 …`, `HTTP 500`.
static HTTP_STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:status(?: code)?|api error|http)\b[:=]?\s*([1-5][0-9]{2})\b").expect("a valid pattern")
});
/// Where Gemini CLI saved its report, a path that is useless once the run is on record.
static REPORT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\s*Full report available at: \S+").expect("a valid pattern"));

impl Failure {
    /// Creates a failure from the CLI's message, which may contain the server's response in JSON.
    pub(in crate::agent) fn new(said: &str) -> Self {
        let json = said.find('{').and_then(|begin| said.get(begin..=said.rfind('}')?));
        let answer: Option<Value> = json.and_then(|json| serde_json::from_str(json).ok());
        let error = answer.as_ref().map_or(&Value::Null, |answer| &answer["error"]);
        let named = |error: &Value| owned(&error["type"]).or_else(|| owned(&error["status"]));
        let number = || HTTP_STATUS.captures(said)?.get(1)?.as_str().parse().ok();
        let message = error["message"].as_str().map_or_else(|| REPORT.replace_all(said, ""), Into::into);
        Self {
            message: if message.is_empty() { "no reason was given".to_owned() } else { plain(&message, MESSAGE) },
            kind: named(error),
            http_status: status(&error["code"]).or_else(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_the_server_is_found() {
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
            ("", failure("no reason was given", None, None)),
        ];
        for (said, expected) in cases {
            assert_eq!(Failure::new(said), expected);
        }
    }
}

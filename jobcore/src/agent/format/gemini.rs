//! Gemini CLI: `stream-json` has one event per line, `json` one object over many lines. On an error, `json` writes
//! nothing to standard output.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::value::{owned, status, text, unknown};
use crate::agent::digest::{Failure, Usage};
use crate::agent::event::{AgentEvent, AgentResult, Retry, Tool};

pub(super) fn events(value: &Value) -> Vec<AgentEvent> {
    match text(value, "type") {
        "init" => vec![AgentEvent::Session { id: owned(&value["session_id"]), model: owned(&value["model"]) }],
        "message" if value["role"] == "assistant" => {
            let said = text(value, "content").to_owned();
            vec![if value["delta"] == true { AgentEvent::TextDelta(said) } else { AgentEvent::Text(said) }]
        }
        "message" => Vec::new(),
        "tool_use" => vec![AgentEvent::ToolStart {
            id: text(value, "tool_id").to_owned(),
            tool: Tool::new(text(value, "tool_name"), &value["parameters"]),
        }],
        "tool_result" => tool_result(value),
        "error" if text(value, "severity") == "warning" => vec![AgentEvent::Warning(text(value, "message").to_owned())],
        "error" => vec![AgentEvent::Error(Failure::new(text(value, "message")))],
        "result" => vec![AgentEvent::Result(Box::new(result(value)))],
        "" if value.get("response").is_some() || value.get("error").is_some() => {
            vec![AgentEvent::Result(Box::new(whole(value)))]
        }
        kind => unknown(kind),
    }
}

fn tool_result(value: &Value) -> Vec<AgentEvent> {
    let id = text(value, "tool_id").to_owned();
    let ok = text(value, "status") == "success";
    let error = &value["error"];
    // A tool that the approval mode does not permit does not exist for the model, which called it from memory. A path
    // outside the workspace is refused in every mode.
    let denied = (error["type"] == "tool_not_registered" || text(error, "message").contains("Path not in workspace"))
        .then(|| AgentEvent::Denied { id: Some(id.clone()), tool: None });
    let summary = (!ok).then(|| text(error, "message").lines().next().map(str::to_owned)).flatten();
    denied.into_iter().chain([AgentEvent::ToolEnd { id, ok, summary }]).collect()
}

/// A retried request is reported only on standard error: `Attempt 1 failed with status 429. Retrying with backoff...
/// _ApiError: {…}`.
static ATTEMPT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^Attempt ([0-9]+) failed(?: with status ([0-9]{3}))?[^.]*\. Retrying[^:{]*:?\s*(.*)")
        .expect("a valid pattern")
});

pub(super) fn stderr_event(line: &str) -> Option<AgentEvent> {
    let said = ATTEMPT.captures(line)?;
    let failure = said.get(3).map(|reason| reason.as_str()).filter(|reason| !reason.is_empty()).map(Failure::new);
    let told = said.get(2).and_then(|status| status.as_str().parse().ok());
    Some(AgentEvent::Retry(Retry {
        attempt: said[1].parse().ok()?,
        of: None,
        after_ms: None,
        status: told.or(failure.as_ref().and_then(|failure| failure.http_status)),
        reason: failure.map(|failure| failure.message),
    }))
}

/// The last event of a stream.
fn result(value: &Value) -> AgentResult {
    let stats = &value["stats"];
    let success = text(value, "status") == "success";
    AgentResult {
        success,
        tool_calls: stats["tool_calls"].as_u64(),
        usage: Some(Usage {
            input_tokens: stats["input_tokens"].as_u64(),
            output_tokens: stats["output_tokens"].as_u64(),
            cache_read_tokens: stats["cached"].as_u64(),
            ..Usage::default()
        }),
        duration_ms: stats["duration_ms"].as_u64(),
        error: (!success).then(|| failure(&value["error"])),
        ..AgentResult::default()
    }
}

/// The single object of a run with `json`.
fn whole(value: &Value) -> AgentResult {
    let success = value["error"].is_null();
    let models = || value["stats"]["models"].as_object().into_iter().flatten().map(|(_, model)| model);
    let tokens = models().map(|model| {
        let tokens = &model["tokens"];
        Usage {
            input_tokens: tokens["prompt"].as_u64(),
            output_tokens: tokens["candidates"].as_u64(),
            cache_read_tokens: tokens["cached"].as_u64(),
            reasoning_tokens: tokens["thoughts"].as_u64(),
            ..Usage::default()
        }
    });
    AgentResult {
        success,
        text: success.then(|| text(value, "response").to_owned()),
        session_id: owned(&value["session_id"]),
        tool_calls: value["stats"]["tools"]["totalCalls"].as_u64(),
        usage: tokens.reduce(Usage::plus),
        api_duration_ms: models()
            .filter_map(|model| model["api"]["totalLatencyMs"].as_u64())
            .reduce(u64::saturating_add),
        error: (!success).then(|| failure(&value["error"])),
        ..AgentResult::default()
    }
}

fn failure(error: &Value) -> Failure {
    let said = Failure::new(text(error, "message"));
    let kind = said.kind.or_else(|| owned(&error["type"]));
    Failure { http_status: said.http_status.or_else(|| status(&error["code"])), kind, ..said }
}

//! Claude Code: `stream-json` has one event per line, `json` only the last of them, and `json --verbose` an array of
//! all.

use serde_json::Value;

use super::value::{MESSAGE, owned, status, text, unknown};
use crate::agent::digest::{Denial, Failure, Usage};
use crate::agent::event::{AgentEvent, AgentResult, Retry, Tool};
use crate::agent::words::plain;

/// The name of the model in messages of the CLI itself.
const SYNTHETIC: &str = "<synthetic>";

pub(super) fn events(value: &Value) -> Vec<AgentEvent> {
    match text(value, "type") {
        "system" => system(value),
        "assistant" => assistant(value),
        "user" => tool_results(value),
        "stream_event" => delta(&value["event"]["delta"]),
        "result" => vec![AgentEvent::Result(Box::new(result(value)))],
        "tool_progress" | "keep_alive" | "rate_limit_event" => Vec::new(),
        kind => unknown(kind),
    }
}

fn system(value: &Value) -> Vec<AgentEvent> {
    match text(value, "subtype") {
        "init" => vec![AgentEvent::Session { id: owned(&value["session_id"]), model: owned(&value["model"]) }],
        "api_retry" => vec![AgentEvent::Retry(Retry {
            attempt: value["attempt"].as_u64().unwrap_or_default(),
            of: value["max_retries"].as_u64(),
            after_ms: value["retry_delay_ms"].as_f64().map(|millis| millis as u64),
            status: status(&value["error_status"]),
            reason: owned(&value["error"]),
        })],
        "permission_denied" => vec![AgentEvent::Denied {
            id: owned(&value["tool_use_id"]),
            tool: owned(&value["tool_name"]).map(|name| Tool::new(&name, &value["tool_input"])),
        }],
        "background_tasks_changed" => {
            vec![AgentEvent::Background { running: value["tasks"].as_array().map_or(0, Vec::len) as u64 }]
        }
        "task_started" | "task_updated" | "task_progress" | "task_notification" | "status" | "compact_boundary" => {
            Vec::new()
        }
        kind => unknown(format!("system/{kind}")),
    }
}

/// The events of an answer of the model. The text of a subagent is not part of the answer, but its tool calls count.
fn assistant(value: &Value) -> Vec<AgentEvent> {
    let message = &value["message"];
    if value["is_api_error_message"] == true {
        let said =
            message["content"].as_array().into_iter().flatten().map(|part| text(part, "text")).collect::<String>();
        return vec![AgentEvent::Error(failure(value, &said))];
    }
    let is_own = value["parent_tool_use_id"].is_null();
    let mut events = Vec::new();
    if is_own && text(message, "model") != SYNTHETIC {
        events.push(AgentEvent::Turn { id: owned(&message["id"]) });
    }
    for part in message["content"].as_array().into_iter().flatten() {
        match text(part, "type") {
            "text" if is_own => events.push(AgentEvent::Text(text(part, "text").to_owned())),
            "thinking" | "redacted_thinking" if is_own => events.push(AgentEvent::Thinking),
            "tool_use" | "server_tool_use" => events.push(AgentEvent::ToolStart {
                id: text(part, "id").to_owned(),
                tool: Tool::new(text(part, "name"), &part["input"]),
            }),
            _ => {}
        }
    }
    events
}

fn tool_results(value: &Value) -> Vec<AgentEvent> {
    let parts = value["message"]["content"].as_array().into_iter().flatten();
    let ends = |part: &Value| {
        let id = text(part, "tool_use_id").to_owned();
        let ok = part["is_error"] != true;
        let said = part["content"].as_str().or_else(|| part["content"][0]["text"].as_str());
        let said = said.filter(|_| !ok).and_then(|said| said.lines().next()).map(without_tags);
        // A tool that was taken away is reported nowhere else; one that never existed is the model's mistake.
        let taken = said.is_some_and(|said| said.contains("No such tool available") && said.contains("is disabled"));
        let denied = taken.then(|| AgentEvent::Denied { id: Some(id.clone()), tool: None });
        denied.into_iter().chain([AgentEvent::ToolEnd { id, ok, summary: said.map(str::to_owned) }])
    };
    parts.filter(|part| part["type"] == "tool_result").flat_map(ends).collect()
}

/// Returns the error without the tags that were added for the model.
fn without_tags(said: &str) -> &str {
    let said = said.strip_prefix("<tool_use_error>").unwrap_or(said);
    said.strip_suffix("</tool_use_error>").unwrap_or(said)
}

fn delta(delta: &Value) -> Vec<AgentEvent> {
    match text(delta, "type") {
        "text_delta" => vec![AgentEvent::TextDelta(text(delta, "text").to_owned())],
        "thinking_delta" => vec![AgentEvent::Thinking],
        _ => Vec::new(),
    }
}

/// A subtype of `success` proves nothing: a failed request to the model has it as well.
fn result(value: &Value) -> AgentResult {
    let success = value["is_error"] != true && text(value, "subtype") == "success";
    let models = value["modelUsage"].as_object();
    let only = models.filter(|models| models.len() == 1).and_then(|models| models.keys().next());
    let denied = |denial: &Value| {
        let tool = Tool::new(text(denial, "tool_name"), &denial["tool_input"]);
        Denial { what: tool.purpose().to_owned(), tool: tool.name, id: owned(&denial["tool_use_id"]) }
    };
    let errors = value["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let said = match text(value, "terminal_reason") {
        // The CLI's own message in this case is for its developers.
        aborted if aborted.starts_with("aborted") => "interrupted".to_owned(),
        _ => value["result"].as_str().map_or_else(|| errors.collect::<Vec<_>>().join("; "), str::to_owned),
    };
    AgentResult {
        success,
        text: success.then(|| text(value, "result").to_owned()),
        structured: value.get("structured_output").filter(|output| !output.is_null()).cloned(),
        session_id: owned(&value["session_id"]),
        model: only.map(|name| plain(name, MESSAGE)),
        turns: value["num_turns"].as_u64(),
        tool_calls: None,
        cost_usd: value["total_cost_usd"].as_f64(),
        usage: Some(usage(value)),
        duration_ms: value["duration_ms"].as_u64(),
        api_duration_ms: value["duration_api_ms"].as_u64(),
        denied: value["permission_denials"].as_array().into_iter().flatten().map(denied).collect(),
        error: (!success).then(|| failure(value, &said)),
    }
}

fn failure(value: &Value, said: &str) -> Failure {
    let mut failure = Failure::new(said);
    let subtype = owned(&value["subtype"]).filter(|subtype| subtype != "success");
    failure.http_status = status(&value["api_error_status"]).or(failure.http_status);
    let kind = subtype.or_else(|| owned(&value["api_error_type"])).or_else(|| owned(&value["terminal_reason"]));
    failure.kind = kind.or(failure.kind);
    failure
}

/// `usage` covers a single result and is empty if it was interrupted; `modelUsage` covers all of them, like the cost.
fn usage(value: &Value) -> Usage {
    let models = value["modelUsage"].as_object().into_iter().flatten().map(|(_, model)| Usage {
        input_tokens: model["inputTokens"].as_u64(),
        output_tokens: model["outputTokens"].as_u64(),
        cache_read_tokens: model["cacheReadInputTokens"].as_u64(),
        cache_write_tokens: model["cacheCreationInputTokens"].as_u64(),
        reasoning_tokens: model["thinkingTokens"].as_u64(),
    });
    models.reduce(Usage::plus).unwrap_or_else(|| {
        let usage = &value["usage"];
        Usage {
            input_tokens: usage["input_tokens"].as_u64(),
            output_tokens: usage["output_tokens"].as_u64(),
            cache_read_tokens: usage["cache_read_input_tokens"].as_u64(),
            cache_write_tokens: usage["cache_creation_input_tokens"].as_u64(),
            reasoning_tokens: usage["output_tokens_details"]["thinking_tokens"].as_u64(),
        }
    })
}

//! Codex: `exec --json` has one event per line.

use serde_json::{Value, json};

use super::value::{owned, text, unknown};
use crate::agent::digest::{Failure, Usage};
use crate::agent::event::{AgentEvent, AgentResult, Retry, Tool};

pub(super) fn events(value: &Value) -> Vec<AgentEvent> {
    match text(value, "type") {
        "thread.started" => vec![AgentEvent::Session { id: owned(&value["thread_id"]), model: None }],
        "turn.started" => vec![AgentEvent::Turn { id: None }],
        "item.started" => item(&value["item"], Stage::Started),
        "item.updated" => Vec::new(),
        "item.completed" => item(&value["item"], Stage::Completed),
        "turn.completed" => vec![AgentEvent::Result(Box::new(AgentResult {
            success: true,
            usage: Some(usage(&value["usage"])),
            ..AgentResult::default()
        }))],
        "turn.failed" => vec![AgentEvent::Result(Box::new(AgentResult {
            error: Some(Failure::new(text(&value["error"], "message"))),
            ..AgentResult::default()
        }))],
        "error" => vec![error(text(value, "message"))],
        kind => unknown(kind),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Started,
    Completed,
}

fn item(item: &Value, stage: Stage) -> Vec<AgentEvent> {
    let completed = stage == Stage::Completed;
    match text(item, "type") {
        "agent_message" if completed => vec![AgentEvent::Text(text(item, "text").to_owned())],
        "reasoning" => vec![AgentEvent::Thinking],
        "error" if completed => vec![AgentEvent::Warning(text(item, "message").to_owned())],
        "command_execution" => {
            let command = text(item, "command");
            // As in `/bin/bash -lc 'cargo test'`.
            let asked = command.split_once(" -lc ").map_or(command, |(_, asked)| asked.trim_matches(['\'', '"']));
            call(item, stage, Tool::new("shell", &json!({ "command": asked })))
        }
        "mcp_tool_call" => {
            let name = format!("{}.{}", text(item, "server"), text(item, "tool"));
            call(item, stage, Tool::new(&name, &item["arguments"]))
        }
        // These may have no start event.
        "web_search" if completed => both(item, Tool::new("web_search", item)),
        "file_change" if completed => both(item, Tool::new("file_change", &item["changes"][0])),
        "agent_message" | "error" | "web_search" | "file_change" | "todo_list" => Vec::new(),
        kind => unknown(format!("item/{kind}")),
    }
}

fn call(item: &Value, stage: Stage, tool: Tool) -> Vec<AgentEvent> {
    let id = text(item, "id").to_owned();
    if stage == Stage::Started {
        return vec![AgentEvent::ToolStart { id, tool }];
    }
    let ok = text(item, "status") == "completed" && item["exit_code"].as_i64().unwrap_or_default() == 0;
    let said = owned(&item["error"]["message"]);
    let exited = item["exit_code"].as_i64().map(|code| format!("exit code {code}"));
    let refused =
        text(item, "status") == "declined" || said.as_ref().is_some_and(|said| said.contains("requires approval"));
    let denied = refused.then(|| AgentEvent::Denied { id: Some(id.clone()), tool: Some(tool) });
    let end = AgentEvent::ToolEnd { id, ok, summary: said.or(exited).filter(|_| !ok) };
    denied.into_iter().chain([end]).collect()
}

fn both(item: &Value, tool: Tool) -> Vec<AgentEvent> {
    let id = text(item, "id").to_owned();
    let ok = text(item, "status") != "failed";
    vec![AgentEvent::ToolStart { id: id.clone(), tool }, AgentEvent::ToolEnd { id, ok, summary: None }]
}

/// A retry is reported as an error as well: `Reconnecting... 1/5 (the reason)`.
fn error(message: &str) -> AgentEvent {
    let retry = message.strip_prefix("Reconnecting... ").and_then(|rest| {
        let (count, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let (attempt, of) = count.split_once('/')?;
        let failure = Failure::new(reason);
        Some(AgentEvent::Retry(Retry {
            attempt: attempt.parse().ok()?,
            of: of.parse().ok(),
            after_ms: None,
            status: failure.http_status,
            reason: Some(failure.message.trim_matches(['(', ')']).to_owned()).filter(|reason| !reason.is_empty()),
        }))
    });
    retry.unwrap_or_else(|| AgentEvent::Error(Failure::new(message)))
}

fn usage(usage: &Value) -> Usage {
    Usage {
        input_tokens: usage["input_tokens"].as_u64(),
        output_tokens: usage["output_tokens"].as_u64(),
        cache_read_tokens: usage["cached_input_tokens"].as_u64(),
        cache_write_tokens: usage["cache_write_input_tokens"].as_u64(),
        reasoning_tokens: usage["reasoning_output_tokens"].as_u64(),
    }
}

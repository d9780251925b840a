//! opencode: `run --format json` has one event per line. Usage is reported per step.

use serde_json::Value;

use super::value::{owned, status, text, unknown};
use crate::agent::digest::{Failure, Usage};
use crate::agent::event::{AgentEvent, AgentResult, Tool};

pub(super) fn events(value: &Value) -> Vec<AgentEvent> {
    let part = &value["part"];
    match text(value, "type") {
        "step_start" => vec![
            AgentEvent::Session { id: owned(&value["sessionID"]), model: None },
            AgentEvent::Turn { id: owned(&part["id"]) },
        ],
        "text" => vec![AgentEvent::Text(text(part, "text").to_owned())],
        "reasoning" => vec![AgentEvent::Thinking],
        "tool_use" => tool_use(part),
        "step_finish" => step_finish(part),
        "error" => vec![AgentEvent::Result(Box::new(AgentResult {
            session_id: owned(&value["sessionID"]),
            error: Some(failure(&value["error"])),
            ..AgentResult::default()
        }))],
        kind => unknown(kind),
    }
}

/// The messages of denied calls: by a rule, and because no user was there to approve.
const REFUSALS: [&str; 2] =
    ["The user has specified a rule which prevents you from using", "The user rejected permission to use"];

/// A call is reported when it has ended. A call of a tool that does not exist becomes a call of the tool `invalid`,
/// which completes. A tool that the permissions forbid does not exist for the model, which called it from memory.
fn tool_use(part: &Value) -> Vec<AgentEvent> {
    let (id, state) = (text(part, "callID").to_owned(), &part["state"]);
    let exit_code = state["metadata"]["exit"].as_i64().unwrap_or_default();
    let is_absent = text(part, "tool") == "invalid";
    let error = if is_absent { &state["input"]["error"] } else { &state["error"] };
    let name = if is_absent { text(&state["input"], "tool") } else { text(part, "tool") };
    let ok = text(state, "status") == "completed" && exit_code == 0 && !is_absent;
    let said = owned(error).or_else(|| Some(format!("exit code {exit_code}")).filter(|_| exit_code != 0));
    let is_refused = |said: &String| REFUSALS.iter().any(|refusal| said.starts_with(refusal));
    let is_denied = (is_absent && error.as_str().is_some_and(|error| error.contains("unavailable tool")))
        || said.as_ref().is_some_and(is_refused);
    let denied = is_denied.then(|| AgentEvent::Denied { id: Some(id.clone()), tool: None });
    let start = AgentEvent::ToolStart { id: id.clone(), tool: Tool::new(name, &state["input"]) };
    let end = AgentEvent::ToolEnd { id, ok, summary: said.filter(|_| !ok) };
    [start].into_iter().chain(denied).chain([end]).collect()
}

/// A step with the reason `stop` is the last one, and its text is the answer. After any other reason except tool calls,
/// only the exit code shows the outcome.
fn step_finish(part: &Value) -> Vec<AgentEvent> {
    let tokens = &part["tokens"];
    let usage = Usage {
        input_tokens: tokens["input"].as_u64(),
        output_tokens: tokens["output"].as_u64(),
        cache_read_tokens: tokens["cache"]["read"].as_u64(),
        cache_write_tokens: tokens["cache"]["write"].as_u64(),
        reasoning_tokens: tokens["reasoning"].as_u64(),
    };
    let spent = AgentEvent::Spent { usage, cost_usd: part["cost"].as_f64() };
    let end = match text(part, "reason") {
        "stop" => Some(AgentEvent::Result(Box::new(AgentResult { success: true, ..AgentResult::default() }))),
        "tool-calls" => None,
        reason => Some(AgentEvent::Warning(format!("the model stopped: {reason}"))),
    };
    [spent].into_iter().chain(end).collect()
}

fn failure(error: &Value) -> Failure {
    let data = &error["data"];
    let message = owned(&data["message"]).or_else(|| owned(&error["message"])).or_else(|| owned(&error["name"]));
    let said = Failure::new(&message.unwrap_or_default());
    Failure { http_status: status(&data["statusCode"]).or(said.http_status), kind: owned(&error["name"]), ..said }
}

//! The tools: one file each.

// In the order in which to read them:
// - `schema.rs`, `nature.rs`: what clients are told of a tool
// - `arguments.rs`, `answer.rs`: what several tools take, and what a call comes to
// - `execute.rs`, `delegate.rs`: starting a job
// - `wait.rs`, `output.rs`, `status.rs`, `list.rs`: looking
// - `interact.rs`, `kill.rs`: acting on what runs

mod answer;
mod arguments;
pub(crate) mod delegate;
pub(crate) mod execute;
mod interact;
mod kill;
mod list;
mod nature;
mod output;
mod schema;
mod status;
mod wait;

use std::sync::LazyLock;

use jobcore::Job;
use rmcp::model::{CallToolResponse, ContentBlock, JsonObject, Tool};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::failure::Failure;
use crate::server::{Context, Server};

use answer::Result;

pub(crate) use arguments::LONGEST_WAIT;

/// Returns all tools, in the order in which a model should look at them. Not all are shown everywhere.
pub(crate) fn all() -> &'static [Tool] {
    static ALL: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        vec![
            execute::tool(),
            delegate::tool(),
            wait::tool(),
            output::tool(),
            output::tail_tool(),
            interact::tool(),
            kill::tool(),
            status::tool(),
            list::tool(),
        ]
    });
    &ALL
}

/// Returns the same tools as models are told of them: without arguments that are rarely needed.
pub(crate) fn listed() -> &'static [Tool] {
    static LISTED: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        let mut tools = all().to_vec();
        for tool in &mut tools {
            tool.input_schema = schema::listed(&tool.input_schema);
        }
        tools
    });
    &LISTED
}

/// Calls a tool.
pub(crate) async fn call(
    server: &Server,
    name: &str,
    mut arguments: JsonObject,
    context: &Context,
) -> Result<CallToolResponse> {
    if let Some(tool) = all().iter().find(|known| known.name == name) {
        schema::fit(&tool.input_schema, &mut arguments).map_err(Failure::new)?;
    }
    let is_shortened = shorten_wait(&mut arguments);
    let mut response = dispatch(server, name, arguments, context).await?;
    if is_shortened && let CallToolResponse::Complete(result) = &mut response {
        result.content.push(ContentBlock::text(format!("[wait_s is at most {}.]", LONGEST_WAIT.as_secs())));
    }
    Ok(response)
}

/// Takes the longest wait that there is for a longer one, and returns whether it did: who asks for that will call again.
fn shorten_wait(arguments: &mut JsonObject) -> bool {
    let Some(wait) = arguments.get_mut("wait_s") else { return false };
    let is_longer = wait.as_f64().is_some_and(|wait| wait > LONGEST_WAIT.as_secs_f64());
    if is_longer {
        *wait = LONGEST_WAIT.as_secs().into();
    }
    is_longer
}

async fn dispatch(server: &Server, name: &str, arguments: JsonObject, context: &Context) -> Result<CallToolResponse> {
    let answer = match name {
        "execute" => return execute::run(server, parse(name, arguments)?, context).await,
        delegate::NAME => return delegate::run(server, parse(name, arguments)?, context).await,
        "wait" => wait::run(server, parse(name, arguments)?, context).await,
        "output" => output::run(server, parse(name, arguments)?).await,
        "tail" => output::tail(server, parse(name, arguments)?).await,
        "interact" => interact::run(server, parse(name, arguments)?, context).await,
        "kill" => kill::run(server, parse(name, arguments)?).await,
        "status" => status::run(server, parse(name, arguments)?).await,
        "list" => list::run(server, parse(name, arguments)?).await,
        _ => Err(Failure::new(format!("There is no tool `{name}`."))),
    };
    Ok(answer?.into_result().into())
}

fn parse<T: DeserializeOwned>(tool: &str, arguments: JsonObject) -> Result<T> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| Failure::new(format!("{tool}: {error}.")))
}

/// What a job comes to, as the call that started it tells it: at once, or later as the result of a task.
pub(crate) async fn answer(server: &Server, job: &Job) -> Result {
    match job.is_agent_run() {
        true => delegate::answer(server, job).await,
        false => execute::answer(server, job).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_are_few_and_small() {
        let tools = listed();
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, ["execute", "delegate", "wait", "output", "tail", "interact", "kill", "status", "list"]);
        let json = serde_json::to_string(tools).unwrap();
        assert!(json.len() < 8_000, "{} bytes", json.len());
        for tool in tools {
            let json = serde_json::to_value(tool).unwrap();
            assert!(json["description"].as_str().unwrap().len() < 2048 && json["title"].is_string(), "{json}");
            let annotations = &json["annotations"];
            assert!(annotations["readOnlyHint"].is_boolean() && annotations["openWorldHint"].is_boolean(), "{json}");
            // It says nothing of a tool that only reads.
            assert_eq!(annotations["readOnlyHint"] == false, annotations["destructiveHint"].is_boolean(), "{json}");
            assert_eq!(json["inputSchema"]["additionalProperties"], false, "{json}");
            let schema = json["inputSchema"].to_string();
            for noise in [schema::UNLISTED, "\"null\"", "$schema", "$ref", "\"format\":\"", "\"default\":null"] {
                assert!(!schema.contains(noise), "{noise} in {schema}");
            }
        }
    }
}

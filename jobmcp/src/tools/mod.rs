//! The tools, one file each.

// In the order in which to read them:
// - `schema.rs`, `nature.rs`: the descriptions of tools for clients
// - `arguments.rs`, `answer.rs`, `several.rs`: shared arguments, and the results of calls
// - `execute.rs`, `batch.rs`, `delegate.rs`: starting jobs
// - `wait.rs`, `output.rs`, `status.rs`, `list.rs`: showing jobs and their output
// - `interact.rs`, `kill.rs`: acting on running jobs

mod answer;
mod arguments;
mod batch;
pub(crate) mod delegate;
pub(crate) mod execute;
mod interact;
mod kill;
mod list;
mod nature;
mod output;
mod schema;
mod several;
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
use kill::LONGEST_GRACE;

/// Returns all tools, in the order in which a model should read them. Not all of them are listed.
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

/// Tools that are not listed, since another one does the same. Clients that know them can still call them.
const OLD_NAMES: [&str; 1] = ["tail"];

/// Returns the tools as they are listed: without rarely needed arguments.
pub(crate) fn listed() -> &'static [Tool] {
    static LISTED: LazyLock<Vec<Tool>> = LazyLock::new(|| {
        let mut tools = all().to_vec();
        tools.retain(|tool| !OLD_NAMES.contains(&tool.name.as_ref()));
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
    let notes: Vec<_> = [("wait_s", LONGEST_WAIT), ("grace_s", LONGEST_GRACE)]
        .into_iter()
        .filter_map(|(field, longest)| clamp(&mut arguments, field, longest.as_secs()))
        .collect();
    let mut response = dispatch(server, name, arguments, context).await?;
    if let CallToolResponse::Complete(result) = &mut response {
        result.content.extend(notes.into_iter().map(ContentBlock::text));
    }
    Ok(response)
}

/// Replaces a time out of bounds by the nearest valid one, and returns a note: a caller that wants to wait longer can
/// call again.
fn clamp(arguments: &mut JsonObject, field: &str, longest: u64) -> Option<String> {
    let value = arguments.get_mut(field)?;
    let (wanted, bound) = (value.as_f64()?, longest as f64);
    if (0.0..=bound).contains(&wanted) {
        return None;
    }
    *value = if wanted < 0.0 { 0 } else { longest }.into();
    Some(format!("[{field} is 0 to {longest}.]"))
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

/// Answers with the result of a job, like the call that started it: at once, or later as the result of a task.
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
        assert_eq!(names, ["execute", "delegate", "wait", "output", "interact", "kill", "status", "list"]);
        let json = serde_json::to_string(tools).unwrap();
        assert!(json.len() < 8_000, "{} bytes", json.len());
        for tool in tools {
            let json = serde_json::to_value(tool).unwrap();
            assert!(json["description"].as_str().unwrap().len() < 2048 && json["title"].is_string(), "{json}");
            let annotations = &json["annotations"];
            assert!(annotations["readOnlyHint"].is_boolean() && annotations["openWorldHint"].is_boolean(), "{json}");
            // The hint has no meaning for a tool that only reads.
            assert_eq!(annotations["readOnlyHint"] == false, annotations["destructiveHint"].is_boolean(), "{json}");
            assert_eq!(json["inputSchema"]["additionalProperties"], false, "{json}");
            let schema = json["inputSchema"].to_string();
            for noise in [schema::UNLISTED, "\"null\"", "$schema", "$ref", "\"format\":\"", "\"default\":null"] {
                assert!(!schema.contains(noise), "{noise} in {schema}");
            }
        }
    }
}

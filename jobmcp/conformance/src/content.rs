//! Prompts and resources of the suite, and contents other than text.

use jobmcp::Server;
use rmcp::model::{
    ContentBlock, ErrorData, GetPromptRequestParams, GetPromptResponse, GetPromptResult, JsonObject, Prompt,
    PromptArgument, PromptMessage, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, Role,
};
use serde_json::json;

use crate::Context;
use crate::dialogue::{self, Reply, Stage};
use crate::job;

/// One red pixel.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A sound without samples.
pub(crate) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
pub(crate) const WATCHED: &str = "test://watched-resource";
const TEMPLATE: (&str, &str) = ("test://template/", "/data");

const SIMPLE_PROMPT: &str = "test_simple_prompt";
const PROMPT_WITH_ARGUMENTS: &str = "test_prompt_with_arguments";
const PROMPT_WITH_RESOURCE: &str = "test_prompt_with_embedded_resource";
const PROMPT_WITH_IMAGE: &str = "test_prompt_with_image";
pub(crate) const ASKING_PROMPT: &str = "test_input_required_result_prompt";

pub(crate) fn resources() -> Vec<Resource> {
    [(TEXT, "text/plain"), (BINARY, "image/png"), (WATCHED, "text/plain")]
        .map(|(uri, mime_type)| Resource::new(uri, uri).with_description("A fixture").with_mime_type(mime_type))
        .to_vec()
}

pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(format!("{}{{id}}{}", TEMPLATE.0, TEMPLATE.1), "fixture")
        .with_description("A fixture")
        .with_mime_type("application/json")
}

/// Returns the contents of a resource, if it is one of these.
pub(crate) fn read(uri: &str) -> Option<ReadResourceResult> {
    let contents = match uri {
        TEXT => ResourceContents::text("This is the content of the static text resource.", uri),
        WATCHED => ResourceContents::text("This is watched, and never changes.", uri),
        BINARY => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
        _ => {
            let id = uri.strip_prefix(TEMPLATE.0)?.strip_suffix(TEMPLATE.1)?;
            let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
            ResourceContents::text(data.to_string(), uri).with_mime_type("application/json")
        }
    };
    Some(ReadResourceResult::new(vec![contents]))
}

pub(crate) fn prompts() -> Vec<Prompt> {
    let prompt = |name: &str, arguments: &[&str]| {
        let arguments = arguments.iter().map(|name| PromptArgument::new(*name).with_required(true)).collect();
        Prompt::new(name, Some("A fixture"), Some(arguments))
    };
    vec![
        prompt(SIMPLE_PROMPT, &[]),
        prompt(PROMPT_WITH_ARGUMENTS, &["arg1", "arg2"]),
        prompt(PROMPT_WITH_RESOURCE, &["resourceUri"]),
        prompt(PROMPT_WITH_IMAGE, &[]),
        prompt(ASKING_PROMPT, &[]),
    ]
}

pub(crate) fn is_prompt(name: &str) -> bool {
    prompts().iter().any(|prompt| prompt.name == name)
}

/// Returns the messages of a prompt, if it is one of these.
pub(crate) fn prompt(name: &str, arguments: &JsonObject) -> Option<GetPromptResult> {
    let argument = |name: &str| arguments.get(name).and_then(|value| value.as_str()).unwrap_or_default();
    let contents = match name {
        SIMPLE_PROMPT => vec![ContentBlock::text("This is a simple prompt for testing.")],
        PROMPT_WITH_ARGUMENTS => {
            let (first, second) = (argument("arg1"), argument("arg2"));
            vec![ContentBlock::text(format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        PROMPT_WITH_RESOURCE => {
            let resource =
                ContentBlock::embedded_text(argument("resourceUri"), "Embedded resource content for testing.");
            vec![resource, ContentBlock::text("Please process the embedded resource above.")]
        }
        PROMPT_WITH_IMAGE => {
            vec![ContentBlock::image(PNG, "image/png"), ContentBlock::text("Please analyze the image above.")]
        }
        _ => return None,
    };
    Some(messages(contents))
}

fn messages(contents: Vec<ContentBlock>) -> GetPromptResult {
    GetPromptResult::new(contents.into_iter().map(|content| PromptMessage::new(Role::User, content)).collect())
}

/// Answers the prompt that asks questions first.
pub(crate) async fn ask(
    server: &Server,
    request: GetPromptRequestParams,
    context: &Context,
) -> Result<GetPromptResponse, ErrorData> {
    let reply = Reply { state: request.request_state, answers: request.input_responses.unwrap_or_default() };
    let arguments = request.arguments.unwrap_or_default();
    match dialogue::hold(server, ASKING_PROMPT, &["user_context"], &arguments, &reply, context).await? {
        Stage::Asks(asked) => Ok(asked.into()),
        Stage::Knows(id) => Ok(messages(vec![ContentBlock::text(job::stdout(server, id).await?)]).into()),
    }
}

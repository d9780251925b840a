//! Tools of the suite.

use std::sync::LazyLock;

use jobmcp::Server;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, DetailedTask, ErrorCode,
    ErrorData, InputResponses, JsonObject, ProgressNotificationParam, ProtocolVersion, ResourceContents, TaskPayload,
    Tool,
};
use serde_json::{Value, json};

use crate::Context;
use crate::content::{PNG, WAV};
use crate::dialogue::{self, Reply, Stage};
use crate::job::{self, Following};

/// A tool, and what it does.
pub(crate) struct Fixture {
    tool: Tool,
    nature: Nature,
}

enum Nature {
    /// Runs a shell line, with the arguments of the call, an image and a sound as variables.
    Runs(&'static str, Answer),
    /// Asks these questions in rounds.
    Asks(&'static [&'static str], When),
}

enum Answer {
    /// The answer of `execute` after this many seconds.
    After(f64),
    /// The answer at the end of the job, as an error.
    Error,
    /// The output of the job, converted.
    Content(fn(String) -> Vec<ContentBlock>),
    /// The answer at the end. Each line of output is reported at once, as progress of 100.
    Progress,
    /// A task whose result is an error. Clients that do not support tasks are refused.
    ErrorTask,
    /// The same, but the task fails.
    FailedTask,
}

/// When a dialogue becomes a task.
enum When {
    Never,
    /// After the last question.
    AtEnd,
    /// Before the first question: the task asks.
    AtOnce,
    /// Never, and questions that the client does not support are skipped.
    NeverIfNotUnderstood,
}

/// Waits as long as a call can.
const WAITS: Answer = Answer::After(50.0);

static FIXTURES: LazyLock<Vec<Fixture>> = LazyLock::new(|| {
    use Answer::{Content, Error, ErrorTask, FailedTask, Progress};
    use Nature::{Asks, Runs};
    use When::{AtEnd, AtOnce, Never, NeverIfNotUnderstood};
    [
        // Tasks.
        ("greet", takes(&json!({ "name": { "type": "string" } })), Runs(r#"echo "Hello, $name!""#, Content(plain))),
        (
            "slow_compute",
            takes(&json!({ "seconds": { "type": "number" }, "label": { "type": "string" } })),
            Runs(r#"sleep "$seconds"; echo "computed $label""#, Answer::After(0.5)),
        ),
        ("failing_job", takes(&json!({})), Runs("sleep 1; echo 'this fails' >&2; exit 1", ErrorTask)),
        ("protocol_error_job", takes(&json!({})), Runs("sleep 1; kill -ABRT $$", FailedTask)),
        ("confirm_delete", takes(&json!({ "filename": { "type": "string" } })), Asks(&["confirm"], AtOnce)),
        ("multi_input", takes(&json!({})), Asks(&["user_name confirm"], AtOnce)),
        ("test_tool_with_task", takes(&json!({})), Asks(&["user_name"], AtEnd)),
        // Results.
        (
            "test_simple_text",
            takes(&json!({})),
            Runs("echo 'This is a simple text response for testing.'", Content(plain)),
        ),
        (
            "test_error_handling",
            takes(&json!({})),
            Runs("echo 'This tool intentionally returns an error for testing' >&2; exit 1", Error),
        ),
        (
            "test_image_content",
            takes(&json!({})),
            Runs(r#"echo "$png""#, Content(|data| vec![ContentBlock::image(data, "image/png")])),
        ),
        (
            "test_audio_content",
            takes(&json!({})),
            Runs(r#"echo "$wav""#, Content(|data| vec![ContentBlock::audio(data, "audio/wav")])),
        ),
        (
            "test_embedded_resource",
            takes(&json!({})),
            Runs(
                "echo 'This is an embedded resource content.'",
                Content(|text| vec![ContentBlock::embedded_text("test://embedded-resource", text)]),
            ),
        ),
        ("test_multiple_content_types", takes(&json!({})), Runs("echo 'Multiple content types test:'", Content(mixed))),
        (
            "test_tool_with_progress",
            takes(&json!({})),
            Runs("for done in 0 50 100; do echo $done; sleep 0.05; done", Progress),
        ),
        // The suite disconnects after 10 seconds, and fetches the answer over a new connection.
        ("test_reconnection", takes(&json!({})), Runs("sleep 11; echo 'still here'", WAITS)),
        ("test_logging_tool", takes(&json!({})), Runs("echo 'this server sends no log'", WAITS)),
        ("json_schema_2020_12_tool", everything(), Runs("true", WAITS)),
        (
            "test_header",
            takes(&json!({ "region": { "type": "string", "x-mcp-header": "Region" } })),
            Runs(r#"echo "$region""#, WAITS),
        ),
        // Questions.
        ("test_missing_capability", takes(&json!({})), Asks(&["greeting"], Never)),
        ("test_streaming_elicitation", takes(&json!({})), Asks(&["user_name"], Never)),
        ("test_sampling", takes(&json!({ "prompt": { "type": "string" } })), Asks(&["prompt"], Never)),
        ("test_elicitation", takes(&json!({ "message": { "type": "string" } })), Asks(&["message"], Never)),
        ("test_elicitation_sep1034_defaults", takes(&json!({})), Asks(&["defaults"], Never)),
        ("test_elicitation_sep1330_enums", takes(&json!({})), Asks(&["choices"], Never)),
        ("test_input_required_result_elicitation", takes(&json!({})), Asks(&["user_name"], Never)),
        ("test_input_required_result_sampling", takes(&json!({})), Asks(&["capital_question"], Never)),
        ("test_input_required_result_list_roots", takes(&json!({})), Asks(&["client_roots"], Never)),
        ("test_input_required_result_request_state", takes(&json!({})), Asks(&["confirm"], Never)),
        ("test_input_required_result_tampered_state", takes(&json!({})), Asks(&["confirm"], Never)),
        ("test_input_required_result_multi_round", takes(&json!({})), Asks(&["step1", "step2"], Never)),
        (
            "test_input_required_result_multiple_inputs",
            takes(&json!({})),
            Asks(&["user_name greeting client_roots"], Never),
        ),
        (
            "test_input_required_result_capabilities",
            takes(&json!({})),
            Asks(&["user_name", "greeting"], NeverIfNotUnderstood),
        ),
    ]
    .into_iter()
    .map(|(name, schema, nature)| Fixture {
        tool: Tool::new(name, "A fixture of the conformance suite", schema),
        nature,
    })
    .collect()
});

/// Returns the schema for these arguments.
fn takes(properties: &Value) -> JsonObject {
    object(json!({ "type": "object", "properties": properties }))
}

fn object(value: Value) -> JsonObject {
    if let Value::Object(object) = value { object } else { JsonObject::new() }
}

/// A schema in which all keywords must be preserved.
fn everything() -> JsonObject {
    object(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
            },
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" },
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false,
    }))
}

pub(crate) fn all() -> impl Iterator<Item = &'static Tool> {
    FIXTURES.iter().map(|fixture| &fixture.tool)
}

pub(crate) fn find(name: &str) -> Option<&'static Fixture> {
    FIXTURES.iter().find(|fixture| fixture.tool.name == name)
}

pub(crate) async fn call(
    server: &Server,
    fixture: &'static Fixture,
    request: CallToolRequestParams,
    context: &Context,
) -> Result<CallToolResponse, ErrorData> {
    let name = &fixture.tool.name;
    let arguments = request.arguments.unwrap_or_default();
    match &fixture.nature {
        Nature::Runs(line, answer) => run(server, name, line, answer, &arguments, context).await,
        Nature::Asks(rounds, when) => {
            let reply = Reply { state: request.request_state, answers: request.input_responses.unwrap_or_default() };
            ask(server, name, rounds, when, &arguments, &reply, context).await
        }
    }
}

async fn run(
    server: &Server,
    fixture: &str,
    line: &str,
    answer: &Answer,
    arguments: &JsonObject,
    context: &Context,
) -> Result<CallToolResponse, ErrorData> {
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let mut variables: JsonObject = arguments.iter().map(|(name, value)| (name.clone(), word(value).into())).collect();
    variables.extend([("png".to_owned(), PNG.into()), ("wav".to_owned(), WAV.into())]);
    let mut special = json!({ "command": line, "env": variables });
    match answer {
        Answer::After(seconds) => {
            special["wait_s"] = (*seconds).into();
            job::execute(server, fixture, special, context).await
        }
        Answer::ErrorTask | Answer::FailedTask => {
            if !knows_tasks(context) {
                let required = ClientCapabilities::builder().enable_tasks().build();
                return Err(ErrorData::missing_required_client_capability(required));
            }
            let job = job::start(server, fixture, special, context).await?;
            Ok(job::created(server, &job, context).await?.into())
        }
        Answer::Error => {
            let job = job::start(server, fixture, special, context).await?;
            let mut failure = job::result(server, job.id, context).await?;
            failure.is_error = Some(true);
            Ok(failure.into())
        }
        Answer::Content(make) => {
            let job = job::start(server, fixture, special, context).await?;
            job::ended(server, job.id).await?;
            let written = job::stdout(server, job.id).await?;
            Ok(CallToolResult::success(make(written.trim_end().to_owned())).into())
        }
        Answer::Progress => {
            let job = job::start(server, fixture, special, context).await?;
            let mut following = Following::new(server, job.id);
            let mut told = 0;
            loop {
                let (job, output) = following.next().await?;
                for line in output.lines().skip(told) {
                    told += 1;
                    if let (Some(token), Ok(done)) = (context.meta.get_progress_token(), line.parse()) {
                        let progress = ProgressNotificationParam::new(token, done).with_total(100.0);
                        // As in the server, the call goes on even if the client cannot be notified.
                        let _ = context.peer.notify_progress(progress).await;
                    }
                }
                if job.status().is_final() {
                    return job::result(server, job.id, context).await.map(Into::into);
                }
            }
        }
    }
}

/// Returns whether the caller can be answered with a task.
fn knows_tasks(context: &Context) -> bool {
    context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
        && context.meta.protocol_version() >= Some(ProtocolVersion::V_2026_07_28)
}

async fn ask(
    server: &Server,
    fixture: &str,
    rounds: &[&str],
    when: &When,
    arguments: &JsonObject,
    reply: &Reply,
    context: &Context,
) -> Result<CallToolResponse, ErrorData> {
    let mut rounds = rounds.to_vec();
    match when {
        When::AtOnce => {
            let job = dialogue::begin(server, fixture, &rounds, context).await?;
            return Ok(job::created(server, &job, context).await?.into());
        }
        When::NeverIfNotUnderstood => {
            let known = context.client_capabilities().unwrap_or_default();
            rounds.retain(|question| dialogue::lacks(&known, question).is_none());
        }
        When::Never | When::AtEnd => {}
    }
    match (dialogue::hold(server, fixture, &rounds, arguments, reply, context).await?, when) {
        (Stage::Asks(asked), _) => Ok(asked.into()),
        (Stage::Knows(id), When::AtEnd) => {
            Ok(job::created(server, &job::get(server, id).await?, context).await?.into())
        }
        (Stage::Knows(id), _) => Ok(job::result(server, id, context).await?.into()),
    }
}

/// Adds to a task what the server does not know about fixtures: that it asks questions, or what its end means.
pub(crate) async fn amend(server: &Server, id: &str, task: &mut DetailedTask) -> Result<(), ErrorData> {
    let job = job::find(server, id).await?;
    let Some(fixture) = job::fixture(&job).and_then(find) else { return Ok(()) };
    match (&fixture.nature, &mut task.payload) {
        (Nature::Runs(_, Answer::ErrorTask), TaskPayload::Completed { result }) => {
            result.insert("isError".to_owned(), true.into());
        }
        (Nature::Runs(_, Answer::FailedTask), TaskPayload::Completed { .. }) => {
            let error = object(json!({ "code": ErrorCode::INTERNAL_ERROR.0, "message": "The job crashed." }));
            *task = DetailedTask::new(task.task.clone(), TaskPayload::Failed { error });
        }
        (Nature::Asks(..), TaskPayload::Working) => {
            let open = dialogue::open_in(&job::stdout(server, job.id).await?);
            if !open.is_empty() {
                let input_requests = dialogue::requests(&open, &JsonObject::new())?;
                *task = DetailedTask::new(task.task.clone(), TaskPayload::InputRequired { input_requests });
            }
        }
        _ => {}
    }
    Ok(())
}

/// Passes on answers to the questions of a task.
pub(crate) async fn update(server: &Server, id: &str, answers: &InputResponses) -> Result<(), ErrorData> {
    let job = job::find(server, id).await?;
    match job::fixture(&job).and_then(find) {
        Some(Fixture { nature: Nature::Asks(..), .. }) => dialogue::answer(server, job.id, answers).await.map(drop),
        _ => Ok(()),
    }
}

fn plain(text: String) -> Vec<ContentBlock> {
    vec![ContentBlock::text(text)]
}

fn mixed(text: String) -> Vec<ContentBlock> {
    let resource = ResourceContents::text(r#"{"test":"data","value":123}"#, "test://mixed-content-resource");
    vec![
        ContentBlock::text(text),
        ContentBlock::image(PNG, "image/png"),
        ContentBlock::resource(resource.with_mime_type("application/json")),
    ]
}

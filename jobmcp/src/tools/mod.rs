//! The tools: one file each.

pub(crate) mod delegate;
pub(crate) mod execute;
mod interact;
mod kill;
mod list;
mod output;
mod schema;
mod status;
mod wait;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::output::{Cursor, Stream};
use jobcore::shape::OutputShape;
use jobcore::{Job, JobId, Name, escape};
use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, JsonObject, MetaObject, Tool, ToolAnnotations};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::runs::Run;
use crate::server::Server;
use crate::text;

/// The longest that a call blocks: clients give up after 60 seconds, and not all of them say so.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(50);

/// The longest timeout of a job: a year. Longer ones are slips.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest path that the kernel takes.
const LONGEST_PATH: usize = 4_096;

pub(crate) type Result<T = Answer> = std::result::Result<T, Failure>;
pub(crate) type Context = RequestContext<RoleServer>;

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

/// What a tool is to clients: whether it changes anything, whether calling it again changes more.
struct Nature {
    reads: bool,
    destroys: bool,
    repeats: bool,
    /// Whether what it does reaches beyond jobs: a command can do anything.
    open: bool,
    /// Whether a client that hides most tools is asked to show this one at once.
    core: bool,
}

fn tool<T: JsonSchema + 'static>(name: &'static str, title: &str, description: &'static str, nature: &Nature) -> Tool {
    let mut annotations = ToolAnnotations::new().read_only(nature.reads).open_world(nature.open);
    if !nature.reads {
        annotations = annotations.destructive(nature.destroys);
    }
    if !nature.reads && nature.repeats {
        annotations = annotations.idempotent(true);
    }
    let tool = Tool::new_with_raw(name, Some(description.into()), schema::of::<T>())
        .with_title(title)
        .with_annotations(annotations);
    if !nature.core {
        return tool;
    }
    let mut meta = JsonObject::new();
    meta.insert("anthropic/alwaysLoad".to_owned(), Value::Bool(true));
    tool.with_meta(MetaObject(meta))
}

const READS: Nature = Nature { reads: true, destroys: false, repeats: true, open: false, core: false };

/// What a call comes to.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    structured: Option<Value>,
    job: Option<Value>,
}

impl Answer {
    /// Whatever a job is called or wrote, no client prints it to a terminal that obeys it.
    fn text(text: impl AsRef<str>) -> Self {
        Self { text: escape::lines(text.as_ref()).into_owned(), structured: None, job: None }
    }

    /// Says it in fields, and as JSON to those who read text only.
    fn fields(fields: Value) -> Self {
        Self::text(escape::json(&fields.to_string())).with_structured(fields)
    }

    /// Says the same in fields.
    fn with_structured(self, structured: Value) -> Self {
        Self { structured: Some(structured), ..self }
    }

    /// Names the job for programs, which read no text.
    fn about(self, job: &Job, cursor: Option<Cursor>) -> Self {
        let shape = job.shape(Timestamp::now());
        let mut about = json!({ "job_id": shape.job_id, "status": shape.status });
        let fields = [
            ("name", json!(shape.name)),
            ("exit_code", json!(shape.exit_code)),
            ("signal", json!(shape.signal)),
            ("cursor", json!(cursor)),
        ];
        for (field, value) in fields {
            if !value.is_null() {
                about[field] = value;
            }
        }
        Self { job: Some(about), ..self }
    }

    /// Says how far the run of an agent is that the job is, if it is one.
    fn with_progress(mut self, run: Option<&Run<'_>>) -> Self {
        if let (Some(job), Some(run)) = (&mut self.job, run) {
            job["progress"] = run.agent.progress.as_str().into();
        }
        self
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(self.text)]);
        result.structured_content = self.structured;
        let meta = self.job.map(|job| MetaObject([("jobcore/job".to_owned(), job)].into_iter().collect()));
        result.with_meta(meta)
    }
}

/// The name of a job or a group, if one is given.
fn name(field: &str, text: Option<String>) -> Result<Option<Name>> {
    text.map(|text| text.parse().map_err(|reason| Failure::new(format!("{field}: {reason}.")))).transpose()
}

/// Waits for the end of a job that a call started, for so long, and returns the job as it is then.
async fn started(server: &Server, id: JobId, wait: Duration, context: &Context) -> Result<Job> {
    if !wait.is_zero() {
        let ended = tokio::time::timeout(wait, server.jobs().wait_for(id));
        // However that ends, the job is there.
        let _ = server.patiently(ended, context).await;
    }
    job(server, id).await
}

/// What a job comes to, as the call that started it tells it: at once, or later as the result of a task.
pub(crate) async fn answer(server: &Server, job: &Job) -> Result {
    match job.is_agent_run() {
        true => delegate::answer(server, job).await,
        false => execute::answer(server, job).await,
    }
}

/// Returns the directory in which jobs run, unless a call names another, and from which that is looked at.
fn current_dir(server: &Server) -> jobcore::Result<PathBuf> {
    match &server.background().working_dir {
        Some(directory) => Ok(directory.clone()),
        None => std::env::current_dir().map_err(|error| jobcore::Error::BadCwd {
            path: ".".into(),
            reason: format!("the server's own directory cannot be used ({error}); give `cwd` as an absolute path"),
        }),
    }
}

/// Refuses a directory of which the kernel would not take the path.
fn short_enough(cwd: Option<&PathBuf>) -> Result<()> {
    match cwd.is_some_and(|cwd| cwd.as_os_str().len() > LONGEST_PATH) {
        true => Err(Failure::new(format!("cwd: a path has at most {LONGEST_PATH} bytes."))),
        false => Ok(()),
    }
}

/// How long a job may run, if the call says so.
fn timeout(server: &Server, timeout_s: Option<f64>) -> Result<Option<Duration>> {
    let longest = server.background().job_timeout.unwrap_or(LONGEST_TIMEOUT);
    timeout_s.map(|timeout| seconds("timeout_s", Some(timeout), Duration::ZERO, longest)).transpose()
}

/// How many jobs a call may name: the result has some characters for each.
const MOST_JOBS: usize = 500;

/// Refuses a list of jobs of which the result would be too long.
fn few(references: &[String]) -> Result<()> {
    match references.len() {
        0..=MOST_JOBS => Ok(()),
        count => Err(Failure::new(format!("job_ids: {count} are too many; name at most {MOST_JOBS} in one call."))),
    }
}

/// Finds the job that a model means.
async fn find(server: &Server, reference: &str) -> Result<JobId> {
    let jobs = server.jobs();
    match jobs.find(reference).await {
        Ok(id) => Ok(id),
        Err(error) => Err(Failure::of(error, jobs).await),
    }
}

/// Returns the job, or says why not.
async fn job(server: &Server, id: JobId) -> Result<Job> {
    told(server, server.jobs().job(id).await).await
}

/// Turns the library's error into words for a model.
async fn told<T>(server: &Server, result: jobcore::Result<T>) -> Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(Failure::of(error, server.jobs()).await),
    }
}

/// A number of seconds, within bounds.
fn seconds(field: &str, value: Option<f64>, default: Duration, longest: Duration) -> Result<Duration> {
    let Some(value) = value else { return Ok(default) };
    let longest_s = longest.as_secs();
    match Duration::try_from_secs_f64(value) {
        Ok(time) if time <= longest => Ok(time),
        _ => Err(Failure::new(format!("{field}: {value} is not between 0 and {longest_s} seconds."))),
    }
}

// No documentation: it would be in every tool that has this argument.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Which {
    #[default]
    Both,
    Stdout,
    Stderr,
}

impl Which {
    fn stream(self) -> Option<Stream> {
        match self {
            Self::Both => None,
            Self::Stdout => Some(Stream::Stdout),
            Self::Stderr => Some(Stream::Stderr),
        }
    }
}

// As above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Format {
    #[default]
    Text,
    Json,
}

/// Returns output in fields: for programs, and for whoever wants the streams apart.
fn output_fields(job: &Job, shape: &OutputShape) -> Value {
    let mut fields = json!({
        "job_id": shape.job_id,
        "status": shape.status,
        "stdout": shape.stdout,
        "stderr": shape.stderr,
        "cursor": shape.cursor,
        "omitted": shape.omitted_bytes + shape.left_out.map_or(0, |left| left.bytes),
    });
    if let Some(left) = shape.left_out {
        fields["left_out"] = json!({ "cursor": left.cursor, "bytes": left.bytes });
    }
    let outcome = job.state.outcome();
    if let Some(code) = outcome.and_then(|outcome| outcome.exit_code) {
        fields["exit_code"] = code.into();
    }
    if let Some(signal) = outcome.and_then(|outcome| outcome.signal) {
        fields["signal"] = json!(signal);
    }
    if let Some(count) = outcome.map(|outcome| outcome.stragglers).filter(|count| *count > 0) {
        fields["stragglers"] = count.into();
    }
    fields
}

/// Answers with output in fields.
async fn answer_in_fields(server: &Server, job: &Job, from: Cursor, which: Which, budget: u64) -> Result {
    let query = jobcore::output::OutputQuery::from(jobcore::output::Position::Cursor(from)).with_stream(which.stream());
    let shape = told(server, server.jobs().view_text(job.id, &query, &text::view(budget)).await).await?;
    let fields = output_fields(job, &shape);
    Ok(Answer::fields(fields).about(job, Some(shape.cursor)))
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

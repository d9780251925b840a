//! Jobs of fixtures, started by a call of `execute` like all others.

use jobcore::output::{Cursor, OutputQuery, Position, Stream};
use jobcore::{Job, JobId};
use jobmcp::Server;
use rmcp::ServerHandler;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CreateTaskResult, DetailedTask, ErrorData, GetTaskParams,
    JsonObject, TaskPayload,
};
use serde_json::{Value, json};

use crate::Context;

/// The label that names the fixture of a job.
const LABEL: &str = "fixture";

/// Calls `execute` for a fixture, with its special arguments. The job ends with the server, since the suite abandons
/// some.
pub(crate) async fn execute(
    server: &Server,
    fixture: &str,
    special: Value,
    context: &Context,
) -> Result<CallToolResponse, ErrorData> {
    let mut arguments: JsonObject =
        [("lifetime".to_owned(), json!("session")), ("labels".to_owned(), json!({ LABEL: fixture }))]
            .into_iter()
            .collect();
    if let Value::Object(special) = special {
        arguments.extend(special);
    }
    let request = CallToolRequestParams::new("execute").with_arguments(arguments);
    server.call_tool(request, context.clone()).await
}

/// Like [`execute`], for a fixture that manages the job itself.
pub(crate) async fn start(
    server: &Server,
    fixture: &str,
    mut special: Value,
    context: &Context,
) -> Result<Job, ErrorData> {
    special["wait_s"] = 0.into();
    special["format"] = "json".into();
    let response = execute(server, fixture, special, context).await?;
    let CallToolResponse::Complete(result) = response else { return Err(failed(&response)) };
    match result.structured_content.as_ref().and_then(|fields| fields["job_id"].as_str()) {
        Some(id) => find(server, id).await,
        None => Err(failed(&result)),
    }
}

/// Finds a job by its id.
pub(crate) async fn find(server: &Server, id: &str) -> Result<Job, ErrorData> {
    let id: JobId = id.parse().map_err(|_| ErrorData::invalid_params("this was not returned by this server", None))?;
    get(server, id).await
}

/// Reads a job that exists.
pub(crate) async fn get(server: &Server, id: JobId) -> Result<Job, ErrorData> {
    server.jobs().job(id).await.map_err(|error| failed(&error))
}

/// Returns the fixture of a job.
pub(crate) fn fixture(job: &Job) -> Option<&str> {
    job.spec.labels.get(LABEL).map(String::as_str)
}

/// Returns what a job has written to standard output so far.
pub(crate) async fn stdout(server: &Server, id: JobId) -> Result<String, ErrorData> {
    let query = OutputQuery::from(Position::Start).with_stream(Some(Stream::Stdout));
    let chunk = server.jobs().output(id, &query).await.map_err(|error| failed(&error))?;
    Ok(String::from_utf8_lossy(&chunk.bytes(None)).into_owned())
}

/// Reads a job and its standard output, and again whenever there is more output.
pub(crate) struct Following<'a> {
    server: &'a Server,
    id: JobId,
    seen: Option<Cursor>,
}

impl<'a> Following<'a> {
    pub(crate) fn new(server: &'a Server, id: JobId) -> Self {
        Self { server, id, seen: None }
    }

    pub(crate) async fn next(&mut self) -> Result<(Job, String), ErrorData> {
        if let Some(seen) = self.seen {
            self.server.jobs().more_output(self.id, seen).await.map_err(|error| failed(&error))?;
        }
        // The job first: if it has ended, all of its output can be read afterwards.
        let job = get(self.server, self.id).await?;
        self.seen = Some(Cursor(job.output.bytes));
        Ok((job, stdout(self.server, self.id).await?))
    }
}

/// Waits for the end of a job, and returns its result.
pub(crate) async fn result(server: &Server, id: JobId, context: &Context) -> Result<CallToolResult, ErrorData> {
    let job = ended(server, id).await?;
    match as_task(server, &job, context).await?.payload {
        TaskPayload::Completed { result } => {
            serde_json::from_value(Value::Object(result)).map_err(|error| failed(&error))
        }
        other => Err(failed(&other)),
    }
}

/// Returns the task of a new job.
pub(crate) async fn created(server: &Server, job: &Job, context: &Context) -> Result<CreateTaskResult, ErrorData> {
    let task = as_task(server, job, context).await?.task;
    Ok(CreateTaskResult::new(DetailedTask::new(task, TaskPayload::Working).task))
}

async fn as_task(server: &Server, job: &Job, context: &Context) -> Result<DetailedTask, ErrorData> {
    Ok(server.get_task(GetTaskParams::new(job.id.to_string()), context.clone()).await?.task)
}

/// Waits for the end of a job.
pub(crate) async fn ended(server: &Server, id: JobId) -> Result<Job, ErrorData> {
    server.jobs().wait_for(id).await.map_err(|error| failed(&error))
}

pub(crate) fn failed(what: &impl std::fmt::Debug) -> ErrorData {
    ErrorData::internal_error(format!("a fixture failed: {what:?}"), None)
}

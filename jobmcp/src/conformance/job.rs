//! Jobs of fixtures: started by a call of `execute`, as everybody's are.

use jobcore::output::{Cursor, Stream};
use jobcore::{Job, JobId};
use rmcp::model::{CallToolResponse, ErrorData, JsonObject};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::server::Server;
use crate::text::{self, LARGEST};
use crate::tools::{self, Context};

/// The label that names the fixture of a job.
const LABEL: &str = "fixture";

/// Calls `execute` for a fixture, with what is special to it. The job ends with the server, since the suite leaves some alone.
pub(super) async fn execute(
    server: &Server,
    fixture: &str,
    special: Value,
    context: &Context,
) -> Result<CallToolResponse, Failure> {
    let mut arguments: JsonObject =
        [("lifetime".to_owned(), json!("session")), ("labels".to_owned(), json!({ LABEL: fixture }))]
            .into_iter()
            .collect();
    if let Value::Object(special) = special {
        arguments.extend(special);
    }
    tools::call(server, "execute", arguments, context).await
}

/// As [`execute`], for a fixture that looks after the job itself.
pub(super) async fn start(
    server: &Server,
    fixture: &str,
    mut special: Value,
    context: &Context,
) -> Result<Job, ErrorData> {
    special["wait_s"] = 0.into();
    special["format"] = "json".into();
    let response =
        execute(server, fixture, special, context).await.map_err(|failure| failed(&failure.into_result()))?;
    let CallToolResponse::Complete(result) = response else { return Err(failed(&response)) };
    match result.structured_content.as_ref().and_then(|fields| fields["job_id"].as_str()) {
        Some(id) => find(server, id).await,
        None => Err(failed(&result)),
    }
}

/// Finds a job by its id.
pub(super) async fn find(server: &Server, id: &str) -> Result<Job, ErrorData> {
    let id: JobId = id.parse().map_err(|_| ErrorData::invalid_params("this was not returned from here", None))?;
    get(server, id).await
}

/// Returns a job that is there.
pub(super) async fn get(server: &Server, id: JobId) -> Result<Job, ErrorData> {
    server.jobs().job(id).await.map_err(|error| failed(&error))
}

/// Returns which fixture a job is of.
pub(super) fn fixture(job: &Job) -> Option<&str> {
    job.spec.labels.get(LABEL).map(String::as_str)
}

/// Returns what a job has written to standard output so far.
pub(super) async fn stdout(server: &Server, id: JobId) -> Result<String, ErrorData> {
    let read = text::read(server.jobs(), id, Cursor(0), Some(Stream::Stdout), LARGEST).await;
    Ok(read.map_err(|error| failed(&error))?.0)
}

/// Looks at a job and its standard output, and again whenever there is more of it.
pub(super) struct Following<'a> {
    server: &'a Server,
    id: JobId,
    seen: Option<Cursor>,
}

impl<'a> Following<'a> {
    pub(super) fn new(server: &'a Server, id: JobId) -> Self {
        Self { server, id, seen: None }
    }

    pub(super) async fn next(&mut self) -> Result<(Job, String), ErrorData> {
        if let Some(seen) = self.seen {
            self.server.jobs().more_output(self.id, seen).await.map_err(|error| failed(&error))?;
        }
        // The job first: what it wrote before it ended is there, then.
        let job = get(self.server, self.id).await?;
        self.seen = Some(Cursor(job.output.bytes));
        Ok((job, stdout(self.server, self.id).await?))
    }
}

/// Waits for the end of a job.
pub(super) async fn ended(server: &Server, id: JobId) -> Result<Job, ErrorData> {
    server.jobs().wait_for(id).await.map_err(|error| failed(&error))
}

pub(super) fn failed(what: &impl std::fmt::Debug) -> ErrorData {
    ErrorData::internal_error(format!("a fixture failed: {what:?}"), None)
}

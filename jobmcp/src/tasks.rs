//! Tasks (the extension `io.modelcontextprotocol/tasks`): a call of `execute` or `delegate` that outlives its grace becomes
//! one, and the task is the job.
//!
//! Nothing is kept of a task but its job, which is on record before the task is told of. So a task survives this server,
//! every tool takes its id as that of a job, and every job can be asked after as a task.
//!
//! The extension wants ids that cannot be guessed where nothing else keeps clients apart. Here something does: whoever may
//! talk to this server may also call `list`, which names every job; so an id opens no door. Its 62 random bits are there so
//! that no two are alike.

use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::stop::StopOptions;
use jobcore::{Error, Job, JobId};
use rmcp::model::{
    CreateTaskResult, DetailedTask, ErrorData, GetTaskResult, ProtocolVersion, Task, TaskPayload, TaskStatus,
};
use serde_json::Value;

use crate::runs::Run;
use crate::server::Server;
use crate::text;
use crate::tools::{self, Context};

/// Who is said to have stopped a job whose task was cancelled.
const CANCELLED: &str = "tasks/cancel";
/// How often a client is asked to look: of a young task often, of an old one, which will take longer still, less so.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(5);

/// Returns whether whoever calls can be answered with a task.
///
/// Only the request itself can say so: what a client of before 2026-07-28 said of itself in its greeting counts for nothing,
/// since such clients name the extension and do not understand it.
pub(crate) fn are_known_to(context: &Context) -> bool {
    context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
        && context.meta.protocol_version() >= Some(ProtocolVersion::V_2026_07_28)
}

/// Returns the task that a job is, for whoever called for the job.
pub(crate) async fn created(server: &Server, job: &Job) -> CreateTaskResult {
    CreateTaskResult::new(task(server, job, None).await)
}

/// Answers `tasks/get`.
pub(crate) async fn get(server: &Server, task_id: &str) -> Result<GetTaskResult, ErrorData> {
    let job = find(server, task_id).await?;
    if !job.status().is_final() {
        return Ok(GetTaskResult::new(DetailedTask::new(task(server, &job, None).await, TaskPayload::Working)));
    }
    let settings = server.jobs().store().settings().await.map_err(|error| failed(&error))?;
    let task = task(server, &job, settings.retention().max_age).await;
    if job.state.outcome().is_some_and(|outcome| outcome.stopped_by.as_deref() == Some(CANCELLED)) {
        return Ok(GetTaskResult::new(DetailedTask::new(task, TaskPayload::Cancelled)));
    }
    // A command that failed is a call that did its work: the result says how it failed.
    let result = match tools::answer(server, &job).await {
        Ok(answer) => answer.into_result(),
        Err(failure) => failure.into_result(),
    };
    let Ok(Value::Object(result)) = serde_json::to_value(result) else {
        return Err(ErrorData::internal_error("the result is no object", None));
    };
    Ok(GetTaskResult::new(DetailedTask::new(task, TaskPayload::Completed { result })))
}

/// Answers `tasks/update`. No task of ours asks for anything, so that there is nothing to do with answers.
pub(crate) async fn update(server: &Server, task_id: &str) -> Result<(), ErrorData> {
    find(server, task_id).await.map(drop)
}

/// Answers `tasks/cancel`: the job is asked to end, and killed after its grace. One that is over stays as it is.
pub(crate) async fn cancel(server: &Server, task_id: &str) -> Result<(), ErrorData> {
    let job = find(server, task_id).await?;
    if job.status().is_final() {
        return Ok(());
    }
    let jobs = server.jobs().clone().with_name(CANCELLED);
    match jobs.stop(job.id, &StopOptions::default().with_wait(false)).await {
        Ok(_) | Err(Error::NotRunning { .. }) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

async fn find(server: &Server, task_id: &str) -> Result<Job, ErrorData> {
    let unknown = || ErrorData::invalid_params(format!("there is no task `{}`", text::cut(task_id, 100)), None);
    let id: JobId = task_id.parse().map_err(|_| unknown())?;
    match server.jobs().job(id).await {
        Ok(job) => Ok(job),
        Err(Error::NotFound { .. }) => Err(unknown()),
        Err(error) => Err(failed(&error)),
    }
}

fn failed(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// Returns a job as a task. What is over is kept for `max_age` after its end; before that it is kept in any case.
async fn task(server: &Server, job: &Job, max_age: Option<Duration>) -> Task {
    let now = Timestamp::now();
    let shape = text::shape(server.jobs(), job).await;
    let age = Duration::try_from(now.duration_since(job.submitted_at)).unwrap_or_default();
    let updated_at = shape.ended_at.or(shape.started_at).unwrap_or(job.submitted_at);
    let message = match Run::of(server, job).await {
        Ok(Some(run)) => run.head(),
        // What a run says is not worth a task that fails.
        Ok(None) | Err(_) => format!("Job {}: {}", text::name(job), text::state(&shape, now)),
    };
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let task = Task::new(job.id.to_string(), TaskStatus::Working, job.submitted_at.to_string(), updated_at.to_string())
        .with_status_message(message)
        .with_poll_interval_ms(millis((age / 10).clamp(SOONEST, LATEST)));
    let lived = Duration::try_from(updated_at.duration_since(job.submitted_at)).unwrap_or_default();
    match max_age {
        Some(max_age) => task.with_ttl_ms(millis(lived + max_age)),
        None => task,
    }
}

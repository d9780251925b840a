//! Requests about tasks.

use jobcore::stop::StopOptions;
use jobcore::{Error, Job, JobId};
use rmcp::model::{DetailedTask, ErrorData, GetTaskResult, TaskPayload};
use serde_json::Value;

use crate::server::Server;
use crate::task::task;
use crate::{text, tools};

/// Recorded as the one who stopped a job whose task was cancelled.
const CANCELLED: &str = "tasks/cancel";
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
    // If the command failed, the call has still succeeded: the result reports the failure.
    let result = match tools::answer(server, &job).await {
        Ok(answer) => answer.into_result(),
        Err(failure) => failure.into_result(),
    };
    let Ok(Value::Object(result)) = serde_json::to_value(result) else {
        return Err(ErrorData::internal_error("the result is not an object", None));
    };
    Ok(GetTaskResult::new(DetailedTask::new(task, TaskPayload::Completed { result })))
}

/// Answers `tasks/update`. Our tasks never ask for input, so there is nothing to update.
pub(crate) async fn update(server: &Server, task_id: &str) -> Result<(), ErrorData> {
    find(server, task_id).await.map(drop)
}

/// Answers `tasks/cancel`: stops the job, without waiting for its end. An ended job is not changed.
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

//! Tasks (the extension `io.modelcontextprotocol/tasks`): a call of `execute` or `delegate` that outlives its grace becomes
//! one, and the task is the job.
//!
//! Nothing is kept of a task but its job, which is on record before the task is announced. So a task survives this
//! server, every tool accepts its id as that of a job, and every job can be queried as a task.
//!
//! The extension requires unguessable ids if nothing else separates clients. Here ids grant no access: any client of
//! this server can call `list`, which names every job. The 62 random bits of an id only make it unique.

use std::time::Duration;

use jobcore::Job;
use jobcore::clock::Timestamp;
use rmcp::model::{CreateTaskResult, MetaObject, ProtocolVersion, Task, TaskStatus};

use serde_json::json;

use crate::runs::Run;
use crate::server::{Context, Server};
use crate::text;

/// How often a client is asked to poll: often for a young task, less often for an old one, which will probably take
/// longer.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(5);

/// Returns whether the caller can be answered with a task.
///
/// Only the metadata of the request counts, not the `initialize` request of a client before revision 2026-07-28: such
/// clients may announce the extension without supporting it.
pub(crate) fn are_known_to(context: &Context) -> bool {
    context.meta.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks())
        && context.meta.protocol_version() >= Some(ProtocolVersion::V_2026_07_28)
}

/// The metadata field with the text that Claude Code shows its model at once, since the result comes only at the end.
/// It accepts 20,000 characters.
const AGENT_TASK: &str = "com.anthropic/agent-task";

/// Returns a new job as a task, for its caller, whose host then asks for its end. `now` is the answer that would have
/// been given without a task.
pub(crate) async fn created(server: &Server, job: &Job, now: &str) -> CreateTaskResult {
    if let Some(caller) = server.call().caller()
        && let Err(error) = server.jobs().expect_task(caller, job.id).await
    {
        tracing::debug!(%error, "the end of a task may be delivered in another way as well");
    }
    let mut meta = MetaObject::new();
    meta.0.insert(AGENT_TASK.to_owned(), json!({ "modelImmediateResponse": format!("{now}\n{WAKES}") }));
    CreateTaskResult::new(task(server, job, None).await).with_meta(meta)
}

/// Tells a model not to poll a task.
const WAKES: &str = "You will be notified when it ends; do not poll.";

/// Returns a job as a task. An ended one is kept for `max_age` after its end.
pub(crate) async fn task(server: &Server, job: &Job, max_age: Option<Duration>) -> Task {
    let now = Timestamp::now();
    let shape = text::shape(server.jobs(), job).await;
    let age = Duration::try_from(now.duration_since(job.submitted_at)).unwrap_or_default();
    let updated_at = shape.ended_at.or(shape.started_at).unwrap_or(job.submitted_at);
    let message = match Run::of(server, job).await {
        Ok(Some(run)) => run.head(),
        // The task must not fail because the run cannot be read.
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

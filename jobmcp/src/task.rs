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

use jobcore::Job;
use jobcore::clock::Timestamp;
use rmcp::model::{CreateTaskResult, MetaObject, ProtocolVersion, Task, TaskStatus};

use serde_json::json;

use crate::runs::Run;
use crate::server::{Context, Server};
use crate::text;

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

/// Where Claude Code looks for what its model reads at once, since the result comes only at the end. It takes 20,000 characters.
const AGENT_TASK: &str = "com.anthropic/agent-task";

/// Returns the task that a job is, for whoever called for the job. Its host asks for its end. `now` is what the answer would have
/// been without a task.
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

/// What a model need not do while a task runs.
const WAKES: &str = "You will be notified when it ends; do not poll.";

/// Returns a job as a task. What is over is kept for `max_age` after its end; before that it is kept in any case.
pub(crate) async fn task(server: &Server, job: &Job, max_age: Option<Duration>) -> Task {
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

//! `status`: everything about a job, in a few lines.

use std::sync::Arc;

use jobcore::clock::Timestamp;
use jobcore::output::{OutputQuery, Position};
use jobcore::units::format_size;
use rmcp::model::{JsonObject, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Result, find, told};
use super::nature::{READS, tool as describe};
use crate::runs::Run;
use crate::server::Server;
use crate::text;

/// How much of the last output is shown: enough to see what the job is doing.
const LAST_LINES: u64 = 5;
const LAST_BYTES: u64 = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    job_id: String,
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        "status",
        "Look at a job",
        "Returns what a job is doing or how it ended: exit code, times, CPU, memory, its last lines.",
        &READS,
    )
    .with_raw_output_schema(output_schema())
}

fn output_schema() -> Arc<JsonObject> {
    let schema = json!({
        "type": "object",
        // Some clients drop unnamed fields unless the schema allows them.
        "additionalProperties": true,
        "properties": { "job_id": { "type": "string" } },
        "required": ["job_id"],
    });
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result {
    let id = find(server, &arguments.job_id).await?;
    let job = told(server, server.jobs().look(id).await).await?;
    server.call().shows(&job);
    let now = Timestamp::now();
    let shape = text::shape(server.jobs(), &job).await;
    let used = told(server, server.jobs().used(&job).await).await?;
    let run = told(server, Run::of(server, &job).await).await?;
    let view = text::view(LAST_BYTES);
    let query = OutputQuery::from(Position::TailLines(LAST_LINES));
    let viewed = told(server, server.jobs().view(id, &query, &view).await).await?;
    let last = match &run {
        Some(run) => told(server, run.last_lines(LAST_LINES, LAST_BYTES as usize).await).await?,
        None => String::from_utf8_lossy(&viewed.text(&view, None)).trim_end().to_owned(),
    };
    // In this order for models. Fields that are unknown or do not apply are left out.
    let fields = [
        ("job_id", json!(job.id.short())),
        ("name", json!(shape.name)),
        ("status", json!(shape.status)),
        ("state", json!(text::state(&shape, now))),
        ("queued", json!(shape.queued)),
        ("agent", json!(run.as_ref().map(Run::fields))),
        ("command", json!(text::command(&shape))),
        ("cwd", json!(shape.cwd)),
        ("pid", json!(shape.pid)),
        ("exit_code", json!(shape.exit_code)),
        ("signal", json!(shape.signal)),
        ("cause", json!(shape.cause)),
        ("input", json!(shape.input)),
        ("waiting_for_input", json!(shape.waiting_for_input)),
        ("stalled_since", json!(shape.stalled_since.map(to_seconds))),
        ("ready_at", json!(shape.ready_at.map(to_seconds))),
        ("group", json!(shape.group)),
        ("submitted_at", json!(to_seconds(shape.submitted_at))),
        ("ended_at", json!(shape.ended_at.map(to_seconds))),
        ("cpu_ms", json!(shape.cpu_ms.or(used.map(|used| used.cpu.as_millis().try_into().unwrap_or(u64::MAX))))),
        ("memory", json!(used.map(|used| format_size(used.memory_bytes)))),
        ("peak_memory", json!(shape.peak_rss_bytes.map(format_size))),
        ("labels", json!(Some(&shape.labels).filter(|labels| !labels.is_empty()))),
        ("output_bytes", json!(shape.output_bytes)),
        ("dropped_bytes", json!(Some(shape.dropped_bytes).filter(|bytes| *bytes > 0))),
        ("stragglers", json!(shape.stragglers)),
        ("cursor", json!(viewed.cursor)),
        ("last_lines", json!(Some(&last).filter(|last| !last.is_empty()))),
    ];
    let known: Vec<_> = fields.into_iter().filter(|(_, value)| !value.is_null()).collect();
    let text: Vec<String> = known
        .iter()
        // `state` has them in words.
        .filter(|(field, _)| {
            !["queued", "status", "exit_code", "signal", "cause", "waiting_for_input", "stalled_since"].contains(field)
        })
        .map(|(field, value)| match (&run, *field) {
            (Some(run), "agent") => run.lines(),
            _ => line(field, value),
        })
        .collect();
    let fields: JsonObject = known.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
    Ok(Answer::text(text.join("\n"))
        .with_structured(Value::Object(fields))
        .about(&job, Some(viewed.cursor))
        .with_progress(run.as_ref()))
}

/// Formats a time for programs, in whole seconds.
fn to_seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

fn line(field: &str, value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\n') => format!("{field}:\n{text}"),
        Value::String(text) => format!("{field}: {text}"),
        other => format!("{field}: {other}"),
    }
}

//! `list`: lists jobs, or those that ended since an earlier call.

use std::path::PathBuf;
use std::sync::Arc;

use jobcore::clock::Timestamp;
use jobcore::front::moment;
use jobcore::store::EventKind;
use jobcore::words::counted;
use jobcore::{Error, Job, Query, Status};
use rmcp::model::{JsonObject, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Result, told};
use super::arguments::{label, name};
use super::nature::{READS, tool as describe};
use crate::failure::Failure;
use crate::runs::Run;
use crate::server::Server;
use crate::text;

/// How many jobs are listed by default, and at most.
const LIMIT: usize = 20;
const MOST: usize = 100;
/// How many events are read at a time.
const EVENTS: usize = 1_000;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Such as running, failed
    status: Option<Vec<String>>,
    name: Option<String>,
    /// NAME or NAME=VALUE
    label: Option<String>,
    group: Option<String>,
    /// In commands
    text: Option<String>,
    cwd: Option<PathBuf>,
    /// Submitted within "2h"
    since: Option<String>,
    /// Ended since this event
    ended_since: Option<u64>,
    /// 1 to 100, default 20
    limit: Option<usize>,
    offset: Option<usize>,
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>("list", "List jobs", "Lists jobs, newest first, from all sessions and people.", &READS)
        .with_raw_output_schema(output_schema())
}

fn output_schema() -> Arc<JsonObject> {
    let job = json!({
        "type": "object",
        // Some clients drop unnamed fields unless the schema allows them.
        "additionalProperties": true,
        "properties": { "job_id": { "type": "string" } },
    });
    let schema = json!({
        "type": "object",
        "additionalProperties": true,
        "properties": { "jobs": { "type": "array", "items": job } },
        "required": ["jobs"],
    });
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result {
    let limit = arguments.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Failure::new(format!("limit: {limit} is not between 1 and {MOST}.")));
    }
    let first = arguments.offset.unwrap_or_default();
    let mut offset = first;
    let ended_since_event = arguments.ended_since;
    let query = query(arguments)?;
    let (jobs, damaged, event) = match ended_since_event {
        Some(since) => {
            let (jobs, event) = ended_since(server, since, &query).await?;
            (jobs, 0, event)
        }
        None => {
            let query = query.with_skip(std::mem::take(&mut offset)).with_limit(Some(limit + 1));
            let listing = told(server, server.jobs().list(&query).await).await?;
            let event = told(server, server.jobs().events(0, 0).await).await?.end;
            (listing.jobs, listing.damaged.len(), event)
        }
    };
    let mut jobs: Vec<Job> = jobs.into_iter().skip(offset).take(limit + 1).collect();
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let now = Timestamp::now();
    let (mut listed, mut lines) = (Vec::new(), Vec::new());
    for job in &jobs {
        server.call().shows(job);
        let (fields, line) = entry(server, job, now).await;
        listed.push(fields);
        lines.push(line);
    }
    if jobs.is_empty() {
        lines.push("No jobs match.".to_owned());
    }
    if more {
        lines.push(format!("There are more: pass offset {}.", first.saturating_add(limit)));
    }
    if damaged > 0 {
        lines.push(format!("The records of {} cannot be read.", counted(damaged, "job", "jobs")));
    }
    if ended_since_event.is_some() {
        lines.push(format!("Next ended_since: {event}."));
    }
    let fields = json!({ "jobs": listed, "more": more, "event": event });
    Ok(Answer::text(lines.join("\n")).with_structured(fields))
}

fn query(arguments: Arguments) -> Result<Query> {
    let mut statuses = Vec::new();
    for status in arguments.status.iter().flatten() {
        statuses.push(status.parse::<Status>().map_err(|reason| Failure::new(format!("status: {reason}.")))?);
    }
    let since = arguments.since.map(|text| moment::parse(&text)).transpose();
    let since = since.map_err(|reason| Failure::new(format!("since: {reason}.")))?;
    Ok(Query::default()
        .with_statuses(statuses)
        .with_name(name("name", arguments.name)?)
        .with_group(name("group", arguments.group)?)
        .with_labels(label(arguments.label.as_ref()))
        .with_text(arguments.text)
        .with_cwd(arguments.cwd)
        .with_times(since, None))
}

/// Returns the jobs that ended since an event, newest first, and the number of the next event.
async fn ended_since(server: &Server, since: u64, query: &Query) -> Result<(Vec<Job>, u64)> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut next = since;
    loop {
        let events = told(server, server.jobs().events(next, EVENTS).await).await?;
        for event in &events.events {
            if !matches!(event.event, EventKind::Ended) || jobs.iter().any(|job| job.id == event.job_id) {
                continue;
            }
            match server.jobs().job(event.job_id).await {
                Ok(job) if query.matches(&job) => jobs.push(job),
                // Removed since, unreadable, or not selected.
                Ok(_) | Err(Error::NotFound { .. } | Error::Damaged { .. }) => {}
                Err(error) => return Err(Failure::of(error, server.jobs()).await),
            }
        }
        let is_done = events.next <= next || events.events.is_empty();
        // If `since` is beyond the last event, continue from the next one.
        next = events.next.max(next).min(events.end);
        if is_done {
            break;
        }
    }
    jobs.reverse();
    Ok((jobs, next))
}

/// Returns a job as fields, and as one line.
async fn entry(server: &Server, job: &Job, now: Timestamp) -> (Value, String) {
    let shape = text::shape(server.jobs(), job).await;
    let mut entry = json!({ "job_id": job.id.short(), "status": shape.status });
    for (field, value) in [("name", json!(shape.name)), ("exit_code", json!(shape.exit_code))] {
        if !value.is_null() {
            entry[field] = value;
        }
    }
    let name = text::full_name(job);
    // A run that can no longer be read is shown as a job.
    let (fields, line) = match Run::of(server, job).await {
        Ok(Some(run)) => {
            let (agent, (prompt, line)) = (&run.agent.agent, run.row());
            let text = format!("{name} {agent} `{prompt}`: {line}");
            (vec![("state", line), ("agent", agent.clone()), ("prompt", prompt)], text)
        }
        Ok(None) | Err(_) => {
            let (state, command) = (text::state(&shape, now), text::command(&shape));
            let text = format!("{name} {state}: {command}");
            (vec![("state", state), ("command", command)], text)
        }
    };
    for (field, value) in fields {
        entry[field] = value.into();
    }
    (entry, line)
}

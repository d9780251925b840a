//! `wait`: waits until jobs end or meet another condition.

use std::time::Duration;

use jobcore::output::Cursor;
use jobcore::wait::{WaitFor, WaitOptions};
use jobcore::{Job, JobId, Name, Query};
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Condition, Result, answer_in_fields, find, job, on_job, told, waited};
use super::arguments::{Format, LONGEST_WAIT, MOST_JOBS, Which, few, grep, label, lines, name, seconds, until};
use super::nature::{Nature, READS, tool as describe};
use super::several::{self, Several};
use crate::excerpt::Look;
use crate::failure::Failure;
use crate::runs::Run;
use crate::server::{Context, Server};
use crate::text::BUDGET;

/// How long a call waits by default.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Ids, short ids or names
    job_ids: Option<Vec<String>>,
    /// Or all jobs of a group
    group: Option<String>,
    /// Or with a label, NAME=VALUE
    label: Option<String>,
    /// Default "all"
    mode: Option<Mode>,
    /// exit (default), ready, output:REGEX, quiet:5s, port:3000 or file:PATH
    until: Option<String>,
    /// 0 to 50, default 30
    wait_s: Option<f64>,
    /// Show only matching lines
    grep: Option<String>,
    #[schemars(extend("x-unlisted" = true))]
    context: Option<u64>,
    #[schemars(extend("x-unlisted" = true))]
    lines: Option<u64>,
    cursor: Option<u64>,
    #[schemars(extend("x-unlisted" = true))]
    stream: Option<Which>,
    #[schemars(extend("x-unlisted" = true))]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Mode {
    #[default]
    All,
    Any,
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        "wait",
        "Wait for jobs",
        "Waits until jobs end, write a line, open a port, create a file or go quiet. Returns states and new output. \
        Blocks at most 50 seconds: call it again while a job runs. Do not poll status.",
        &Nature { core: true, ..READS },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result {
    let timeout = seconds("wait_s", arguments.wait_s, WAIT, LONGEST_WAIT)?;
    let until = until(arguments.until.as_deref())?.unwrap_or_default();
    let group = name("group", arguments.group)?;
    let ids = ids(server, &arguments.job_ids.unwrap_or_default(), group.as_ref(), arguments.label.as_ref()).await?;
    if arguments.cursor.is_some() && ids.len() > 1 {
        return Err(Failure::new("cursor: it belongs to one job; wait for that one alone, or leave it out."));
    }
    let from = arguments.cursor.map(Cursor);
    let options = WaitOptions::default()
        .with_what(match arguments.mode.unwrap_or_default() {
            Mode::All => WaitFor::All,
            Mode::Any => WaitFor::Any,
        })
        .with_until(until.clone())
        .with_cursor(from)
        .with_timeout(Some(timeout));
    let look = Look {
        lines: lines(arguments.lines)?,
        grep: grep(arguments.grep.as_deref(), arguments.context)?,
        stream: arguments.stream.and_then(Which::stream),
        from,
    };
    let waited = waited(server, &ids, options, context).await?;
    match (waited.jobs.as_slice(), arguments.format.unwrap_or_default()) {
        ([job], Format::Json) => answer_in_fields(server, job, from.unwrap_or_default(), look.stream, BUDGET).await,
        (_, Format::Json) => Err(Failure::new("format: \"json\" needs one job; wait for one, or leave it out.")),
        ([Job { id, .. }], Format::Text) => {
            let id = *id;
            let condition = Condition { until: &until, reached: &waited.reached[0], timed_out: waited.timed_out };
            // A requested stream or search refers to the output of the agent's program.
            let is_stream = from.is_some() || arguments.stream.is_some() || look.grep.is_some();
            // The output may have been read after the job, so read the job again.
            let job = job(server, id).await?;
            match told(server, Run::of(server, &job).await).await?.filter(|_| !is_stream) {
                Some(run) => on_run(server, &job, &run, &condition).await,
                None => on_job(server, &job, &look, Some(&condition)).await,
            }
        }
        (jobs, Format::Text) => {
            let (reached, look) = (waited.reached.as_slice(), &look);
            let several = Several { jobs, reached, until: &until, look, group: group.as_ref() };
            several::answer(server, &several).await
        }
    }
}

/// Returns the jobs that a call names, each once.
async fn ids(
    server: &Server,
    references: &[String],
    group: Option<&Name>,
    wanted: Option<&String>,
) -> Result<Vec<JobId>> {
    few(references)?;
    let mut ids = Vec::new();
    for reference in references {
        let id = find(server, reference).await?;
        // A job may be given both by id and by name.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if group.is_some() || wanted.is_some() {
        let query =
            Query::default().with_group(group.cloned()).with_labels(label(wanted)).with_limit(Some(MOST_JOBS + 1));
        let mut jobs = told(server, server.jobs().list(&query).await).await?.jobs;
        if jobs.len() > MOST_JOBS {
            return Err(Failure::new(format!(
                "More than {MOST_JOBS} jobs are in this group or have this label; name some of them as job_ids."
            )));
        }
        // Schedules cannot be waited for.
        jobs.retain(|job| job.spec.repeat.is_none());
        // In the order in which they were submitted.
        jobs.reverse();
        ids.extend(jobs.iter().map(|job| job.id).filter(|id| !ids.contains(id)).collect::<Vec<_>>());
    }
    match (ids.is_empty(), group.is_some() || wanted.is_some()) {
        (false, _) => Ok(ids),
        (true, false) => Err(Failure::new("job_ids: name at least one job, a group or a label; list shows the jobs.")),
        (true, true) => Err(Failure::new("No job is in this group or has this label; list shows the jobs.")),
    }
}

async fn on_run(server: &Server, job: &Job, run: &Run<'_>, condition: &Condition<'_>) -> Result {
    server.call().shows(job);
    let note = format!("{}.", condition.note().trim_start_matches("; "));
    let note = if note == "." { String::new() } else { format!(" {note}") };
    let text = told(server, run.told(&note, BUDGET).await).await?;
    Ok(Answer::text(text.trim_end()).about(job, Some(condition.reached.cursor)).with_progress(Some(run)))
}

//! `interact`: sends input to a job, and returns its answer.

use std::time::Duration;

use jobcore::JobManager;
use jobcore::clock::Timestamp;
use jobcore::input::{Key, Message};
use jobcore::output::Cursor;
use jobcore::wait::WaitOptions;
use jobcore::words::counted;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Condition, Result, answer_in_fields, find, job, told, waited};
use super::arguments::{Format, LONGEST_WAIT, Which, seconds, until};
use super::nature::{Nature, tool as describe};
use crate::failure::Failure;
use crate::server::{Context, Server};
use crate::text::{self, BUDGET};

/// How long to wait for an answer by default, without and with `until`; and how long a job must be quiet for its answer
/// to count as complete.
const WAIT: Duration = Duration::from_secs(2);
const UNTIL: Duration = Duration::from_secs(30);
const QUIET: Duration = Duration::from_millis(200);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    job_id: String,
    input: Option<String>,
    /// Default true
    newline: Option<bool>,
    /// On a terminal: "C-c", "Up"
    keys: Option<Vec<String>>,
    /// Then end its input
    eof: Option<bool>,
    /// 0 to 50, default 2
    wait_s: Option<f64>,
    /// Return at output:REGEX, not when quiet
    until: Option<String>,
    #[schemars(extend("x-unlisted" = true))]
    stream: Option<Which>,
    #[schemars(extend("x-unlisted" = true))]
    format: Option<Format>,
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        "interact",
        "Type into a job",
        "Sends text, keys or the end of input to a job started with stdin \"open\" or tty true, and returns its answer.",
        &Nature { reads: false, destroys: false, repeats: false, open: true, core: true },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result {
    let until = until(arguments.until.as_deref())?;
    let default = if until.is_some() { UNTIL } else { WAIT };
    let wait = seconds("wait_s", arguments.wait_s, default, LONGEST_WAIT)?;
    let keys: Vec<Key> = arguments
        .keys
        .unwrap_or_default()
        .iter()
        .map(|key| key.parse().map_err(|reason| Failure::new(format!("keys: {reason}."))))
        .collect::<Result<_>>()?;
    let is_line = arguments.newline.unwrap_or(true) && keys.is_empty();
    let message = match arguments.input {
        Some(text) if is_line => Message::line(text),
        text => Message::bytes(text.unwrap_or_default()).with_keys(keys),
    };
    let eof = arguments.eof.unwrap_or_default();
    if message == Message::default() && !eof {
        return Err(Failure::new("interact: give `input`, `keys` or `eof`. To read only, call output."));
    }
    let jobs = server.jobs();
    let id = find(server, &arguments.job_id).await?;
    let mut cursor = Cursor(job(server, id).await?.output.bytes);
    let mut note = String::new();
    if message != Message::default() {
        let sent = told(server, jobs.send(id, &message, JobManager::PATIENCE).await).await?;
        cursor = sent.cursor;
        if sent.refused > 0 {
            note = format!(
                "It took {} but not the last {}: it is not reading now; send them later.",
                counted(sent.bytes, "byte", "bytes"),
                sent.refused
            );
        }
    }
    if eof && note.is_empty() {
        told(server, jobs.end_input(id).await).await?;
    }
    let mut reached = None;
    match &until {
        Some(until) => {
            let options = WaitOptions::default().with_until(until.clone()).with_cursor(Some(cursor));
            let mut waited = waited(server, &[id], options.with_timeout(Some(wait)), context).await?;
            reached = waited.reached.pop().map(|reached| (reached, waited.timed_out));
        }
        None if wait.is_zero() => {}
        None => {
            if let Some(answered) = server.patiently(jobs.answered(id, cursor, QUIET, wait), context).await {
                told(server, answered).await?;
            }
        }
    }
    let job = job(server, id).await?;
    server.call().shows(&job);
    let which = arguments.stream.unwrap_or_default();
    if arguments.format == Some(Format::Json) {
        return answer_in_fields(server, &job, cursor, which.stream(), BUDGET).await;
    }
    let (output, viewed) = told(server, text::read(jobs, id, cursor, which.stream(), BUDGET).await).await?;
    server.shown().note(id, viewed.cursor);
    let missed = until.as_ref().zip(reached.as_ref()).filter(|(_, (reached, _))| !reached.met);
    let mut lines = Vec::new();
    let now = Timestamp::now();
    if let Some((until, (reached, timed_out))) = missed {
        let condition = Condition { until, reached, timed_out: *timed_out };
        lines.push(format!("{}{}.", text::sentence(&job, &job.shape(now), now, None), condition.note()));
    } else if job.status().is_final() {
        lines.push(format!("{}.", text::sentence(&job, &job.shape(now), now, None)));
    } else if output.is_empty() {
        lines.push(format!("No answer yet; {}.", text::sentence(&job, &job.shape(now), now, None)));
    }
    if !note.is_empty() {
        lines.push(note);
    }
    lines.push(output);
    Ok(Answer::text(lines.join("\n").trim_end()).about(&job, Some(viewed.cursor)))
}

//! `interact`: type something, and see what comes back.

use std::time::Duration;

use jobcore::JobManager;
use jobcore::clock::Timestamp;
use jobcore::input::{Key, Message};
use jobcore::words::counted;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Result, answer_in_fields, find, job, told};
use super::arguments::{Format, LONGEST_WAIT, Which, seconds};
use super::nature::{Nature, tool as describe};
use crate::failure::Failure;
use crate::server::{Context, Server};
use crate::text::{self, BUDGET};

/// How long an answer may take unless the call says otherwise, and what has been quiet for how long has given it.
const WAIT: Duration = Duration::from_secs(2);
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
        &Nature { reads: false, destroys: false, repeats: false, open: true, core: false },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result {
    let wait = seconds("wait_s", arguments.wait_s, WAIT, LONGEST_WAIT)?;
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
    let mut cursor = jobcore::output::Cursor(job(server, id).await?.output.bytes);
    let mut note = String::new();
    if message != Message::default() {
        let sent = told(server, jobs.send(id, &message, JobManager::PATIENCE).await).await?;
        cursor = sent.cursor;
        if sent.refused > 0 {
            note = format!(
                " It took {} and not the last {}: it does not read now; send them later.",
                counted(sent.bytes, "byte", "bytes"),
                sent.refused
            );
        }
    }
    if eof && note.is_empty() {
        told(server, jobs.end_input(id).await).await?;
    }
    if !wait.is_zero()
        && let Some(answered) = server.patiently(jobs.answered(id, cursor, QUIET, wait), context).await
    {
        told(server, answered).await?;
    }
    let job = job(server, id).await?;
    let which = arguments.stream.unwrap_or_default();
    if arguments.format == Some(Format::Json) {
        return answer_in_fields(server, &job, cursor, which.stream(), BUDGET).await;
    }
    let (output, viewed) = told(server, text::read(jobs, id, cursor, which.stream(), BUDGET).await).await?;
    let now = Timestamp::now();
    let verb = if job.status().is_final() { "" } else { "is " };
    let head = format!(
        "Job {} {verb}{}; cursor {}.{note}",
        text::name(&job),
        text::state(&job.shape(now), now),
        viewed.cursor
    );
    let text = match output.is_empty() {
        true => format!("{head} It has written nothing in answer."),
        false => format!("{head}\n\n{output}"),
    };
    Ok(Answer::text(text.trim_end()).about(&job, Some(viewed.cursor)))
}

//! `output` and `tail`: read a job's output.

use jobcore::Job;
use jobcore::clock::Timestamp;
use jobcore::front::agents;
use jobcore::output::{Cursor, OutputQuery, Position, Shown};
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Result, find, job, output_fields, told};
use super::arguments::{Format, Which, grep};
use super::nature::{Nature, READS, tool as describe};
use crate::excerpt;
use crate::failure::Failure;
use crate::runs::Run;
use crate::server::Server;
use crate::text::{self, BUDGET, LARGEST};

/// How many lines `tail` shows by default.
const TAIL: u64 = 50;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    job_id: String,
    /// Only output after it
    cursor: Option<u64>,
    /// Only this many last
    lines: Option<u64>,
    /// Only lines matching this regex
    grep: Option<String>,
    /// Lines around each match
    context: Option<u64>,
    /// 1000 to 36000, default 6000
    max_bytes: Option<u64>,
    #[schemars(extend("x-unlisted" = true))]
    fold: Option<bool>,
    /// Uncleaned; for an agent, its stream
    raw: Option<bool>,
    #[schemars(extend("x-unlisted" = true))]
    stream: Option<Which>,
    #[schemars(extend("x-unlisted" = true))]
    format: Option<Format>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TailArguments {
    job_id: String,
    /// 1 to 1000, default 50
    lines: Option<u64>,
    #[schemars(extend("x-unlisted" = true))]
    stream: Option<Which>,
    #[schemars(extend("x-unlisted" = true))]
    format: Option<Format>,
}

impl Arguments {
    /// Returns whether no argument requires reading the stream itself.
    fn is_as_usual(&self) -> bool {
        let is_text = self.format.unwrap_or_default() == Format::Text;
        is_text && self.cursor.is_none() && self.grep.is_none() && self.stream.is_none() && self.raw != Some(true)
    }
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        "output",
        "Read output",
        "Returns a job's output, or an agent's answer: all of it if short, else the beginning and end, and how to get \
        the rest.",
        &Nature { core: true, ..READS },
    )
}

pub(super) fn tail_tool() -> Tool {
    describe::<TailArguments>(
        "tail",
        "Read the last lines",
        "Returns the last lines of a job's output, and a cursor.",
        &READS,
    )
}

pub(super) async fn tail(server: &Server, arguments: TailArguments) -> Result {
    let lines = arguments.lines.unwrap_or(TAIL);
    if !(1..=1000).contains(&lines) {
        return Err(Failure::new(format!("lines: {lines} is not between 1 and 1000.")));
    }
    let TailArguments { job_id, stream, format, .. } = arguments;
    run(server, Arguments { job_id, stream, format, lines: Some(lines), ..Arguments::default() }).await
}

pub(super) async fn run(server: &Server, arguments: Arguments) -> Result {
    let budget = arguments.max_bytes.unwrap_or(BUDGET);
    if !(1000..=LARGEST).contains(&budget) {
        return Err(Failure::new(format!("max_bytes: {budget} is not between 1000 and {LARGEST}.")));
    }
    if arguments.cursor.is_some() && arguments.lines.is_some() {
        return Err(Failure::new("Give either `cursor` or `lines`."));
    }
    let id = find(server, &arguments.job_id).await?;
    let job = job(server, id).await?;
    if arguments.is_as_usual() && agents::told_run(&job).is_some() {
        return of_run(server, &job, arguments.lines, budget).await;
    }
    let grep = grep(arguments.grep.as_deref(), arguments.context)?;
    let is_grep = grep.is_some();
    let view = text::view(budget)
        .with_clean(!arguments.raw.unwrap_or_default())
        .with_fold(arguments.fold.unwrap_or_default())
        .with_grep(grep);
    let from = match (arguments.lines, arguments.cursor) {
        (Some(lines), _) => Position::TailLines(lines),
        (None, Some(cursor)) => Position::Cursor(Cursor(cursor)),
        (None, None) => Position::Start,
    };
    let stream = arguments.stream.unwrap_or_default().stream();
    let query = OutputQuery::from(from).with_stream(stream);
    if arguments.format == Some(Format::Json) {
        let shape = told(server, server.jobs().view_text(id, &query, &view).await).await?;
        let fields = output_fields(&job, &shape);
        return Ok(Answer::fields(fields).about(&job, Some(shape.cursor)));
    }
    let viewed = told(server, server.jobs().view(id, &query, &view).await).await?;
    let output = String::from_utf8_lossy(&viewed.text(&view, stream)).into_owned();
    server.call().shows(&job);
    if !is_grep {
        server.shown().note(id, viewed.cursor);
    }
    let now = Timestamp::now();
    let shape = text::shape(server.jobs(), &job).await;
    // If the job has ended and all was shown, there will be no more output.
    let cursor = (!job.status().is_final() || viewed.more).then(|| format!("cursor {}", viewed.cursor));
    let mut head = format!("{}.", text::sentence(&job, &shape, now, cursor.as_deref()));
    if viewed.more && job.status().is_final() {
        head.push_str(&format!(" There is more at cursor {}.", viewed.cursor));
    }
    let is_any = viewed.shown.iter().any(|shown| matches!(shown, Shown::Line(_)));
    let text = match (is_any, is_grep) {
        (false, true) => format!("{head} {}", excerpt::none_matches(&job)),
        (false, false) if output.is_empty() => format!("{head} No output here."),
        _ => format!("{head}\n{output}"),
    };
    Ok(Answer::text(text.trim_end()).about(&job, Some(viewed.cursor)))
}

/// Answers with the answer of an agent run, or with the last lines of its account.
async fn of_run(server: &Server, job: &Job, lines: Option<u64>, budget: u64) -> Result {
    let run = told(server, Run::of(server, job).await).await?;
    let Some(run) = run else { return Err(Failure::new("It is not an agent run.")) };
    let note = " (raw, stream, grep, cursor and format \"json\" read the stream itself.)";
    let text = match (lines, run.has_ended()) {
        (None, true) => told(server, run.told(note, budget).await).await?,
        (lines, _) => {
            let room = usize::try_from(budget).unwrap_or(usize::MAX);
            let last = told(server, run.last_lines(lines.unwrap_or(TAIL), room).await).await?;
            format!("{}{note}\n\n{last}", run.head())
        }
    };
    Ok(Answer::text(text.trim_end()).about(job, Some(Cursor(job.output.bytes))).with_progress(Some(&run)))
}

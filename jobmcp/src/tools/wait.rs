//! `wait`: until jobs end, or come to something else.

use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::output::Cursor;
use jobcore::wait::{Until, WaitFor, WaitOptions, WaitReason, Waited};
use jobcore::words::counted;
use rmcp::model::Tool;
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Result, answer_in_fields, find, told};
use super::arguments::{Format, LONGEST_WAIT, Which, few, seconds};
use super::nature::{Nature, READS, tool as describe};
use crate::failure::Failure;
use crate::runs::Run;
use crate::server::{Context, Server};
use crate::text::{self, BUDGET};

/// With how much room a job is told with what it wrote, in bytes.
const LEAST: u64 = 500;
/// How long a call waits unless it says otherwise.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Ids, short ids or names
    job_ids: Vec<String>,
    /// Default "all"
    mode: Option<Mode>,
    /// exit (default), output:REGEX, quiet:5s, port:3000 or file:PATH
    until: Option<String>,
    /// 0 to 50, default 30
    wait_s: Option<f64>,
    /// Of one job: only what follows
    cursor: Option<u64>,
    #[schemars(extend("x-unlisted" = true))]
    stream: Option<Which>,
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
        "Waits until jobs end, or write a line, open a port, make a file, fall silent. Returns why, states, new output and \
         a cursor. Blocks for 50 seconds at most: still running is a normal result; call it again. Use it instead of \
         polling status.",
        &Nature { core: true, ..READS },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result {
    let timeout = seconds("wait_s", arguments.wait_s, WAIT, LONGEST_WAIT)?;
    let until = arguments.until.as_deref().unwrap_or("exit");
    let until: Until = until.parse().map_err(|reason| Failure::new(format!("until: {reason}.")))?;
    if arguments.job_ids.is_empty() {
        return Err(Failure::new("job_ids: name at least one job; list shows them."));
    }
    few(&arguments.job_ids)?;
    let mut ids = Vec::new();
    for reference in &arguments.job_ids {
        let id = find(server, reference).await?;
        // It may be named twice, as its id and as its name.
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if arguments.cursor.is_some() && ids.len() > 1 {
        return Err(Failure::new("cursor: it is of one job; wait for that one alone, or leave it out."));
    }
    let options = WaitOptions::default()
        .with_what(match arguments.mode.unwrap_or_default() {
            Mode::All => WaitFor::All,
            Mode::Any => WaitFor::Any,
        })
        .with_until(until.clone())
        .with_cursor(arguments.cursor.map(Cursor))
        .with_timeout(Some(timeout));
    let waited = match server.patiently(server.jobs().wait_until(&ids, &options), context).await {
        Some(waited) => waited,
        // Nobody listens, or the server ends: what there is now is all that can be said.
        None => server.jobs().wait_until(&ids, &options.with_timeout(Some(Duration::ZERO))).await,
    };
    let waited = told(server, waited).await?;
    let from = arguments.cursor.map(Cursor);
    if let ([one], Format::Json) = (waited.jobs.as_slice(), arguments.format.unwrap_or_default()) {
        return answer_in_fields(
            server,
            one,
            from.unwrap_or_default(),
            arguments.stream.and_then(Which::stream),
            BUDGET,
        )
        .await;
    }
    if arguments.format == Some(Format::Json) {
        return Err(Failure::new("format: \"json\" needs one job; wait for one, or leave it out."));
    }
    let asked = Asked { until, from, which: arguments.stream, timeout };
    tell(server, &waited, &asked).await
}

/// What was waited for, and what is to be told of the output.
struct Asked {
    until: Until,
    from: Option<Cursor>,
    which: Option<Which>,
    timeout: Duration,
}

async fn tell(server: &Server, waited: &Waited, asked: &Asked) -> Result {
    let Asked { until, which, .. } = asked;
    let now = Timestamp::now();
    let mut text = match waited.reason() {
        WaitReason::TimedOut => {
            let waited = counted(asked.timeout.as_secs_f32(), "second", "seconds");
            format!("Not yet, after {waited}; call wait again to go on.\n")
        }
        WaitReason::Impossible => format!("`{until}` can not come true any more.\n"),
        _ => String::new(),
    };
    let (from, is_stream) = (asked.from.unwrap_or_default(), asked.from.is_some() || which.is_some());
    let budget = BUDGET / waited.jobs.len().max(1) as u64;
    let mut last = None;
    for (job, reached) in waited.jobs.iter().zip(&waited.reached) {
        let name = text::name(job);
        let run = match is_stream {
            // The stream itself is asked for.
            true => None,
            false => told(server, Run::of(server, job).await).await?,
        };
        let mut notes = String::new();
        match (&reached.line, until.is_exit(), reached.met) {
            (Some(line), ..) if run.is_none() => notes.push_str(&format!(" It wrote `{}`.", text::cut(line, 300))),
            (_, false, true) => notes.push_str(&format!(" `{until}` is so.")),
            _ => {}
        }
        if let Some(note) = &reached.note {
            notes.push_str(&format!(" But {note}."));
        }
        if let Some(run) = run {
            let said = match budget < LEAST {
                true => format!("Job {name}, {}: {}.{notes}", run.agent.agent, run.agent.progress.as_str()),
                false => told(server, run.told(&notes, budget).await).await?,
            };
            text.push_str(&format!("{said}\n\n"));
            last = Some((job, reached.cursor, Some(run)));
            continue;
        }
        let verb = if job.status().is_final() { "" } else { "is " };
        notes.push_str(&text::stragglers(job));
        notes.push_str(text::silence(job, now));
        let state = text::state(&text::shape(server.jobs(), job).await, now);
        text.push_str(&format!("Job {name} {verb}{state}.{notes}"));
        // Of many jobs, each has too little room to say anything.
        let (output, cursor) = match budget < LEAST {
            true => (String::new(), reached.cursor),
            false => {
                let read = text::read(server.jobs(), job.id, from, which.unwrap_or_default().stream(), budget).await;
                let (output, viewed) = told(server, read).await?;
                (output, viewed.cursor)
            }
        };
        match output.is_empty() {
            true => text.push('\n'),
            false => text.push_str(&format!(" Output from cursor {from}:\n\n{output}")),
        }
        if !job.status().is_final() {
            text.push_str(&format!("[cursor {cursor}]\n"));
        }
        last = Some((job, cursor, None));
    }
    let answer = Answer::text(text.trim_end());
    Ok(match last {
        Some((job, cursor, run)) if waited.jobs.len() == 1 => {
            answer.about(job, Some(cursor)).with_progress(run.as_ref())
        }
        _ => answer,
    })
}

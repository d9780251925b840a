//! `execute`: start a command, and answer with what there is within a moment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::output::Cursor;
use jobcore::record::ProcessId;
use jobcore::spec::{Stdin, Stragglers, TerminalSize};
use jobcore::stop::Signal;
use jobcore::units::parse_size;
use jobcore::{Job, JobSpec, JobSpecBuilder, Status};
use rmcp::model::{CallToolResponse, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Result, answer_in_fields, started, told};
use super::arguments::{Format, LONGEST_WAIT, current_dir, name, seconds, short_enough, timeout};
use super::nature::{Nature, tool as describe};
use crate::failure::Failure;
use crate::server::{Context, Server};
use crate::task;
use crate::text::{self, BUDGET};

/// How long a command may take to be answered with its end, unless the call says otherwise.
const WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Shell line
    command: Option<String>,
    /// Or its words, no shell
    argv: Option<Vec<String>>,
    cwd: Option<PathBuf>,
    env: Option<BTreeMap<String, String>>,
    /// 0 to 50, default 2
    wait_s: Option<f64>,
    /// Stop it after this
    timeout_s: Option<f64>,
    /// Unique among live jobs
    name: Option<String>,
    /// A job that has this key is returned instead
    key: Option<String>,
    /// Its standard input
    input: Option<String>,
    /// "open" for interact; default "closed"
    stdin: Option<StdinMode>,
    tty: Option<bool>,
    labels: Option<BTreeMap<String, String>>,
    /// "session" ends with this server; default "detached"
    lifetime: Option<Lifetime>,
    /// Queue with its own limit
    group: Option<String>,
    leave_stragglers: Option<bool>,
    #[schemars(extend("x-unlisted" = true))]
    stop_signal: Option<String>,
    #[schemars(extend("x-unlisted" = true))]
    output_limit: Option<String>,
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum StdinMode {
    Closed,
    Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Lifetime {
    Detached,
    Session,
}

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        "execute",
        "Run a command",
        "Starts a shell command as a background job that outlives this session. If it ends within wait_s seconds, the \
         result has its output and exit code; else a job id, the output so far and the next call. For builds, tests, \
         servers, downloads. Example: {\"command\": \"npm run dev\", \"name\": \"web\", \
         \"wait_s\": 0}.",
        &Nature { reads: false, destroys: true, repeats: false, open: true, core: true },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result<CallToolResponse> {
    let wait = seconds("wait_s", arguments.wait_s, WAIT, LONGEST_WAIT)?;
    let format = arguments.format.unwrap_or_default();
    let spec = told(server, spec(server, arguments).await?.build()).await?;
    let id = server.submit(spec).await?.id;
    let job = started(server, id, wait, context).await?;
    if format == Format::Json {
        // Never a task: a program that asks for fields reads on from the cursor, and a job does not know how it was asked for.
        let answer = answer_in_fields(server, &job, Cursor(0), None, BUDGET).await?;
        return Ok(answer.into_result().into());
    }
    if !job.status().is_final() && task::are_known_to(context) {
        return Ok(task::created(server, &job).await.into());
    }
    Ok(answer(server, &job).await?.into_result().into())
}

/// What a command comes to.
pub(super) async fn answer(server: &Server, job: &Job) -> Result {
    let (output, viewed) = told(server, text::read(server.jobs(), job.id, Cursor(0), None, BUDGET).await).await?;
    let now = Timestamp::now();
    let shape = text::shape(server.jobs(), job).await;
    let (name, state) = (text::name(job), text::state(&shape, now));
    let short = job.id.short();
    let cursor = viewed.cursor;
    let left = text::stragglers(job);
    let answer = match job.status() {
        status if status.is_final() && output.is_empty() => format!("Job {name} {state}.{left} It wrote nothing."),
        status if status.is_final() => format!("Job {name} {state}.{left}\n\n{output}"),
        Status::Queued => format!(
            "Job {name} is {state}.{} Next: wait {{\"job_ids\": [\"{short}\"]}}, or list {{\"status\": [\"running\"]}} to see \
             what runs.",
            text::when_due(&shape)
        ),
        _ => {
            let so_far = match output.is_empty() {
                true => format!("It has written nothing so far.{}", text::silence(job, now)),
                false => format!("Its output so far:\n\n{output}"),
            };
            format!(
                "Job {name} is {state} and goes on in the background. Next: wait {{\"job_ids\": [\"{short}\"], \"cursor\": \
                 {cursor}}} for its end (or \"until\": \"output:REGEX\", \"port:3000\"), kill to stop it. {so_far}"
            )
        }
    };
    Ok(Answer::text(answer).about(job, Some(cursor)))
}

async fn spec(server: &Server, arguments: Arguments) -> Result<JobSpecBuilder> {
    let spec = match (arguments.command, arguments.argv) {
        (Some(line), None) => JobSpec::shell(line),
        (None, Some(argv)) => JobSpec::command(argv),
        _ => return Err(Failure::new("execute: give either `command`, a line for a shell, or `argv`, an array.")),
    };
    short_enough(arguments.cwd.as_ref())?;
    let cwd = match arguments.cwd {
        Some(cwd) if cwd.is_absolute() => cwd,
        Some(cwd) => told(server, current_dir(server)).await?.join(cwd),
        None => told(server, current_dir(server)).await?,
    };
    let mut environment = server.settings().environment.apply(std::env::vars_os());
    environment.enter(&cwd);
    if arguments.tty == Some(true) {
        environment.enter_terminal();
    }
    let mut spec = server.settings().apply(spec.cwd(cwd).environment(environment));
    for (name, value) in arguments.env.into_iter().flatten() {
        spec = spec.env(name, value);
    }
    if let Some(timeout) = timeout(server, arguments.timeout_s)? {
        spec = spec.timeout(timeout);
    }
    match (arguments.input, arguments.stdin) {
        (Some(_), Some(StdinMode::Open)) => {
            return Err(Failure::new("input: with stdin \"open\", send it with interact when the job has started."));
        }
        (Some(_), _) if arguments.tty == Some(true) => {
            return Err(Failure::new("input: on a terminal, send it with interact when the job has started."));
        }
        (Some(input), _) => spec = spec.given(input),
        (None, Some(StdinMode::Open)) => spec = spec.stdin(Stdin::Open),
        (None, Some(StdinMode::Closed) | None) => {}
    }
    if let Some(signal) = arguments.stop_signal {
        let signal: Signal = signal.parse().map_err(|reason| Failure::new(format!("stop_signal: {reason}.")))?;
        spec = spec.stop_signal(signal);
    }
    if let Some(limit) = arguments.output_limit {
        spec =
            spec.output_limit(parse_size(&limit).map_err(|reason| Failure::new(format!("output_limit: {reason}.")))?);
    }
    match arguments.leave_stragglers {
        Some(true) => spec = spec.stragglers(Stragglers::Leave),
        Some(false) => spec = spec.stragglers(Stragglers::Stop),
        None => {}
    }
    if arguments.tty == Some(true) {
        spec = spec.terminal(TerminalSize::default());
    }
    if let Some(name) = name("name", arguments.name)? {
        spec = spec.name(name);
    }
    if let Some(key) = arguments.key {
        spec = spec.key(key);
    }
    if let Some(group) = name("group", arguments.group)? {
        spec = spec.group(group);
    }
    if arguments.lifetime == Some(Lifetime::Session) {
        let server = ProcessId::of_this_program()
            .map_err(|error| Failure::new(format!("lifetime: nobody could tell when this server ends: {error}.")))?;
        spec = spec.ends_with(server);
    }
    for (name, value) in arguments.labels.into_iter().flatten() {
        spec = spec.label(name, value);
    }
    Ok(spec)
}

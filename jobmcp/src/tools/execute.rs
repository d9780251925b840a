//! `execute`: starts a command, and answers with its result if it ends soon, or else with its state.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jobcore::front::{Backoff, ExitCodes, Restarting, moment};
use jobcore::input::Message;
use jobcore::output::Cursor;
use jobcore::queue::{AfterWhen, Repeat};
use jobcore::record::ProcessId;
use jobcore::spec::{Limits, Stdin, Stragglers, TerminalSize};
use jobcore::stop::Signal;
use jobcore::units::parse_size;
use jobcore::wait::{Until, WaitOptions};
use jobcore::words::counted;
use jobcore::{Job, JobId, JobManager, JobSpec, JobSpecBuilder, Name};
use rmcp::model::{CallToolResponse, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Condition, Result, answer_in_fields, find, job, on_excerpt, on_job, started, told, waited};
use super::arguments::{
    Format, LONGEST_TIMEOUT, LONGEST_WAIT, current_dir, grep, lines, name, seconds, short_enough, timeout, until,
};
use super::batch;
use super::nature::{Nature, tool as describe};
use crate::excerpt::{Excerpt, Look};
use crate::failure::Failure;
use crate::server::{Context, Server};
use crate::task;
use crate::text::BUDGET;

/// How long a call waits for the command to end by default.
const WAIT: Duration = Duration::from_secs(2);
/// How long it waits for another condition by default.
const UNTIL: Duration = Duration::from_secs(30);

/// How many lines of output are shown of a job that becomes a task.
const SO_FAR: u64 = 3;

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Shell line
    pub(super) command: Option<String>,
    /// Or several: lines, or {"name", "command"}
    #[schemars(with = "Option<Vec<LineOrStep>>")]
    pub(super) commands: Option<Vec<Step>>,
    /// How many run at once
    pub(super) at_a_time: Option<u32>,
    #[schemars(extend("x-unlisted" = true))]
    pub(super) argv: Option<Vec<String>>,
    pub(super) cwd: Option<PathBuf>,
    /// Shell for lines, such as "bash -l"
    #[schemars(extend("x-unlisted" = true))]
    shell: Option<String>,
    /// Whether a line fails if any part of a pipe fails; default true in bash
    #[schemars(extend("x-unlisted" = true))]
    pipefail: Option<bool>,
    env: Option<BTreeMap<String, String>>,
    /// Unique among live jobs
    pub(super) name: Option<String>,
    /// 0 to 50, default 2
    wait_s: Option<f64>,
    /// Wait for output:REGEX, port:3000, quiet:5s or file:PATH
    until: Option<String>,
    /// Show only lines matching this regex
    grep: Option<String>,
    /// Lines around each match
    context: Option<u64>,
    /// Show this many last lines
    lines: Option<u64>,
    /// Standard input
    pub(super) input: Option<String>,
    /// "open" for interact; default "closed"
    stdin: Option<StdinMode>,
    tty: Option<bool>,
    /// Stop it after this
    timeout_s: Option<f64>,
    /// Report it as stalled after this long without output and CPU time
    #[schemars(extend("x-unlisted" = true))]
    stall_s: Option<f64>,
    /// Stop it when it stalls
    #[schemars(extend("x-unlisted" = true))]
    stall_stop: Option<bool>,
    /// Output to keep at most, default "10M"
    #[schemars(extend("x-unlisted" = true))]
    output_limit: Option<String>,
    /// Queue with its own limit
    pub(super) group: Option<String>,
    /// Start once these jobs have completed
    after_ok: Option<Vec<String>>,
    #[schemars(extend("x-unlisted" = true))]
    after: Option<Vec<String>>,
    #[schemars(extend("x-unlisted" = true))]
    after_failed: Option<Vec<String>>,
    #[schemars(extend("x-unlisted" = true))]
    after_ready: Option<Vec<String>>,
    /// Jobs with a higher priority start first; default 0
    #[schemars(extend("x-unlisted" = true))]
    priority: Option<i32>,
    /// How many slots of the store and its group it takes
    #[schemars(extend("x-unlisted" = true))]
    slots: Option<u32>,
    /// Amounts to take while it runs, such as {"gpu": 1}
    #[schemars(extend("x-unlisted" = true))]
    resources: Option<BTreeMap<String, u32>>,
    /// Start it only while these hold, such as "load<4" or "free-mem>8G"
    #[schemars(extend("x-unlisted" = true))]
    when: Option<Vec<String>>,
    /// Keep it queued until `jobcli release`
    #[schemars(extend("x-unlisted" = true))]
    hold: Option<bool>,
    /// Run it now and then repeatedly at this interval, such as "1h"
    #[schemars(extend("x-unlisted" = true))]
    every: Option<String>,
    /// Or at these times, such as "0 3 * * 1-5", in the server's time zone
    #[schemars(extend("x-unlisted" = true))]
    cron: Option<String>,
    /// If times are missed, "run" once (default) or "skip" them
    #[schemars(extend("x-unlisted" = true))]
    missed: Option<String>,
    /// If a job has this key, it is returned instead
    #[schemars(extend("x-unlisted" = true))]
    pub(super) key: Option<String>,
    #[schemars(extend("x-unlisted" = true))]
    labels: Option<BTreeMap<String, String>>,
    /// Conditions for being ready: port:3000, port:HOST:3000, http://URL, output:REGEX, file:PATH or cmd:LINE; waits
    /// for them
    #[schemars(extend("x-unlisted" = true))]
    ready: Option<Vec<String>>,
    /// Stop it if it is not ready within this time
    #[schemars(extend("x-unlisted" = true))]
    ready_timeout_s: Option<f64>,
    /// What to do then: "stop" (default) or "continue"
    #[schemars(extend("x-unlisted" = true))]
    not_ready: Option<String>,
    /// "session" ends with this server; default "detached"
    #[schemars(extend("x-unlisted" = true))]
    lifetime: Option<Lifetime>,
    /// Stop it this many seconds after the last call that names it
    #[schemars(extend("x-unlisted" = true))]
    lease_s: Option<f64>,
    /// Restart it up to this many times if it fails
    #[schemars(extend("x-unlisted" = true))]
    retries: Option<u32>,
    /// "on_failure" or "always": restart it whenever it fails or ends
    #[schemars(extend("x-unlisted" = true))]
    restart: Option<String>,
    /// First and longest delay before a restart, default "1s..5m"
    #[schemars(extend("x-unlisted" = true))]
    backoff: Option<String>,
    /// Restart it only after these exit codes
    #[schemars(extend("x-unlisted" = true))]
    retry_on: Option<Vec<u8>>,
    /// Niceness, from -20 to 19
    #[schemars(extend("x-unlisted" = true))]
    nice: Option<i32>,
    /// CPUs it may run on, such as "0-3,6"
    #[schemars(extend("x-unlisted" = true))]
    cpus: Option<String>,
    /// Limit on the memory of the job, such as "2G"
    #[schemars(extend("x-unlisted" = true))]
    memory: Option<String>,
    #[schemars(extend("x-unlisted" = true))]
    leave_stragglers: Option<bool>,
    #[schemars(extend("x-unlisted" = true))]
    stop_signal: Option<String>,
    #[schemars(extend("x-unlisted" = true))]
    format: Option<Format>,
}

impl Arguments {
    /// Returns the arguments of one of several commands.
    pub(super) fn of_step(&self, step: NamedStep, group: &Name) -> Self {
        let cwd = match (&self.cwd, step.cwd) {
            (Some(cwd), Some(of_step)) => Some(cwd.join(of_step)),
            (cwd, of_step) => of_step.or_else(|| cwd.clone()),
        };
        Self { command: Some(step.command), name: step.name, cwd, group: Some(group.to_string()), ..self.clone() }
    }
}

/// One of several commands.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a command is a line, or an object with `command` and perhaps `name`")]
pub(super) enum Step {
    Line(String),
    Named(NamedStep),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedStep {
    pub(super) command: String,
    pub(super) name: Option<String>,
    pub(super) cwd: Option<PathBuf>,
}

// A step in a form of schema that every client accepts. No doc comment: every model would read it.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum LineOrStep {
    Line(String),
    Step(serde_json::Map<String, serde_json::Value>),
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
        "Starts a shell command as a background job that outlives this session. If it ends within wait_s, the result has \
         its exit code and the end of its output, after a failure also the likely cause; else it keeps running. For \
         builds, tests, servers, downloads. Examples: {\"command\": \"npm run dev\", \"name\": \"web\", \"until\": \
         \"port:3000\"}, {\"commands\": [\"make lint\", \"make test\"], \"wait_s\": 50}.",
        &Nature { reads: false, destroys: true, repeats: false, open: true, core: true },
    )
}

/// What a call waits for, and what its result shows.
pub(super) struct Asked {
    pub(super) wait: Duration,
    pub(super) until: Option<Until>,
    pub(super) look: Look,
}

impl Asked {
    pub(super) fn of(arguments: &Arguments) -> Result<Self> {
        let repeats = arguments.every.is_some() || arguments.cron.is_some();
        let waits_to_be_ready = !repeats && arguments.ready.as_ref().is_some_and(|ready| !ready.is_empty());
        let until = match until(arguments.until.as_deref())? {
            None if waits_to_be_ready => Some(Until::Ready),
            until => until,
        };
        // If there is a condition, wait longer by default.
        let default = if until.is_some() { UNTIL } else { WAIT };
        let look = Look {
            lines: lines(arguments.lines)?,
            grep: grep(arguments.grep.as_deref(), arguments.context)?,
            ..Look::default()
        };
        Ok(Self { wait: seconds("wait_s", arguments.wait_s, default, LONGEST_WAIT)?, until, look })
    }
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result<CallToolResponse> {
    let repeats = arguments.every.is_some() || arguments.cron.is_some();
    if repeats && (arguments.commands.is_some() || arguments.until.is_some()) {
        return Err(Failure::new(
            "A schedule does not end and is one command: give `every` or `cron` without `commands` and `until`.",
        ));
    }
    match arguments.commands {
        Some(_) => Ok(batch::run(server, arguments, context).await?.into_result().into()),
        None => run_one(server, arguments, context).await,
    }
}

async fn run_one(server: &Server, mut arguments: Arguments, context: &Context) -> Result<CallToolResponse> {
    let repeats = arguments.every.is_some() || arguments.cron.is_some();
    let asked = Asked::of(&arguments)?;
    let format = arguments.format.unwrap_or_default();
    let typed = match (arguments.stdin, arguments.tty) {
        (Some(StdinMode::Open), _) | (_, Some(true)) => arguments.input.take(),
        _ => None,
    };
    let limit = arguments.at_a_time.map(|limit| (limit, arguments.group.clone()));
    let spec = told(server, spec(server, arguments).await?.build()).await?;
    match limit {
        Some((limit, Some(group))) => batch::limit_group(server, &group, limit).await?,
        Some((_, None)) => return Err(Failure::new("at_a_time: it needs `commands` or a `group`.")),
        None => {}
    }
    let id = server.submit(spec).await?.id;
    let unsent = match typed {
        Some(input) => unsent(server, id, &input).await,
        None => None,
    };
    let (job, reached) = match &asked.until {
        Some(until) => {
            let options = WaitOptions::default().with_until(until.clone()).with_timeout(Some(asked.wait));
            let mut waited = waited(server, &[id], options, context).await?;
            (job(server, id).await?, waited.reached.pop().map(|reached| (reached, waited.timed_out)))
        }
        None => (started(server, id, asked.wait, context).await?, None),
    };
    if format == Format::Json {
        // Never a task: a program that requests fields continues from the cursor, and the job does not record what was
        // requested.
        let answer = answer_in_fields(server, &job, Cursor(0), None, BUDGET).await?;
        return Ok(answer.into_result().into());
    }
    if !job.status().is_final() && !repeats && asked.until.is_none() && unsent.is_none() && task::are_known_to(context)
    {
        let so_far = on_job(server, &job, &Look { lines: Some(SO_FAR), ..asked.look }, None).await?;
        return Ok(task::created(server, &job, so_far.said()).await.into());
    }
    let condition = asked.until.as_ref().zip(reached.as_ref()).map(|(until, (reached, timed_out))| Condition {
        until,
        reached,
        timed_out: *timed_out,
    });
    let answer = match asked.wait.is_zero() && !job.status().is_final() {
        // The command has just been started: there is no output yet.
        true => on_excerpt(server, &job, &Excerpt::default(), condition.as_ref()).await?,
        false => on_job(server, &job, &asked.look, condition.as_ref()).await?,
    };
    let answer = match &unsent {
        Some(note) => answer.with_note(note),
        None => answer,
    };
    Ok(answer.into_result().into())
}

/// Types a line into a job that was just submitted. If it does not arrive, returns a note instead of an error: the job
/// exists anyway, and the model would repeat a failed call.
async fn unsent(server: &Server, id: JobId, input: &str) -> Option<String> {
    let line = Message::line(input.strip_suffix('\n').unwrap_or(input));
    match server.jobs().send(id, &line, JobManager::PATIENCE).await {
        Ok(sent) if sent.refused == 0 => None,
        Ok(sent) => Some(format!(
            "The last {} of its input did not arrive: it is not reading now. Send the rest with interact.",
            counted(sent.refused, "byte", "bytes")
        )),
        Err(error) => Some(format!("Its input was not sent: {error}. Once it runs, send it with interact.")),
    }
}

/// Answers with the result of a command.
pub(super) async fn answer(server: &Server, job: &Job) -> Result {
    on_job(server, job, &Look::default(), None).await
}

/// Returns the rule of a schedule, if the call describes one.
fn repeat(every: Option<&str>, cron: Option<String>, missed: Option<&str>) -> Result<Option<Repeat>> {
    let repeat = match (every, cron) {
        (Some(_), Some(_)) => return Err(Failure::new("Give either `every` or `cron`.")),
        (Some(every), None) => {
            let period = humantime::parse_duration(every);
            Repeat::every(period.map_err(|error| Failure::new(format!("every: `{every}`: {error}.")))?)
        }
        (None, Some(pattern)) => {
            let zone = moment::zone().map_err(|reason| Failure::new(format!("cron: {reason}.")))?;
            Repeat::cron(pattern, zone)
        }
        (None, None) => return Ok(None),
    };
    let missed = missed.map(|missed| missed.parse().map_err(|reason| Failure::new(format!("missed: {reason}."))));
    Ok(Some(repeat.with_missed(missed.transpose()?.unwrap_or_default())))
}

pub(super) async fn spec(server: &Server, arguments: Arguments) -> Result<JobSpecBuilder> {
    let spec = match (arguments.command, arguments.argv) {
        (Some(line), None) => JobSpec::shell(line),
        (None, Some(argv)) => JobSpec::command(argv),
        _ => return Err(Failure::new("execute: give either `command`, a shell line, or `argv`, an array.")),
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
    if let Some(shell) = arguments.shell {
        spec = spec.with_shell(shell);
    }
    if let Some(pipefail) = arguments.pipefail {
        spec = spec.pipefail(pipefail);
    }
    if let Some(timeout) = timeout(server, arguments.timeout_s)? {
        spec = spec.timeout(timeout);
    }
    if let Some(lease) = arguments.lease_s {
        spec = spec.lease(seconds("lease_s", Some(lease), Duration::ZERO, LONGEST_TIMEOUT)?);
    }
    if let Some(stall) = arguments.stall_s {
        spec = spec.stall(seconds("stall_s", Some(stall), Duration::ZERO, LONGEST_TIMEOUT)?);
    }
    spec = spec.stall_stop(arguments.stall_stop.unwrap_or_default());
    match (arguments.input, arguments.stdin) {
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
    let backoff = arguments.backoff.map(|text| text.parse::<Backoff>()).transpose();
    let retry_on = arguments.retry_on.into_iter().flatten().map(ExitCodes::from).collect();
    let when = arguments.restart.map(|text| text.parse()).transpose();
    let rule =
        backoff.and_then(|backoff| Restarting { when: when?, retries: arguments.retries, backoff, retry_on }.rule());
    if let Some(restart) = rule.map_err(|reason| Failure::new(format!("execute: {reason}.")))? {
        spec = spec.restart(restart);
    }
    for condition in arguments.ready.into_iter().flatten() {
        spec = spec.ready(condition.parse().map_err(|reason| Failure::new(format!("ready: {reason}.")))?);
    }
    if let Some(timeout) = arguments.ready_timeout_s {
        spec = spec.ready_timeout(seconds("ready_timeout_s", Some(timeout), Duration::ZERO, LONGEST_TIMEOUT)?);
    }
    if let Some(rule) = arguments.not_ready {
        spec = spec.not_ready(rule.parse().map_err(|reason| Failure::new(format!("not_ready: {reason}.")))?);
    }
    let mut limits = Limits::default();
    limits.nice = arguments.nice;
    if let Some(cpus) = arguments.cpus {
        limits.cpus = Some(cpus.parse().map_err(|reason| Failure::new(format!("cpus: {reason}.")))?);
    }
    if let Some(memory) = arguments.memory {
        limits.memory = Some(parse_size(&memory).map_err(|reason| Failure::new(format!("memory: {reason}.")))?);
    }
    spec = spec.limits(limits);
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
    let after = [
        (arguments.after, AfterWhen::Ended),
        (arguments.after_ok, AfterWhen::Ok),
        (arguments.after_failed, AfterWhen::Failed),
        (arguments.after_ready, AfterWhen::Ready),
    ];
    for (references, when) in after {
        for reference in references.into_iter().flatten() {
            spec = spec.after(find(server, &reference).await?, when);
        }
    }
    for (resource, amount) in arguments.resources.into_iter().flatten() {
        let resource = resource.parse().map_err(|reason| Failure::new(format!("resources: {reason}.")))?;
        spec = spec.resource(resource, amount);
    }
    if let Some(priority) = arguments.priority {
        spec = spec.priority(priority);
    }
    if let Some(slots) = arguments.slots {
        spec = spec.slots(slots);
    }
    if let Some(repeat) = repeat(arguments.every.as_deref(), arguments.cron, arguments.missed.as_deref())? {
        spec = spec.repeat(repeat);
    }
    for condition in arguments.when.into_iter().flatten() {
        spec = spec.when(condition.parse().map_err(|reason| Failure::new(format!("when: {reason}.")))?);
    }
    if arguments.hold == Some(true) {
        spec = spec.on_hold();
    }
    if arguments.lifetime == Some(Lifetime::Session) {
        let server = ProcessId::of_this_program()
            .map_err(|error| Failure::new(format!("lifetime: the end of this server cannot be observed: {error}.")))?;
        spec = spec.ends_with(server);
    }
    for (name, value) in arguments.labels.into_iter().flatten() {
        spec = spec.label(name, value);
    }
    Ok(spec)
}

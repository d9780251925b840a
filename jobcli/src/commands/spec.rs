//! A job described in JSON: the options of `run` as fields, for programs that would have to quote shell words.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jobcore::environment::VariablePattern;
use jobcore::front::ExitCodes;
use jobcore::front::{Failure, codes, moment};
use jobcore::queue::{Missed, Resource};
use jobcore::spec::{Cpus, IoPriority, NotReady, RestartWhen};
use jobcore::stop::Signal;
use jobcore::units::parse_size;
use jobcore::{Name, ParseError};
use serde::Deserialize;

use super::Result;
use crate::cli::{Run, StdinFrom, Terminal, parse_stdin, parse_terminal};

/// The fields of a spec. `docs/cli.md` lists them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    command: Command,
    cwd: Option<PathBuf>,
    shell: Option<String>,
    pipefail: Option<bool>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    env_clear: bool,
    #[serde(default)]
    env_only: Vec<VariablePattern>,
    timeout: Option<Time>,
    lease: Option<Time>,
    stall: Option<Time>,
    #[serde(default)]
    stall_stop: bool,
    grace: Option<Time>,
    stop_signal: Option<Signal>,
    stdin: Option<String>,
    tty: Option<Tty>,
    #[serde(default)]
    merge: bool,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    output_limit: Option<Size>,
    name: Option<Name>,
    key: Option<String>,
    group: Option<Name>,
    priority: Option<i32>,
    slots: Option<u32>,
    #[serde(default)]
    resources: BTreeMap<Resource, u32>,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    after_ok: Vec<String>,
    #[serde(default)]
    after_failed: Vec<String>,
    #[serde(default)]
    after_ready: Vec<String>,
    when: Option<Conditions>,
    #[serde(default)]
    hold: bool,
    #[serde(rename = "in")]
    delay: Option<Time>,
    at: Option<String>,
    every: Option<Time>,
    cron: Option<String>,
    missed: Option<Missed>,
    at_a_time: Option<u32>,
    #[serde(default)]
    leave_stragglers: bool,
    with_pid: Option<i32>,
    on_end: Option<String>,
    ready: Option<Conditions>,
    ready_timeout: Option<Time>,
    not_ready: Option<NotReady>,
    retries: Option<u32>,
    restart: Option<RestartWhen>,
    backoff: Option<String>,
    #[serde(default)]
    retry_on: Vec<u8>,
    nice: Option<i32>,
    cpus: Option<Cpus>,
    memory: Option<Size>,
    max_processes: Option<u64>,
    open_files: Option<u64>,
    core: Option<Size>,
    io: Option<IoPriority>,
}

/// One condition, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Conditions {
    One(String),
    Several(Vec<String>),
}

impl Conditions {
    fn parse<T: FromStr<Err = ParseError>>(self) -> std::result::Result<Vec<T>, String> {
        let texts = match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        };
        texts.iter().map(|text| text.parse().map_err(String::from)).collect()
    }
}

/// A shell line, or a program and its arguments.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Command {
    Line(String),
    Words(Vec<String>),
}

/// Whether to use a terminal, or its size as text, such as `120x40`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Tty {
    Wanted(bool),
    Size(String),
}

/// A time as text, such as `90s`, or a number of seconds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Text(String),
    Seconds(f64),
}

impl Time {
    fn parse(self) -> std::result::Result<Duration, String> {
        match self {
            Self::Text(text) => humantime::parse_duration(&text).map_err(|error| format!("`{text}`: {error}")),
            Self::Seconds(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(|error| format!("`{seconds}`: {error}"))
            }
        }
    }
}

/// A size as text, such as `10M`, or a number of bytes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Size {
    Text(String),
    Bytes(u64),
}

impl Size {
    fn parse(self) -> std::result::Result<u64, ParseError> {
        match self {
            Self::Text(text) => parse_size(&text),
            Self::Bytes(bytes) => Ok(bytes),
        }
    }
}

/// Reads a spec from a file, or from standard input if the path is `-`, and adds it to the options, which take
/// precedence. Returns whether the command is a program and its arguments.
pub(super) fn add(arguments: &mut Run, path: &Path) -> Result<bool> {
    let text = read(path)?;
    let place = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let wrong = |reason: String| Failure::new(codes::USAGE, format!("spec in {place}: {reason}"));
    if text.trim().is_empty() {
        return Err(Failure::new(codes::USAGE, format!("there is no COMMAND, and {place} is empty"))
            .with_hint("give a command, or JSON such as {\"command\": \"npm run dev\"} on standard input"));
    }
    let spec: Spec = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let is_argv = add_spec(arguments, spec, &wrong)?;
    if path == Path::new("-") && arguments.stdin == Some(StdinFrom::Given) {
        return Err(wrong("stdin: it is already used for the spec; name a file".to_owned()));
    }
    Ok(is_argv)
}

/// Adds a spec to the options. `place` names its source in errors.
pub(super) fn add_json(arguments: &mut Run, spec: serde_json::Value, place: &str) -> Result<bool> {
    let wrong = |reason: String| Failure::new(codes::USAGE, format!("{place}: {reason}"));
    let spec: Spec = serde_json::from_value(spec).map_err(|error| wrong(error.to_string()))?;
    add_spec(arguments, spec, &wrong)
}

fn add_spec(arguments: &mut Run, spec: Spec, wrong: &dyn Fn(String) -> Failure) -> Result<bool> {
    let time = |field: &str, time: Option<Time>| {
        time.map(Time::parse).transpose().map_err(|reason| wrong(format!("{field}: {reason}")))
    };
    let (timeout, grace) = (time("timeout", spec.timeout)?, time("grace", spec.grace)?);
    let size = |field: &str, size: Option<Size>| {
        size.map(Size::parse).transpose().map_err(|reason| wrong(format!("{field}: {reason}")))
    };
    let limit = size("output_limit", spec.output_limit)?;
    let (words, is_argv) = match spec.command {
        Command::Line(line) => (vec![line], false),
        Command::Words(words) => (words, true),
    };
    arguments.command = words.into_iter().map(OsString::from).collect();
    arguments.cwd = arguments.cwd.take().or(spec.cwd);
    arguments.shell = arguments.shell.take().or(spec.shell);
    arguments.pipefail = arguments.pipefail.or(spec.pipefail);
    let stdin = spec.stdin.map(|stdin| parse_stdin(&stdin)).transpose().map_err(wrong)?;
    let tty = match spec.tty {
        Some(Tty::Size(size)) => Some(parse_terminal(&size).map_err(|reason| wrong(format!("tty: {reason}")))?),
        Some(Tty::Wanted(true)) => Some(Terminal(None)),
        Some(Tty::Wanted(false)) | None => None,
    };
    arguments.stdin = arguments.stdin.take().or(stdin);
    arguments.tty = arguments.tty.or(tty);
    arguments.name = arguments.name.take().or(spec.name);
    arguments.key = arguments.key.take().or(spec.key);
    arguments.group = arguments.group.take().or(spec.group);
    let queueing = &mut arguments.queueing.0;
    queueing.priority = queueing.priority.or(spec.priority);
    queueing.slots = queueing.slots.or(spec.slots);
    // If a name is given twice, the last value wins.
    queueing.resource.splice(..0, spec.resources);
    queueing.after.extend(spec.after);
    queueing.after_ok.extend(spec.after_ok);
    queueing.after_failed.extend(spec.after_failed);
    queueing.after_ready.extend(spec.after_ready);
    if let Some(when) = spec.when.filter(|_| queueing.when.is_empty()) {
        queueing.when = when.parse().map_err(|reason| wrong(format!("when: {reason}")))?;
    }
    queueing.hold |= spec.hold;
    let at =
        spec.at.map(|at| moment::parse_coming(&at).map_err(|reason| wrong(format!("at: {reason}")))).transpose()?;
    let delay = time("in", spec.delay)?;
    if queueing.delay.is_none() && queueing.at.is_none() {
        (queueing.delay, queueing.at) = (delay, at);
    }
    let every = time("every", spec.every)?;
    if queueing.every.is_none() && queueing.cron.is_none() {
        if every.is_some() && spec.cron.is_some() {
            return Err(wrong("every: it cannot be combined with `cron`".to_owned()));
        }
        (queueing.every, queueing.cron) = (every, spec.cron);
    }
    queueing.missed = queueing.missed.or(spec.missed);
    queueing.at_a_time = queueing.at_a_time.or(spec.at_a_time);
    arguments.timeout = arguments.timeout.or(timeout);
    let readiness = &mut arguments.readiness.0;
    if let Some(ready) = spec.ready.filter(|_| readiness.ready.is_empty()) {
        readiness.ready = ready.parse().map_err(|reason| wrong(format!("ready: {reason}")))?;
    }
    readiness.ready_timeout = readiness.ready_timeout.or(time("ready_timeout", spec.ready_timeout)?);
    readiness.not_ready = readiness.not_ready.or(spec.not_ready);
    let restarting = &mut arguments.restarting.0;
    restarting.retries = restarting.retries.or(spec.retries);
    if !restarting.keep_alive {
        restarting.restart = restarting.restart.or(spec.restart);
    }
    let backoff = spec.backoff.map(|text| text.parse().map_err(|error| wrong(format!("backoff: {error}"))));
    restarting.backoff = restarting.backoff.or(backoff.transpose()?);
    if restarting.retry_on.is_empty() {
        restarting.retry_on = spec.retry_on.into_iter().map(ExitCodes::from).collect();
    }
    let limiting = &mut arguments.limiting.0;
    limiting.nice = limiting.nice.or(spec.nice);
    limiting.cpus = limiting.cpus.take().or(spec.cpus);
    limiting.memory = limiting.memory.or(size("memory", spec.memory)?);
    limiting.max_processes = limiting.max_processes.or(spec.max_processes);
    limiting.open_files = limiting.open_files.or(spec.open_files);
    limiting.core = limiting.core.or(size("core", spec.core)?);
    limiting.io = limiting.io.or(spec.io);
    arguments.stall = arguments.stall.or(time("stall", spec.stall)?);
    arguments.stall_stop |= spec.stall_stop;
    arguments.grace = arguments.grace.or(grace);
    arguments.stop_signal = arguments.stop_signal.or(spec.stop_signal);
    arguments.output_limit = arguments.output_limit.or(limit);
    arguments.merge |= spec.merge;
    arguments.env_clear |= spec.env_clear;
    if arguments.env_only.is_empty() {
        arguments.env_only = spec.env_only;
    }
    arguments.leave_stragglers |= spec.leave_stragglers;
    let lifetime = &mut arguments.lifetime.0;
    lifetime.with_pid = lifetime.with_pid.or(spec.with_pid);
    lifetime.lease = lifetime.lease.or(time("lease", spec.lease)?);
    arguments.on_end = arguments.on_end.take().or(spec.on_end);
    // If a name is given twice, the last value wins.
    let variables = spec.env.into_iter().map(|(name, value)| OsString::from(format!("{name}={value}")));
    arguments.env.splice(..0, variables);
    arguments.label.splice(..0, spec.labels);
    Ok(is_argv)
}

fn read(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
        .map_err(|error| Failure::new(codes::USAGE, format!("spec `{}`: {error}", path.display())))
}

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jobcore::agent::AgentShape;
use jobcore::clock::Timestamp;
use jobcore::front::stats::Usual;
use jobcore::front::text::{fit, print_json};
use jobcore::front::{Failures, agents, moment};
use jobcore::output::{OutputQuery, Position, View};
use jobcore::shape::JobShape;
use jobcore::spec::NotReady;
use jobcore::spec::{Command, Stdin, Stragglers};
use jobcore::store::job_directory;
use jobcore::units::{format_size, short_duration};
use jobcore::words::counted;
use jobcore::{Job, JobId, JobManager, Query, Status, escape};

use super::select::find_all;
use super::{Result, ending};
use crate::cli::Show;
use crate::ui;

/// How many lines of the output are shown.
const LAST_LINES: u64 = 5;
const WIDEST: usize = 200;
/// With how many jobs of the same name a job is compared.
const COMPARED: usize = 100;
/// By what factor a run is longer than usual to be called so.
const SLOWER: f64 = 1.25;

pub(super) async fn run(jobs: &JobManager, arguments: Show) -> Result {
    let mut failures = Failures::default();
    let mut is_first = true;
    for id in find_all(jobs, &arguments.ids, &mut failures).await {
        match show(jobs, id, arguments.json, is_first).await {
            Ok(()) => is_first = false,
            Err(failure) => failures.add(failure),
        }
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

async fn show(jobs: &JobManager, id: JobId, json: bool, is_first: bool) -> Result<()> {
    let job = jobs.look(id).await?;
    let shape = jobs.report(&job).await?;
    if json {
        return print_json(&shape);
    }
    let mut out = anstream::stdout().lock();
    if !is_first {
        writeln!(out)?;
    }
    let directory = jobs.store().directory().map(|root| job_directory(root, job.id));
    let now = Timestamp::now();
    let colour = ui::style(shape.status);
    writeln!(out, "{colour}{}{colour:#}\n", escape::one_line(&headline(&job, &shape, now)))?;
    describe(&mut out, &job, &shape, now)?;
    if let Some(directory) = directory {
        line(&mut out, "kept in", directory.display())?;
    }
    if let Some(usual) = usual(jobs, &job, now).await? {
        line(&mut out, "usual time", usual)?;
    }
    let last = last_lines(jobs, &job).await?;
    if !last.is_empty() {
        writeln!(out, "\nlast output:")?;
        for line in last {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// Returns how long jobs of this name usually take, and how this one compares.
async fn usual(jobs: &JobManager, job: &Job, now: Timestamp) -> Result<Option<String>> {
    let Some(name) = job.spec.name.clone() else { return Ok(None) };
    let query =
        Query::default().with_name(Some(name)).with_project(job.spec.project.clone()).with_limit(Some(COMPARED));
    let others = jobs.list(&query).await?.jobs;
    Ok(Usual::of(job, &others, now).map(|usual| {
        let compared = match usual.ratio {
            ratio if job.state.outcome().is_none() => match ratio >= SLOWER {
                true => format!("; this one has taken {ratio:.1} times as long so far"),
                false => String::new(),
            },
            ratio if ratio >= SLOWER => format!("; this one took {ratio:.1} times as long"),
            ratio if ratio <= 1.0 / SLOWER => format!("; this one took {:.0} % of that", ratio * 100.0),
            _ => "; this one took about as long".to_owned(),
        };
        format!("{}, the median of {} earlier runs{compared}", short_duration(usual.time), usual.runs)
    }))
}

/// Returns a sentence on how the job ended, or on its current state.
fn headline(job: &Job, shape: &JobShape, now: Timestamp) -> String {
    if let Some(ended) = ending::of(job) {
        return ended;
    }
    let label = job.label();
    if let Some(queued) = &shape.queued {
        return format!("{label} is queued: {queued}");
    }
    if shape.status == Status::Paused {
        return format!("{label} is paused");
    }
    let since = shape.started_at.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
    let time = since.map(|time| format!(" for {}", short_duration(time))).unwrap_or_default();
    format!("{label} has been {}{time}", shape.status)
}

/// Returns the last lines of the output, cleaned; none for an agent run, whose answer is shown instead.
async fn last_lines(jobs: &JobManager, job: &Job) -> Result<Vec<String>> {
    if job.output.bytes == 0 || job.is_agent_run() {
        return Ok(Vec::new());
    }
    let (query, view) = (OutputQuery::from(Position::TailLines(LAST_LINES)), View::default().with_clean(true));
    let viewed = jobs.view(job.id, &query, &view).await?;
    let text = String::from_utf8_lossy(&viewed.text(&view, None)).into_owned();
    Ok(text.lines().map(|line| fit(line, WIDEST)).collect())
}

fn line(out: &mut impl Write, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
    writeln!(out, "{name:<13}{}", escape::one_line(&value.to_string()))
}

fn describe(out: &mut impl Write, job: &Job, shape: &JobShape, now: Timestamp) -> io::Result<()> {
    let millis = |ms: u64| if ms < 1000 { format!("{ms}ms") } else { short_duration(Duration::from_millis(ms)) };
    let moment = |at: Timestamp| moment::local(at, now);
    let colour = ui::style(shape.status);
    line(out, "job", shape.job_id)?;
    if let Some(name) = &shape.name {
        line(out, "name", name)?;
    }
    writeln!(out, "{:<13}{colour}{}{colour:#}", "status", shape.status)?;
    if let Some(queued) = &shape.queued {
        line(out, "queued", queued)?;
    }
    if let Some(waiting) = &shape.waiting_for_input {
        line(out, "now", waiting)?;
    }
    if let Some(since) = shape.stalled_since {
        line(out, "now", format_args!("stalled since {}", moment(since)))?;
    }
    if let Some(attempt) = shape.attempt_in_words(now).filter(|_| !shape.status.is_final()) {
        line(out, "now", attempt)?;
    }
    if job.is_starting() {
        line(out, "now", "starting: not ready yet")?;
    }
    if let Some(cause) = shape.cause {
        line(out, "cause", cause.as_str())?;
    }
    if let Some(message) = &shape.message {
        line(out, "message", message)?;
    }
    if shape.supervised == Some(false) {
        line(out, "supervisor", "lost, and it cannot be replaced from here")?;
    }
    let kind = if matches!(job.spec.command, Command::Shell(_)) { "shell line" } else { "command" };
    line(out, kind, shape.command_line())?;
    if let Some(shell) = &job.spec.shell {
        line(out, "shell", shell)?;
    }
    line(out, "directory", &shape.cwd)?;
    if let Some(agent) = &shape.agent {
        describe_agent(out, agent)?;
    }
    if let Some(group) = &shape.group {
        line(out, "group", group)?;
    }
    if let Some(repeat) = shape.repeat.as_ref().filter(|_| shape.queued.is_none()) {
        line(out, "schedule", repeat)?;
    }
    if let Some(run_of) = &shape.run_of {
        line(out, "run of", format_args!("schedule {}, for {}", run_of.job_id.short(), moment(run_of.at)))?;
    }
    if let Some(key) = &job.spec.key {
        line(out, "key", key)?;
    }
    for (name, value) in &shape.labels {
        line(out, "label", if value.is_empty() { name.clone() } else { format!("{name}={value}") })?;
    }
    if let Some(caller) = &shape.caller {
        line(out, "caller", caller)?;
    }
    if let Some(project) = shape.project.as_ref().filter(|project| **project != shape.cwd) {
        line(out, "project", project)?;
    }
    if let Some(pid) = shape.pid {
        line(out, "process", pid)?;
    }
    if let Some(adoption) = &shape.adopts {
        line(out, "adopted", "it was started elsewhere")?;
        line(out, "stdout", &adoption.stdout)?;
        line(out, "stderr", &adoption.stderr)?;
    }
    line(out, "submitted", moment(shape.submitted_at))?;
    for (name, at) in [("started", shape.started_at), ("ready", shape.ready_at), ("ended", shape.ended_at)] {
        if let Some(at) = at {
            line(out, name, moment(at))?;
        }
    }
    if let Some(until) = shape.lease_until {
        line(out, "lease", format_args!("until {}, unless it is renewed", moment(until)))?;
    }
    if let Some(duration) = shape.duration_ms {
        line(out, "time", millis(duration))?;
    }
    if let Some(paused) = shape.paused_ms {
        line(out, "paused", millis(paused))?;
    }
    if let Some(code) = shape.exit_code {
        line(out, "exit code", code)?;
    }
    if let Some(signal) = shape.signal {
        line(
            out,
            "signal",
            format_args!("{signal}{}", if shape.core_dumped.is_some() { ", core dumped" } else { "" }),
        )?;
    }
    if let Some(who) = &shape.stopped_by {
        line(out, "stopped by", who)?;
    }
    if let Some(cpu) = shape.cpu_ms {
        line(out, "cpu time", millis(cpu))?;
    }
    if let Some(memory) = shape.memory_bytes {
        let processes = counted(shape.processes.unwrap_or_default(), "process", "processes");
        line(out, "memory", format_args!("{} ({processes})", format_size(memory)))?;
    }
    if let Some(peak) = shape.peak_rss_bytes {
        line(out, "peak memory", format_args!("{} (its largest process)", format_size(peak)))?;
    }
    for attempt in &shape.attempts {
        let time = attempt.started_at.map(|at| attempt.ended_at.duration_since(at).as_millis());
        let time = short_duration(Duration::from_millis(time.and_then(|ms| ms.try_into().ok()).unwrap_or_default()));
        let output = format_size(attempt.output_bytes);
        line(
            out,
            &format!("attempt {}", attempt.attempt),
            format_args!("{} after {time}, output {output}", attempt.in_words()),
        )?;
    }
    let still_running = if shape.stragglers_alive == Some(true) { ", still running" } else { "" };
    if let Some(stragglers) = shape.stragglers {
        line(out, "stragglers", format_args!("{stragglers}{still_running}"))?;
    }
    for survivor in &shape.survivors {
        line(out, "survivor", format_args!("{} {}: {}", survivor.pid, survivor.name, survivor.reason))?;
    }
    let dropped = match shape.dropped_bytes {
        0 => String::new(),
        bytes => format!(", {} of it dropped", format_size(bytes)),
    };
    line(out, "output", format_args!("{}{dropped}", format_size(shape.output_bytes)))?;
    for run in &shape.on_end {
        line(out, "on end", run)?;
    }
    describe_spec(out, job)
}

fn describe_agent(out: &mut impl Write, agent: &AgentShape) -> io::Result<()> {
    let digest = &agent.digest;
    line(out, "agent", format_args!("{}: {}", agent.agent, agents::line(agent)))?;
    line(out, "prompt", &agent.prompt)?;
    line(out, "may", agent.permission_mode.as_str())?;
    if let Some(denied) = agents::denied(agent) {
        line(out, "denied", denied)?;
    }
    if let Some(model) = &digest.model {
        line(out, "model", model)?;
    }
    if let Some(session) = &digest.session_id {
        line(out, "session", session)?;
    }
    if !digest.usage.is_empty() {
        let of_all = if agent.of_conversation.contains("usage") { " in the whole conversation" } else { "" };
        line(out, "tokens", format_args!("{}{of_all}", agents::tokens(&digest.usage)))?;
    }
    if let Some(worktree) = &agent.worktree {
        line(out, "worktree", format_args!("{} on branch {}", worktree.path.display(), worktree.branch))?;
    }
    if let Some(result) = &digest.result {
        line(out, "answer", fit(result, 200))?;
    }
    Ok(())
}

fn describe_spec(out: &mut impl Write, job: &Job) -> io::Result<()> {
    let spec = &job.spec;
    if let Stdin::File(path) = &spec.stdin {
        line(out, "reads", path.display())?;
    }
    if spec.stdin == Stdin::Given {
        line(out, "reads", "the input it was given")?;
    }
    if let Some(signal) = spec.stop_signal {
        line(out, "stop signal", signal)?;
    }
    if spec.merge {
        line(out, "streams", "merged")?;
    }
    if let Some(timeout) = spec.timeout() {
        line(out, "timeout", humantime::format_duration(timeout))?;
    }
    if let Some(stall) = spec.stall() {
        let stop = if spec.stall_stop { ", and is then stopped" } else { "" };
        line(out, "stalled", format_args!("when it has done nothing for {}{stop}", humantime::format_duration(stall)))?;
    }
    if let Some(restart) = &spec.restart {
        line(out, "restarts", restart)?;
    }
    if !spec.limits.is_empty() {
        line(out, "limits", &spec.limits)?;
    }
    for condition in &spec.ready {
        line(out, "ready when", condition)?;
    }
    if let Some(timeout) = spec.ready_timeout() {
        let rule = if spec.not_ready == NotReady::Stop { "is stopped" } else { "continues" };
        line(out, "ready in", format_args!("{}, or {rule}", humantime::format_duration(timeout)))?;
    }
    line(out, "grace", humantime::format_duration(spec.grace()))?;
    let limit = match spec.output_limit {
        0 => "none".to_owned(),
        bytes => format_size(bytes),
    };
    line(out, "output limit", limit)?;
    if let Some(on_end) = &spec.on_end {
        line(out, "to run at end", if on_end.trim().is_empty() { "nothing" } else { on_end })?;
    }
    if spec.stragglers == Stragglers::Leave {
        line(out, "left alone", "processes that outlive the main process")?;
    }
    Ok(())
}

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jobcore::agent::AgentShape;
use jobcore::units::format_size;
use jobcore::{Command, Job, JobManager, JobShape, Stdin, Stragglers};

use super::{Result, print_json};
use crate::cli::Show;
use crate::{agents, ui};

pub(super) async fn run(jobs: &JobManager, arguments: Show) -> Result {
    for (index, reference) in arguments.ids.iter().enumerate() {
        let job = jobs.job(jobs.find(reference).await?).await?;
        let shape = jobs.report(&job).await?;
        if arguments.json {
            print_json(&shape)?;
            continue;
        }
        let mut out = anstream::stdout().lock();
        if index > 0 {
            writeln!(out)?;
        }
        let directory = jobs.store().as_file().map(|store| store.job_directory(job.id));
        describe(&mut out, &job, &shape)?;
        if let Some(directory) = directory {
            line(&mut out, "kept in", directory.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut impl Write, name: &str, value: impl std::fmt::Display) -> io::Result<()> {
    writeln!(out, "{name:<13}{value}")
}

fn describe(out: &mut impl Write, job: &Job, shape: &JobShape) -> io::Result<()> {
    let millis = |ms: u64| humantime::format_duration(Duration::from_millis(ms)).to_string();
    let colour = ui::style(shape.status);
    line(out, "job", shape.job_id)?;
    line(out, "short id", &shape.short_id)?;
    if let Some(name) = &shape.name {
        line(out, "name", name)?;
    }
    line(out, "status", format_args!("{colour}{}{colour:#}", shape.status))?;
    if let Some(cause) = shape.cause {
        line(out, "cause", cause.as_str())?;
    }
    if let Some(message) = &shape.message {
        line(out, "message", ui::one_line(message, None))?;
    }
    if shape.supervised == Some(false) {
        line(out, "supervisor", "lost, and none can be put in charge from here")?;
    }
    let kind = if matches!(job.spec.command, Command::Shell(_)) { "shell line" } else { "command" };
    line(out, kind, ui::one_line(&shape.command_line(), None))?;
    if let Some(shell) = &job.spec.shell {
        line(out, "shell", shell.display())?;
    }
    line(out, "directory", &shape.cwd)?;
    if let Some(agent) = &shape.agent {
        describe_agent(out, agent)?;
    }
    if let Some(group) = &shape.group {
        line(out, "group", group)?;
    }
    if let Some(key) = &job.spec.key {
        line(out, "key", ui::one_line(key, None))?;
    }
    for (name, value) in &shape.labels {
        line(
            out,
            "label",
            ui::one_line(&if value.is_empty() { name.clone() } else { format!("{name}={value}") }, None),
        )?;
    }
    if let Some(pid) = shape.pid {
        line(out, "process", pid)?;
    }
    line(out, "submitted", shape.submitted_at)?;
    for (name, at) in [("started", shape.started_at), ("ended", shape.ended_at)] {
        if let Some(at) = at {
            line(out, name, at)?;
        }
    }
    if let Some(duration) = shape.duration_ms {
        line(out, "time", millis(duration))?;
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
        line(out, "stopped by", ui::one_line(who, None))?;
    }
    if let Some(cpu) = shape.cpu_ms {
        line(out, "cpu time", millis(cpu))?;
    }
    if let Some(peak) = shape.peak_rss_bytes {
        line(out, "peak memory", format_args!("{} (its largest process)", format_size(peak)))?;
    }
    if let Some(stragglers) = shape.stragglers {
        line(out, "stragglers", stragglers)?;
    }
    for survivor in &shape.survivors {
        let name = ui::one_line(&survivor.name, None);
        line(out, "survivor", format_args!("{} {name}: {}", survivor.pid, survivor.reason))?;
    }
    let dropped = match shape.dropped_bytes {
        0 => String::new(),
        bytes => format!(", of which {} were not kept", format_size(bytes)),
    };
    line(out, "output", format_args!("{}{dropped}", format_size(shape.output_bytes)))?;
    describe_spec(out, job)
}

fn describe_agent(out: &mut impl Write, agent: &AgentShape) -> io::Result<()> {
    let digest = &agent.digest;
    line(out, "agent", format_args!("{}: {}", agent.agent, agents::line(agent)))?;
    line(out, "prompt", ui::one_line(&agent.prompt, None))?;
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
        line(out, "tokens", agents::tokens(&digest.usage))?;
    }
    if let Some(worktree) = &agent.worktree {
        line(out, "worktree", format_args!("{} on branch {}", worktree.path.display(), worktree.branch))?;
    }
    if let Some(result) = &digest.result {
        line(out, "answer", ui::one_line(result, Some(200)))?;
    }
    Ok(())
}

fn describe_spec(out: &mut impl Write, job: &Job) -> io::Result<()> {
    let spec = &job.spec;
    if let Stdin::File(path) = &spec.stdin {
        line(out, "reads", path.display())?;
    }
    if spec.stdin == Stdin::Given {
        line(out, "reads", "what it was given")?;
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
    line(out, "grace", humantime::format_duration(spec.grace()))?;
    let limit = match spec.output_limit {
        0 => "none".to_owned(),
        bytes => format_size(bytes),
    };
    line(out, "output limit", limit)?;
    if spec.stragglers == Stragglers::Leave {
        line(out, "left alone", "what is left when the main process ends")?;
    }
    Ok(())
}

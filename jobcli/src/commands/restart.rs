//! `restart` is what other tools have: a job here runs once, and its record stays as it is. What runs it again is printed.

use std::time::Duration;

use jobcore::front::{Failure, codes};
use jobcore::shape::JobShape;
use jobcore::spec::{DEFAULT_GRACE, DEFAULT_OUTPUT_LIMIT, Stdin, Stragglers};
use jobcore::words::quoted;
use jobcore::{Job, JobManager};

use super::Result;
use super::select::find;
use crate::cli::Restart;

pub(super) async fn run(jobs: &JobManager, arguments: &Restart) -> Result {
    let job = jobs.job(find(jobs, &arguments.id).await?).await?;
    let id = job.id.short();
    let again = match job.is_agent_run() {
        true => format!("jobcli delegate --resume {id} 'Go on.'"),
        false => again(&job, &jobs.shape(&job)),
    };
    let line = if job.status().is_final() { again } else { format!("jobcli kill {id} && {again}") };
    Err(Failure::new(codes::USAGE, format!("job {id} is not started again: a job runs once"))
        .with_hint(format!("this submits another like it: `{line}`")))
}

/// Returns the line that submits such a job again, from here and with the environment there is here.
fn again(job: &Job, shape: &JobShape) -> String {
    let spec = &job.spec;
    let mut line = "jobcli run".to_owned();
    let mut add = |option: &str, value: &str| {
        line = if value.is_empty() { format!("{line} {option}") } else { format!("{line} {option} {}", quoted(value)) };
    };
    let time = |duration: Duration| humantime::format_duration(duration).to_string();
    add("--cwd", &spec.cwd.display().to_string());
    if let Some(name) = &spec.name {
        add("--name", name.as_str());
    }
    if let Some(group) = &spec.group {
        add("--group", group.as_str());
    }
    for (name, value) in &spec.labels {
        add("--label", &if value.is_empty() { name.clone() } else { format!("{name}={value}") });
    }
    if let Some(timeout) = spec.timeout() {
        add("--timeout", &time(timeout));
    }
    if let Some(stall) = spec.stall() {
        add("--stall", &time(stall));
    }
    if spec.stall_stop {
        add("--stall-stop", "");
    }
    if spec.grace() != DEFAULT_GRACE {
        add("--grace", &time(spec.grace()));
    }
    if let Some(signal) = spec.stop_signal {
        add("--stop-signal", &signal.to_string());
    }
    if spec.output_limit != DEFAULT_OUTPUT_LIMIT {
        add("--output-limit", &spec.output_limit.to_string());
    }
    match &spec.stdin {
        Stdin::Open => add("--stdin", "open"),
        Stdin::File(path) => add("--stdin", &path.display().to_string()),
        // What it was given is not kept for others to read.
        Stdin::Given => add("--stdin", "-"),
        _ => {}
    }
    if let Some(size) = spec.terminal {
        add(&format!("--tty={}x{}", size.columns, size.rows), "");
    }
    if spec.merge {
        add("--merge", "");
    }
    if spec.stragglers == Stragglers::Leave {
        add("--leave-stragglers", "");
    }
    match &shape.command {
        Some(text) => {
            if let Some(shell) = &spec.shell {
                let usual = shell.strip_suffix(" -o pipefail");
                // The default needs no word.
                if !usual.unwrap_or(shell).ends_with("bash") {
                    add("--shell", shell);
                } else if usual.is_none() {
                    add("--pipefail=false", "");
                }
            }
            format!("{line} {}", quoted(text))
        }
        None => format!("{line} -- {}", shape.command_line()),
    }
}

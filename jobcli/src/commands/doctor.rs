use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode};

use anstyle::{AnsiColor, Style};
use jobcore::doctor::{Health, Report, Step};
use jobcore::{JobManager, JobSpec};

use super::{Result, print_json};
use crate::cli::Doctor;
use crate::error::{Failure, codes};
use crate::settings::Settings;

/// Looks at the store, also where it could not be opened.
pub(super) async fn run(jobs: jobcore::Result<JobManager>, settings: &Settings, arguments: &Doctor) -> Result {
    let store = settings.store.clone();
    let doctor = jobcore::doctor::Doctor::default()
        .with_environment(settings.environment.apply(std::env::vars_os()))
        .with_submitter(move |spec| submitter(&store, spec))
        .with_own_job(settings.own_job);
    let report = doctor.examine(jobs).await;
    match arguments.json {
        true => print_json(&report)?,
        false => print(&report)?,
    }
    let names: Vec<_> = report.failed().map(|step| format!("`{}`", step.name)).collect();
    let Some(first) = report.failed().next() else { return Ok(ExitCode::SUCCESS) };
    let failure = Failure::new(codes::FAILED, format!("{} failed: {}", names.join(", "), first.detail));
    Err(match &first.advice {
        Some(advice) => failure.with_hint(advice),
        None => failure,
    })
}

/// Returns this program, with the words that submit a job and wait for it.
fn submitter(store: &Path, spec: &JobSpec) -> Command {
    // The running program itself, even if its file has been replaced by an upgrade since.
    let mut command = Command::new("/proc/self/exe");
    command.arg("--store").arg(store).args(["run", "--wait"]);
    for (name, value) in &spec.labels {
        command.arg("--label").arg(format!("{name}={value}"));
    }
    if let Some(timeout) = spec.timeout() {
        command.arg("--timeout").arg(humantime::format_duration(timeout).to_string());
    }
    if let Some(shell) = &spec.shell {
        command.arg("--shell").arg(shell);
    }
    if let jobcore::Command::Shell(line) = &spec.command {
        command.arg(line);
    }
    command
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let widest = report.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    for Step { name, result, detail, advice, .. } in &report.steps {
        let colour = match result {
            Health::Ok => AnsiColor::Green,
            Health::Degraded => AnsiColor::Yellow,
            Health::Failed => AnsiColor::Red,
        };
        let colour = Style::new().fg_color(Some(colour.into()));
        let advice = advice.as_ref().map(|advice| format!("; try: {advice}")).unwrap_or_default();
        writeln!(out, "{colour}{result:<8}{colour:#}  {name:<widest$}  {detail}{advice}")?;
    }
    Ok(())
}

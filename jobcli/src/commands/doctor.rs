use std::path::Path;
use std::process::Command;

use jobcore::front::{Settings, process, report};
use jobcore::{JobManager, JobSpec};

use super::Result;
use crate::cli::Doctor;

/// Examines the store, even if it could not be opened.
pub(super) async fn run(jobs: jobcore::Result<JobManager>, settings: &Settings, arguments: &Doctor) -> Result {
    let store = settings.store.clone();
    let doctor = jobcore::doctor::Doctor::default()
        .with_environment(settings.environment.apply(std::env::vars_os()))
        .with_submitter(move |spec| submitter(&store, spec))
        .with_own_job(settings.own_job);
    let report = doctor.examine(jobs).await;
    report::tell(&report, arguments.json)
}

/// Returns the command that runs this program to submit a job and wait for it.
fn submitter(store: &Path, spec: &JobSpec) -> Command {
    // If the path of this program is unknown, the start fails and the doctor reports it.
    let mut command = Command::new(process::own_program().unwrap_or_default());
    // The current directory may no longer exist, and nothing depends on it.
    command.current_dir("/");
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
    if let jobcore::spec::Command::Shell(line) = &spec.command {
        command.arg(line);
    }
    command
}

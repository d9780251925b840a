use std::path::Path;
use std::process::Command;

use jobcore::front::{Settings, process, report};
use jobcore::{JobManager, JobSpec};

use super::Result;
use crate::cli::Doctor;

/// Looks at the store, also where it could not be opened.
pub(super) async fn run(jobs: jobcore::Result<JobManager>, settings: &Settings, arguments: &Doctor) -> Result {
    let store = settings.store.clone();
    let doctor = jobcore::doctor::Doctor::default()
        .with_environment(settings.environment.apply(std::env::vars_os()))
        .with_submitter(move |spec| submitter(&store, spec))
        .with_own_job(settings.own_job);
    let report = doctor.examine(jobs).await;
    report::tell(&report, arguments.json)
}

/// Returns this program, with the words that submit a job and wait for it.
fn submitter(store: &Path, spec: &JobSpec) -> Command {
    // Where the system does not say which it is, the start fails, and that is told.
    let mut command = Command::new(process::own_program().unwrap_or_default());
    // The current one may be gone, and nothing depends on it.
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

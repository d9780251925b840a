use std::process::ExitCode;

use jobcore::front::{Failure, Settings, codes};
use jobcore::{JobManager, JobSpec};

use super::run::print_submitted;
use super::{Result, tell};
use crate::cli::Adopt;

/// Turns a running process into a job.
pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Adopt) -> Result {
    let pid = arguments.pid;
    let builder = JobSpec::adopt(pid).map_err(|error| {
        Failure::new(codes::USAGE, format!("cannot adopt process {pid}: {error}"))
            .with_hint("name a process of yours that is running")
    })?;
    let mut builder = settings.sign(settings.apply(builder));
    if arguments.no_output {
        builder = builder.without_output();
    }
    if let Some(name) = arguments.name {
        builder = builder.name(name);
    }
    for (name, value) in arguments.label {
        builder = builder.label(name, value);
    }
    if let Some(group) = arguments.group {
        builder = builder.group(group);
    }
    if let Some(timeout) = arguments.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(grace) = arguments.grace {
        builder = builder.grace(grace);
    }
    if let Some(line) = arguments.on_end {
        builder = builder.on_end(line);
    }
    let job = jobs.submit(builder.build()?).await?;
    print_submitted(jobs, &job, false, arguments.json).await?;
    if let Some(adoption) = job.spec.adopts.as_ref().filter(|_| !arguments.quiet) {
        tell(&format!("standard output: {}", adoption.stdout));
        tell(&format!("standard error: {}", adoption.stderr));
    }
    Ok(ExitCode::SUCCESS)
}

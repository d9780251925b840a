use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use jobcore::JobManager;
use jobcore::clock::Timestamp;
use jobcore::front::text::print_json;
use jobcore::store::Retention;
use jobcore::units::format_size;
use jobcore::words::counted;
use serde_json::json;

use super::{Result, tell};
use crate::cli::Prune;

pub(super) async fn run(jobs: &JobManager, arguments: Prune) -> Result {
    let now = Timestamp::now();
    let age = |before: Timestamp| Duration::try_from(now.duration_since(before)).unwrap_or_default();
    let asked = Retention::default()
        .with_max_age(arguments.older_than.map(age))
        .with_max_jobs(arguments.keep)
        .with_max_bytes(arguments.max_size);
    let retention = match asked == Retention::default() {
        true => jobs.store().settings().await?.retention(),
        false => asked,
    };
    let gone = jobs.prune(&retention.with_statuses(arguments.status), arguments.dry_run).await?;
    if arguments.json {
        let shape = |job: &jobcore::store::EndedJob| {
            json!({ "job_id": job.id, "short_id": job.id.short(), "status": job.status,
                "ended_at": job.ended_at, "bytes": job.bytes })
        };
        print_json(&gone.iter().map(shape).collect::<Vec<_>>())?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = if arguments.dry_run { "would be removed" } else { "removed" };
    let mut out = std::io::stdout().lock();
    for job in &gone {
        writeln!(out, "{}: {done}", job.id.short())?;
    }
    let bytes = gone.iter().map(|job| job.bytes).sum();
    tell(&format!("{}, about {}, {done}", counted(gone.len(), "job", "jobs"), format_size(bytes)));
    Ok(ExitCode::SUCCESS)
}

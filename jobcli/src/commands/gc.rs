use std::io::Write;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::escape;
use jobcore::front::codes;
use jobcore::front::text::print_json;
use jobcore::query::Period;
use jobcore::stop::{Leftover, StopOptions};
use jobcore::units::short_duration;
use jobcore::words::counted;
use jobcore::{Job, JobManager, Query, Status};
use serde_json::json;

use super::{Result, tell};
use crate::cli::Gc;

pub(super) async fn run(jobs: &JobManager, arguments: Gc) -> Result {
    let leftovers = jobs.leftovers().await?;
    let old = match arguments.older_than {
        Some(before) => {
            let query = Query::default().with_started(Period::new(None, Some(before)));
            jobs.list(&query.with_statuses(vec![Status::Running, Status::Paused])).await?.jobs
        }
        None => Vec::new(),
    };
    print(jobs, &leftovers, &old, arguments.json)?;
    if !arguments.stop {
        return Ok(ExitCode::SUCCESS);
    }
    let ids: Vec<_> = old.iter().map(|job| job.id).collect();
    let stopped = jobs.stop_all(&ids, &StopOptions::default().with_grace(Some(arguments.grace))).await;
    let mut code = 0;
    for (id, report) in stopped {
        match report {
            Ok(_) => tell(&format!("{}: stopped", id.short())),
            Err(error) => {
                tell(&error.to_string());
                code = codes::FAILED;
            }
        }
    }
    let count = leftovers.len();
    let left = jobs.end_leftovers(leftovers, arguments.grace).await;
    for leftover in &left {
        tell(&format!("process {} could not be stopped", leftover.pid));
        code = codes::FAILED;
    }
    if count > 0 {
        tell(&format!("stopped {}", counted(count - left.len(), "process", "processes")));
    }
    Ok(ExitCode::from(code))
}

fn print(jobs: &JobManager, leftovers: &[Leftover], old: &[Job], json: bool) -> Result<()> {
    if json {
        let process = |leftover: &Leftover| {
            json!({ "pid": leftover.pid, "command": leftover.command, "job_id": leftover.job.id,
                "short_id": leftover.job.id.short() })
        };
        let processes: Vec<_> = leftovers.iter().map(process).collect();
        let old: Vec<_> = old.iter().map(|job| jobs.shape(job)).collect();
        return print_json(&json!({ "processes": processes, "jobs": old }));
    }
    let mut out = std::io::stdout().lock();
    for Leftover { pid, command, job, .. } in leftovers {
        let ended = job.state.outcome().map(|outcome| ago(outcome.ended_at)).unwrap_or_default();
        let line = format!("process {pid} of {}, which ended {ended} ago: {command}", job.label());
        writeln!(out, "{}", escape::one_line(&line))?;
    }
    for job in old {
        let since = job.state.started_at().map(ago).unwrap_or_default();
        let line = format!("job {}, running for {since}: {}", job.label(), jobs.shape(job).command_line());
        writeln!(out, "{}", escape::one_line(&line))?;
    }
    if leftovers.is_empty() && old.is_empty() {
        tell("nothing was left behind");
    }
    Ok(())
}

fn ago(at: Timestamp) -> String {
    short_duration(Timestamp::now().duration_since(at).try_into().unwrap_or_default())
}

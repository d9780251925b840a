use std::io::Write;
use std::process::ExitCode;

use jobcore::{JobId, JobManager, JobShape, Query, Signal, StopOptions, StopReport};

use super::{Result, print_json};
use crate::cli::Kill;
use crate::error::codes;

pub(super) async fn run(jobs: &JobManager, arguments: Kill) -> Result {
    let ids = match arguments.all {
        true => live(jobs).await?,
        false => {
            let mut ids = Vec::with_capacity(arguments.ids.len());
            for reference in arguments.ids.iter().chain(&arguments.job_id) {
                ids.push(jobs.find(reference).await?);
            }
            ids
        }
    };
    match arguments.signal {
        Some(signal) => send(jobs, &ids, signal, arguments.json).await,
        None => stop(jobs, &ids, &arguments).await,
    }
}

async fn live(jobs: &JobManager) -> Result<Vec<JobId>> {
    let listing = jobs.list(&Query::default().live()).await?;
    Ok(listing.jobs.iter().map(|job| job.id).collect())
}

async fn stop(jobs: &JobManager, ids: &[JobId], arguments: &Kill) -> Result {
    let options = StopOptions::default().with_grace(arguments.grace).with_wait(!arguments.no_wait);
    let mut shapes = Vec::new();
    let mut failure = None;
    let mut all_gone = true;
    // All are asked before any is reported, so that a slow one holds up none.
    for (_, report) in jobs.stop_all(ids, &options).await {
        let report = match report {
            Ok(report) => report,
            Err(error) => {
                // The others are told first.
                failure.get_or_insert(error);
                continue;
            }
        };
        let (job, word, gone) = describe(&report);
        shapes.push(jobs.shape(job));
        all_gone &= gone;
        if !arguments.json {
            writeln!(std::io::stdout(), "{}: {word}", job.label())?;
        }
    }
    finish(&shapes, arguments.json)?;
    match failure {
        Some(error) => Err(error.into()),
        None if all_gone || arguments.no_wait => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::from(codes::FAILED)),
    }
}

/// Returns the job, what there is to say about it, and whether nothing of it is left.
fn describe(report: &StopReport) -> (&jobcore::Job, String, bool) {
    let left = |processes: Option<u32>| match processes {
        Some(1) => "stopping, 1 process left".to_owned(),
        Some(processes) => format!("stopping, {processes} processes left"),
        None => "stopping".to_owned(),
    };
    match report {
        StopReport::Stopped(job) => {
            let survivors = job.state.outcome().map_or(0, |outcome| outcome.survivors.len());
            match survivors {
                0 => (job, job.status().to_string(), true),
                count => (job, format!("{}, {count} processes could not be stopped", job.status()), false),
            }
        }
        StopReport::AlreadyEnded(job) => (job, format!("already {}", job.status()), true),
        StopReport::Stopping { job, processes } => (job, left(*processes), false),
        StopReport::Bypassed { job, processes } => {
            (job, format!("its supervisor does not answer; {}", left(Some(*processes))), false)
        }
        _ => unreachable!("all reports of this version are known"),
    }
}

async fn send(jobs: &JobManager, ids: &[JobId], signal: Signal, json: bool) -> Result {
    let mut shapes: Vec<JobShape> = Vec::new();
    for id in ids {
        jobs.signal(*id, signal).await?;
        let job = jobs.job(*id).await?;
        shapes.push(jobs.shape(&job));
        if !json {
            writeln!(std::io::stdout(), "{}: sent {signal}", job.label())?;
        }
    }
    finish(&shapes, json)?;
    Ok(ExitCode::SUCCESS)
}

fn finish(shapes: &[JobShape], json: bool) -> Result<()> {
    if json {
        print_json(&shapes)?;
    }
    Ok(())
}

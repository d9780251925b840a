use std::io::Write;
use std::process::ExitCode;

use jobcore::front::text::print_json;
use jobcore::front::{Failures, Settings, codes};
use jobcore::shape::JobShape;
use jobcore::state::Survivor;
use jobcore::stop::{Signal, StopOptions, StopReport};
use jobcore::words::counted;
use jobcore::{Caller, Job, JobId, JobManager, Status, escape};

use super::select::{Asked, Which, asked};
use super::{Result, inbox};
use crate::cli::Kill;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Kill) -> Result {
    let mut failures = Failures::default();
    let references: Vec<_> = arguments.ids.iter().chain(&arguments.job_id).cloned().collect();
    let (selection, all) = (&arguments.selection, arguments.all);
    let wanted = Asked { references: &references, selection, all, which: Which::Live };
    let ids = asked(jobs, settings, &wanted, &mut failures).await?;
    let done = match arguments.signal {
        _ if arguments.gone => declare_gone(jobs, &ids, arguments.json, &mut failures).await?,
        Some(signal) => send(jobs, &ids, signal, arguments.json, &mut failures).await?,
        None => stop(jobs, settings.caller.as_ref(), &ids, &arguments, &mut failures).await?,
    };
    let code = failures.code().unwrap_or(if done { 0 } else { codes::FAILED });
    Ok(ExitCode::from(code))
}

/// Stops jobs, and returns whether all of their processes have ended, or were not to be waited for.
async fn stop(
    jobs: &JobManager,
    caller: Option<&Caller>,
    ids: &[JobId],
    arguments: &Kill,
    failures: &mut Failures,
) -> Result<bool> {
    let options = StopOptions::default().with_grace(arguments.grace).with_wait(!arguments.no_wait);
    let mut shapes = Vec::new();
    let mut all_gone = true;
    for stopped in stop_each(jobs, caller, ids, &options).await {
        let (job, word, gone) = match stopped {
            Ok(stopped) => stopped,
            Err(error) => {
                failures.add(error);
                continue;
            }
        };
        shapes.push(jobs.shape(&job));
        all_gone &= gone;
        if !arguments.json {
            writeln!(std::io::stdout(), "{}: {word}", job.label())?;
        }
    }
    finish(&shapes, arguments.json)?;
    Ok(all_gone || arguments.no_wait)
}

/// Stops jobs, and returns each with a report, and whether none of its processes is left.
pub(crate) async fn stop_each(
    jobs: &JobManager,
    caller: Option<&Caller>,
    ids: &[JobId],
    options: &StopOptions,
) -> Vec<jobcore::Result<(Job, String, bool)>> {
    let mut stopped = Vec::with_capacity(ids.len());
    // All jobs are asked to stop before any is reported, so that a slow one does not delay others.
    for (_, report) in jobs.stop_all(ids, options).await {
        stopped.push(match report {
            Ok(report) => {
                let (job, word, gone) = describe(&report);
                inbox::shown(jobs, caller, [job]).await;
                Ok((job.clone(), word, gone))
            }
            Err(error) => Err(error),
        });
    }
    stopped
}

/// Returns the job, a report, and whether none of its processes is left.
fn describe(report: &StopReport) -> (&Job, String, bool) {
    let left = |processes: Option<u32>| match processes {
        Some(count) => format!("stopping, {} left", counted(count, "process", "processes")),
        None => "stopping".to_owned(),
    };
    match report {
        StopReport::Stopped(job) => {
            let survivors = job.state.outcome().map_or(0, |outcome| outcome.survivors.len());
            match survivors {
                0 => (job, job.status().to_string(), true),
                count => (
                    job,
                    format!("{}, {} could not be stopped", job.status(), counted(count, "process", "processes")),
                    false,
                ),
            }
        }
        StopReport::AlreadyEnded(job) => (job, format!("already {}", job.status()), true),
        StopReport::StragglersStopped { job, processes } => {
            let stopped = counted(*processes, "process that was", "processes that were");
            (job, format!("{}; stopped {stopped} still running", had_ended(job.status())), true)
        }
        StopReport::Stopping { job, processes, survivors } => {
            let name = |survivor: &Survivor| {
                format!("; process {} ({}) {}", survivor.pid, escape::one_line(&survivor.name), survivor.reason)
            };
            (job, left(*processes) + &survivors.iter().map(name).collect::<String>(), false)
        }
        StopReport::Bypassed { job, processes } => {
            (job, format!("its supervisor does not answer; {}", left(Some(*processes))), false)
        }
        _ => unreachable!("this version has no other reports"),
    }
}

fn had_ended(status: Status) -> &'static str {
    match status {
        Status::Completed => "had completed",
        Status::Failed => "had failed",
        Status::Killed => "had been killed",
        Status::TimedOut => "had timed out",
        Status::Orphaned => "had been orphaned",
        Status::Skipped => "had been skipped",
        _ => "had ended",
    }
}

/// Records the end of jobs whose processes cannot be seen from here, as declared by the user.
async fn declare_gone(jobs: &JobManager, ids: &[JobId], json: bool, failures: &mut Failures) -> Result<bool> {
    let mut shapes = Vec::new();
    for id in ids {
        match jobs.declare_gone(*id).await {
            Ok(job) => {
                if !json {
                    writeln!(std::io::stdout(), "{}: {}", job.label(), job.status())?;
                }
                shapes.push(jobs.shape(&job));
            }
            Err(error) => failures.add(error),
        }
    }
    finish(&shapes, json)?;
    Ok(true)
}

/// Sends a signal to each of several jobs.
async fn send(jobs: &JobManager, ids: &[JobId], signal: Signal, json: bool, failures: &mut Failures) -> Result<bool> {
    let mut shapes: Vec<JobShape> = Vec::new();
    for id in ids {
        let sent = async {
            jobs.signal(*id, signal).await?;
            jobs.job(*id).await
        };
        let job = match sent.await {
            Ok(job) => job,
            Err(error) => {
                failures.add(error);
                continue;
            }
        };
        shapes.push(jobs.shape(&job));
        if !json {
            writeln!(std::io::stdout(), "{}: sent {signal}", job.label())?;
        }
    }
    finish(&shapes, json)?;
    Ok(true)
}

fn finish(shapes: &[JobShape], json: bool) -> Result<()> {
    if json {
        print_json(&shapes)?;
    }
    Ok(())
}

use std::io::Write;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::front::Failures;
use jobcore::front::moment;
use jobcore::front::text::{fit, print_json, width};
use jobcore::schedule::ScheduleShape;
use jobcore::stop::StopOptions;
use jobcore::{Error, Job, JobId, JobManager, escape};

use super::Result;
use super::place::print;
use super::run::{print_submitted, tell_if_queued};
use super::select::{find, find_all};
use crate::cli::{Schedule, ScheduleVerb, Schedules};
use crate::ui;

pub(super) async fn run(jobs: &JobManager, arguments: Schedule) -> Result {
    match arguments.what {
        None => list(jobs, arguments.json).await,
        Some(ScheduleVerb::List { json }) => list(jobs, json).await,
        Some(ScheduleVerb::Pause(which)) => each(jobs, &which, async |id| jobs.hold(id).await).await,
        Some(ScheduleVerb::Resume(which)) => each(jobs, &which, async |id| jobs.release(id).await).await,
        Some(ScheduleVerb::Remove(which)) => {
            let remove = async |id| {
                jobs.stop(id, &StopOptions::default()).await?;
                jobs.job(id).await
            };
            each(jobs, &which, remove).await
        }
        Some(ScheduleVerb::Run { id, json }) => {
            let run = jobs.run_schedule(find(jobs, &id).await?).await?;
            print_submitted(jobs, &run, false, json).await?;
            tell_if_queued(jobs, &run).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Applies an action to schedules, and prints their new status. Jobs that are not schedules are refused.
async fn each(jobs: &JobManager, which: &Schedules, act: impl AsyncFn(JobId) -> jobcore::Result<Job>) -> Result {
    let mut failures = Failures::default();
    for id in find_all(jobs, &which.ids, &mut failures).await {
        let done = match jobs.job(id).await {
            Ok(job) if job.spec.repeat.is_none() => {
                Err(Error::Refused { id, reason: "it is not a schedule".to_owned() })
            }
            Ok(_) => act(id).await,
            Err(error) => Err(error),
        };
        print(jobs, done, &mut failures).await?;
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

async fn list(jobs: &JobManager, json: bool) -> Result {
    let schedules = jobs.schedules().await?;
    let shapes = jobs.schedule_shapes(&schedules).await;
    if json {
        print_json(&shapes)?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = Timestamp::now();
    let next = |at: Option<Timestamp>| at.map_or_else(|| "paused".to_owned(), |at| moment::local(at, now));
    let rows = shapes.iter().zip(schedules.iter().map(|schedule| next(schedule.next())));
    let title = ["ID", "NAME", "WHEN", "NEXT", "LAST RUN", "COMMAND"].map(str::to_owned);
    let rows: Vec<_> = [title].into_iter().chain(rows.map(|(shape, next)| row(shape, next))).collect();
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0));
    let mut out = std::io::stdout().lock();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell}{}  ", " ".repeat(width - self::width(cell))));
        }
        let line = line.trim_end();
        writeln!(out, "{}", ui::stdout_width().map_or_else(|| line.to_owned(), |room| fit(line, room)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the row of a schedule.
fn row(shape: &ScheduleShape, next: String) -> [String; 6] {
    let schedule = &shape.schedule;
    let last = shape.last_run.as_ref().map(|run| {
        let exit = ui::exit_word(run);
        let exit = if exit.is_empty() || exit == "0" { String::new() } else { format!(" ({exit})") };
        format!("{} {}{exit}", run.short_id, run.status)
    });
    [
        schedule.short_id.clone(),
        schedule.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        schedule.repeat.as_ref().map(ToString::to_string).unwrap_or_default(),
        next,
        last.unwrap_or_else(|| "none".to_owned()),
        schedule.command_line(),
    ]
    .map(|cell| escape::one_line(&cell).into_owned())
}

use std::io::Write;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::{JobManager, JobShape, Query};

use super::{Result, print_json, tell};
use crate::cli::List;
use crate::ui;

pub(super) async fn run(jobs: &JobManager, arguments: List) -> Result {
    if arguments.count {
        return count(jobs, arguments.json).await;
    }
    let limit = (!arguments.all).then_some(arguments.limit);
    let query = Query::default()
        .with_statuses(arguments.status)
        .with_name(arguments.name)
        .with_labels(arguments.label)
        .with_group(arguments.group)
        .with_times(arguments.since, arguments.until)
        .with_limit(limit);
    let listing = jobs.list(&query).await?;
    let mut shapes: Vec<JobShape> = Vec::new();
    for job in &listing.jobs {
        // One that was removed since is told as it was.
        let mut shape = jobs.report(job).await.unwrap_or_else(|_| jobs.shape(job));
        shape.agent = shape.agent.map(|agent| Box::new(agent.in_short()));
        shapes.push(shape);
    }
    if arguments.json {
        print_json(&shapes)?;
    } else {
        ui::table(&mut anstream::stdout().lock(), &shapes, Timestamp::now())?;
        if listing.more {
            tell("there are more; see them with `--all`");
        }
    }
    for (id, error) in &listing.damaged {
        tell(&format!("job {id} cannot be read: {error}"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn count(jobs: &JobManager, json: bool) -> Result {
    let counts = jobs.count().await?;
    if json {
        print_json(&counts)?;
    } else {
        let mut out = std::io::stdout().lock();
        for (status, count) in counts {
            writeln!(out, "{status:<9}  {count:>7}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

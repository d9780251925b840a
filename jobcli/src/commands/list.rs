use std::io::Write;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::front::Settings;
use jobcore::front::caller::project_of;
use jobcore::front::settings::current_dir;
use jobcore::front::text::print_json;
use jobcore::{JobManager, Listing, Query};

use super::inbox::own;
use super::{Result, tell};
use crate::cli::List;
use crate::ui;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: List) -> Result {
    if arguments.count {
        return count(jobs, arguments.json).await;
    }
    let caller = match arguments.mine {
        true => Some(own(settings.caller.as_ref())?.clone()),
        false => arguments.caller,
    };
    let project = match arguments.here {
        true => Some(project_of(&current_dir()?)),
        false => None,
    };
    let limit = Some(arguments.limit).filter(|limit| !arguments.all && *limit > 0);
    let query = Query::default()
        .with_statuses(arguments.status)
        .with_name(arguments.name)
        .with_labels(arguments.label)
        .with_group(arguments.group)
        .with_caller(caller)
        .with_project(project)
        .with_times(arguments.since, arguments.until)
        .with_limit(limit);
    let listing = jobs.list(&query).await?;
    if arguments.quiet {
        let mut out = std::io::stdout().lock();
        for job in &listing.jobs {
            writeln!(out, "{}", job.id)?;
        }
        tell_rest(&listing);
        return Ok(ExitCode::SUCCESS);
    }
    let mut shapes = jobs.reports(&listing.jobs).await;
    for shape in &mut shapes {
        shape.agent = shape.agent.take().map(|agent| Box::new(agent.in_short()));
    }
    if arguments.json {
        print_json(&shapes)?;
    } else {
        ui::table(&mut anstream::stdout().lock(), &shapes, Timestamp::now())?;
    }
    tell_rest(&listing);
    Ok(ExitCode::SUCCESS)
}

/// Tells what is not in the answer.
fn tell_rest(listing: &Listing) {
    if listing.more {
        tell("there are more; see them with `--all`");
    }
    for (id, error) in &listing.damaged {
        tell(&format!("job {id} cannot be read: {error}"));
    }
}

async fn count(jobs: &JobManager, json: bool) -> Result {
    let counts = jobs.count(&Query::default()).await?;
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

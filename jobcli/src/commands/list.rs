use std::io::Write;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::front::Settings;
use jobcore::front::text::print_json;
use jobcore::query::Order;
use jobcore::{JobManager, Listing, Query};

use super::select::query;
use super::{Result, tell};
use crate::cli::{Arrangement, List};
use crate::ui;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: List) -> Result {
    let Arrangement { sort, reverse, wide, format } = arguments.arrangement.0;
    let query = query(&arguments.selection, settings)?
        .with_order(Order::new(sort.unwrap_or_default(), reverse))
        .with_limit(Some(arguments.limit).filter(|limit| !arguments.all && *limit > 0));
    if arguments.count {
        return count(jobs, &query, arguments.json).await;
    }
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
    if wide {
        for (job, shape) in listing.jobs.iter().zip(&mut shapes) {
            *shape = jobs.with_used(job, shape.clone()).await?;
        }
    }
    for shape in &mut shapes {
        shape.agent = shape.agent.take().map(|agent| Box::new(agent.in_short()));
    }
    if arguments.json {
        print_json(&shapes)?;
    } else if let Some(template) = format {
        let mut out = std::io::stdout().lock();
        for shape in &shapes {
            writeln!(out, "{}", template.render(shape))?;
        }
    } else {
        ui::table(&mut anstream::stdout().lock(), &shapes, Timestamp::now(), wide)?;
    }
    tell_rest(&listing);
    Ok(ExitCode::SUCCESS)
}

/// Reports what the list does not show.
fn tell_rest(listing: &Listing) {
    if listing.more {
        tell("there are more jobs; `--all` lists all");
    }
    for (id, error) in &listing.damaged {
        tell(&format!("job {id} cannot be read: {error}"));
    }
}

async fn count(jobs: &JobManager, query: &Query, json: bool) -> Result {
    let counts = jobs.count(query).await?;
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

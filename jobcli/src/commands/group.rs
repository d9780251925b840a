use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use jobcore::agent::AGENTS;
use jobcore::front::text::print_json;
use jobcore::store::Slot;
use jobcore::{JobManager, Name};
use serde::Serialize;

use super::Result;
use crate::cli::{Group, GroupVerb, Queue};

/// A group as it is printed.
#[derive(Debug, Default, Serialize)]
struct Row {
    name: String,
    limit: u32,
    running: usize,
    queued: usize,
    paused: bool,
}

pub(super) async fn run(jobs: &JobManager, arguments: Group) -> Result {
    match arguments.what {
        GroupVerb::List { json } => list(jobs, json).await,
        GroupVerb::Set { name, limit } => {
            jobs.change_settings(move |settings| settings.set_group(name.clone(), limit)).await?;
            Ok(ExitCode::SUCCESS)
        }
        GroupVerb::Pause(queue) => pause(jobs, &queue, true).await,
        GroupVerb::Resume(queue) => pause(jobs, &queue, false).await,
    }
}

async fn pause(jobs: &JobManager, queue: &Queue, paused: bool) -> Result {
    jobs.pause_queue(queue.name.as_ref(), paused).await?;
    Ok(ExitCode::SUCCESS)
}

async fn list(jobs: &JobManager, json: bool) -> Result {
    let load = jobs.store().load().await?;
    let mut rows: BTreeMap<Name, Row> = BTreeMap::new();
    for name in load.settings.groups.keys().cloned().chain(AGENTS.parse()) {
        let (limit, paused) = (load.settings.group_limit(&name), load.settings.is_paused(Some(&name)));
        let row = rows.entry(name).or_default();
        (row.limit, row.paused) = (limit, paused);
    }
    let of_group = |slots: &[Slot]| {
        let slots = slots.iter().filter(|slot| !slot.repeats);
        slots.filter_map(|slot| slot.group.clone()).collect::<Vec<_>>()
    };
    for name in of_group(&load.running) {
        rows.entry(name).or_default().running += 1;
    }
    for name in of_group(&load.waiting) {
        rows.entry(name).or_default().queued += 1;
    }
    let rows: Vec<_> = rows.into_iter().map(|(name, row)| Row { name: name.to_string(), ..row }).collect();
    if json {
        print_json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(20);
    writeln!(out, "{:<width$}  {:>5}  {:>7}  {:>6}", "GROUP", "LIMIT", "RUNNING", "QUEUED")?;
    for Row { name, limit, running, queued, paused } in rows {
        let limit = if limit == 0 { "none".to_owned() } else { limit.to_string() };
        let paused = if paused { "  paused" } else { "" };
        writeln!(out, "{name:<width$}  {limit:>5}  {running:>7}  {queued:>6}{paused}")?;
    }
    Ok(ExitCode::SUCCESS)
}

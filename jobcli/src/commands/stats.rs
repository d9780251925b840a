//! What jobs did over a time.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::front::Settings;
use jobcore::front::stats::{Runs, Statistics, Sum, sparkline};
use jobcore::front::text::{fit, print_json, width};
use jobcore::units::{format_size, short_duration};
use jobcore::words::counted;
use jobcore::{JobManager, escape};

use super::select::query;
use super::{Result, tell};
use crate::cli::Stats;
use crate::ui;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Stats) -> Result {
    let mut query = query(&arguments.selection, settings)?.with_limit(None);
    if arguments.since.is_some() {
        query = query.with_times(arguments.since, arguments.selection.filters.0.submitted_before);
    }
    let listing = jobs.list(&query).await?;
    let mut stats = Statistics::of(&listing.jobs, Timestamp::now());
    let all = stats.names.len();
    if arguments.limit > 0 {
        stats.names.truncate(arguments.limit);
    }
    if arguments.json {
        print_json(&stats)?;
        return Ok(ExitCode::SUCCESS);
    }
    print(&mut anstream::stdout().lock(), &stats)?;
    if all > stats.names.len() {
        tell(&format!("{} more; `-n 0` lists all", counted(all - stats.names.len(), "name", "names")));
    }
    Ok(ExitCode::SUCCESS)
}

fn time(ms: u64) -> String {
    short_duration(Duration::from_millis(ms))
}

fn print(out: &mut impl Write, stats: &Statistics) -> io::Result<()> {
    let statuses: Vec<_> = stats.statuses.iter().map(|(status, count)| format!("{count} {status}")).collect();
    let of = |sum: &Sum| {
        let longest = sum.longest.map(|id| format!(", longest {} ({})", time(sum.longest_ms), id.short()));
        format!("{}, median {}{}", time(sum.total_ms), time(sum.median_ms), longest.unwrap_or_default())
    };
    let colon = if statuses.is_empty() { "" } else { ": " };
    writeln!(out, "{}{colon}{}", counted(stats.jobs, "job", "jobs"), statuses.join(", "))?;
    if stats.names.is_empty() {
        return Ok(());
    }
    writeln!(out, "time    {}", of(&stats.ran))?;
    writeln!(out, "queued  {}", of(&stats.queued))?;
    let most = stats.most_output;
    let most = most.map(|id| format!(", most {} ({})", format_size(stats.most_output_bytes), id.short()));
    writeln!(out, "output  {}{}\n", format_size(stats.output_bytes), most.unwrap_or_default())?;
    table(out, &stats.names)
}

fn table(out: &mut impl Write, names: &[Runs]) -> io::Result<()> {
    // On a terminal the figures must fit.
    let room = ui::stdout_width().map_or(60, |width| width / 3);
    let shown: Vec<_> = names.iter().map(|runs| fit(&escape::one_line(&runs.name), room)).collect();
    let widest = shown.iter().map(|name| width(name)).max().unwrap_or(0).max("NAME".len());
    let padded = |text: &str| format!("{text}{}", " ".repeat(widest - width(text)));
    writeln!(
        out,
        "{}  {:>5}  {:>6}  {:>8}  {:>8}  {:>8}  TREND",
        padded("NAME"),
        "RUNS",
        "FAILED",
        "MEDIAN",
        "LONGEST",
        "TOTAL"
    )?;
    for (runs, name) in names.iter().zip(&shown) {
        let failed = if runs.failed == 0 { String::new() } else { runs.failed.to_string() };
        let trend = if runs.runs > 1 { sparkline(&runs.last_ms) } else { String::new() };
        let [median, longest, total] = [runs.ran.median_ms, runs.ran.longest_ms, runs.ran.total_ms].map(time);
        let line =
            format!("{}  {:>5}  {failed:>6}  {median:>8}  {longest:>8}  {total:>8}  {trend}", padded(name), runs.runs);
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

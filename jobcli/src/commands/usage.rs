//! The total cost of agent runs.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use jobcore::agent::{Spent, Usage as Tokens, dollars};
use jobcore::front::agents;
use jobcore::front::text::{fit, print_json, width};
use jobcore::{JobManager, Query};
use serde::Serialize;

use super::Result;
use crate::cli::{Usage, UsageBy};
use crate::ui;

/// A sum as it is printed.
#[derive(Debug, Default, Serialize)]
struct Row {
    #[serde(skip_serializing_if = "String::is_empty")]
    of: String,
    runs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(flatten)]
    tokens: Tokens,
    /// Whether the cost may be higher.
    at_least: bool,
}

impl Row {
    fn add(&mut self, spent: &Spent) {
        self.runs += 1;
        self.cost_usd = match (self.cost_usd, spent.cost_usd) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        self.tokens = self.tokens.plus(spent.usage);
        self.at_least |= spent.at_least;
    }
}

pub(super) async fn run(jobs: &JobManager, arguments: Usage) -> Result {
    let query = Query::default().with_labels(arguments.label).with_times(arguments.since, arguments.until);
    let (mut rows, mut total) = (BTreeMap::<String, Row>::new(), Row::default());
    for spent in jobs.usage(&query).await? {
        rows.entry(key(&arguments.by, &spent)).or_default().add(&spent);
        total.add(&spent);
    }
    let rows: Vec<_> = rows.into_iter().map(|(of, row)| Row { of, ..row }).collect();
    if arguments.json {
        print_json(&serde_json::json!({ "by": rows, "total": total }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = std::io::stdout().lock();
    let rows = rows.into_iter().chain([Row { of: "TOTAL".to_owned(), ..total }]);
    // A label can have any length, and on a terminal the figures must fit.
    let room = ui::stdout_width().map_or(usize::MAX, |width| width / 3);
    let shown = |text: &str| fit(text, room);
    let rows: Vec<_> = rows.map(|row| Row { of: shown(&row.of), ..row }).collect();
    let title = shown(&arguments.by.title());
    let widest = rows.iter().map(|row| width(&row.of)).max().unwrap_or(0).max(width(&title));
    let padded = |text: &str| format!("{text}{}", " ".repeat(widest - width(text)));
    writeln!(out, "{}  {:>5}  {:>10}  TOKENS", padded(&title), "RUNS", "COST")?;
    for row in &rows {
        let least = if row.at_least { "≥" } else { "" };
        let cost = row.cost_usd.map(|cost| format!("{least}{}", dollars(cost))).unwrap_or_default();
        let tokens = Some(agents::tokens(&row.tokens)).filter(|tokens| !tokens.is_empty());
        let tokens = tokens.map(|tokens| format!("{least}{tokens}")).unwrap_or_default();
        writeln!(out, "{}  {:>5}  {cost:>10}  {tokens}", padded(&row.of), row.runs)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn key(by: &UsageBy, spent: &Spent) -> String {
    match by {
        UsageBy::Agent => spent.agent.clone(),
        UsageBy::Day => spent.job.submitted_at.strftime("%Y-%m-%d").to_string(),
        UsageBy::Label(name) => spent.job.spec.labels.get(name).cloned().unwrap_or_else(|| "(none)".to_owned()),
    }
}

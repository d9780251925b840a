//! What runs of agents cost, summed up.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use jobcore::agent::Usage as Tokens;
use jobcore::{JobManager, Query, Spent};
use serde::Serialize;

use super::{Result, print_json};
use crate::agents;
use crate::cli::{Usage, UsageBy};

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
    /// Whether it may have been more.
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
    let width = rows.iter().map(|row| row.of.chars().count()).max().unwrap_or(0).max("TOTAL".len());
    writeln!(out, "{:<width$}  {:>5}  {:>10}  TOKENS", arguments.by.title(), "RUNS", "COST")?;
    for row in rows.iter().chain([&Row { of: "TOTAL".to_owned(), ..total }]) {
        let least = if row.at_least { "≥" } else { "" };
        let cost = row.cost_usd.map(|cost| format!("{least}{}", agents::dollars(cost))).unwrap_or_default();
        let tokens = Some(agents::tokens(&row.tokens)).filter(|tokens| !tokens.is_empty());
        let tokens = tokens.map(|tokens| format!("{least}{tokens}")).unwrap_or_default();
        writeln!(out, "{:<width$}  {:>5}  {cost:>10}  {tokens}", row.of, row.runs)?;
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

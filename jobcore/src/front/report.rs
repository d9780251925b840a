//! The report of a doctor, printed for people and programs.

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::text::print_json;
use super::{Failure, codes};
use crate::doctor::{Health, Report, Step};
use crate::escape;

/// Prints a report: one line per step, or JSON.
///
/// # Errors
/// If a step failed; the failure names it.
pub fn tell(report: &Report, json: bool) -> Result<ExitCode, Failure> {
    match json {
        true => print_json(report)?,
        false => print(report)?,
    }
    let names: Vec<_> = report.failed().map(|step| format!("`{}`", step.name)).collect();
    let Some(first) = report.failed().next() else { return Ok(ExitCode::SUCCESS) };
    let failure = Failure::new(codes::FAILED, format!("{} failed: {}", names.join(", "), first.detail));
    Err(match &first.advice {
        Some(advice) => failure.with_hint(advice),
        None => failure,
    })
}

fn print(report: &Report) -> std::io::Result<()> {
    let mut out = anstream::stdout().lock();
    let widest = report.steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    for Step { name, result, detail, advice, .. } in &report.steps {
        let colour = match result {
            Health::Ok => AnsiColor::Green,
            Health::Degraded => AnsiColor::Yellow,
            Health::Failed => AnsiColor::Red,
        };
        let colour = Style::new().fg_color(Some(colour.into()));
        let advice = advice.as_ref().map(|advice| format!("; try: {advice}")).unwrap_or_default();
        let detail = escape::one_line(detail);
        writeln!(out, "{colour}{result:<8}{colour:#}  {name:<widest$}  {detail}{}", escape::one_line(&advice))?;
    }
    Ok(())
}

//! The measurements: one file for each group of rows.

mod build;
mod cost;
mod listing;
mod mcp;
mod memory;
mod output;
mod reading;
mod stopping;
mod submit;
mod throughput;
mod waiting;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::measure::{Contestant, interleave};
use crate::process::until;
use crate::report::{Row, Target};
use crate::{Bench, Outcome};

type Group = fn(&Bench) -> Outcome<()>;

/// The groups by name, in order.
pub(crate) const GROUPS: &[(&str, Group)] = &[
    ("submit", submit::measure),
    ("throughput", throughput::measure),
    ("cost", cost::measure),
    ("memory", memory::measure),
    ("output", output::measure),
    ("reading", reading::measure),
    ("listing", listing::measure),
    ("waiting", waiting::measure),
    ("stopping", stopping::measure),
    ("mcp", mcp::measure),
    ("build", build::measure),
];

/// Measures a row, and adds it to the table: what is measured, the file system if it matters, and the unit.
fn row(
    bench: &Bench,
    (what, place, unit): (impl Into<String>, &'static str, &'static str),
    rounds: usize,
    contestants: Vec<Contestant<'_>>,
    targets: impl Into<Vec<Target>>,
) -> Outcome<()> {
    let row =
        Row { what: what.into(), place, unit, measured: interleave(rounds, contestants), targets: targets.into() };
    row.print()?;
    bench.rows.borrow_mut().push(row);
    Ok(())
}

/// The time that `work` wrote to a file, once it has been written completely.
fn stamp(file: &Path) -> Outcome<Duration> {
    until("a stamp", || {
        let text = fs::read_to_string(file).unwrap_or_default();
        Ok(text.strip_suffix('\n').map(str::parse).transpose()?.map(Duration::from_nanos))
    })
}

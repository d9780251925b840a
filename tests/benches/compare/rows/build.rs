//! A release build from scratch. Measured only if it is asked for by name: it takes longer than everything else
//! together.

use std::process::Command;

use super::row;
use crate::measure::Contestant;
use crate::process::run;
use crate::{Bench, Outcome};

pub(super) fn measure(bench: &Bench) -> Outcome<()> {
    let directory = bench.places.last().ok_or("there is no place")?.directory()?;
    let build = || {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--quiet", "-p", "jobcli", "--target-dir"]).arg(directory.path());
        Ok(run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")))?.time / 1000.0)
    };
    let what = "`cargo build --release -p jobcli` from nothing";
    row(bench, (what, "", "s"), 1, vec![Contestant::new("jobcore", build)], [])
}

//! How fast and how small jobcore is compared with other programs that run jobs, measured in turns, so that ratios hold
//! even on a busy machine.
//!
//! `.ci/compare` builds and installs what this needs, and docs/benchmarks.md says what the rows mean.

mod client;
mod measure;
mod peers;
mod process;
mod report;
mod rows;
mod stores;

use std::cell::RefCell;
use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::rc::Rc;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

use peers::{Filled, Tools};
use report::Row;
use stores::Place;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Measure jobcore and other programs that run jobs.
#[derive(Parser)]
struct Options {
    #[arg(long)]
    jobcli: PathBuf,
    #[arg(long)]
    jobmcp: PathBuf,
    /// The directory of the peers, of records on the disk and of the results.
    #[arg(long)]
    directory: PathBuf,
    /// Measure little of everything, once and in memory.
    #[arg(long)]
    quick: bool,
    /// Measure only these groups of rows.
    #[arg(long, num_args = 1.., value_parser = PossibleValuesParser::new(rows::GROUPS.iter().map(|(name, _)| *name)))]
    only: Vec<String>,
    /// Write the table and the chart of docs/benchmarks.md.
    #[arg(long)]
    docs: bool,
    /// Cargo passes it to all benchmarks.
    #[arg(long, hide = true)]
    bench: bool,
    /// The directories for everything, in memory and on the disk: the process that gets this option does the measuring.
    #[arg(long, hide = true, num_args = 2)]
    within: Vec<PathBuf>,
}

/// What all rows share.
struct Bench {
    tools: Tools,
    /// Memory, and the disk unless `quick` is set.
    places: Vec<Place>,
    quick: bool,
    rows: RefCell<Vec<Row>>,
    filled: RefCell<HashMap<(&'static str, u32), Rc<Filled>>>,
}

impl Bench {
    /// The place of rows that need only one file system.
    fn memory(&self) -> &Place {
        &self.places[0]
    }

    /// Returns a store with this many ended jobs, which is made only once.
    fn filled(&self, place: &Place, count: u32) -> Outcome<Rc<Filled>> {
        if let Some(found) = self.filled.borrow().get(&(place.name, count)) {
            return Ok(found.clone());
        }
        let filled = if place.name == self.memory().name {
            Filled::make(&self.tools, place, count)?
        } else {
            self.filled(self.memory(), count)?.copy(&self.tools, place)?
        };
        let filled = Rc::new(filled);
        self.filled.borrow_mut().insert((place.name, count), filled.clone());
        Ok(filled)
    }

    /// The maximum number of rounds of a row.
    fn rounds(&self) -> usize {
        self.much(41, 1)
    }

    /// The usual amount, or the small one if `quick` is set.
    fn much<T>(&self, usual: T, quick: T) -> T {
        if self.quick { quick } else { usual }
    }
}

fn measure(options: &Options) -> Outcome<ExitCode> {
    // The signals that the guard waits for are blocked here as well, and would be in all child processes.
    SigSet::all().thread_unblock()?;
    prctl::set_child_subreaper(true)?;
    let names = ["tmpfs", "disk"].into_iter().take(if options.quick { 1 } else { 2 });
    let bench = Bench {
        tools: Tools::new(options.jobcli.clone(), options.jobmcp.clone(), options.directory.join("peers")),
        places: names.zip(&options.within).map(|(name, root)| Place { name, root: root.clone() }).collect(),
        quick: options.quick,
        rows: RefCell::default(),
        filled: RefCell::default(),
    };
    let absent = bench.tools.absent();
    let mut failures = Vec::new();
    for (group, rows) in rows::GROUPS {
        // A clean build takes longer than everything else together.
        let is_usual = options.only.is_empty() && *group != "build";
        if !is_usual && !options.only.iter().any(|name| name == group) {
            continue;
        }
        writeln!(io::stdout(), "\n== {group}")?;
        if let Err(error) = rows(&bench) {
            failures.push(format!("{group}: {error}"));
        }
        let left = process::sweep();
        if !left.is_empty() {
            failures.push(format!("{group}: left running: {left:?}"));
        }
        // After each group, so that an interrupted run leaves its results so far.
        let rows = bench.rows.borrow();
        fs::write(options.directory.join("result.json"), report::json(&rows, &absent)?)?;
        if options.docs {
            report::write_docs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs"), &rows, &absent)?;
        }
    }
    failures.extend(bench.rows.borrow().iter().flat_map(Row::failures));
    if !absent.is_empty() {
        writeln!(io::stdout(), "\nnot installed, and left out: {}", absent.join(", "))?;
    }
    for failure in &failures {
        writeln!(io::stdout(), "FAILED {failure}")?;
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures in a child, so that no process and no file is left, however the child ends.
fn guard(options: &Options) -> Outcome<ExitCode> {
    prctl::set_child_subreaper(true)?;
    // Cargo is in between, and passes on no signal.
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD]);
    signals.thread_block()?;
    let root = |parent: &Path| tempfile::Builder::new().prefix("jobcore-compare-").tempdir_in(parent);
    let (memory, disk) = (root(Path::new("/dev/shm"))?, root(&options.directory)?);
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).arg("--within").args([memory.path(), disk.path()]);
    let mut child = command.spawn()?;
    let code = loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(status) = child.try_wait()? {
                    break status.code().unwrap_or(1);
                }
            }
            signal => break 128 + signal as i32,
        }
    };
    process::sweep();
    Ok(ExitCode::from(u8::try_from(code)?))
}

fn main() -> Outcome<ExitCode> {
    let options = Options::parse();
    if options.within.is_empty() { guard(&options) } else { measure(&options) }
}

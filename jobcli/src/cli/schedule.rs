//! Verbs about schedules.

use clap::{Args, Subcommand};

use crate::complete;

/// List schedules, and pause, resume, remove or run them.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
`jobcli run` with `--every` or `--cron` creates a schedule: a queued job that is never started itself. At each of its \
times, a copy is queued as a job of its own, unless the previous run is unfinished. `jobcli edit` changes a schedule.

  jobcli run --name backup --cron '0 3 * * 1-5' -- ./backup.sh
  jobcli schedule
  jobcli schedule run backup
  jobcli schedule pause backup"
)]
pub struct Schedule {
    /// What to do [default: list]
    #[command(subcommand)]
    pub what: Option<ScheduleVerb>,
    /// Print the schedules and their last runs as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// What to do with schedules.
#[derive(Debug, Subcommand)]
pub enum ScheduleVerb {
    /// List schedules, the next one due first
    #[command(after_help = "  jobcli schedule list --json")]
    List {
        /// Print the schedules and their last runs as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Pause schedules; times that pass meanwhile are skipped
    #[command(after_help = "  jobcli schedule pause backup")]
    Pause(Schedules),
    /// Resume paused schedules from their next time on
    #[command(after_help = "  jobcli schedule resume backup")]
    Resume(Schedules),
    /// Remove schedules; their runs are kept
    #[command(after_help = "  jobcli schedule remove backup")]
    Remove(Schedules),
    /// Run a schedule now, in addition to its times, and print the id of the run
    #[command(after_help = "  jobcli schedule run backup")]
    Run {
        /// The schedule
        #[arg(value_name = "ID", add = complete::schedules())]
        id: String,
        /// Print the run as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Which schedules.
#[derive(Debug, Args)]
pub struct Schedules {
    /// The schedules
    #[arg(value_name = "ID", required = true, add = complete::schedules())]
    pub ids: Vec<String>,
}

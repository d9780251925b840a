//! The queue: how a job is queued, and verbs that change it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use jobcore::Name;
use jobcore::clock::Timestamp;
use jobcore::queue::{LoadCondition, Missed, Resource};

use super::selection::Selection;
use super::values::{parse_coming, parse_resource};
use crate::complete;

/// How a job is queued.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub struct Queueing {
    /// Start the job after these jobs have ended
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after: Vec<String>,
    /// Start the job after these jobs have completed; skip it otherwise
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after_ok: Vec<String>,
    /// Start the job after these jobs have failed or timed out; skip it otherwise
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after_failed: Vec<String>,
    /// Start the job once these jobs are ready (`--ready`); skip it if one ends first
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after_ready: Vec<String>,
    /// Start the job before jobs with a lower priority [default: 0]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = QUEUE)]
    pub priority: Option<i32>,
    /// Take NUMBER slots of the store and of the group [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = QUEUE)]
    pub slots: Option<u32>,
    /// Take an AMOUNT of a resource while the job runs [default: 1]
    #[arg(long, value_name = "NAME[=AMOUNT]", value_parser = parse_resource, help_heading = QUEUE)]
    pub resource: Vec<(Resource, u32)>,
    /// Start the job after TIME, such as `10m`
    #[arg(long = "in", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "at", help_heading = QUEUE)]
    pub delay: Option<Duration>,
    /// Start the job at TIME, such as `18:30` or `tomorrow 09:00`
    #[arg(long, value_name = "TIME", value_parser = parse_coming, help_heading = QUEUE)]
    pub at: Option<Timestamp>,
    /// Start the job only while CONDITION holds, such as `load<4` or `free-mem>8G` (see below); of several, all must hold
    #[arg(long, value_name = "CONDITION", help_heading = QUEUE)]
    pub when: Vec<LoadCondition>,
    /// Keep the job in the queue until `jobcli release`
    #[arg(long, help_heading = QUEUE)]
    pub hold: bool,
    /// Run the job every TIME, such as `1h`, from now or from the time set by `--in` or `--at`
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "cron", help_heading = QUEUE)]
    pub every: Option<Duration>,
    /// Run the job at the times of a cron pattern, such as `0 3 * * 1-5` or `@daily`, in local time
    #[arg(long, value_name = "PATTERN", help_heading = QUEUE)]
    pub cron: Option<String>,
    /// If runs were missed, for example while the machine was off, `run` once or `skip` them [default: run]
    #[arg(long, value_name = "HOW", help_heading = QUEUE)]
    pub missed: Option<Missed>,
    /// Limit the group to NUMBER running jobs from now on
    #[arg(long, value_name = "NUMBER", requires = "group", help_heading = QUEUE)]
    pub at_a_time: Option<u32>,
}

const QUEUE: &str = "Queue";

/// Keep queued jobs from starting.
#[derive(Debug, Args)]
#[command(after_help = "\
The jobs keep their places. To hold a whole group or everything, use `jobcli group pause`.

  jobcli hold 3f9a2c1b
  jobcli hold --label nightly")]
pub struct Hold {
    /// Which jobs.
    #[command(flatten)]
    pub which: Queued,
}

/// Queued jobs.
#[derive(Debug, Args)]
pub struct Queued {
    /// The jobs
    #[arg(value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
    /// Select all queued jobs
    #[arg(long)]
    pub all: bool,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
}

/// Let held jobs start.
#[derive(Debug, Args)]
#[command(after_help = "\
Jobs delayed with `--in` or `--at` can start as well when it is their turn.

  jobcli release 3f9a2c1b
  jobcli release --all")]
pub struct Release {
    /// Which jobs.
    #[command(flatten)]
    pub which: Queued,
}

/// Move a queued job.
#[derive(Debug, Args)]
#[command(after_help = "\
The job takes on the priority of its new neighbours. Limits still apply; `jobcli start` ignores them.

  jobcli move 3f9a2c1b --first
  jobcli move 3f9a2c1b --before 77aa01c2")]
pub struct Move {
    /// The job
    #[arg(value_name = "ID", add = complete::live_jobs())]
    pub id: String,
    /// To where.
    #[command(flatten)]
    pub to: Destination,
}

/// Where a job is moved.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Destination {
    /// Move it before all other queued jobs
    #[arg(long)]
    pub first: bool,
    /// Move it after all other queued jobs
    #[arg(long)]
    pub last: bool,
    /// Move it before this job
    #[arg(long, value_name = "ID", add = complete::live_jobs())]
    pub before: Option<String>,
    /// Move it after this job
    #[arg(long, value_name = "ID", add = complete::live_jobs())]
    pub after: Option<String>,
}

/// Change a queued job.
#[derive(Debug, Args)]
#[command(after_help = "\
The job keeps its id, name and place. The policy is applied to the changed job.

  jobcli edit 3f9a2c1b --priority 10
  jobcli edit 3f9a2c1b --group gpu --env CUDA=1
  jobcli edit nightly --cron '30 3 * * *'
  jobcli edit 3f9a2c1b -- cargo test --release")]
pub struct Edit {
    /// The job
    #[arg(value_name = "ID", add = complete::live_jobs())]
    pub id: String,
    /// Run it in this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<PathBuf>,
    /// Set a variable; NAME alone passes on the current value
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Remove a variable
    #[arg(long, value_name = "NAME")]
    pub unset_env: Vec<OsString>,
    /// Start it before jobs with a lower priority
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// Take NUMBER slots
    #[arg(long, value_name = "NUMBER")]
    pub slots: Option<u32>,
    /// Start it after TIME, such as `10m`
    #[arg(long = "in", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "at")]
    pub delay: Option<Duration>,
    /// Start it at TIME, such as `18:30`
    #[arg(long, value_name = "TIME", value_parser = parse_coming)]
    pub at: Option<Timestamp>,
    /// Run a schedule every TIME
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "cron")]
    pub every: Option<Duration>,
    /// Run a schedule at the times of a cron pattern
    #[arg(long, value_name = "PATTERN")]
    pub cron: Option<String>,
    /// After missed runs, `run` a schedule once or `skip` them
    #[arg(long, value_name = "HOW")]
    pub missed: Option<Missed>,
    /// Start it only while CONDITION holds, such as `load<4`; replaces its conditions
    #[arg(long, value_name = "CONDITION", conflicts_with = "no_when")]
    pub when: Vec<LoadCondition>,
    /// Remove its conditions
    #[arg(long)]
    pub no_when: bool,
    /// Move it to this group
    #[arg(long, short, value_name = "NAME", add = complete::groups(), conflicts_with = "no_group")]
    pub group: Option<Name>,
    /// Take it out of its group
    #[arg(long)]
    pub no_group: bool,
    /// Run this line in the shell instead
    #[arg(long, value_name = "LINE", conflicts_with = "command")]
    pub line: Option<String>,
    /// Run this program instead
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Print the changed job as JSON
    #[arg(long)]
    pub json: bool,
}

/// Run ended jobs again.
#[derive(Debug, Args)]
#[command(after_help = "\
Each is submitted as a new job with the same command, directory, name, labels and limits, and the environment of this \
shell. The old job and its output are kept.

  jobcli rerun 3f9a2c1b
  jobcli rerun --group ci --status failed
  jobcli rerun tests --wait")]
pub struct Rerun {
    /// The jobs
    #[arg(value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Run all ended jobs again
    #[arg(long)]
    pub all: bool,
    /// Run them in this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, id = "run_in", value_parser = clap::value_parser!(PathBuf))]
    pub run_in: Option<PathBuf>,
    /// Set a variable; NAME alone passes on the current value
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Wait for all of them to end; exit with the first code that is not 0
    #[arg(long, short)]
    pub wait: bool,
    /// Print the new jobs as JSON
    #[arg(long)]
    pub json: bool,
    /// Which others.
    #[command(flatten)]
    pub selection: Selection,
}

/// Show which jobs wait for which.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints each unfinished job below the job it starts after. If jobs are named or selected, prints them with all connected \
jobs, including ended ones.

  jobcli graph
  jobcli graph --group release
  jobcli graph --dot | dot -Tsvg > jobs.svg")]
pub struct Graph {
    /// The jobs
    #[arg(value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Print the graph in Graphviz's DOT language
    #[arg(long)]
    pub dot: bool,
    /// Which others.
    #[command(flatten)]
    pub selection: Selection,
}

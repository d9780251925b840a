//! The queue: how a job is queued, and verbs that change it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use jobcore::Name;
use jobcore::clock::Timestamp;
use jobcore::queue::{Missed, Resource};

use super::selection::Selection;
use super::values::{parse_coming, parse_resource};
use crate::complete;

/// How a job is queued.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Queueing {
    /// Start the job after this one has ended; several may be given, with commas
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after: Vec<String>,
    /// Start the job after this one is completed, and skip it otherwise
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after_ok: Vec<String>,
    /// Start the job after this one has failed or timed out, and skip it otherwise
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after_failed: Vec<String>,
    /// Start the job once this one is ready, as its `--ready` says, and skip it if that ends before
    #[arg(long, value_name = "ID", value_delimiter = ',', add = complete::live_jobs(), help_heading = QUEUE)]
    pub after_ready: Vec<String>,
    /// Start the job before those of a lower priority [default: 0]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, help_heading = QUEUE)]
    pub priority: Option<i32>,
    /// Take NUMBER slots of the store and of the group [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = QUEUE)]
    pub slots: Option<u32>,
    /// Take an AMOUNT of a resource while the job runs [default: 1]
    #[arg(long, value_name = "NAME[=AMOUNT]", value_parser = parse_resource, help_heading = QUEUE)]
    pub resource: Vec<(Resource, u32)>,
    /// Start the job in TIME at the earliest, such as `10m`
    #[arg(long = "in", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "at", help_heading = QUEUE)]
    pub delay: Option<Duration>,
    /// Start the job at this time at the earliest, such as `18:30` or `tomorrow 09:00`
    #[arg(long, value_name = "TIME", value_parser = parse_coming, help_heading = QUEUE)]
    pub at: Option<Timestamp>,
    /// Keep the job in the queue until `jobcli release`
    #[arg(long, help_heading = QUEUE)]
    pub hold: bool,
    /// Run the job now and then again and again, at this distance, such as `1h`; the first time is that of `--in` or `--at`, if given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "cron", help_heading = QUEUE)]
    pub every: Option<Duration>,
    /// Run the job at times in cron's five fields, such as `0 3 * * 1-5`, or `@daily`, in the local time zone
    #[arg(long, value_name = "PATTERN", help_heading = QUEUE)]
    pub cron: Option<String>,
    /// If times are missed, because the machine is off for example, `run` once for all of them or `skip` them [default: run]
    #[arg(long, value_name = "HOW", help_heading = QUEUE)]
    pub missed: Option<Missed>,
    /// Let at most NUMBER jobs of the group run at a time, from now on
    #[arg(long, value_name = "NUMBER", requires = "group", help_heading = QUEUE)]
    pub at_a_time: Option<u32>,
}

const QUEUE: &str = "Queue";

/// Keep queued jobs from starting.
#[derive(Debug, Args)]
#[command(after_help = "\
The jobs keep their places. To hold back a whole group, or everything, use `jobcli group pause`.

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
Jobs that were to start later may start now as well, if it is their turn.

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
The job takes over the priority of the jobs that it is moved to. The limits stay as they are: `jobcli start` starts a job past \
them.

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
The job keeps its id, its name and its place. The policy is applied to the changed job as to a new one.

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
    /// Set a variable, or pass on the one of this name
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Remove a variable
    #[arg(long, value_name = "NAME")]
    pub unset_env: Vec<OsString>,
    /// Start it before jobs of a lower priority
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// Take NUMBER slots
    #[arg(long, value_name = "NUMBER")]
    pub slots: Option<u32>,
    /// Start it in TIME at the earliest, such as `10m`
    #[arg(long = "in", value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "at")]
    pub delay: Option<Duration>,
    /// Start it at this time at the earliest, such as `18:30`
    #[arg(long, value_name = "TIME", value_parser = parse_coming)]
    pub at: Option<Timestamp>,
    /// Run a schedule at this distance
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "cron")]
    pub every: Option<Duration>,
    /// Run a schedule at these times
    #[arg(long, value_name = "PATTERN")]
    pub cron: Option<String>,
    /// Let a schedule `run` once for missed times, or `skip` them
    #[arg(long, value_name = "HOW")]
    pub missed: Option<Missed>,
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
Each is submitted as a new job with the same command, directory, name, labels and limits, and with the environment of this \
shell. The old job and its output stay.

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
    /// Set a variable, or pass on the one of this name
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Wait for all of them to end; the exit code is the first that is not 0
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
Prints each unfinished job below the job that it starts after. With jobs named or selected, prints these and all jobs that \
they are connected with, ended ones as well.

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

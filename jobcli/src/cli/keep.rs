//! Verbs about what is kept in the store, and about jobcli itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use jobcore::clock::Timestamp;
use jobcore::{Name, Status};

use super::selection::Selection;
use super::values::parse_time;
use crate::complete;

/// Remove jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Jobs that cannot be removed are reported, and the first failure determines the exit code; the others are removed anyway.

  jobcli rm 3f9a2c1b
  jobcli rm --kill 3f9a2c1b 77aa01c2
  jobcli rm --label branch=old
  jobcli rm --status failed --ended-before yesterday
  jobcli rm --worktree fix-login")]
pub struct Rm {
    /// The jobs
    #[arg(value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// Remove all jobs that have ended
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Stop unfinished jobs first
    #[arg(long)]
    pub kill: bool,
    /// Also remove the git worktrees that were created for them, with their branches
    #[arg(long)]
    pub worktree: bool,
    /// Remove worktrees even if uncommitted changes or unmerged commits would be lost
    #[arg(long, requires = "worktree")]
    pub force: bool,
}

/// Remove many ended jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Without options, applies the store's settings `keep_days`, `keep_jobs` and `keep_bytes`, which are also applied \
automatically, a few jobs at a time. With options, only those count. Unfinished jobs are kept.

  jobcli prune --dry-run
  jobcli prune --older-than 7d
  jobcli prune --keep 100 --max-size 1G --status completed")]
pub struct Prune {
    /// Remove jobs that ended before TIME, such as `7d` ago
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub older_than: Option<Timestamp>,
    /// Keep the newest NUMBER jobs
    #[arg(long, value_name = "NUMBER")]
    pub keep: Option<u64>,
    /// Keep the newest jobs up to SIZE in total
    #[arg(long, value_name = "SIZE", value_parser = jobcore::units::parse_size)]
    pub max_size: Option<u64>,
    /// Consider only jobs with this status, or with any of several, as in `failed,killed`
    #[arg(long, alias = "state", short, value_name = "STATUS", value_delimiter = ',', add = complete::statuses())]
    pub status: Vec<Status>,
    /// Print what would be removed, without removing it
    #[arg(long)]
    pub dry_run: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Find what jobs have left behind.
#[derive(Debug, Args)]
#[command(after_help = "\
Processes are found by the job id in their environment, `JOBCORE_JOB_ID`. A process is listed if its job is in this \
store, has ended and has no supervisor. An ended job that still has one, because of stragglers, is marked with `+` in \
`list` and stopped with `kill`.

The exit code is 1 if `--stop` could not stop everything.

  jobcli gc
  jobcli gc --stop
  jobcli gc --older-than 3d")]
pub struct Gc {
    /// Also list jobs that have been running since before TIME, such as `3d` ago
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub older_than: Option<Timestamp>,
    /// Stop what is listed
    #[arg(long)]
    pub stop: bool,
    /// Kill processes that have not ended after TIME
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub grace: Duration,
    /// Print the processes and jobs as JSON
    #[arg(long)]
    pub json: bool,
}

/// Get and set the settings that apply to all users of the store.
#[derive(Debug, Args)]
#[command(after_help = "\
`max_running` and `groups.NAME.limit` limit how many jobs of the store or a group run at a time; 0 means no limit. \
`when_full` is what happens to further jobs: `queue` or `refuse`. `paused` and `groups.NAME.paused` keep queued jobs \
from starting; `groups.NAME.pause_on_failure` pauses a group when one of its jobs fails. `guard` is a comma-separated \
list of conditions on how busy the machine is (see `jobcli run --help`); queued jobs start only while all hold. `resources.NAME` is the amount \
of a resource, 1 by default. `keep_days`, `keep_jobs` and `keep_bytes` limit how many ended jobs are kept; 0 means no \
limit. `on_end` is a line run with `sh` after each job that ran for at least `on_end_after`; `groups.NAME.on_end` and \
`callers.HOST.on_end` apply to the jobs of a group or of a host such as `codex`, and `on_end_timeout` limits their time. \
`policy.allow` and `policy.deny` are comma-separated patterns of commands that may or may not be submitted, and \
`policy.allow_variables` of variables that may be set; an empty value removes them.

  jobcli config get
  jobcli config set max_running 4
  jobcli config set policy.allow 'npm, git status, cargo *'")]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub what: ConfigVerb,
}

/// What to do with the settings of the store.
#[derive(Debug, Subcommand)]
pub enum ConfigVerb {
    /// Print all settings or the value of one
    #[command(after_help = "  jobcli config get\n  jobcli config get max_running")]
    Get {
        /// The setting
        #[arg(value_name = "KEY", add = complete::settings())]
        key: Option<String>,
    },
    /// Change a setting for all users of the store
    #[command(after_help = "  jobcli config set when_full refuse\n  jobcli config set keep_bytes 50G")]
    Set {
        /// The setting
        #[arg(value_name = "KEY", add = complete::settings())]
        key: String,
        /// Its new value
        #[arg(value_name = "VALUE")]
        value: String,
    },
}

/// List groups, and set their limits.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli group set web --limit 2\n  jobcli run --group web npm run build\n  jobcli group list")]
pub struct Group {
    /// What to do.
    #[command(subcommand)]
    pub what: GroupVerb,
}

/// What to do with groups.
#[derive(Debug, Subcommand)]
pub enum GroupVerb {
    /// List groups that have a limit or unfinished jobs
    #[command(after_help = "  jobcli group list --json")]
    List {
        /// Print them as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Set how many jobs of a group can run at a time
    #[command(after_help = "  jobcli group set web --limit 2")]
    Set {
        /// The group
        #[arg(value_name = "NAME", add = complete::groups())]
        name: Name,
        /// Run at most NUMBER jobs at a time; 0 means only the limit of the store
        #[arg(long, value_name = "NUMBER")]
        limit: u32,
    },
    /// Stop starting queued jobs of a group; running jobs continue
    #[command(after_help = "  jobcli group pause builds\n  jobcli group pause --all")]
    Pause(Queue),
    /// Resume starting queued jobs of a group
    #[command(after_help = "  jobcli group resume builds\n  jobcli group resume --all")]
    Resume(Queue),
}

/// A group whose queue is paused or resumed, or all of the store.
#[derive(Debug, Args)]
pub struct Queue {
    /// The group
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all", add = complete::groups())]
    pub name: Option<Name>,
    /// Apply to the whole store
    #[arg(long)]
    pub all: bool,
}

/// Prove that jobs work on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Runs a few short jobs in the store and removes them, to check that a job is detached, survives its submitter and its \
supervisor, keeps its output and exit code, and is stopped completely. Then checks what could end or hinder jobs: the \
file system, free space, logouts, limits. Each step is `ok`, `degraded` (jobs work, with weaker guarantees) or `failed`; \
the exit code is 1 if one failed. docs/doctor.md explains the steps.

  jobcli doctor
  jobcli doctor --json")]
pub struct Doctor {
    /// Print the steps as JSON
    #[arg(long)]
    pub json: bool,
}

/// Print a completion script.
#[derive(Debug, Args)]
#[command(after_help = "\
Completes verbs, options, the newest 100 jobs by name and short id, labels, groups and settings. The script calls the \
jobcli on the `PATH`; write it again after an upgrade, or let the shell do so when it starts:

  jobcli completions bash > ~/.local/share/bash-completion/completions/jobcli
  jobcli completions zsh > ~/.zfunc/_jobcli
  jobcli completions fish > ~/.config/fish/completions/jobcli.fish
  echo 'source <(jobcli completions bash)' >> ~/.bashrc")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// Print manual pages.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli man | man -l -\n  jobcli man --dir ~/.local/share/man/man1")]
pub struct Man {
    /// Write the page of jobcli and one for each verb into DIR
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

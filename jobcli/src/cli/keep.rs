//! Verbs about what is kept, and about jobcli itself.

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
Each job that can be removed is removed; those that cannot be are reported, and the exit code is that of the first of them.

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
    /// Stop them first if they are not over
    #[arg(long)]
    pub kill: bool,
    /// Remove the git worktrees that were made for them, too, with their branches
    #[arg(long)]
    pub worktree: bool,
    /// Also if something would be lost with them: changes in no commit, commits on no other branch
    #[arg(long, requires = "worktree")]
    pub force: bool,
}

/// Remove many jobs that are over.
#[derive(Debug, Args)]
#[command(after_help = "\
Without an option, what the settings of the store say is applied: `keep_days`, `keep_jobs` and `keep_bytes`, which are \
applied by themselves, too, a few jobs at a time. With options, only these count. Jobs that are not over stay.

  jobcli prune --dry-run
  jobcli prune --older-than 7d
  jobcli prune --keep 100 --max-size 1G --status completed")]
pub struct Prune {
    /// Remove jobs that ended before this time, such as `7d` ago
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub older_than: Option<Timestamp>,
    /// Keep so many, the newest
    #[arg(long, value_name = "NUMBER")]
    pub keep: Option<u64>,
    /// Keep so many bytes in all, of the newest
    #[arg(long, value_name = "SIZE", value_parser = jobcore::units::parse_size)]
    pub max_size: Option<u64>,
    /// Look only at jobs with this status; may be given several times
    #[arg(long, alias = "state", short, value_name = "STATUS", add = complete::statuses())]
    pub status: Vec<Status>,
    /// Remove nothing, and print what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Find what jobs have left behind.
#[derive(Debug, Args)]
#[command(after_help = "\
A process is found by the id of its job in its environment, `JOBCORE_JOB_ID`. Listed are those whose job has ended and is in this \
store, unless its supervisor stays with them: `list` marks such a job with `+`, and `kill` stops what it left.

The exit code is 1 if --stop could not stop everything.

  jobcli gc
  jobcli gc --stop
  jobcli gc --older-than 3d")]
pub struct Gc {
    /// List jobs as well that have been running since before this time, such as `3d` ago
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub older_than: Option<Timestamp>,
    /// Stop what is listed
    #[arg(long)]
    pub stop: bool,
    /// How long processes may take to end when they are stopped, before they are killed
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    pub grace: Duration,
    /// Print the processes and jobs as JSON
    #[arg(long)]
    pub json: bool,
}

/// Get and set what concerns everybody who uses the store.
#[derive(Debug, Args)]
#[command(after_help = "\
`max_running` is how many jobs run at a time, 0 for no limit; `when_full` says what becomes of a job that is submitted when \
so many run: `queue` or `refuse`; `groups.NAME.limit` is how many jobs of a group run at a time. While `paused` or \
`groups.NAME.paused` is `true`, no queued job is started; with `groups.NAME.pause_on_failure`, a group is paused when one of its \
jobs fails. `resources.NAME` is how much there is of a resource that jobs take, 1 unless set. `keep_days`, `keep_jobs` \
and `keep_bytes` say what is kept of jobs that are over, whichever is reached first; 0 is no limit. \
`on_end` is a line of `sh` that is run at the end of each job that ran for `on_end_after` at least, `groups.NAME.on_end` one for the \
jobs of a group, `callers.HOST.on_end` one for the jobs that conversations of a host such as `codex` submitted, and `on_end_timeout` how long each may take. \
`policy.allow` and \
`policy.deny` are patterns, with commas, \
of the commands that may be submitted and of those that may not, and `policy.allow_variables` \
of the variables that may be set beside; an empty text takes them away.

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
    /// Print all settings, or the value of one
    #[command(after_help = "  jobcli config get\n  jobcli config get max_running")]
    Get {
        /// The setting
        #[arg(value_name = "KEY", add = complete::settings())]
        key: Option<String>,
    },
    /// Change a setting, for everybody and from now on
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
    /// Print the groups that have a limit, or jobs that run or wait
    #[command(after_help = "  jobcli group list --json")]
    List {
        /// Print them as a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Set how many jobs of a group run at a time
    #[command(after_help = "  jobcli group set web --limit 2")]
    Set {
        /// The group
        #[arg(value_name = "NAME", add = complete::groups())]
        name: Name,
        /// So many; 0 for no limit but the store's
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
    /// The whole store
    #[arg(long)]
    pub all: bool,
}

/// Prove that jobs work on this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Runs a few short jobs in the store and removes them: is one detached, does it survive its submitter and its supervisor, are \
its output and exit code kept, is all of it stopped? Then looks at what would end or hinder jobs: the file system, room, \
logouts, limits. Each step is `ok`, `degraded` (jobs work, but less is promised) or `failed`; the exit code is 1 if one \
failed. docs/doctor.md says what each step proves.

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
Verbs, flags, and what is in the store are completed: jobs by name and short id, the newest 100, labels, groups, settings. \
The script asks the jobcli in the `PATH`; after an upgrade, write it again, or let the shell do so when it starts:

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
    /// Write the page of jobcli and one of each verb into this directory, which is made if there is none
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

//! The definition of the command line: types only, one file for each group of verbs.

// In the order in which to read them:
// - `run.rs`, `look.rs`, `act.rs`, `queue.rs`, `schedule.rs`, `caller.rs`, `keep.rs`: the verbs in groups, as the help shows them
// - `project.rs`: the jobs of a project
// - `readiness.rs`, `restarting.rs`: when a job is ready, and whether its command is started again
// - `limiting.rs`, `lifetime.rs`: limits on its processes, and how long it may live
// - `selection.rs`, `values.rs`: which jobs a verb is about, and other values of arguments
// - `seldom.rs`: rarely used verbs
// - `deferred.rs`, `rare.rs`: definitions that are built only when needed

mod act;
mod caller;
mod deferred;
mod keep;
mod lifetime;
mod limiting;
mod look;
mod project;
mod queue;
mod rare;
mod readiness;
mod restarting;
mod run;
mod schedule;
mod seldom;
mod selection;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use act::{Attach, Kill, Pause, Piece, Renew, Resume, Running, Send, Start, Typed};
pub use caller::{Hook, Inbox, Skill, Statusline};
pub use deferred::Deferred;
pub use keep::{Completions, Config, ConfigVerb, Doctor, Gc, Group, GroupVerb, Man, Prune, Queue, Rm};
pub use look::{
    Arrangement, Events, List, OneJob, Output, SeveralJobs, Show, ShowOutput, Stats, StatusOf, Tail, Top, Usage,
    UsageBy, Wait,
};
pub use project::{Down, Up};
pub use queue::{Edit, Graph, Hold, Move, Queued, Queueing, Release, Rerun};
pub(crate) use rare::without_rare;
pub use rare::{Rare, RareVerb};
pub use readiness::Readiness;
pub use restarting::Restarting;
pub use run::{Adopt, Delegate, Run};
pub use schedule::{Schedule, ScheduleVerb, Schedules};
pub use seldom::Seldom;
pub use selection::{Filters, Selection};
pub use values::{ByteRange, EventOrTime, StdinFrom, Terminal};
pub(crate) use values::{parse_stdin, parse_terminal};

/// Background jobs that survive the shell that started them.
///
/// Start a long command, close the terminal and come back: its state, output and exit code are there. Refer to a job by
/// its name, its short id, or the beginning or end of its full id: at least 4 digits, and unique.
#[derive(Debug, Parser)]
#[command(
    name = "jobcli",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    /// Keep jobs in DIR [env: JOBCORE_STORE] [default: the user's state directory]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub store: Option<PathBuf>,
    /// Read settings from FILE [env: JOBCORE_CONFIG] [default: jobcore/config.toml in the user's config directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes
  0    success
  1    failure, or the answer is no
  2    wrong usage
  3    no such job
  4    refused by the policy, by a limit, or by the state of the job
  124  `wait` timed out
  125  see below
  130  Ctrl-C ended the wait; the job is still running

`run --wait`, `run --follow`, `delegate --wait`, `delegate --follow`, `wait` and `attach` exit with the code of the job: its \
exit code, or 128 plus the number of the signal that killed it. If a job was stopped or timed out and exited with 0 \
anyway, the code is 143. An agent run passes on 0 only if the agent reports success and its answer matches the schema it \
was given. With these commands, a failure of jobcli itself is 125 instead of 1, 3 or 4, so that it is not mistaken for \
the job's; so is a job whose exit code is unknown. Of several jobs, the first code that is not 0 counts.";

/// The frequently used verbs, and all others.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a job and print its id
    #[command(aliases = ["add", "submit", "enqueue"])]
    Run(Deferred<Run>),
    /// Start a job with open standard input, and print its id
    #[command(hide = true)]
    Execute(Deferred<Run>),
    /// List jobs, newest first
    #[command(aliases = ["ls", "ps"])]
    List(Deferred<List>),
    /// Show everything that is known about a job
    Show(Deferred<Show>),
    /// Print the status of a job in one word
    Status(Deferred<StatusOf>),
    /// Print the output of a job
    #[command(aliases = ["logs", "log"])]
    Output(Deferred<Output>),
    /// Print the last lines of a job's output
    Tail(Deferred<Tail>),
    /// Wait for jobs to end, or for output, a port or a file
    Wait(Deferred<Wait>),
    /// Send text, keys or the end of its input to a job
    Send(Deferred<Send>),
    /// Start queued jobs now, regardless of limits
    Start(Deferred<Start>),
    /// Stop jobs and all of their processes
    #[command(alias = "stop")]
    Kill(Deferred<Kill>),
    /// Remove ended jobs and their output
    #[command(aliases = ["remove", "delete"])]
    Rm(Deferred<Rm>),
    /// Print what happened to jobs
    Events(Deferred<Events>),
    /// Print the state of a project's jobs in a few characters
    Statusline(Deferred<Statusline>),
    /// Notify a coding agent of ended jobs from one of its hooks
    Hook(Deferred<Hook>),
    /// A rarely used verb.
    #[command(flatten)]
    Seldom(RareVerb<Seldom>),
}

impl Verb {
    /// Returns whether the verb creates a missing store. To other verbs, a missing store is empty.
    pub fn makes_store(&self) -> bool {
        match self {
            Self::Run(_) | Self::Execute(_) => true,
            Self::Seldom(RareVerb(verb)) => verb.makes_store(),
            Self::List(_)
            | Self::Show(_)
            | Self::Status(_)
            | Self::Output(_)
            | Self::Tail(_)
            | Self::Wait(_)
            | Self::Send(_)
            | Self::Start(_)
            | Self::Kill(_)
            | Self::Rm(_)
            | Self::Events(_)
            | Self::Statusline(_)
            | Self::Hook(_) => false,
        }
    }

    /// Returns whether the verb exits with the code of the job, so that failures of jobcli itself need a different one.
    pub fn passes_code(&self) -> bool {
        match self {
            Self::Run(Deferred(run)) | Self::Execute(Deferred(run)) => {
                run.wait || run.follow || run.readiness.0.wait_ready
            }
            Self::Seldom(RareVerb(verb)) => verb.passes_code(),
            Self::Wait(_) => true,
            Self::List(_)
            | Self::Show(_)
            | Self::Status(_)
            | Self::Output(_)
            | Self::Tail(_)
            | Self::Send(_)
            | Self::Start(_)
            | Self::Kill(_)
            | Self::Rm(_)
            | Self::Events(_)
            | Self::Statusline(_)
            | Self::Hook(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }
}

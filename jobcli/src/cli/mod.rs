//! The command line: types only, a file for each group of verbs.

// In the order in which to read them:
// - `run.rs`, `look.rs`, `act.rs`, `queue.rs`, `schedule.rs`, `caller.rs`, `keep.rs`: the verbs in groups, as the help shows them
// - `project.rs`: the jobs of a project
// - `readiness.rs`, `restarting.rs`: when a job is ready, and whether its command is started again
// - `limiting.rs`: how much its processes may use
// - `selection.rs`, `values.rs`: which jobs a verb is about, and other values of arguments
// - `deferred.rs`, `rare.rs`: definitions that are made when they are needed

mod act;
mod caller;
mod deferred;
mod keep;
mod limiting;
mod look;
mod project;
mod queue;
mod rare;
mod readiness;
mod restarting;
mod run;
mod schedule;
mod selection;
mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use act::{Attach, Kill, Pause, Piece, Resume, Running, Send, Start, Typed};
pub use caller::{Hook, Inbox, Skill, Statusline};
pub use deferred::Deferred;
pub use keep::{Completions, Config, ConfigVerb, Doctor, Gc, Group, GroupVerb, Man, Prune, Queue, Rm};
pub use look::{
    Arrangement, Events, List, OneJob, Output, SeveralJobs, Show, ShowOutput, StatusOf, Tail, Top, Usage, UsageBy, Wait,
};
pub use project::{Down, Up};
pub use queue::{Edit, Graph, Hold, Move, Queued, Queueing, Release, Rerun};
pub use rare::Rare;
pub(crate) use rare::without_rare;
pub use readiness::Readiness;
pub use restarting::Restarting;
pub use run::{Delegate, Run};
pub use schedule::{Schedule, ScheduleVerb, Schedules};
pub use selection::{Filters, Selection};
pub use values::{ByteRange, EventOrTime, StdinFrom, Terminal};
pub(crate) use values::{parse_stdin, parse_terminal};

/// Background jobs that survive the shell that started them.
///
/// Start a long command, close the terminal, come back: its state, its output and its exit code are there. A job is named
/// by its name, by its short id, or by the beginning or the end of its full id: 4 digits or more of one that no other job has.
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
    /// Where jobs are kept [env: JOBCORE_STORE] [default: the user's state directory]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub store: Option<PathBuf>,
    /// Read settings from this file [env: JOBCORE_CONFIG] [default: jobcore/config.toml in the user's config directory]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Everywhere")]
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

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a job and print its id
    #[command(aliases = ["add", "submit", "enqueue"])]
    Run(Deferred<Run>),
    /// Start a job that something can be sent to, and print its id
    #[command(hide = true)]
    Execute(Deferred<Run>),
    /// Start the jobs that a project file defines
    Up(Deferred<Up>),
    /// Stop the jobs started by `up`
    Down(Deferred<Down>),
    /// Start a coding agent with a prompt and print the job's id
    Delegate(Deferred<Box<Delegate>>),
    /// List jobs, newest first
    #[command(aliases = ["ls", "ps"])]
    List(Deferred<List>),
    /// Show jobs and their output full-screen, updated live
    #[command(alias = "view")]
    Top(Deferred<Top>),
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
    /// Send text to a job and print what it answers
    #[command(hide = true)]
    Interact(Deferred<Send>),
    /// Connect this terminal to the terminal of a job
    Attach(Deferred<Attach>),
    /// Start queued jobs now, regardless of limits
    Start(Deferred<Start>),
    /// Pause running jobs: all of their processes, and their timeouts
    Pause(Deferred<Pause>),
    /// Resume paused jobs
    Resume(Deferred<Resume>),
    /// Stop jobs and all of their processes
    #[command(alias = "stop")]
    Kill(Deferred<Kill>),
    /// Run ended jobs again, as new jobs
    #[command(aliases = ["restart", "retry"])]
    Rerun(Deferred<Rerun>),
    /// Keep queued jobs from starting
    #[command(alias = "stash")]
    Hold(Deferred<Hold>),
    /// Let held jobs start
    Release(Deferred<Release>),
    /// Move a queued job to another place in the queue
    Move(Deferred<Move>),
    /// Change a queued job: its command, group, priority and more
    Edit(Deferred<Edit>),
    /// List schedules, and pause, resume, remove or run them
    Schedule(Deferred<Schedule>),
    /// Show which jobs wait for which others
    Graph(Deferred<Graph>),
    /// Remove ended jobs and their output
    #[command(aliases = ["remove", "delete"])]
    Rm(Deferred<Rm>),
    /// Remove many ended jobs by age, number or size
    Prune(Deferred<Prune>),
    /// Find processes that ended jobs left behind, and stop them
    Gc(Deferred<Gc>),
    /// Print what happened to jobs
    Events(Deferred<Events>),
    /// Print ended jobs that their caller has not been notified of
    Inbox(Deferred<Inbox>),
    /// Print the state of a project's jobs in a few characters
    Statusline(Deferred<Statusline>),
    /// Notify a coding agent of ended jobs from one of its hooks
    Hook(Deferred<Hook>),
    /// Print a skill that teaches an agent to use jobs
    Skill(Deferred<Skill>),
    /// Sum up the cost of agent runs
    Usage(Deferred<Usage>),
    /// Show and change the settings of the store
    Config(Deferred<Config>),
    /// List, limit, pause and resume groups
    Group(Deferred<Group>),
    /// Check that jobs work on this machine
    Doctor(Deferred<Doctor>),
    /// Print a completion script for a shell
    Completions(Deferred<Completions>),
    /// Print the manual page, or write all of them
    Man(Deferred<Man>),
}

impl Verb {
    /// Returns whether it makes a store where there is none. All others find it empty.
    pub fn makes_store(&self) -> bool {
        match self {
            Self::Run(_) | Self::Execute(_) | Self::Up(_) | Self::Delegate(_) | Self::Doctor(_) => true,
            Self::Config(Deferred(config)) => matches!(config.what, ConfigVerb::Set { .. }),
            Self::Group(Deferred(group)) => !matches!(group.what, GroupVerb::List { .. }),
            Self::Down(_)
            | Self::List(_)
            | Self::Top(_)
            | Self::Show(_)
            | Self::Status(_)
            | Self::Output(_)
            | Self::Tail(_)
            | Self::Wait(_)
            | Self::Send(_)
            | Self::Interact(_)
            | Self::Attach(_)
            | Self::Start(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Kill(_)
            | Self::Rerun(_)
            | Self::Hold(_)
            | Self::Release(_)
            | Self::Move(_)
            | Self::Edit(_)
            | Self::Schedule(_)
            | Self::Graph(_)
            | Self::Rm(_)
            | Self::Prune(_)
            | Self::Gc(_)
            | Self::Events(_)
            | Self::Inbox(_)
            | Self::Statusline(_)
            | Self::Hook(_)
            | Self::Skill(_)
            | Self::Usage(_)
            | Self::Completions(_)
            | Self::Man(_) => false,
        }
    }

    /// Returns whether the exit code is the job's, and jobcli's own failures have one of their own.
    pub fn passes_code(&self) -> bool {
        match self {
            Self::Run(Deferred(run)) | Self::Execute(Deferred(run)) => {
                run.wait || run.follow || run.readiness.0.wait_ready
            }
            Self::Delegate(Deferred(delegate)) => delegate.wait || delegate.follow,
            Self::Rerun(Deferred(rerun)) => rerun.wait,
            Self::Wait(_) | Self::Attach(_) => true,
            Self::Up(_)
            | Self::Down(_)
            | Self::List(_)
            | Self::Top(_)
            | Self::Show(_)
            | Self::Status(_)
            | Self::Output(_)
            | Self::Tail(_)
            | Self::Send(_)
            | Self::Interact(_)
            | Self::Start(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Kill(_)
            | Self::Hold(_)
            | Self::Release(_)
            | Self::Move(_)
            | Self::Edit(_)
            | Self::Schedule(_)
            | Self::Graph(_)
            | Self::Rm(_)
            | Self::Prune(_)
            | Self::Gc(_)
            | Self::Events(_)
            | Self::Config(_)
            | Self::Group(_)
            | Self::Doctor(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Inbox(_)
            | Self::Statusline(_)
            | Self::Hook(_)
            | Self::Skill(_)
            | Self::Usage(_) => false,
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

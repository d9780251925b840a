//! The command line: types only, a file for each group of verbs.

// In the order in which to read them:
// - `run.rs`, `look.rs`, `act.rs`, `queue.rs`, `schedule.rs`, `caller.rs`, `keep.rs`: the verbs in groups, as the help shows them
// - `project.rs`: the jobs of a project
// - `readiness.rs`, `restarting.rs`: when a job is ready, and whether its command is started again
// - `selection.rs`, `values.rs`: which jobs a verb is about, and other values of arguments
// - `deferred.rs`, `rare.rs`: definitions that are made when they are needed

mod act;
mod caller;
mod deferred;
mod keep;
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
  0    done
  1    failed, or the answer is no
  2    wrong usage
  3    no such job
  4    refused: by the policy, by a limit, or by what the job is doing
  124  `wait`: the time given to wait is up
  125  see below
  130  Ctrl-C ended the waiting; the job is still running

`run --wait`, `run --follow`, `delegate --wait`, `delegate --follow`, `wait` and `attach` exit with the code of the job: its \
exit code, or 128 and the number of the signal that ended it. A job that was stopped or timed out never passes on 0: if it \
exited with 0 nevertheless, the code is 143. An agent run passes on 0 only if the agent says that it is done and its answer \
follows the schema that it was given. What would be 1, 3 or 4 of jobcli itself is 125 with these, whatever failed or was \
refused, so that it is not taken for the job's; so is a job of which nobody knows the exit code. Of several jobs, the code \
is the first that is not 0.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a job and print its id
    #[command(aliases = ["add", "submit", "enqueue"])]
    Run(Deferred<Run>),
    /// Start a job that something can be sent to, and print its id
    #[command(hide = true)]
    Execute(Deferred<Run>),
    /// Start the jobs of a project, as a file in it says
    Up(Deferred<Up>),
    /// Stop the jobs of a project
    Down(Deferred<Down>),
    /// Start a coding agent on a prompt and print the id of the job
    Delegate(Deferred<Box<Delegate>>),
    /// List jobs, the newest first
    #[command(aliases = ["ls", "ps"])]
    List(Deferred<List>),
    /// Show jobs and their output on the whole screen, as they change
    #[command(alias = "view")]
    Top(Deferred<Top>),
    /// Show all that is known of a job
    Show(Deferred<Show>),
    /// Print the status of a job: one word
    Status(Deferred<StatusOf>),
    /// Print the output of a job
    #[command(aliases = ["logs", "log"])]
    Output(Deferred<Output>),
    /// Print the last lines of a job's output
    Tail(Deferred<Tail>),
    /// Wait for jobs to end, or for output, a port, a file
    Wait(Deferred<Wait>),
    /// Send text, keys or the end of its input to a job
    Send(Deferred<Send>),
    /// Send text to a job and print what it answers
    #[command(hide = true)]
    Interact(Deferred<Send>),
    /// Connect this terminal to that of a job
    Attach(Deferred<Attach>),
    /// Start queued jobs now, past the limits
    Start(Deferred<Start>),
    /// Pause jobs that run: all of their processes, and their time
    Pause(Deferred<Pause>),
    /// Resume paused jobs
    Resume(Deferred<Resume>),
    /// Stop jobs: all of their processes
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
    /// Change a queued job: its command, group, priority and so on
    Edit(Deferred<Edit>),
    /// List schedules, and pause, resume, remove or run them
    Schedule(Deferred<Schedule>),
    /// Show which jobs wait for which
    Graph(Deferred<Graph>),
    /// Remove jobs that are over, with their output
    #[command(aliases = ["remove", "delete"])]
    Rm(Deferred<Rm>),
    /// Remove many jobs that are over, by age, number or size
    Prune(Deferred<Prune>),
    /// Find processes that ended jobs left behind, and stop them
    Gc(Deferred<Gc>),
    /// Print what happened to jobs: submitted, started, ended
    Events(Deferred<Events>),
    /// Print the ended jobs that their caller was not notified of
    Inbox(Deferred<Inbox>),
    /// Print the state of a project's jobs in a few characters
    Statusline(Deferred<Statusline>),
    /// Notify a coding agent of ended jobs, as one of its hooks
    Hook(Deferred<Hook>),
    /// Print a skill that teaches an agent to use jobs
    Skill(Deferred<Skill>),
    /// Sum up what runs of agents cost
    Usage(Deferred<Usage>),
    /// Get and set what concerns everybody who uses the store
    Config(Deferred<Config>),
    /// List groups, and set how many jobs of one may run
    Group(Deferred<Group>),
    /// Prove that jobs work on this machine, and say what is degraded
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

//! Rarely used verbs. Command lines with other verbs are parsed without their definitions.

use clap::Subcommand;

use super::{
    Adopt, Attach, Completions, Config, ConfigVerb, Deferred, Delegate, Doctor, Down, Edit, Gc, Graph, Group,
    GroupVerb, Hold, Inbox, Man, Move, Pause, Prune, Release, Renew, Rerun, Resume, Schedule, Send, Skill, Stats, Top,
    Up, Usage,
};

/// Rarely used verbs.
#[derive(Debug, Subcommand)]
pub enum Seldom {
    /// Start the jobs that a project file defines
    Up(Deferred<Up>),
    /// Stop the jobs started by `up`
    Down(Deferred<Down>),
    /// Start a coding agent with a prompt and print the job's id
    Delegate(Deferred<Box<Delegate>>),
    /// Turn a running process into a job
    Adopt(Deferred<Adopt>),
    /// Show jobs and their output full-screen, updated live
    #[command(alias = "view")]
    Top(Deferred<Top>),
    /// Send text to a job and print what it answers
    #[command(hide = true)]
    Interact(Deferred<Send>),
    /// Connect this terminal to the terminal of a job
    Attach(Deferred<Attach>),
    /// Pause running jobs: all of their processes, and their timeouts
    Pause(Deferred<Pause>),
    /// Resume paused jobs
    Resume(Deferred<Resume>),
    /// Renew the leases of jobs, so that they are not stopped
    Renew(Deferred<Renew>),
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
    /// Remove many ended jobs by age, number or size
    Prune(Deferred<Prune>),
    /// Find processes that ended jobs left behind, and stop them
    Gc(Deferred<Gc>),
    /// Print ended jobs that their caller has not been notified of
    Inbox(Deferred<Inbox>),
    /// Print a skill that teaches an agent to use jobs
    Skill(Deferred<Skill>),
    /// Sum up what jobs did and how long they took
    Stats(Deferred<Stats>),
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

impl Seldom {
    /// Returns whether the verb creates a missing store. To other verbs, a missing store is empty.
    pub fn makes_store(&self) -> bool {
        match self {
            Self::Up(_) | Self::Delegate(_) | Self::Adopt(_) | Self::Doctor(_) => true,
            Self::Config(Deferred(config)) => matches!(config.what, ConfigVerb::Set { .. }),
            Self::Group(Deferred(group)) => !matches!(group.what, GroupVerb::List { .. }),
            _ => false,
        }
    }

    /// Returns whether the verb exits with the code of the job, so that failures of jobcli itself need a different one.
    pub fn passes_code(&self) -> bool {
        match self {
            Self::Delegate(Deferred(delegate)) => delegate.wait || delegate.follow,
            Self::Rerun(Deferred(rerun)) => rerun.wait,
            Self::Attach(_) => true,
            _ => false,
        }
    }
}

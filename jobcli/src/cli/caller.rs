//! Verbs about those who submitted jobs, and for their hosts.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jobcore::Caller;
use jobcore::clock::Timestamp;

use super::values::parse_time;

/// Print the ended jobs that their caller was not notified of.
#[derive(Debug, Args)]
#[command(after_help = "\
A caller is the conversation of a coding agent that submitted a job; `jobcli show` prints it. Within an agent's shell it is \
that conversation, elsewhere it has to be named. Each end is delivered once: by a tool result of jobmcp, by a hook, by `wait`, \
or by `inbox --ack`.

  jobcli inbox
  jobcli inbox --ack
  jobcli inbox --here --json
  jobcli inbox --caller codex:019a5c2f --follow")]
pub struct Inbox {
    /// Print the ended jobs of this caller
    #[arg(long, value_name = "HOST:CONVERSATION")]
    pub caller: Option<Caller>,
    /// Print the ended jobs of this project, whoever submitted them
    #[arg(long, conflicts_with = "caller")]
    pub here: bool,
    /// Mark the printed jobs as delivered
    #[arg(long)]
    pub ack: bool,
    /// Print jobs as they end and mark them as delivered, until the caller has no unfinished job
    #[arg(long, short, conflicts_with = "here")]
    pub follow: bool,
    /// Print each job as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Print the state of the jobs of a project in a few characters.
#[derive(Debug, Args)]
#[command(after_help = "\
Prints nothing if there is nothing to say.

  jobcli statusline
  PS1='$(jobcli statusline) $ '
  set -g status-right '#(jobcli statusline --all)'")]
pub struct Statusline {
    /// Count the jobs of all projects
    #[arg(long)]
    pub all: bool,
    /// Count jobs as failed that ended at this time or later
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    pub since: Timestamp,
}

/// Notify a coding agent of ended jobs, as one of its hooks.
#[derive(Debug, Args)]
#[command(after_help = "\
A hook reads what the host says on its standard input, and never fails the host: whatever goes wrong, it exits with 0 and \
says nothing. It exits with 2 to wake the agent, which then reads its standard error.

  jobcli hook claude-code session-start   print a recap: unfinished jobs of the project, and ended ones not reported yet
  jobcli hook claude-code stop            wait for a job of this conversation to end, and wake the agent
  jobcli hook claude-code post-tool-use   the same, where a person sits
  jobcli hook claude-code pre-tool-use    refuse shell commands that are started in the background: use a job")]
pub struct Hook {
    /// Host whose hook this is: `claude-code`
    // Any word is taken: one that a later version knows must not fail the host either.
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Event of the hook
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Keep an unattended run from ending for at most TIME
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub hold: Duration,
}

/// Print a skill that teaches an agent when and how to use jobs.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli skill\n  jobcli skill --dir ~/.claude/skills")]
pub struct Skill {
    /// Write it into this directory, as `background-jobs/SKILL.md`
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

//! Verbs about the callers that submitted jobs, and for their hosts.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jobcore::Caller;
use jobcore::clock::Timestamp;

use super::values::parse_time;

/// Print the ended jobs that their caller was not notified of.
#[derive(Debug, Args)]
#[command(after_help = "\
The caller is the conversation of a coding agent that submitted a job; `jobcli show` prints it. In an agent's shell it \
is that conversation; elsewhere it must be named. Each end is delivered once: by a tool result of jobmcp, a hook, `wait` \
or `inbox --ack`.

  jobcli inbox
  jobcli inbox --ack
  jobcli inbox --here --json
  jobcli inbox --caller codex:019a5c2f --follow")]
pub struct Inbox {
    /// Print the ended jobs of this caller
    #[arg(long, value_name = "HOST:CONVERSATION")]
    pub caller: Option<Caller>,
    /// Print the ended jobs of this project, of all callers
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
Prints nothing if there is nothing to report.

  jobcli statusline
  PS1='$(jobcli statusline) $ '
  set -g status-right '#(jobcli statusline --all)'")]
pub struct Statusline {
    /// Count the jobs of all projects
    #[arg(long)]
    pub all: bool,
    /// Count failed jobs that ended at or after TIME
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    pub since: Timestamp,
}

/// Notify a coding agent of ended jobs, as one of its hooks.
#[derive(Debug, Args)]
#[command(after_help = "\
A hook reads what its host writes to its standard input, and never fails the host: whatever goes wrong, it exits with 0 and prints \
nothing. It exits with 2 to wake the agent, which then reads its standard error. Hosts are `claude-code`, `codex`, `gemini-cli` \
and `opencode`.

  session-start   add a recap: unfinished jobs of the project, and ended ones not yet reported
  prompt          add the jobs that have ended since the last report
  stop            wait for a job of this conversation to end, and wake the agent; a host that waits for its hooks \
is only woken for jobs that have already ended, and an unattended run is held until one ends
  post-tool-use   like `stop`, if a person is present and the host does not wait for its hooks
  pre-tool-use    refuse shell commands that are started in the background, in favour of a job

The event `end` of `codex` is for `on_end`: it queues a message for the thread that submitted the job, which then takes a turn.

  jobcli config set callers.codex.on_end 'jobcli hook codex end'")]
pub struct Hook {
    /// The host that runs the hook
    // Any word is accepted: a host that only a later version knows must not be failed either.
    #[arg(value_name = "HOST")]
    pub host: String,
    /// The event that the hook is for
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Keep an unattended run from ending for at most TIME
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    pub hold: Duration,
    /// Run PATH to notify Codex
    #[arg(long, value_name = "PATH", default_value = "codex")]
    pub program: PathBuf,
    /// Notify a Codex thread even if no Codex is open on a terminal
    #[arg(long)]
    pub always: bool,
}

/// Print a skill that teaches an agent when and how to use jobs.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli skill\n  jobcli skill --dir ~/.claude/skills")]
pub struct Skill {
    /// Write it to DIR, as `background-jobs/SKILL.md`
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

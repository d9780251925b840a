//! Verbs that start something.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use jobcore::Name;
use jobcore::agent::PermissionMode;
use jobcore::environment::VariablePattern;
use jobcore::front::Notify;
use jobcore::stop::Signal;

use super::queue::Queueing;
use super::rare::Rare;
use super::readiness::Readiness;
use super::restarting::Restarting;
use super::values::{StdinFrom, Terminal, parse_label, parse_stdin, parse_terminal};
use crate::complete;

/// Start a job.
#[derive(Debug, Args)]
#[command(after_help = "\
One argument is a line for a shell, several are a program and its arguments; what follows `--` always is. Options go before \
the command: `jobcli run make --wait` is refused, and `jobcli run -- make --wait` passes the option to `make`.

  jobcli run 'make -j4 && make test'
  jobcli run --timeout 1h cargo build --release
  jobcli run --name web --key deploy-42 ./serve
  jobcli run --follow -- ./configure --prefix=/opt
  jobcli run --stdin open --name calc bc
  jobcli run --tty --name editor vi notes.txt
  jobcli run --name web --ready port:3000 --ready-timeout 60s npm run dev
  echo '{\"command\": \"npm run dev\", \"name\": \"web\"}' | jobcli run

A job with `--ready` is ready when each of its conditions was met once, whether or not anybody waits for it: `jobcli wait --until \
ready` and `--wait-ready` do, and `show`, `status` and `list` show it as starting until then.

  port:NUMBER       one of its processes listens on this TCP port
  port:HOST:NUMBER  a connection to this port is accepted, by anybody
  http://HOST:PORT/PATH  a GET is answered with a status from 200 to 399
  output:RE         it has written a line that matches
  file:PATH         there is this file; a relative path begins where the job runs
  cmd:LINE          this line exits with 0 within 10s, in its shell, directory and environment

Ports, addresses, files and lines are tried at once and after 250ms, 500ms and then every second, until they are met.

In JSON, `command` is a line for a shell or an array of a program and its arguments. The other fields are `cwd`, `shell`, `pipefail`, \
`env` (an object), `env_clear`, `env_only` (an array), `timeout`, `stall` and `grace` (as here, or a number of seconds), \
`stall_stop`, `stop_signal`, `stdin`, `tty` (`true` or a size), `merge`, `labels` (an object), `output_limit`, `name`, `key`, \
`group`, `priority`, `slots`, `resources` (an object of amounts), `after`, `after_ok`, `after_failed` and `after_ready` (arrays), `in`, `at`, `hold`, `every`, `cron`, `missed`, \
`at_a_time`, `leave_stragglers`, `with_pid`, `on_end`, `ready` (a condition, or an array), `ready_timeout`, \
`not_ready`, `retries`, `restart`, `backoff` and `retry_on` (an array of numbers). A field that is not known is refused. Flags come first.")]
pub struct Run {
    /// Run it in this directory [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set a variable, or pass on the one of this name
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Pass on no variables but those set with `--env`
    #[arg(long)]
    pub env_clear: bool,
    /// Pass on only the variables of these names, beside those that little works without; `*` stands for any characters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub env_only: Vec<VariablePattern>,
    /// Stop it when it has run for so long, such as `90s` or `1h 30m`; time asleep does not count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Report it as stalled when it has written nothing and used no CPU time for so long, as also while it waits for input
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub stall: Option<Duration>,
    /// Stop it when it is stalled
    #[arg(long)]
    pub stall_stop: bool,
    /// Let it read this file, `-` for all of standard input, or with `open` what is sent to it [default: nothing]
    #[arg(long, value_name = "open|-|FILE", value_parser = parse_stdin)]
    pub stdin: Option<StdinFrom>,
    /// Run it on a terminal, of this size [default: that of this terminal, or else 80x24]
    #[arg(long, short, value_name = "COLUMNSxROWS", num_args = 0..=1, require_equals = true,
        default_missing_value = "", value_parser = parse_terminal, conflicts_with = "stdin")]
    pub tty: Option<Terminal>,
    /// Keep standard output and error in one stream, in exact order
    #[arg(long)]
    pub merge: bool,
    /// Add a label to find it by
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Keep at most so much of its output: the beginning and the newest; 0 for all [default: 10M]
    #[arg(long, value_name = "SIZE", value_parser = jobcore::units::parse_size)]
    pub output_limit: Option<u64>,
    /// Give it so long to end when it is stopped, before it is killed [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub grace: Option<Duration>,
    /// Send it this signal first when it is stopped, and SIGTERM after half the grace
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<Signal>,
    /// Run a line in this shell, which may have options: `bash -o pipefail` [default: bash if there is one, else sh]
    #[arg(long, value_name = "SHELL")]
    pub shell: Option<String>,
    /// Let a line fail if any part of a pipe fails, or, with `false`, only if the last does [default: true in bash]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pipefail: Option<bool>,
    /// Give it this name, unique among the unfinished jobs of its project
    #[arg(long, short, value_name = "NAME")]
    pub name: Option<Name>,
    /// Start it only if no job on record has this key; else print the id of that one
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Put it into this group, which may have a limit of its own
    #[arg(long, short, value_name = "NAME", add = complete::groups())]
    pub group: Option<Name>,
    /// How it is queued.
    #[command(flatten)]
    pub queueing: Rare<Queueing>,
    /// Leave processes alone that are left when its main process ends
    #[arg(long)]
    pub leave_stragglers: bool,
    /// Stop it when this process ends
    #[arg(long, value_name = "PID")]
    pub with_pid: Option<i32>,
    /// Run this line of `sh` when it has ended, with the job as JSON on standard input; an empty one runs nothing, not even what the
    /// settings say
    #[arg(long, value_name = "LINE")]
    pub on_end: Option<String>,
    /// When it is ready.
    #[command(flatten)]
    pub readiness: Rare<Readiness>,
    /// Whether its command is started again.
    #[command(flatten)]
    pub restarting: Rare<Restarting>,
    /// Wait for its end, and exit with its code
    #[arg(long, short)]
    pub wait: bool,
    /// Print its output while it runs, wait for its end, and exit with its code
    #[arg(long, short)]
    pub follow: bool,
    /// Notify you through the terminal when it ends, as `osc9`, `osc777` or `bell` [default: the setting `notify`, or osc9]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    pub notify: Option<Option<Notify>>,
    /// Print nothing on standard error but errors: not why it is queued, nor how it ended
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the job as JSON
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
    /// Read the job from this file, as JSON; `-` is standard input, which is read when there is no command, too
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub spec: Option<PathBuf>,
    /// The command
    #[arg(trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::AnyPath)]
    pub command: Vec<OsString>,
}

/// Start a coding agent.
#[derive(Debug, Args)]
#[command(after_help = "\
The agents are claude, codex, gemini, opencode, and those that the settings file declares. What an agent has no way for is \
refused. docs/agents.md says what the permission modes mean to each, how many may run, and what a worktree is good for.

  jobcli delegate 'find out why the tests are slow'
  jobcli delegate --agent codex --permission-mode read_only @question.md
  jobcli delegate --worktree --name fix-login --max-budget 5 'fix the login' --wait
  jobcli delegate --resume fix-login 'and now write a test for it'
  git diff | jobcli delegate --permission-mode read_only -")]
pub struct Delegate {
    /// Ask this agent [default: claude]
    #[arg(long, short, value_name = "NAME", add = complete::agents())]
    pub agent: Option<String>,
    /// The model, as the agent calls it
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// How hard it thinks, as the agent calls it: `low`, `high`
    #[arg(long, value_name = "EFFORT")]
    pub effort: Option<String>,
    /// At most so many turns
    #[arg(long, value_name = "NUMBER")]
    pub max_turns: Option<u32>,
    /// At most so many US dollars
    #[arg(long, value_name = "DOLLARS")]
    pub max_budget: Option<f64>,
    /// What it may do: `read_only`, `edit` (files below its directory) or `full` [default: edit]
    #[arg(long, short, value_name = "MODE", add = complete::permission_modes())]
    pub permission_mode: Option<PermissionMode>,
    /// Let it use this tool, too, in the agent's own words: `Bash(git *)`
    #[arg(long, value_name = "TOOL")]
    pub allow_tool: Vec<String>,
    /// Let it work in this directory, too
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub add_dir: Vec<PathBuf>,
    /// Go on with a conversation: that of a job, or by its own id
    #[arg(long, value_name = "JOB|SESSION", add = complete::jobs())]
    pub resume: Option<String>,
    /// Call the new conversation by this id
    #[arg(long, value_name = "ID")]
    pub session_id: Option<String>,
    /// Instructions beside the agent's own
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub system_prompt: Option<String>,
    /// The JSON schema of the answer, or a file that has it
    #[arg(long, value_name = "FILE|JSON", value_hint = ValueHint::FilePath)]
    pub schema: Option<String>,
    /// Run it in this directory [default: that of the conversation that goes on, or the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<PathBuf>,
    /// Make a git worktree for it beside the repository, on this new branch [default: jobcore/NAME]
    #[arg(long, value_name = "BRANCH", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub worktree: Option<String>,
    /// Stop it when it has run for so long, such as `90s` or `1h 30m`; time asleep does not count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Call the job by this name, which no other job may have that is not over
    #[arg(long, short, value_name = "NAME")]
    pub name: Option<Name>,
    /// Add a label to find it by
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Start it only if no job on record has this key; else print the id of that one
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Run this line of `sh` when it has ended, with the job as JSON on standard input; an empty one runs nothing, not even what the
    /// settings say
    #[arg(long, value_name = "LINE")]
    pub on_end: Option<String>,
    /// Wait for its end and print its answer; the exit code is 0 only if it says that it is done
    #[arg(long, short)]
    pub wait: bool,
    /// Notify you through the terminal when it ends, as `osc9`, `osc777` or `bell` [default: the setting `notify`, or osc9]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    pub notify: Option<Option<Notify>>,
    /// Print what it does while it does it; this waits for its end, too
    #[arg(long, short, conflicts_with = "json")]
    pub follow: bool,
    /// Print the job as JSON
    #[arg(long)]
    pub json: bool,
    /// What it is to do; `-` is all of standard input, `@FILE` what is in a file
    #[arg(value_name = "PROMPT")]
    pub prompt: String,
}

//! Verbs that create jobs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};
use jobcore::Name;
use jobcore::agent::PermissionMode;
use jobcore::environment::VariablePattern;
use jobcore::front::Notify;
use jobcore::stop::Signal;

use super::lifetime::Lifetime;
use super::limiting::Limiting;
use super::queue::Queueing;
use super::rare::Rare;
use super::readiness::Readiness;
use super::restarting::Restarting;
use super::values::{StdinFrom, Terminal, parse_label, parse_stdin, parse_terminal};
use crate::complete;

/// Start a job.
#[derive(Debug, Args)]
#[command(after_help = "\
One argument is a shell line; several arguments, and everything after `--`, are a program and its arguments. Options go before \
the command: `jobcli run make --wait` is refused, and `jobcli run -- make --wait` passes the option to `make`.

  jobcli run 'make -j4 && make test'
  jobcli run --timeout 1h cargo build --release
  jobcli run --name web --key deploy-42 ./serve
  jobcli run --follow -- ./configure --prefix=/opt
  jobcli run --stdin open --name calc bc
  jobcli run --tty --name editor vi notes.txt
  jobcli run --name web --ready port:3000 --ready-timeout 60s npm run dev
  echo '{\"command\": \"npm run dev\", \"name\": \"web\"}' | jobcli run

A job with `--ready` is ready once each of its conditions has been met. `--wait-ready` and `jobcli wait --until ready` \
wait for that; until then, `show`, `status` and `list` show the job as starting.

  port:NUMBER       a process of the job listens on this TCP port
  port:HOST:NUMBER  this port accepts a connection
  http://HOST:PORT/PATH  a GET returns a status from 200 to 399
  output:RE         the job has written a matching line
  file:PATH         the file exists, relative to the job's directory
  cmd:LINE          the line exits with 0 within 10s, in the job's shell, directory and environment

Ports, URLs, files and lines are tried at once, after 250ms, after 500ms and then every second until they are met.

The conditions of `--when` are about the load of the machine. They are checked every few seconds while a job waits, and \
no longer once it has started.

  load<NUMBER             the load average of the last minute
  free-mem>SIZE           memory that is available without swapping
  cpu-pressure<NUMBER     percent of the last 10s in which a process waited for a CPU
  memory-pressure<NUMBER  the same for memory
  io-pressure<NUMBER      the same for a disk

In JSON, `command` is a shell line or an array with a program and its arguments. The other fields are `cwd`, `shell`, `pipefail`, \
`env` (an object), `env_clear`, `env_only` (an array), `timeout`, `lease`, `stall` and `grace` (as here, or a number of seconds), \
`stall_stop`, `stop_signal`, `stdin`, `tty` (`true` or a size), `merge`, `labels` (an object), `output_limit`, `name`, `key`, \
`group`, `priority`, `slots`, `resources` (an object of amounts), `after`, `after_ok`, `after_failed` and `after_ready` (arrays), `in`, `at`, `when` (a condition, or an array), `hold`, `every`, `cron`, `missed`, \
`at_a_time`, `leave_stragglers`, `with_pid`, `on_end`, `ready` (a condition, or an array), `ready_timeout`, \
`not_ready`, `retries`, `restart`, `backoff`, `retry_on` (an array of numbers), `nice`, `cpus`, `memory`, `max_processes`, \
`open_files`, `core` and `io`. Unknown fields are refused. Options override fields.")]
pub struct Run {
    /// Run the job in DIR [default: the current directory]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set a variable; NAME alone passes on the current value
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub env: Vec<OsString>,
    /// Pass on only the variables set with `--env`
    #[arg(long)]
    pub env_clear: bool,
    /// Pass on only these variables and a few essential ones; `*` matches any characters
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub env_only: Vec<VariablePattern>,
    /// Stop the job after TIME, such as `90s` or `1h 30m`; time asleep does not count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Report the job as stalled after TIME without output and CPU use, which includes waiting for input
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub stall: Option<Duration>,
    /// Stop the job when it stalls
    #[arg(long)]
    pub stall_stop: bool,
    /// Read standard input from FILE or from here (`-`), or `open` it for `jobcli send` [default: empty]
    #[arg(long, value_name = "open|-|FILE", value_parser = parse_stdin)]
    pub stdin: Option<StdinFrom>,
    /// Run the job on a terminal of this size [default: the size of this terminal, or 80x24]
    #[arg(long, short, value_name = "COLUMNSxROWS", num_args = 0..=1, require_equals = true,
        default_missing_value = "", value_parser = parse_terminal, conflicts_with = "stdin")]
    pub tty: Option<Terminal>,
    /// Merge standard output and error into one stream, in exact order
    #[arg(long)]
    pub merge: bool,
    /// Add a label
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Keep at most SIZE of output, its beginning and its end; 0 for no limit [default: 10M]
    #[arg(long, value_name = "SIZE", value_parser = jobcore::units::parse_size)]
    pub output_limit: Option<u64>,
    /// Kill the job if it has not ended TIME after it was asked to stop [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub grace: Option<Duration>,
    /// Send SIGNAL first to stop the job, and SIGTERM after half the grace period
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<Signal>,
    /// Use this shell, which may have options: `bash -o pipefail` [default: bash, or sh if there is none]
    #[arg(long, value_name = "SHELL")]
    pub shell: Option<String>,
    /// Fail if any command of a pipeline fails, or only if the last one does [default: true in bash]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pipefail: Option<bool>,
    /// Name the job; the name must be unique among the unfinished jobs of its project
    #[arg(long, short, value_name = "NAME")]
    pub name: Option<Name>,
    /// Submit the job only if no job on record has this key; otherwise print the id of that job
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Put the job into a group, which may have its own limit
    #[arg(long, short, value_name = "NAME", add = complete::groups())]
    pub group: Option<Name>,
    /// How it is queued.
    #[command(flatten)]
    pub queueing: Rare<Queueing>,
    /// Keep processes that outlive the main process
    #[arg(long)]
    pub leave_stragglers: bool,
    /// How long it may live.
    #[command(flatten)]
    pub lifetime: Rare<Lifetime>,
    /// Run LINE with `sh` after the end, with the job as JSON on standard input; an empty LINE disables the settings' own
    #[arg(long, value_name = "LINE")]
    pub on_end: Option<String>,
    /// When it is ready.
    #[command(flatten)]
    pub readiness: Rare<Readiness>,
    /// Whether its command is started again.
    #[command(flatten)]
    pub restarting: Rare<Restarting>,
    /// Limits on its processes.
    #[command(flatten)]
    pub limiting: Rare<Limiting>,
    /// Wait for the job to end, and exit with its code
    #[arg(long, short)]
    pub wait: bool,
    /// Print the output until the job ends, and exit with its code
    #[arg(long, short)]
    pub follow: bool,
    /// Notify you through the terminal at the end: `osc9`, `osc777` or `bell` [default: the setting `notify`, or osc9]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    pub notify: Option<Option<Notify>>,
    /// Print only errors on standard error
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the job as JSON
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
    /// Read the job as JSON from FILE; `-` is standard input, the default without a command
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub spec: Option<PathBuf>,
    /// The command
    #[arg(trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::AnyPath)]
    pub command: Vec<OsString>,
}

/// Start a coding agent.
#[derive(Debug, Args)]
#[command(after_help = "\
The agents are claude, codex, gemini, opencode and any that the settings file declares. Options that an agent does \
not support are refused. docs/agents.md explains the permission modes, limits and worktrees.

  jobcli delegate 'find out why the tests are slow'
  jobcli delegate --agent codex --permission-mode read_only @question.md
  jobcli delegate --worktree --name fix-login --max-budget 5 'fix the login' --wait
  jobcli delegate --resume fix-login 'and now write a test for it'
  git diff | jobcli delegate --permission-mode read_only -")]
pub struct Delegate {
    /// Use this agent [default: claude]
    #[arg(long, short, value_name = "NAME", add = complete::agents())]
    pub agent: Option<String>,
    /// Use MODEL, named as the agent names it
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
    /// Set the agent's reasoning effort, such as `low` or `high`
    #[arg(long, value_name = "EFFORT")]
    pub effort: Option<String>,
    /// Stop after NUMBER turns
    #[arg(long, value_name = "NUMBER")]
    pub max_turns: Option<u32>,
    /// Stop after spending this amount of US dollars
    #[arg(long, value_name = "DOLLARS")]
    pub max_budget: Option<f64>,
    /// What the agent may do: `read_only`, `edit` (files below its directory) or `full` [default: edit]
    #[arg(long, short, value_name = "MODE", add = complete::permission_modes())]
    pub permission_mode: Option<PermissionMode>,
    /// Also allow TOOL, named as the agent names it, such as `Bash(git *)`
    #[arg(long, value_name = "TOOL")]
    pub allow_tool: Vec<String>,
    /// Also allow work in DIR
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub add_dir: Vec<PathBuf>,
    /// Resume a conversation, given by its job or its own id
    #[arg(long, value_name = "JOB|SESSION", add = complete::jobs())]
    pub resume: Option<String>,
    /// Give the new conversation the id ID
    #[arg(long, value_name = "ID")]
    pub session_id: Option<String>,
    /// Add instructions to the agent's own
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub system_prompt: Option<String>,
    /// Require an answer that matches this JSON schema, given as text or file
    #[arg(long, value_name = "FILE|JSON", value_hint = ValueHint::FilePath)]
    pub schema: Option<String>,
    /// Run the agent in DIR [default: the directory of the resumed conversation, or the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cwd: Option<PathBuf>,
    /// Create a git worktree beside the repository for the run, on a new branch [default: jobcore/NAME]
    #[arg(long, value_name = "BRANCH", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub worktree: Option<String>,
    /// Stop the run after TIME, such as `90s` or `1h 30m`; time asleep does not count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Name the job; the name must be unique among the unfinished jobs of its project
    #[arg(long, short, value_name = "NAME")]
    pub name: Option<Name>,
    /// Add a label
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Submit the run only if no job on record has this key; otherwise print the id of that job
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Run LINE with `sh` after the end, with the job as JSON on standard input; an empty LINE disables the settings' own
    #[arg(long, value_name = "LINE")]
    pub on_end: Option<String>,
    /// Wait for the run to end and print its answer; exit with 0 only if the agent reports success
    #[arg(long, short)]
    pub wait: bool,
    /// Notify you through the terminal at the end: `osc9`, `osc777` or `bell` [default: the setting `notify`, or osc9]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    pub notify: Option<Option<Notify>>,
    /// Print what the agent does until the run ends
    #[arg(long, short, conflicts_with = "json")]
    pub follow: bool,
    /// Print the job as JSON
    #[arg(long)]
    pub json: bool,
    /// The prompt; `-` reads standard input, `@FILE` a file
    #[arg(value_name = "PROMPT")]
    pub prompt: String,
}

/// Turn a running process into a job.
#[derive(Debug, Args)]
#[command(after_help = "\
The process keeps running, now under a supervisor: it is listed, waited for, paused and stopped like any other job, with all of \
its descendants. Output is kept from now on if it goes to a file, or to a pipe that no process reads; otherwise the command \
prints where it goes. Nothing can be sent to the process. Its exit code is known on Linux 6.15 and later.

  jobcli adopt 4711 --name web
  jobcli adopt $(pgrep -n vite) --timeout 8h")]
pub struct Adopt {
    /// Do not keep the output
    #[arg(long)]
    pub no_output: bool,
    /// Name the job; the name must be unique among the unfinished jobs of its project
    #[arg(long, short, value_name = "NAME")]
    pub name: Option<Name>,
    /// Add a label
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Put the job into a group
    #[arg(long, short, value_name = "NAME", add = complete::groups())]
    pub group: Option<Name>,
    /// Stop the job after TIME, such as `90s` or `1h 30m`; time asleep does not count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Kill the job if it has not ended TIME after it was asked to stop [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub grace: Option<Duration>,
    /// Run LINE with `sh` after the end, with the job as JSON on standard input; an empty LINE disables the settings' own
    #[arg(long, value_name = "LINE")]
    pub on_end: Option<String>,
    /// Print only errors on standard error
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the job as JSON
    #[arg(long)]
    pub json: bool,
    /// The process to adopt
    #[arg(value_name = "PID")]
    pub pid: i32,
}

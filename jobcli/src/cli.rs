//! The command line: types only.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueHint};
use jiff::SignedDuration;
use jobcore::clock::Timestamp;
use jobcore::output::{Cursor, Pattern};
use jobcore::{Key, Name, PermissionMode, Signal, Status, TerminalSize, Until};

use crate::complete;

/// Background jobs that survive the shell that started them.
///
/// Start a long command, close the terminal, come back: its state, its output and its exit code are there. A job is named
/// by its full id, by its name, or by its short id: 4 digits of it or more.
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
  `run --wait`, `run --follow` and `wait` pass the job's code: its exit code, or 128 and the number of the signal that \
ended it; 124 when the time given to wait is up; 125 when jobcli itself fails, for an unknown job, or when nobody knows \
the exit code; 130 when Ctrl-C ended the waiting (the job goes on). Of an agent it is 0 only if that says that it is done, \
and follows the schema that it was given; `delegate --wait` and `delegate --follow` pass it, too.
  All other verbs: 0 done, 1 failed, 2 wrong usage, 3 no such job, 4 refused.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start a job and print its id
    Run(Run),
    /// Start a job that something can be sent to, and print its id
    #[command(hide = true)]
    Execute(Run),
    /// Start a coding agent on a prompt and print the id of the job
    Delegate(Box<Delegate>),
    /// List jobs, the newest first
    #[command(alias = "ls")]
    List(List),
    /// Show all that is known of a job
    Show(Show),
    /// Print the status of a job: one word
    Status(StatusOf),
    /// Print the output of a job
    #[command(alias = "logs")]
    Output(Output),
    /// Print the last lines of a job's output
    Tail(Tail),
    /// Wait for jobs to end, or for output, a port, a file
    Wait(Wait),
    /// Send text, keys or the end of its input to a job
    Send(Send),
    /// Send text to a job and print what it answers
    #[command(hide = true)]
    Interact(Send),
    /// Connect this terminal to that of a job
    Attach(Attach),
    /// Stop jobs: all of their processes
    Kill(Kill),
    /// Remove jobs that are over, with their output
    Rm(Rm),
    /// Remove many jobs that are over, by age, number or size
    Prune(Prune),
    /// Print what happened to jobs: submitted, started, ended
    Events(Events),
    /// Sum up what runs of agents cost
    Usage(Usage),
    /// Get and set what concerns everybody who uses the store
    Config(Config),
    /// List groups, and set how many jobs of one may run
    Group(Group),
    /// Prove that jobs work on this machine, and say what is degraded
    Doctor(Doctor),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or write all of them
    Man(Man),
}

impl Verb {
    /// Returns whether the exit code is the job's, and jobcli's own failures have one of their own.
    pub fn passes_code(&self) -> bool {
        match self {
            Self::Run(run) | Self::Execute(run) => run.wait || run.follow,
            Self::Delegate(delegate) => delegate.wait || delegate.follow,
            Self::Wait(_) | Self::Attach(_) => true,
            Self::List(_)
            | Self::Show(_)
            | Self::Status(_)
            | Self::Output(_)
            | Self::Tail(_)
            | Self::Send(_)
            | Self::Interact(_)
            | Self::Kill(_)
            | Self::Rm(_)
            | Self::Prune(_)
            | Self::Events(_)
            | Self::Config(_)
            | Self::Group(_)
            | Self::Doctor(_)
            | Self::Completions(_)
            | Self::Man(_)
            | Self::Usage(_) => false,
        }
    }
}

/// Start a job.
#[derive(Debug, Args)]
#[command(after_help = "\
One argument is a line for a shell, several are a program and its arguments; what follows `--` always is.

  jobcli run 'make -j4 && make test'
  jobcli run --timeout 1h cargo build --release
  jobcli run --name web --key deploy-42 ./serve
  jobcli run --follow -- ./configure --prefix=/opt
  jobcli run --stdin open --name calc bc
  jobcli run --tty --name editor vi notes.txt
  echo '{\"command\": \"npm run dev\", \"name\": \"web\"}' | jobcli run

In JSON, `command` is a line for a shell or an array of a program and its arguments. The other fields are `cwd`, `shell`, \
`env` (an object), `env_clear`, `timeout` and `grace` (as here, or a number of seconds), `stdin`, `tty` (`true` or a size), `merge`, `labels` (an \
object), `output_limit`, `name`, `key`, `group` and `leave_stragglers`. A field that is not known is refused. Flags come first.")]
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
    /// Stop it when it has run for so long, such as `90s` or `1h 30m`; time asleep does not count
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
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
    /// Run a line in this shell [default: bash if there is one, else sh]
    #[arg(long, value_name = "SHELL")]
    pub shell: Option<PathBuf>,
    /// Call it by this name, which no other job may have that is not over
    #[arg(long, short, value_name = "NAME")]
    pub name: Option<Name>,
    /// Start it only if no job on record has this key; else print the id of that one
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Put it into this group, which may have a limit of its own
    #[arg(long, short, value_name = "NAME", add = complete::groups())]
    pub group: Option<Name>,
    /// Leave processes alone that are left when its main process ends
    #[arg(long)]
    pub leave_stragglers: bool,
    /// Wait for its end, and exit with its code
    #[arg(long, short)]
    pub wait: bool,
    /// Print its output while it runs, wait for its end, and exit with its code
    #[arg(long, short)]
    pub follow: bool,
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
    /// Wait for its end and print its answer; the exit code is 0 only if it says that it is done
    #[arg(long, short)]
    pub wait: bool,
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

/// Sum up what runs of agents cost.
#[derive(Debug, Args)]
#[command(after_help = "\
What an agent tells of a conversation that went on includes what it had cost before: that is counted once. A run that is
not over, or of whose output a part was not kept, may have cost more (`≥`).

  jobcli usage --since 7d
  jobcli usage --by day --json
  jobcli usage --by label:ticket")]
pub struct Usage {
    /// By `agent`, `day` (UTC) or `label:NAME`
    #[arg(long, value_name = "WHAT", default_value = "agent", value_parser = parse_usage_by)]
    pub by: UsageBy,
    /// Only runs that were submitted at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Only runs that were submitted before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub until: Option<Timestamp>,
    /// Only runs with this label
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Print the sums as JSON
    #[arg(long)]
    pub json: bool,
}

/// By what costs are summed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageBy {
    /// By the agent.
    Agent,
    /// By the day on which it was asked.
    Day,
    /// By the value of this label.
    Label(String),
}

impl UsageBy {
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Agent => "AGENT".to_owned(),
            Self::Day => "DAY".to_owned(),
            Self::Label(name) => name.to_uppercase(),
        }
    }
}

fn parse_usage_by(text: &str) -> Result<UsageBy, String> {
    match (text, text.strip_prefix("label:")) {
        ("agent", _) => Ok(UsageBy::Agent),
        ("day", _) => Ok(UsageBy::Day),
        (_, Some(name)) if !name.is_empty() => Ok(UsageBy::Label(name.to_owned())),
        _ => Err(format!("`{text}` is neither `agent` nor `day` nor `label:NAME`")),
    }
}

/// List jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Times are a moment such as `2026-11-21T12:00:00Z`, or how long ago: `90m`, `2d`.

  jobcli list --status running
  jobcli list --label branch=main --since 2d --json --all
  jobcli list --count")]
pub struct List {
    /// Only jobs with this status; may be given several times
    #[arg(long, short, value_name = "STATUS", add = complete::statuses())]
    pub status: Vec<Status>,
    /// Only jobs of this name
    #[arg(long, value_name = "NAME", add = complete::names())]
    pub name: Option<Name>,
    /// Only jobs with this label
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Only jobs of this group
    #[arg(long, short, value_name = "NAME", add = complete::groups())]
    pub group: Option<Name>,
    /// Only jobs that were submitted at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Only jobs that were submitted before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub until: Option<Timestamp>,
    /// Print how many jobs there are of each status, of all that are on record
    #[arg(long, conflicts_with_all = ["status", "name", "label", "group", "since", "until", "limit", "all"])]
    pub count: bool,
    /// At most so many
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
    /// All there are
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// Print them as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Show all that is known of jobs.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli show 3f9a2c1b\n  jobcli show --json 3f9a2c1b")]
pub struct Show {
    /// The jobs
    #[arg(required = true, value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Print each as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Print the status of a job.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli status [OPTIONS] <ID>")]
#[command(after_help = "  jobcli status 3f9a2c1b\n  jobcli status --active 3f9a2c1b && echo 'not over yet'")]
pub struct StatusOf {
    /// Which job.
    #[command(flatten)]
    pub job: OneJob,
    /// Print nothing, and exit with 0 while it is queued, running or paused, and with 1 after
    #[arg(long, conflicts_with = "json")]
    pub active: bool,
    /// Print the job as JSON
    #[arg(long)]
    pub json: bool,
}

/// Print the output of a job.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli output [OPTIONS] <ID>")]
#[command(after_help = "\
Both streams are printed on standard output as the job wrote them; what was not kept is told on standard error. The \
order between the two streams is the order in which they were seen: bursts may be interleaved differently from how they \
were written, unless the job was started with `--merge`.

  jobcli output 3f9a2c1b > log
  jobcli output --stderr --head 20 3f9a2c1b
  jobcli output --bytes 1000..2000 3f9a2c1b
  jobcli output --json --cursor 4096 3f9a2c1b

With an option for reading, but for `--since` alone, whole lines are printed, each when it is at its end; `--head`, `--tail` and `-n` count the \
lines that are printed, and the exit code is 0 also if none matches. The regular expression is looked for in the lines as \
they are printed: with `--clean`, colours do not get in its way. It is that of the Rust crate regex; `(?i)` at its \
beginning ignores case. A line of more than 64 KiB is looked at in parts.

  jobcli output --clean --grep 'error|warning' -C 3 3f9a2c1b
  jobcli output --since 10m --timestamps --fold 3f9a2c1b
  jobcli output --clean --max-bytes 8K 3f9a2c1b
  jobcli output --grep '(?i)panic' --tail 1 3f9a2c1b")]
pub struct Output {
    /// Which job.
    #[command(flatten)]
    pub job: OneJob,
    /// Only the first lines
    #[arg(long, value_name = "LINES", group = "part", conflicts_with = "follow")]
    pub head: Option<u64>,
    /// Only the last lines
    #[arg(long, value_name = "LINES", group = "part")]
    pub tail: Option<u64>,
    /// Only these bytes, counted from 0, the last not included; either may be left out
    #[arg(long, value_name = "FROM..TO", group = "part", conflicts_with = "follow",
        value_parser = parse_range)]
    pub bytes: Option<ByteRange>,
    /// Only what follows this cursor, which `--json` gave before
    #[arg(long, value_name = "CURSOR", group = "part")]
    pub cursor: Option<Cursor>,
    /// What to print of it.
    #[command(flatten)]
    pub show: ShowOutput,
}

/// Print the last lines of a job's output.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli tail [OPTIONS] <ID>")]
#[command(after_help = "\
The options for reading are those of `jobcli output`.

  jobcli tail 3f9a2c1b
  jobcli tail -n 50 --follow 3f9a2c1b
  jobcli tail --follow --clean --timestamps --grep 'GET|POST' 3f9a2c1b")]
pub struct Tail {
    /// Which job.
    #[command(flatten)]
    pub job: OneJob,
    /// So many lines
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 10)]
    pub lines: u64,
    /// What to print of it.
    #[command(flatten)]
    pub show: ShowOutput,
}

/// The one job that a verb is about.
#[derive(Debug, Args)]
pub struct OneJob {
    /// The job
    #[arg(value_name = "ID", required_unless_present = "job_id", add = complete::jobs())]
    pub id: Option<String>,
    /// The job, as tools that came before this one want it written
    #[arg(long = "job_id", value_name = "ID", conflicts_with = "id", hide = true, add = complete::jobs())]
    pub job_id: Option<String>,
}

impl OneJob {
    /// Returns what the job was called.
    pub fn reference(&self) -> &str {
        // The parser has seen to it that there is one of them.
        self.id.as_deref().or(self.job_id.as_deref()).unwrap_or_default()
    }
}

/// What to print of an output.
#[derive(Debug, Args)]
pub struct ShowOutput {
    /// Only standard output
    #[arg(long, conflicts_with = "stderr")]
    pub stdout: bool,
    /// Only standard error
    #[arg(long)]
    pub stderr: bool,
    /// Go on printing until the job ends
    #[arg(long, short)]
    pub follow: bool,
    /// Print the streams apart and a cursor, as JSON; at most 256 KiB at a time
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
    /// Only what came at this time or later, to a hundredth of a second
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Reading")]
    pub since: Option<Timestamp>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX", help_heading = "Reading")]
    pub grep: Option<Pattern>,
    /// And so many lines behind each
    #[arg(long, short = 'A', value_name = "LINES", requires = "grep", help_heading = "Reading")]
    pub after_context: Option<u64>,
    /// And so many lines before each
    #[arg(long, short = 'B', value_name = "LINES", requires = "grep", help_heading = "Reading")]
    pub before_context: Option<u64>,
    /// And so many lines before and behind each
    #[arg(long, short = 'C', value_name = "LINES", requires = "grep", help_heading = "Reading")]
    pub context: Option<u64>,
    /// Print lines as a terminal shows them: no escape sequences, and of progress bars only the last state; so it is anyway
    /// with jobs on a terminal
    #[arg(long, help_heading = "Reading")]
    pub clean: bool,
    /// Print it as it was written, also what was written to a terminal, and the events of an agent
    #[arg(long, conflicts_with = "clean", help_heading = "Reading")]
    pub raw: bool,
    /// Print a line that is repeated once, with how often
    #[arg(long, help_heading = "Reading")]
    pub fold: bool,
    /// Print before each line when it came, in UTC
    #[arg(long, short, help_heading = "Reading")]
    pub timestamps: bool,
    /// Print at most so much: the beginning and the end, and how much is left out in between
    #[arg(long, value_name = "SIZE", value_parser = parse_budget, conflicts_with = "follow", help_heading = "Reading")]
    pub max_bytes: Option<u64>,
}

impl ShowOutput {
    /// Returns whether nothing is said of what to print, but for how long.
    pub(crate) fn is_as_usual(&self) -> bool {
        let is_said = [self.stdout, self.stderr, self.json, self.clean, self.raw, self.fold, self.timestamps];
        !is_said.contains(&true) && self.since.is_none() && self.grep.is_none() && self.max_bytes.is_none()
    }
}

/// Wait for jobs to end, or to come to something.
#[derive(Debug, Args)]
#[command(after_help = "\
Of several jobs, the exit code is the first that is not 0, in the order given; with `--any`, that of the job that ended.

With `--until`, something else is waited for:

  output:RE    a line of its output that matches; a prompt without an end of line counts, too
  quiet:TIME   that it has written nothing for so long
  port:NUMBER  that one of its processes listens on this TCP port; if another process does, that is told
  file:PATH    that there is this file; a relative path begins where the job runs
  exit         its end, as without

The exit code is 0 then when it is so, and 1 if it cannot be any more, since the job is over.

  jobcli wait 3f9a2c1b && echo fine
  jobcli wait --any --timeout 10m 3f9a2c1b 77aa01c2
  jobcli wait --until 'output:ready|listening' --timeout 30s web
  jobcli wait --until port:3000 web")]
pub struct Wait {
    /// The jobs
    #[arg(required = true, value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Wait for one of them only
    #[arg(long)]
    pub any: bool,
    /// Wait for all of them, as without this
    #[arg(long, conflicts_with = "any")]
    pub all: bool,
    /// Wait for this [default: exit]
    #[arg(long, short, value_name = "CONDITION")]
    pub until: Option<Until>,
    /// With `--until output:RE`: look only at what follows this cursor, which `--json` gave before
    #[arg(long, value_name = "CURSOR", requires = "until")]
    pub cursor: Option<Cursor>,
    /// Wait for so long at most, and exit with 124 then
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Print the jobs as JSON, with the reason why the waiting is over and cursors
    #[arg(long)]
    pub json: bool,
}

/// Send something to a job.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli send [OPTIONS] <ID> [TEXT]")]
#[command(after_help = "\
It needs a job that was started with `--stdin open` or `--tty`. Text is sent as a line: a line feed is added unless it ends \
with one, or Enter on a terminal. Nothing waits for a job that does not read: what it has not taken is told, and the exit \
code is 1 then.

Keys are those of a terminal: a character, `C-c` for Ctrl-C, `M-x` for Alt-x, and Enter, Tab, S-Tab, Escape, Space, \
Backspace, Up, Down, Left, Right, Home, End, PageUp, PageDown, Insert, Delete, F1 to F12.

  jobcli send calc '1 + 1'
  jobcli send --wait calc '2 ^ 100'
  jobcli send --eof calc
  jobcli send calc - < sums.txt
  jobcli send editor --key Escape ':wq'
  jobcli send editor --key C-c")]
pub struct Send {
    /// Which job.
    #[command(flatten)]
    pub job: OneJob,
    /// The text; `-` is all of standard input
    #[arg(value_name = "TEXT")]
    pub text: Option<String>,
    /// The text, in which `\n`, `\t`, `\x1b` and so on stand for what they mean
    #[arg(long, value_name = "TEXT", conflicts_with = "text", hide = true)]
    pub input: Option<String>,
    /// Press this key, after the text; may be given several times
    #[arg(long, short, value_name = "KEY")]
    pub key: Vec<Key>,
    /// Send the text as it is, without an end of line
    #[arg(long, short)]
    pub raw: bool,
    /// End its input then; on a terminal, press Ctrl-D
    #[arg(long)]
    pub eof: bool,
    /// Print what it answers, until it is quiet again, within this time [default: 2s]
    #[arg(long, short, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
        value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// Give up when it has taken nothing for so long
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Print what was taken as JSON, with the answer if there is one
    #[arg(long)]
    pub json: bool,
}

/// Connect this terminal to that of a job.
#[derive(Debug, Args)]
#[command(after_help = "\
Whatever is typed goes to the job, Ctrl-C too; Ctrl-] lets go of it, and it runs on. Several may be connected at the same \
time: the size of the terminal is that of whoever came or changed his last. If the job ends, the exit code is the job's.

  jobcli attach editor")]
pub struct Attach {
    /// The job
    #[arg(value_name = "ID", add = complete::jobs())]
    pub id: String,
}

/// Stop jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
A job is asked to end (SIGTERM to all of its processes), and what is left after the grace is killed. `killed` is printed \
when nothing of it is left. `--signal` sends one signal to the process group of the main process, and nothing more.

  jobcli kill 3f9a2c1b
  jobcli kill --grace 30s --all
  jobcli kill --signal HUP 3f9a2c1b")]
pub struct Kill {
    /// The jobs
    #[arg(required_unless_present_any = ["all", "job_id"], value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
    /// The job, as tools that came before this one want it written
    #[arg(long = "job_id", value_name = "ID", conflicts_with_all = ["ids", "all"], hide = true,
        add = complete::live_jobs())]
    pub job_id: Option<String>,
    /// Send this signal once, and do not see to it that the job ends
    #[arg(long, short, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
    /// Give them so long to end before they are killed [default: as the job says]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "signal")]
    pub grace: Option<Duration>,
    /// All jobs that are not over, and what was left of others
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Remove jobs.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli rm 3f9a2c1b\n  jobcli rm --kill 3f9a2c1b 77aa01c2\n  jobcli rm --worktree fix-login")]
pub struct Rm {
    /// The jobs
    #[arg(required = true, value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
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
    /// Remove jobs that ended so long ago
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub older_than: Option<Duration>,
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

/// Print what happened to jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is the number of the event, its time, the job, and what happened: `submitted`, `started`, `adopted` (its \
supervisor had been killed, and another is in charge), `ended` with the status and the exit code, or `removed`. Events are \
numbered without a gap. An end is told at least once, and may come twice after a crash; anything else goes untold if whoever \
did it was killed in that very moment. Old events are dropped; how many are missing is told on standard error.

  jobcli events
  jobcli events --since 120 --json
  jobcli events --follow")]
pub struct Events {
    /// Only events from this number on [default: all, or with `--follow` those to come]
    #[arg(long, value_name = "NUMBER")]
    pub since: Option<u64>,
    /// Go on printing what happens, until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// Print each as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Get and set what concerns everybody who uses the store.
#[derive(Debug, Args)]
#[command(after_help = "\
`max_running` is how many jobs run at a time, 0 for no limit; `when_full` says what becomes of a job that is submitted when \
so many run: `queue` or `refuse`; `groups.NAME.limit` is how many jobs of a group run at a time. `keep_days`, `keep_jobs` \
and `keep_bytes` say what is kept of jobs that are over, whichever is reached first; 0 is no limit. \
`policy.allow` and \
`policy.deny` are patterns, with commas, \
of the commands that may be submitted and of those that may not; an empty text takes them away.

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

/// What a job is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StdinFrom {
    /// What is sent to it.
    Open,
    /// All that there is on standard input now.
    Given,
    /// A file.
    File(PathBuf),
}

pub(crate) fn parse_stdin(text: &str) -> Result<StdinFrom, String> {
    Ok(match text {
        "open" => StdinFrom::Open,
        "-" => StdinFrom::Given,
        file => StdinFrom::File(file.into()),
    })
}

/// A terminal for a job, and its size if that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal(pub Option<TerminalSize>);

pub(crate) fn parse_terminal(text: &str) -> Result<Terminal, String> {
    if text.is_empty() {
        return Ok(Terminal(None));
    }
    let size = text
        .split_once('x')
        .and_then(|(columns, rows)| Some(TerminalSize { columns: columns.parse().ok()?, rows: rows.parse().ok()? }));
    size.map(|size| Terminal(Some(size))).ok_or_else(|| format!("`{text}` is no size; write for example `120x40`"))
}

/// A part of an output, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub from: u64,
    /// The byte behind the last, if that is given.
    pub to: Option<u64>,
}

fn parse_range(text: &str) -> Result<ByteRange, String> {
    let refuse = || format!("`{text}` is no range; write for example `1000..2000`, `..500` or `1000..`");
    let (from, to) = text.split_once("..").ok_or_else(refuse)?;
    let from = if from.is_empty() { 0 } else { from.parse().map_err(|_| refuse())? };
    let to = if to.is_empty() { None } else { Some(to.parse().map_err(|_| refuse())?) };
    match to {
        Some(to) if to < from => Err(format!("`{text}` ends before it begins")),
        _ => Ok(ByteRange { from, to }),
    }
}

/// Parses how much to print: a size with room for the line that says what is left out.
fn parse_budget(text: &str) -> Result<u64, String> {
    let bytes = jobcore::units::parse_size(text)?;
    if bytes < 1024 { Err(format!("`{text}` is too small; use 1K or more")) } else { Ok(bytes) }
}

/// Parses a moment, or how long ago it was.
fn parse_time(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        let ago = SignedDuration::try_from(ago).map_err(|error| error.to_string())?;
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    let refuse = |_| format!("`{text}` is no time; write for example `2026-11-21T12:00:00Z` or `90m` for how long ago");
    text.parse().map_err(refuse)
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(format!("`{text}` has no name; write `NAME` or `NAME=VALUE`"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ranges_and_labels() {
        assert_eq!(parse_range("5..9"), Ok(ByteRange { from: 5, to: Some(9) }));
        assert_eq!(parse_range(".."), Ok(ByteRange { from: 0, to: None }));
        for wrong in ["", "5", "a..b", "-1..2", "9..5"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_label("=x").is_err());
    }
}

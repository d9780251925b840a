//! Verbs that act on running jobs.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches};
use jobcore::input::Key;
use jobcore::stop::Signal;

use super::look::OneJob;
use super::selection::Selection;
use crate::complete;

/// Send something to a job.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli send [OPTIONS] <ID> [TEXT]")]
#[command(after_help = "\
The job must have been started with `--stdin open` or `--tty`. Text and keys are sent in the given order. Text at the \
end is sent as a line: a newline, or Enter on a terminal, is added if it is missing. Text before a key is sent as it is. \
If the job does not read everything, the rest is reported and the exit code is 1.

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
    /// What to send.
    #[command(flatten)]
    pub typed: Typed,
    /// Send the text as it is, without a newline
    #[arg(long, short)]
    pub raw: bool,
    /// Then end its input; on a terminal, press Ctrl-D
    #[arg(long)]
    pub eof: bool,
    /// Print what the job answers until it is quiet, for at most TIME [default: 2s]
    #[arg(long, short, value_name = "TIME", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
        value_parser = humantime::parse_duration)]
    pub wait: Option<Duration>,
    /// Give up when the job has read nothing for TIME
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = humantime::parse_duration)]
    pub timeout: Duration,
    /// Print the number of bytes sent as JSON, with the answer if there is one
    #[arg(long)]
    pub json: bool,
}

/// The text and keys to send, in the order of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed(pub Vec<Piece>);

/// A piece of what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A text.
    Text(String),
    /// A text with escapes such as `\n`.
    Escaped(String),
    /// All of standard input.
    Stdin,
    /// A key.
    Key(Key),
}

/// The arguments from which [`Typed`] is made, which adds their order.
#[derive(Debug, Args)]
struct TypedArguments {
    /// The text; `-` is all of standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// The text, with escapes such as `\n`, `\t` and `\x1b`
    #[arg(long, value_name = "TEXT", conflicts_with = "text", hide = true)]
    input: Option<String>,
    /// Press KEY; may be repeated, before and after the text
    #[arg(long, short, value_name = "KEY")]
    key: Vec<Key>,
}

impl FromArgMatches for Typed {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let TypedArguments { text, input, key } = TypedArguments::from_arg_matches(matches)?;
        let text = text.map(|text| if text == "-" { Piece::Stdin } else { Piece::Text(text) });
        let placed = |name: &str, pieces: Vec<Piece>| {
            let places = matches.indices_of(name).into_iter().flatten();
            places.zip(pieces).collect::<Vec<_>>()
        };
        let mut pieces = placed("text", text.into_iter().collect());
        pieces.extend(placed("input", input.into_iter().map(Piece::Escaped).collect()));
        pieces.extend(placed("key", key.into_iter().map(Piece::Key).collect()));
        pieces.sort_by_key(|(place, _)| *place);
        Ok(Self(pieces.into_iter().map(|(_, piece)| piece).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Typed {
    fn augment_args(command: Command) -> Command {
        TypedArguments::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        TypedArguments::augment_args_for_update(command)
    }
}

/// Connect this terminal to that of a job.
#[derive(Debug, Args)]
#[command(after_help = "\
Everything you type goes to the job, including Ctrl-C; Ctrl-] detaches, and the job keeps running. Several terminals can \
be attached at once; the most recent one to attach or resize sets the size. If the job ends, its exit code is passed on.

  jobcli attach editor")]
pub struct Attach {
    /// The job
    #[arg(value_name = "ID", add = complete::jobs())]
    pub id: String,
}

/// Start queued jobs now, past the limits.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts jobs that wait for a slot or in a paused queue, ahead of all others. Each takes a slot, so the others wait \
longer.

  jobcli start 3f9a2c1b")]
pub struct Start {
    /// The jobs
    #[arg(required = true, value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
}

/// Stop jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
All processes of a job get SIGTERM, and those that are left after the grace period are killed. `killed` is printed when \
none is left. `--signal` only sends one signal to the process group of the main process. As with kill(1), `-HUP` and \
`-1` mean `--signal HUP`; `-9` and `-KILL` kill all processes at once, like `--grace 0s`. `--gone` is for a job whose \
supervisor is dead and whose processes cannot be seen from here: it becomes `orphaned`, and the record says who declared \
it gone.

Missing jobs are reported and make the exit code 3; the others are stopped anyway.

  jobcli kill 3f9a2c1b
  jobcli kill --grace 30s --all
  jobcli kill --label branch=main
  jobcli kill --name 'web-*' --started-before 2h
  jobcli kill -9 web
  jobcli kill --signal HUP 3f9a2c1b
  jobcli kill --gone 3f9a2c1b")]
pub struct Kill {
    /// The jobs
    #[arg(value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
    /// The job (for compatibility with older tools)
    #[arg(long = "job_id", value_name = "ID", conflicts_with_all = ["ids", "all"], hide = true,
        add = complete::live_jobs())]
    pub job_id: Option<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// Send SIGNAL once, without making sure that the job ends
    #[arg(long, short, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
    /// Kill the jobs if they have not ended after TIME [default: the grace period of each job]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "signal")]
    pub grace: Option<Duration>,
    /// Stop all unfinished jobs, and the stragglers of others
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Only record the end of the jobs, because their container or sandbox no longer exists
    #[arg(long, conflicts_with_all = ["all", "signal", "grace", "no_wait"])]
    pub gone: bool,
    /// Do not wait for the jobs to end
    #[arg(long)]
    pub no_wait: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Pause jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Stops all processes of a job with SIGSTOP; `--timeout` and `--stall` do not count that time. A paused job keeps its slot \
and memory, and `jobcli kill` still stops it at once. `jobcli group pause` is different: it keeps queued jobs from \
starting and pauses no job.

Selections apply to running jobs; a named job must be running. A paused job stays paused.

  jobcli pause render
  jobcli pause --group batch
  jobcli pause --all")]
pub struct Pause {
    /// Which jobs.
    #[command(flatten)]
    pub which: Running,
}

/// Resume paused jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Continues all processes of a job, including those that something else stopped. `jobcli group resume` is different: it \
lets the queued jobs of a group start again.

A job that is not paused is left as it is.

  jobcli resume render
  jobcli resume --status paused")]
pub struct Resume {
    /// Which jobs.
    #[command(flatten)]
    pub which: Running,
}

/// Renew leases.
#[derive(Debug, Args)]
#[command(after_help = "\
A job started with `--lease TIME` is stopped TIME after its start or its last renewal, by this command or by any call of \
`jobmcp` that names it. `jobcli show` prints the time.

  jobcli run --lease 10m --name preview npm run preview
  jobcli renew preview")]
pub struct Renew {
    /// Which jobs.
    #[command(flatten)]
    pub which: Running,
}

/// Running jobs.
#[derive(Debug, Args)]
pub struct Running {
    /// The jobs
    #[arg(value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// Select all running jobs
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

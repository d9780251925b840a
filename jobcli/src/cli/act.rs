//! Verbs that act on what runs.

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
It needs a job that was started with `--stdin open` or `--tty`. Text and keys are sent in the order in which they are given. \
Text that comes last is sent as a line: a line feed, or Enter on a terminal, is added unless it ends with one. Text that is \
followed by a key is sent as it is. Nothing waits for a job that does not read: what it has not taken is reported, and the \
exit code is 1 then.

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

/// What is typed to a job, in the order in which it stands on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Typed(pub Vec<Piece>);

/// A piece of what is typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A text.
    Text(String),
    /// A text in which `\n` and the like stand for what they mean.
    Escaped(String),
    /// All of standard input.
    Stdin,
    /// A key.
    Key(Key),
}

/// The arguments of which [`Typed`] is made: they alone do not tell their order.
#[derive(Debug, Args)]
struct TypedArguments {
    /// The text; `-` is all of standard input
    #[arg(value_name = "TEXT")]
    text: Option<String>,
    /// The text, in which `\n`, `\t`, `\x1b` and so on stand for what they mean
    #[arg(long, value_name = "TEXT", conflicts_with = "text", hide = true)]
    input: Option<String>,
    /// Press this key; may be given several times, before and after the text
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
Whatever is typed goes to the job, Ctrl-C too; Ctrl-] lets go of it, and it runs on. Several may be connected at the same \
time: the size of the terminal is that of whoever came or changed his last. If the job ends, the exit code is the job's.

  jobcli attach editor")]
pub struct Attach {
    /// The job
    #[arg(value_name = "ID", add = complete::jobs())]
    pub id: String,
}

/// Start queued jobs now, past the limits.
#[derive(Debug, Args)]
#[command(after_help = "\
Starts jobs that are waiting for a slot or in a paused queue, ahead of all others. Each takes a slot, so the others wait longer.

  jobcli start 3f9a2c1b")]
pub struct Start {
    /// The jobs
    #[arg(required = true, value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
}

/// Stop jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
A job is asked to end (SIGTERM to all of its processes), and what is left after the grace is killed. `killed` is printed \
when nothing of it is left. `--signal` sends one signal to the process group of the main process, and nothing more. As with \
kill(1), `-HUP` and `-1` stand for `--signal HUP`; `-9` and `-KILL` kill all processes of a job at once, as `--grace 0s`. \
`--gone` is for a job whose supervisor is dead and whose processes cannot be seen from here; it is `orphaned` then, and the \
record names who said so.

Each job that is there is stopped; those that are not are reported, and the exit code is 3 then.

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
    /// The job, as tools that came before this one want it written
    #[arg(long = "job_id", value_name = "ID", conflicts_with_all = ["ids", "all"], hide = true,
        add = complete::live_jobs())]
    pub job_id: Option<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// Send this signal once, and do not see to it that the job ends
    #[arg(long, short, value_name = "SIGNAL")]
    pub signal: Option<Signal>,
    /// Give them so long to end before they are killed [default: as the job says]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, conflicts_with = "signal")]
    pub grace: Option<Duration>,
    /// All jobs that are not over, and what was left of others
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Signal nothing, and end the jobs on record: the container or sandbox that they ran in no longer exists
    #[arg(long, conflicts_with_all = ["all", "signal", "grace", "no_wait"])]
    pub gone: bool,
    /// Do not wait for the end
    #[arg(long)]
    pub no_wait: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Pause jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
All processes of a job stand still (SIGSTOP), and so does its time: `--timeout` and `--stall` do not count while it is paused. It \
keeps its slot and its memory, what is sent to it waits, and `jobcli kill` stops it at once. `jobcli group pause` is another \
thing: it pauses no job, and keeps queued ones from starting.

Selected are those jobs that run; one that is named must. A job that is paused already stays paused.

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
All processes of a job go on, as do those that were stopped by a signal from elsewhere. The time that it was paused counts for \
neither `--timeout` nor `--stall`. `jobcli group resume` is another thing: it lets the queued jobs of a group start again.

A job that is not paused stays as it is.

  jobcli resume render
  jobcli resume --status paused")]
pub struct Resume {
    /// Which jobs.
    #[command(flatten)]
    pub which: Running,
}

/// Jobs that run.
#[derive(Debug, Args)]
pub struct Running {
    /// The jobs
    #[arg(value_name = "ID", add = complete::live_jobs())]
    pub ids: Vec<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// All jobs that run
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// Print the jobs as a JSON array
    #[arg(long)]
    pub json: bool,
}

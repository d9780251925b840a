//! Verbs that act on what runs.

use std::time::Duration;

use clap::Args;
use jobcore::{Key, Signal};

use super::look::OneJob;
use crate::complete;

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

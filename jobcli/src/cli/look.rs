//! Verbs that show jobs and their output.

use std::time::Duration;

use clap::{Arg, Args};
use jobcore::clock::Timestamp;
use jobcore::front::Notify;
use jobcore::output::{Cursor, Pattern};
use jobcore::query::SortKey;
use jobcore::template::Template;
use jobcore::wait::Until;

use super::rare::Rare;
use super::selection::Selection;
use super::values::{ByteRange, EventOrTime, parse_budget, parse_event_or_time, parse_label, parse_range, parse_time};
use crate::complete;

/// Sum up the cost of agent runs.
#[derive(Debug, Args)]
#[command(after_help = "\
An agent reports the cost of a resumed conversation including its earlier runs; each run is counted once. `≥` marks a run that may have cost more: it is unfinished, was stopped, or part of its output was dropped.

  jobcli usage --since 7d
  jobcli usage --by day --json
  jobcli usage --by label:ticket")]
pub struct Usage {
    /// Group costs by `agent`, `day` (UTC) or `label:NAME`
    #[arg(long, value_name = "WHAT", default_value = "agent", value_parser = parse_usage_by)]
    pub by: UsageBy,
    /// Include only runs submitted at or after TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Include only runs submitted before TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub until: Option<Timestamp>,
    /// Include only runs with this label
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_label, add = complete::labels())]
    pub label: Vec<(String, String)>,
    /// Print the sums as JSON
    #[arg(long)]
    pub json: bool,
}

/// Sum up what jobs did and how long they took.
#[derive(Debug, Args)]
#[command(after_help = "\
Times count from the start of a job to its end, or to now. TREND shows the last 20 runs of a name, the newest on the right; each \
bar is as high as its part of the longest. Jobs without a name are listed by their command.

  jobcli stats
  jobcli stats --since yesterday --here
  jobcli stats --group ci --json")]
pub struct Stats {
    /// Include only jobs submitted at or after TIME
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub since: Option<Timestamp>,
    /// Include only some jobs.
    #[command(flatten)]
    pub selection: Selection,
    /// List at most NUMBER names; 0 for all
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
    /// Print the sums as JSON
    #[arg(long)]
    pub json: bool,
}

/// What costs are grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageBy {
    /// By the agent.
    Agent,
    /// By the day of submission.
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
Times are written as `2h`, `3 days ago`, `yesterday`, `09:00` (most recent), `2026-11-28`, `2026-11-28 09:00` or \
`2026-11-28T09:00:00Z`, by default in the local time zone. `--since` and `--until` are short for `--submitted-since` and \
`--submitted-before`.

`+` after the status marks an ended job whose stragglers are still running. Jobs without the value to sort by, such as \
an end, come last.

`--format` is a template with JSON keys in braces: `{short_id} {status} {labels.branch}`. Missing values are empty, and \
`{command}` works for every job. `{{` and `}}` are braces, `\\t` is a tab and `\\n` a newline.

On a terminal the table fits its width: commands are cut first (`…`), then times and exit codes are left out, then names \
are cut. `[#2: 4 of 4 in agents]` before the command of a queued job means that it is second in line for the group \
`agents`, which runs 4 of 4 jobs.

  jobcli list --status running
  jobcli list --label branch=main --since yesterday --json --all
  jobcli list --name 'web-*' --exit-code 1,2 --sort ended
  jobcli list --format '{name}\\t{duration_ms}' --sort duration -n 5
  jobcli list --quiet --group web
  jobcli list --count --here")]
#[command(mut_args(as_in_a_list))]
pub struct List {
    /// Which jobs.
    #[command(flatten)]
    pub selection: Selection,
    /// Print the number of jobs for each status
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    pub count: bool,
    /// Print at most NUMBER jobs; 0 means all
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
    /// Print all jobs
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// In which order and form.
    #[command(flatten)]
    pub arrangement: Rare<Arrangement>,
    /// Print only full ids, one per line
    #[arg(long, short, conflicts_with_all = ["json", "count"])]
    pub quiet: bool,
    /// Print them as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// The order and form of a list, if not the default.
#[derive(Debug, Clone, Default, Args)]
pub struct Arrangement {
    /// Sort by `submitted`, `started`, `ended`, `duration`, `output` (newest, longest or largest first), `name` or `status`
    /// [default: submitted]
    #[arg(long, value_name = "KEY", conflicts_with = "count", add = complete::sort_keys())]
    pub sort: Option<SortKey>,
    /// Reverse the order
    #[arg(long, conflicts_with = "count")]
    pub reverse: bool,
    /// Also print CPU time and memory: the current use of running jobs, the total and the peak of ended ones
    #[arg(long, conflicts_with_all = ["quiet", "count"])]
    pub wide: bool,
    /// Print each job as a line from this template
    #[arg(long, value_name = "TEMPLATE", conflicts_with_all = ["json", "quiet", "count"])]
    pub format: Option<Template>,
}

/// Adds short names that other verbs use for other options.
fn as_in_a_list(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "status" => argument.short('s'),
        "submitted_since" => argument.alias("since"),
        "submitted_before" => argument.alias("until"),
        _ => argument,
    }
}

/// Show jobs and their output on the whole screen, as they change.
#[derive(Debug, Args)]
#[command(after_help = "\
`?` shows all keys. Actions work like the verbs: `x` stops a job like `jobcli kill`, `r` runs it again like `jobcli \
rerun`. Quitting with `q` ends no job.

`/` filters as you type, by words in the name, id, command or labels, and by `status:failed`, `label:NAME=VALUE`, \
`group:NAME`, `name:PATTERN` and `caller:HOST:CONVERSATION`. In the output, `/` searches for a regular expression, \
ignoring case unless it contains capitals.

  jobcli top
  jobcli top --here
  jobcli top --group web --label branch=main")]
#[command(mut_args(as_in_a_list))]
pub struct Top {
    /// Which jobs.
    #[command(flatten)]
    pub selection: Selection,
}

/// Show all that is known of jobs.
#[derive(Debug, Args)]
#[command(after_help = "  jobcli show 3f9a2c1b\n  jobcli show --json 3f9a2c1b")]
pub struct Show {
    /// The jobs
    #[arg(required = true, value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Print each job as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Print the status of a job.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli status [OPTIONS] <ID>")]
#[command(after_help = "\
Prints on standard error what a queued job waits for.\n\n  jobcli status 3f9a2c1b\n  jobcli status --active 3f9a2c1b && echo 'not ended yet'")]
pub struct StatusOf {
    /// Which job.
    #[command(flatten)]
    pub job: OneJob,
    /// Print nothing; exit with 0 if the job is unfinished, and with 1 if it has ended
    #[arg(long, conflicts_with = "json")]
    pub active: bool,
    /// Print the job as JSON
    #[arg(long)]
    pub json: bool,
}

/// Print the output of a job.
#[derive(Debug, Args)]
#[command(after_help = "\
Both streams are printed on standard output as the job wrote them; dropped output is reported on standard error. Unless \
the job was started with `--merge`, bursts of the two streams may be interleaved differently from how they were written.

  jobcli output 3f9a2c1b > log
  jobcli output --stderr --head 20 3f9a2c1b
  jobcli output --bytes 1000..2000 3f9a2c1b
  jobcli output --json --cursor 4096 3f9a2c1b

With any reading option except `--since` alone, output is printed in whole lines; `--head`, `--tail` and `-n` count \
printed lines, and the exit code is 0 even if no line matches. The expression (Rust regex syntax, `(?i)` ignores case) \
is matched against lines as printed: `--clean` removes colours first. Lines longer than 64 KiB are matched in parts.

  jobcli output --clean --grep 'error|warning' -C 3 3f9a2c1b
  jobcli output --since 10m --timestamps --fold 3f9a2c1b
  jobcli output --clean --max-bytes 8K 3f9a2c1b
  jobcli output --grep '(?i)panic' --tail 1 3f9a2c1b

With several jobs, each line starts with the name or id of its job. Jobs are printed one after another, or with \
`--follow` as lines arrive, until all have ended; `--follow` selects unfinished jobs. On a terminal, lines are printed \
as with `--clean`.

  jobcli output --group build --grep error
  jobcli output --follow --label batch=7")]
pub struct Output {
    /// Which jobs.
    #[command(flatten)]
    pub jobs: SeveralJobs,
    /// Print only the first LINES lines
    #[arg(long, value_name = "LINES", group = "part", conflicts_with = "follow")]
    pub head: Option<u64>,
    /// Print only the last LINES lines
    #[arg(long, value_name = "LINES", group = "part")]
    pub tail: Option<u64>,
    /// Print only these bytes, counted from 0; TO is exclusive, and either may be left out
    #[arg(long, value_name = "FROM..TO", group = "part", conflicts_with = "follow",
        value_parser = parse_range)]
    pub bytes: Option<ByteRange>,
    /// Print only output after CURSOR, from an earlier `--json`
    #[arg(long, value_name = "CURSOR", group = "part")]
    pub cursor: Option<Cursor>,
    /// Print only the output of attempt N of a job with retries
    #[arg(long, value_name = "N", conflicts_with_all = ["bytes", "cursor", "follow"])]
    pub attempt: Option<u32>,
    /// What to print of it.
    #[command(flatten)]
    pub show: ShowOutput,
}

/// Print the last lines of a job's output.
#[derive(Debug, Args)]
#[command(after_help = "\
The reading options are those of `jobcli output`. As with tail(1), `-5` means `--lines 5`.

  jobcli tail 3f9a2c1b
  jobcli tail -5 3f9a2c1b
  jobcli tail -n 50 --follow 3f9a2c1b
  jobcli tail --follow --clean --timestamps --grep 'GET|POST' 3f9a2c1b
  jobcli tail --follow web api
  jobcli tail --follow --all")]
pub struct Tail {
    /// Which jobs.
    #[command(flatten)]
    pub jobs: SeveralJobs,
    /// Print the last LINES lines
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
    /// The job (for compatibility with older tools)
    #[arg(long = "job_id", value_name = "ID", conflicts_with = "id", hide = true, add = complete::jobs())]
    pub job_id: Option<String>,
}

impl OneJob {
    /// Returns the name or id that was given.
    pub fn reference(&self) -> &str {
        // The parser requires one of them.
        self.id.as_deref().or(self.job_id.as_deref()).unwrap_or_default()
    }
}

/// The jobs that a verb is about.
#[derive(Debug, Args)]
pub struct SeveralJobs {
    /// The jobs
    #[arg(value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// The job (for compatibility with older tools)
    #[arg(long = "job_id", value_name = "ID", conflicts_with = "ids", hide = true, add = complete::jobs())]
    pub job_id: Option<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// Select all jobs
    #[arg(long)]
    pub all: bool,
}

/// What to print of an output.
#[derive(Debug, Args)]
pub struct ShowOutput {
    /// Print only standard output
    #[arg(long, conflicts_with = "stderr")]
    pub stdout: bool,
    /// Print only standard error
    #[arg(long)]
    pub stderr: bool,
    /// Continue printing until the job ends
    #[arg(long, short)]
    pub follow: bool,
    /// Print both streams and a cursor as JSON, at most 256 KiB at a time
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
    /// Print only output written at or after TIME, to a hundredth of a second
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = "Reading")]
    pub since: Option<Timestamp>,
    /// Print only lines that match REGEX
    #[arg(long, value_name = "REGEX", help_heading = "Reading")]
    pub grep: Option<Pattern>,
    /// Print LINES lines after each match
    #[arg(long, short = 'A', value_name = "LINES", requires = "grep", help_heading = "Reading")]
    pub after_context: Option<u64>,
    /// Print LINES lines before each match
    #[arg(long, short = 'B', value_name = "LINES", requires = "grep", help_heading = "Reading")]
    pub before_context: Option<u64>,
    /// Print LINES lines before and after each match
    #[arg(long, short = 'C', value_name = "LINES", requires = "grep", help_heading = "Reading")]
    pub context: Option<u64>,
    /// Print lines as a terminal shows them: no escape sequences, only the final state of progress bars [default for jobs on a terminal]
    #[arg(long, help_heading = "Reading")]
    pub clean: bool,
    /// Print the output exactly as it was written, escape sequences and agent events included
    #[arg(long, conflicts_with = "clean", help_heading = "Reading")]
    pub raw: bool,
    /// Collapse repeated lines and show the count
    #[arg(long, help_heading = "Reading")]
    pub fold: bool,
    /// Prefix each line with its UTC timestamp
    #[arg(long, short, help_heading = "Reading")]
    pub timestamps: bool,
    /// Print at most SIZE: the beginning and the end, and how much is left out between them
    #[arg(long, value_name = "SIZE", value_parser = parse_budget, conflicts_with = "follow", help_heading = "Reading")]
    pub max_bytes: Option<u64>,
}

impl ShowOutput {
    /// Returns whether no option changes what is printed, only for how long.
    pub(crate) fn is_as_usual(&self) -> bool {
        let is_said = [self.stdout, self.stderr, self.json, self.clean, self.raw, self.fold, self.timestamps];
        !is_said.contains(&true) && self.since.is_none() && self.grep.is_none() && self.max_bytes.is_none()
    }
}

/// Wait for jobs to end or to meet a condition.
#[derive(Debug, Args)]
#[command(after_help = "\
As each job ends, a line on standard error reports how, after what time, and what was stopped with it. Of several jobs, \
the exit code is the first that is not 0, in the order given; with `--any`, that of the job that ended. A missing job is \
reported and makes the exit code 125; the others are still waited for. Selections such as `--label` and `--group` apply \
to unfinished jobs.

With `--until`, waits for:

  output:RE    a matching line of output, or a matching prompt without a newline
  quiet:TIME   no output for TIME
  port:NUMBER  a process of the job that listens on this TCP port; another listener is reported
  file:PATH    the file to exist, relative to the job's directory
  ready        the job to be ready, as defined by `run --ready`
  exit         the end of the job (the default)

The exit code is then 0 when the condition is met, and 1 when it no longer can be because the job has ended.

  jobcli wait 3f9a2c1b && echo fine
  jobcli wait --any --timeout 10m 3f9a2c1b 77aa01c2
  jobcli wait --label batch=7
  jobcli wait --all
  jobcli wait --until 'output:ready|listening' --timeout 30s web
  jobcli wait --until port:3000 web
  jobcli wait --until ready --timeout 1m web")]
pub struct Wait {
    /// The jobs
    #[arg(value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// Or which are selected.
    #[command(flatten)]
    pub selection: Selection,
    /// Wait for any one of them
    #[arg(long)]
    pub any: bool,
    /// Wait for all of them (the default); without IDs, for all jobs
    #[arg(long, conflicts_with = "any")]
    pub all: bool,
    /// Wait for CONDITION [default: exit]
    #[arg(long, short, value_name = "CONDITION")]
    pub until: Option<Until>,
    /// With `--until output:RE`, look only at output after CURSOR, from an earlier `--json`
    #[arg(long, value_name = "CURSOR", requires = "until")]
    pub cursor: Option<Cursor>,
    /// Wait at most TIME, then exit with 124
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    /// Notify you through the terminal at each end: `osc9`, `osc777` or `bell` [default: the setting `notify`, or osc9]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    pub notify: Option<Option<Notify>>,
    /// Do not print on standard error how each job ended
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the jobs as JSON, with the reason why the wait ended and cursors
    #[arg(long)]
    pub json: bool,
}

/// Print what happened to jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line has the number of the event, its time, the job, and what happened: `submitted`, `started`, `adopted` (by a new \
supervisor, after the first was killed), `retrying` (an attempt ended, and another follows), `waiting_for_input`, \
`stalled`, `paused`, `resumed`, `ready`, `not_ready` (in time), `ended` with the status and the exit code, or `removed`. \
Numbers have no gaps. Each end is reported at least once, and perhaps twice after a crash; other events can be lost in a \
crash. Old events are dropped, and standard error says how many.

  jobcli events
  jobcli events --since 120 --json
  jobcli events --since yesterday
  jobcli events --follow")]
pub struct Events {
    /// Print only events from this number or time on [default: all, or new ones with `--follow`]
    #[arg(long, value_name = "NUMBER|TIME", value_parser = parse_event_or_time)]
    pub since: Option<EventOrTime>,
    /// Continue printing events until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// Print each event as a line of JSON
    #[arg(long)]
    pub json: bool,
}

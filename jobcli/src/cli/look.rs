//! Verbs that look.

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

/// Sum up what runs of agents cost.
#[derive(Debug, Args)]
#[command(after_help = "\
What an agent tells of a conversation that went on includes what it had cost before: that is counted once. A run that is
not over, was stopped, or of whose output a part was not kept, may have cost more (`≥`).

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
Times are written as `2h` or `3 days ago`, `yesterday`, `09:00` (the last time that it was so late), `2026-11-28`, \
`2026-11-28 09:00` or `2026-11-28T09:00:00Z`; those without a time zone are in that of this machine. `--since` and `--until` stand \
for `--submitted-since` and `--submitted-before`.

`+` after the status marks a job that has ended and left processes that are still running. Jobs that have nothing to be sorted by, \
such as an end, come last.

`--format` is a line with keys of the JSON in braces: `{short_id} {status} {labels.branch}`. `{command}` is the command line of \
any job, and what a job does not have is empty. `{{` and `}}` are braces, `\\t` is a tab and `\\n` a line break.

On a terminal the table is as wide as that: commands are cut first, then times and exit codes are left out, then names are \
cut; `…` is where something is cut. Elsewhere nothing is. `[#2: 4 of 4 in agents]` before the command of a queued job says \
what it waits for: it is the second of those that wait for the group `agents`, in which 4 of 4 jobs run.

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
    /// Print how many jobs there are of each status
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    pub count: bool,
    /// Print at most NUMBER jobs; 0 for all
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
    /// Print all of them
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// In which order and form.
    #[command(flatten)]
    pub arrangement: Rare<Arrangement>,
    /// Print the full ids only, one a line
    #[arg(long, short, conflicts_with_all = ["json", "count"])]
    pub quiet: bool,
    /// Print them as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// In which order and form jobs are listed, if it is not the usual one.
#[derive(Debug, Clone, Default, Args)]
pub struct Arrangement {
    /// Sort by `submitted`, `started`, `ended`, `duration`, `output` (the newest, longest and largest first), `name` or `status`
    /// [default: submitted]
    #[arg(long, value_name = "KEY", conflicts_with = "count", add = complete::sort_keys())]
    pub sort: Option<SortKey>,
    /// Print the last first
    #[arg(long, conflicts_with = "count")]
    pub reverse: bool,
    /// Print each job as a line of this form
    #[arg(long, value_name = "TEMPLATE", conflicts_with_all = ["json", "quiet", "count"])]
    pub format: Option<Template>,
}

/// What people are used to, where no other option is called so.
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
`?` shows all keys. What is done to a job is done as by the verbs: `x` stops it as `jobcli kill` does, `r` runs it again as \
`jobcli rerun` does. Leaving the view with `q` ends no job.

`/` filters as you type: words that are in the name, the id, the command or a label, and `status:failed`, `label:NAME=VALUE`, \
`group:NAME`, `name:PATTERN` and `caller:HOST:CONVERSATION`. In the output, it searches for a regular expression; case is ignored \
unless there are capitals in it.

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
    /// Print each as a line of JSON
    #[arg(long)]
    pub json: bool,
}

/// Print the status of a job.
#[derive(Debug, Args)]
#[command(override_usage = "jobcli status [OPTIONS] <ID>")]
#[command(after_help = "\
What a queued job waits for is told on standard error.\n\n  jobcli status 3f9a2c1b\n  jobcli status --active 3f9a2c1b && echo 'not over yet'")]
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
  jobcli output --grep '(?i)panic' --tail 1 3f9a2c1b

Of several jobs, each line begins with the name or the id of its job, and none is torn by another. They are printed one after the \
other, or with `--follow` as they come, until all of the jobs have ended; `--follow` selects jobs that have not ended yet. On a \
terminal, lines are printed as with `--clean`.

  jobcli output --group build --grep error
  jobcli output --follow --label batch=7")]
pub struct Output {
    /// Which jobs.
    #[command(flatten)]
    pub jobs: SeveralJobs,
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
    /// Only that of this attempt of a job that was started again
    #[arg(long, value_name = "N", conflicts_with_all = ["bytes", "cursor", "follow"])]
    pub attempt: Option<u32>,
    /// What to print of it.
    #[command(flatten)]
    pub show: ShowOutput,
}

/// Print the last lines of a job's output.
#[derive(Debug, Args)]
#[command(after_help = "\
The options for reading are those of `jobcli output`. As with tail(1), `-5` stands for `--lines 5`.

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

/// The jobs that a verb is about.
#[derive(Debug, Args)]
pub struct SeveralJobs {
    /// The jobs
    #[arg(value_name = "ID", add = complete::jobs())]
    pub ids: Vec<String>,
    /// The job, as tools that came before this one want it written
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
    /// Print it as it was written, also to a terminal, what was written to a terminal, and the events of an agent
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
As each job ends, one line on standard error says how: what it came to, after what time, and what was stopped with it. Of \
several jobs, the exit code is the first that is not 0, in the order given; with `--any`, that of the job that ended. A job \
that is not there is reported, the others are waited for, and the exit code is 125. Of jobs that are selected, by `--label` or \
`--group` for example, those are waited for that have not ended yet.

With `--until`, something else is waited for:

  output:RE    a line of its output that matches; a prompt without an end of line counts, too
  quiet:TIME   that it has written nothing for so long
  port:NUMBER  that one of its processes listens on this TCP port; if another process does, that is told
  file:PATH    that there is this file; a relative path begins where the job runs
  ready        that it is ready, as `run --ready` says when it is
  exit         its end, as without

The exit code is 0 then when it is so, and 1 if it cannot be any more, since the job is over.

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
    /// Wait for one of them only
    #[arg(long)]
    pub any: bool,
    /// Wait for all of them, as without this; without others, for all jobs
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
    /// Notify you through the terminal when each of them ends, as `osc9`, `osc777` or `bell` [default: the setting `notify`, or osc9]
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true)]
    pub notify: Option<Option<Notify>>,
    /// Do not print how each job ended on standard error
    #[arg(long, short)]
    pub quiet: bool,
    /// Print the jobs as JSON, with the reason why the waiting is over and cursors
    #[arg(long)]
    pub json: bool,
}

/// Print what happened to jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is the number of the event, its time, the job, and what happened: `submitted`, `started`, `adopted` (its \
supervisor had been killed, and another is in charge), `retrying` (an attempt ended, and another follows), `waiting_for_input`, `stalled`, `paused`, `resumed`, `ready`, `not_ready` \
(in time), `ended` with the status and the exit code, or `removed`. Events are \
numbered without a gap. An end is told at least once, and may come twice after a crash; anything else goes untold if whoever \
did it was killed in that very moment. Old events are dropped; how many are missing is told on standard error.

  jobcli events
  jobcli events --since 120 --json
  jobcli events --since yesterday
  jobcli events --follow")]
pub struct Events {
    /// Print only events from this number or this time on [default: all, or with `--follow` those to come]
    #[arg(long, value_name = "NUMBER|TIME", value_parser = parse_event_or_time)]
    pub since: Option<EventOrTime>,
    /// Go on printing what happens, until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// Print each as a line of JSON
    #[arg(long)]
    pub json: bool,
}

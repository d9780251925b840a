//! How things look: tables for people, lines for programs, colour only where a person sees it.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jobcore::clock::Timestamp;
use jobcore::front::agents;
use jobcore::front::text::{fit, width};
use jobcore::shape::JobShape;
use jobcore::spec::TerminalSize;
use jobcore::units::{format_size, short_duration};
use jobcore::words::cut;
use jobcore::{Status, escape};

/// The width of a table on a terminal that does not say how wide it is.
const WIDTH: usize = 100;
/// How wide names and commands are at least before anything else is left out.
const LEAST_WIDTH: usize = 8;
/// How much room what a job waits for may take before its command, in characters.
const WAITING: usize = 60;
/// How many blanks are between two columns.
const GAP: usize = 2;

/// Returns the size of the terminal that this program runs on.
pub(crate) fn terminal_size() -> Option<TerminalSize> {
    let (columns, rows) = terminal_size::terminal_size()?;
    Some(TerminalSize { columns: columns.0, rows: rows.0 })
}

/// Returns how wide standard output is; nothing if it is no terminal.
pub(crate) fn stdout_width() -> Option<usize> {
    let stdout = io::stdout();
    let is_terminal = io::IsTerminal::is_terminal(&stdout);
    let width = || terminal_size::terminal_size_of(&stdout).map(|(columns, _)| usize::from(columns.0));
    is_terminal.then(|| width().filter(|width| *width > 0).unwrap_or(WIDTH))
}

/// Returns the colour of a status, if it has one.
pub(crate) fn colour(status: Status) -> Option<AnsiColor> {
    Some(match status {
        Status::Queued | Status::Paused | Status::Skipped => AnsiColor::Yellow,
        Status::Running => AnsiColor::Blue,
        Status::Completed => AnsiColor::Green,
        Status::Failed | Status::TimedOut | Status::Orphaned => AnsiColor::Red,
        Status::Killed => AnsiColor::Magenta,
        _ => return None,
    })
}

/// Returns the style of a status.
pub(crate) fn style(status: Status) -> Style {
    Style::new().fg_color(colour(status).map(Into::into))
}

/// Prints jobs as a table that is as wide as the terminal, or of any width where standard output is none, with what they use if
/// that is wanted.
pub(crate) fn table(out: &mut impl Write, jobs: &[JobShape], now: Timestamp, usage: bool) -> io::Result<()> {
    let columns = columns(jobs, now, usage).fit(stdout_width());
    for row in 0..=jobs.len() {
        let colour = if row == 0 { Style::new() } else { style(jobs[row - 1].status) };
        writeln!(out, "{}", columns.row(row, colour))?;
    }
    Ok(())
}

/// A column of a table, its title first.
struct Column {
    cells: Vec<String>,
    width: usize,
    is_right: bool,
    is_coloured: bool,
}

impl Column {
    fn new(title: &str, least: usize, cells: impl Iterator<Item = String>) -> Self {
        let cells: Vec<_> = [title.to_owned()].into_iter().chain(cells).collect();
        let width = cells.iter().map(|cell| width(cell)).max().unwrap_or(0).max(least);
        Self { cells, width, is_right: false, is_coloured: false }
    }
}

/// The columns of the table of jobs.
struct Columns {
    id: Column,
    name: Option<Column>,
    status: Column,
    /// What is left out where there is little room, the first first: when it started, how long it took, what it uses, what it
    /// exited with.
    figures: Vec<Column>,
    command: Column,
}

fn columns(jobs: &[JobShape], now: Timestamp, usage: bool) -> Columns {
    let column = |title, least, cell: &dyn Fn(&JobShape) -> String| Column::new(title, least, jobs.iter().map(cell));
    let right = |column| Column { is_right: true, ..column };
    let time = |ms: Option<u64>| ms.map(|ms| short_duration(Duration::from_millis(ms))).unwrap_or_default();
    let started =
        |at: Option<Timestamp>| at.map(|at| format!("{} ago", short_duration(since(at, now)))).unwrap_or_default();
    let name = |job: &JobShape| job.name.as_ref().map(ToString::to_string).unwrap_or_default();
    // Of a job that has ended and left processes that are still running.
    let mark = |job: &JobShape| if job.stragglers_alive == Some(true) { "+" } else { "" };
    let status = |job: &JobShape| format!("{}{}", job.status, mark(job));
    let memory = |job: &JobShape| job.memory_bytes.or(job.peak_rss_bytes).map(format_size).unwrap_or_default();
    let mut figures = vec![
        right(column("STARTED", 8, &|job| started(job.started_at))),
        right(column("TIME", 8, &|job| time(job.duration_ms))),
    ];
    if usage {
        figures.push(right(column("CPU", 8, &|job| time(job.cpu_ms))));
        figures.push(right(column("MEM", 9, &memory)));
    }
    figures.push(right(column("EXIT", 7, &exit_word)));
    Columns {
        id: column("ID", 8, &|job| job.short_id.clone()),
        // Only where there are any.
        name: jobs.iter().any(|job| job.name.is_some()).then(|| column("NAME", 0, &name)),
        status: Column { is_coloured: true, ..column("STATUS", 9, &status) },
        figures,
        command: column("COMMAND", 0, &|job| escape::one_line(&what(job, now)).into_owned()),
    }
}

/// Returns what a job is about: its command, or the run of an agent, and what it waits for or that it is stalled.
pub(crate) fn what(job: &JobShape, now: Timestamp) -> String {
    let what = job.agent.as_ref().map_or_else(|| job.command_line(), |agent| agents::row(agent));
    match (&job.queued, &job.waiting_for_input) {
        (Some(queued), _) => format!("[{}] {what}", queued.in_short()),
        (None, Some(waiting)) => format!("[{}] {what}", cut(&waiting.to_string(), WAITING)),
        (None, None) => match job.stalled_since {
            Some(at) => format!("[stalled for {}] {what}", short_duration(since(at, now))),
            None => match job.attempt_in_words(now).filter(|_| !job.status.is_final()) {
                Some(attempt) => format!("[{attempt}] {what}"),
                None if job.is_starting() => format!("[starting] {what}"),
                None => what,
            },
        },
    }
}

impl Columns {
    /// Makes the table as narrow as `room`, if there is such a limit: the commands are cut first, then figures are left out,
    /// then names are cut.
    fn fit(mut self, room: Option<usize>) -> Self {
        let Some(room) = room else { return self };
        let name = self.name.as_ref().map_or(0, |name| name.width.min(LEAST_WIDTH) + GAP);
        while !self.figures.is_empty() && self.fixed() + name + LEAST_WIDTH > room {
            self.figures.remove(0);
        }
        let rest = room.saturating_sub(self.fixed());
        if let Some(name) = &mut self.name {
            name.width = name.width.min(rest.saturating_sub(LEAST_WIDTH + GAP).max(LEAST_WIDTH / 2));
        }
        let name = self.name.as_ref().map_or(0, |name| name.width + GAP);
        self.command.width = rest.saturating_sub(name).max(1);
        self
    }

    /// Returns how wide everything is but names and commands, with the gaps behind.
    fn fixed(&self) -> usize {
        [&self.id, &self.status].into_iter().chain(&self.figures).map(|column| column.width + GAP).sum()
    }

    fn row(&self, row: usize, colour: Style) -> String {
        // What is left out last comes first.
        let figures = self.figures.split_last().map(|(exit, times)| [exit].into_iter().chain(times));
        let columns =
            [&self.id].into_iter().chain(&self.name).chain([&self.status]).chain(figures.into_iter().flatten());
        let mut line = String::new();
        for column in columns {
            let cell = fit(&column.cells[row], column.width);
            let blanks = " ".repeat(column.width - width(&cell));
            line.push_str(&match (column.is_right, column.is_coloured) {
                (true, _) => format!("{blanks}{cell}"),
                (false, true) => format!("{colour}{cell}{blanks}{colour:#}"),
                (false, false) => format!("{cell}{blanks}"),
            });
            line.push_str(&" ".repeat(GAP));
        }
        line + &fit(&self.command.cells[row], self.command.width)
    }
}

/// Returns the exit code or the signal, in a word; empty where there is none.
pub(crate) fn exit_word(job: &JobShape) -> String {
    match (job.exit_code, job.signal) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => signal.to_string(),
        (None, None) => String::new(),
    }
}

fn since(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(at)).unwrap_or_default()
}

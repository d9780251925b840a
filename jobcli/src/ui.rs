//! Output: tables for people, lines for programs, and colour only on terminals.

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

/// The width of a table on a terminal that does not report its own.
const WIDTH: usize = 100;
/// The width below which names and commands are not cut before other columns are left out.
const LEAST_WIDTH: usize = 8;
/// How many characters the reason why a job waits may take before its command.
const WAITING: usize = 60;
/// The number of blanks between two columns.
const GAP: usize = 2;

/// Returns the size of this program's terminal.
pub(crate) fn terminal_size() -> Option<TerminalSize> {
    let (columns, rows) = terminal_size::terminal_size()?;
    Some(TerminalSize { columns: columns.0, rows: rows.0 })
}

/// Returns the width of standard output, or nothing if it is not a terminal.
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

/// Prints jobs as a table, with CPU time and memory if `usage` is set. The table is as wide as the terminal, or as it
/// needs to be if standard output is not a terminal.
pub(crate) fn table(out: &mut impl Write, jobs: &[JobShape], now: Timestamp, usage: bool) -> io::Result<()> {
    let columns = columns(jobs, now, usage).fit(stdout_width());
    for row in 0..=jobs.len() {
        let colour = if row == 0 { Style::new() } else { style(jobs[row - 1].status) };
        writeln!(out, "{}", columns.row(row, colour))?;
    }
    Ok(())
}

/// A column of a table. The first cell is its title.
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
    /// The columns that are left out if there is little room, first ones first: start, duration, usage, exit code.
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
    // Marks an ended job whose stragglers are still running.
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
        // Only if any job has a name.
        name: jobs.iter().any(|job| job.name.is_some()).then(|| column("NAME", 0, &name)),
        status: Column { is_coloured: true, ..column("STATUS", 9, &status) },
        figures,
        command: column("COMMAND", 0, &|job| escape::one_line(&what(job, now)).into_owned()),
    }
}

/// Describes a job: its command or its agent run, after what it waits for or the fact that it is stalled.
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
    /// Narrows the table to `room`, if given: cuts the commands first, then leaves out figures, then cuts the names.
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

    /// Returns the width of all columns except names and commands, with the gaps after them.
    fn fixed(&self) -> usize {
        [&self.id, &self.status].into_iter().chain(&self.figures).map(|column| column.width + GAP).sum()
    }

    fn row(&self, row: usize, colour: Style) -> String {
        // The figure that is left out last comes first.
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

/// Returns the exit code or the signal as a word, empty if there is neither.
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

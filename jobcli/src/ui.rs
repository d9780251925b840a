//! How things look: tables for people, lines for programs, colour only where a person sees it.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use jobcore::clock::Timestamp;
use jobcore::{JobShape, Status, TerminalSize};
use unicode_width::UnicodeWidthChar;

use crate::agents;

/// The width of a table where no terminal says another.
const WIDTH: usize = 100;
/// What is left for a command at least.
const COMMAND_WIDTH: usize = 20;

/// Returns the size of the terminal that this program runs on.
pub(crate) fn terminal_size() -> Option<TerminalSize> {
    let (columns, rows) = terminal_size::terminal_size()?;
    Some(TerminalSize { columns: columns.0, rows: rows.0 })
}

/// Returns the colour of a status.
pub(crate) fn style(status: Status) -> Style {
    let colour = match status {
        Status::Queued | Status::Paused => AnsiColor::Yellow,
        Status::Running => AnsiColor::Blue,
        Status::Completed => AnsiColor::Green,
        Status::Failed | Status::TimedOut | Status::Orphaned => AnsiColor::Red,
        Status::Killed => AnsiColor::Magenta,
        _ => return Style::new(),
    };
    Style::new().fg_color(Some(colour.into()))
}

/// Prints jobs as a table. On a terminal commands are cut to its width, elsewhere they are whole.
pub(crate) fn table(out: &mut impl Write, jobs: &[JobShape], now: Timestamp) -> io::Result<()> {
    // A column for names only where there are any.
    let name_of = |job: &JobShape| job.name.as_ref().map_or("", |name| name.as_str()).to_owned();
    let widest = jobs.iter().map(|job| name_of(job).len()).max().unwrap_or(0);
    let name_column = |name: &str| match widest {
        0 => String::new(),
        widest => format!("{name:<width$}  ", width = widest.max("NAME".len())),
    };
    let names = name_column("NAME");
    let fixed = format!("{:<8}  {names}{:<9}  {:>7}  {:>8}  {:>8}  ", "ID", "STATUS", "EXIT", "STARTED", "TIME");
    let room = terminal_size().map(|size| usize::from(size.columns));
    let is_terminal = io::IsTerminal::is_terminal(&io::stdout());
    let room = is_terminal.then(|| room.unwrap_or(WIDTH).saturating_sub(fixed.len()).max(COMMAND_WIDTH));
    writeln!(out, "{fixed}COMMAND")?;
    for job in jobs {
        let colour = style(job.status);
        let exit = exit_word(job);
        let started = job.started_at.map(|at| format!("{} ago", short_duration(since(at, now)))).unwrap_or_default();
        let time = job.duration_ms.map(|ms| short_duration(Duration::from_millis(ms))).unwrap_or_default();
        let command =
            one_line(&job.agent.as_ref().map_or_else(|| job.command_line(), |agent| agents::row(agent)), room);
        let (id, status) = (&job.short_id, job.status);
        let name = name_column(&name_of(job));
        writeln!(out, "{id:<8}  {name}{colour}{status:<9}{colour:#}  {exit:>7}  {started:>8}  {time:>8}  {command}")?;
    }
    Ok(())
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

/// Returns a duration in one or two characters and a unit: `0.4s`, `12s`, `5m`, `3h`, `9d`.
pub fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", (duration.as_secs_f64() * 10.0).floor() / 10.0),
        10..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Returns a text in one line: control characters are shown and not obeyed, and what is too wide is cut.
pub(crate) fn one_line(text: &str, room: Option<usize>) -> String {
    let shown: String = text.chars().flat_map(visible).collect();
    let Some(room) = room else { return shown };
    let width = |c: char| c.width().unwrap_or(0);
    if shown.chars().map(width).sum::<usize>() <= room {
        return shown;
    }
    let mut left = room.saturating_sub(1);
    let fits = |c: &char| {
        let fits = width(*c) <= left;
        left = left.saturating_sub(width(*c));
        fits
    };
    let mut cut: String = shown.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

fn visible(c: char) -> Vec<char> {
    match c {
        '\n' => "⏎".chars().collect(),
        '\t' => vec![' '],
        c if c.is_control() => c.escape_default().collect(),
        c => vec![c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_write_on_the_terminal() {
        assert_eq!(one_line("a\n\x1b[31mb\tc", None), "a⏎\\u{1b}[31mb c");
    }

    #[test]
    fn what_is_too_wide_is_cut_by_columns_not_by_bytes() {
        assert_eq!(one_line("abcdef", Some(6)), "abcdef");
        assert_eq!(one_line("abcdefg", Some(6)), "abcde…");
        assert_eq!(one_line("日本語日本語", Some(6)), "日本…");
    }

    #[test]
    fn durations_are_short() {
        let shown: Vec<_> =
            [0, 1, 99, 119, 120, 7199, 7200, 172_799, 172_800].map(Duration::from_secs).map(short_duration).into();
        assert_eq!(shown, ["0.0s", "1.0s", "99s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }
}

//! The columns of the list: a wider screen shows more of them.

use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::escape;
use jobcore::front::text::{fit, width};
use jobcore::units::{format_size, short_duration};

use super::row::JobRow;
use super::theme::symbol;
use crate::ui;

/// The number of blanks between two columns.
const GAP: usize = 1;
/// The width that commands must have before another column is added.
const COMMAND: usize = 24;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Status,
    Id,
    Name,
    Time,
    Exit,
    Cpu,
    Memory,
    Start,
    Group,
    Caller,
    Command,
}

/// A column and its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) kind: Kind,
    pub(super) width: usize,
}

/// The columns that are always shown, and those added on wider screens, the most important first.
const ALWAYS: [(Kind, usize); 4] = [(Kind::Status, 12), (Kind::Id, 8), (Kind::Name, 12), (Kind::Time, 5)];
const WITH_ROOM: [(Kind, usize); 7] = [
    (Kind::Exit, 7),
    (Kind::Cpu, 5),
    (Kind::Memory, 9),
    (Kind::Group, 10),
    (Kind::Start, 8),
    (Kind::Caller, 16),
    (Kind::Name, 24),
];
/// The order of the columns on the screen.
const ORDER: [Kind; 11] = [
    Kind::Status,
    Kind::Id,
    Kind::Name,
    Kind::Exit,
    Kind::Time,
    Kind::Start,
    Kind::Cpu,
    Kind::Memory,
    Kind::Group,
    Kind::Caller,
    Kind::Command,
];

/// Returns the columns that fit, without those that would be empty.
pub(super) fn columns(room: usize, has_any: impl Fn(Kind) -> bool) -> Vec<Column> {
    let mut chosen: Vec<(Kind, usize)> = ALWAYS.to_vec();
    let taken = |chosen: &[(Kind, usize)]| chosen.iter().map(|(_, width)| width + GAP).sum::<usize>();
    for (kind, width) in WITH_ROOM.into_iter().filter(|(kind, _)| has_any(*kind)) {
        let mut more = chosen.clone();
        more.retain(|(other, _)| *other != kind);
        more.push((kind, width));
        if taken(&more) + COMMAND > room {
            break;
        }
        chosen = more;
    }
    // On a very small screen, the first columns are the most important.
    while chosen.len() > 1 && taken(&chosen) + COMMAND / 2 > room {
        chosen.pop();
    }
    let rest = room.saturating_sub(taken(&chosen));
    chosen.push((Kind::Command, rest));
    let place = |kind: Kind| ORDER.iter().position(|other| *other == kind);
    chosen.sort_by_key(|(kind, _)| place(*kind));
    chosen.into_iter().map(|(kind, width)| Column { kind, width }).collect()
}

impl Column {
    /// Returns its title.
    pub(super) fn title(self) -> String {
        self.aligned(match self.kind {
            Kind::Status => "STATUS",
            Kind::Id => "ID",
            Kind::Name => "NAME",
            Kind::Time => "TIME",
            Kind::Exit => "EXIT",
            Kind::Cpu => "CPU",
            Kind::Memory => "MEMORY",
            Kind::Start => "START",
            Kind::Group => "GROUP",
            Kind::Caller => "CALLER",
            Kind::Command => "COMMAND",
        })
    }

    /// Returns the cell of a job, as wide as the column and with the gap after it.
    pub(super) fn cell(self, row: &JobRow, now: Timestamp) -> String {
        let shape = &row.shape;
        self.aligned(&match self.kind {
            Kind::Status => {
                let symbol = if row.needs_attention() { "!" } else { symbol(shape.status) };
                let left = if shape.stragglers_alive == Some(true) { "+" } else { "" };
                format!("{symbol} {}{left}", shape.status)
            }
            Kind::Id => shape.short_id.clone(),
            Kind::Name => shape.name.as_ref().map(ToString::to_string).unwrap_or_default(),
            Kind::Time => time(row, now).map(short_duration).unwrap_or_default(),
            Kind::Exit => ui::exit_word(shape),
            Kind::Cpu => row.cpu.map(|percent| format!("{percent}%")).unwrap_or_default(),
            Kind::Memory => row.memory.map(format_size).unwrap_or_default(),
            Kind::Start => row.when.clone(),
            Kind::Group => shape.group.as_ref().map(ToString::to_string).unwrap_or_default(),
            Kind::Caller => shape.caller.as_ref().map(ToString::to_string).unwrap_or_default(),
            Kind::Command => escape::one_line(&ui::what(shape, now)).into_owned(),
        })
    }

    fn aligned(self, text: &str) -> String {
        let text = fit(text, self.width);
        let blanks = " ".repeat(self.width.saturating_sub(width(&text)));
        let gap = if self.kind == Kind::Command { "" } else { " " };
        match self.kind {
            Kind::Time | Kind::Exit | Kind::Cpu | Kind::Memory => format!("{blanks}{text}{gap}"),
            _ => format!("{text}{blanks}{gap}"),
        }
    }
}

/// Returns how long a job has been running, or ran.
pub(super) fn time(row: &JobRow, now: Timestamp) -> Option<Duration> {
    match row.shape.started_at.filter(|_| row.moves()) {
        Some(started) => Some(Duration::try_from(now.duration_since(started)).unwrap_or_default()),
        None => row.shape.duration_ms.map(Duration::from_millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_take_exactly_the_available_width() {
        for room in 0..400 {
            let columns = columns(room, |_| true);
            let taken: usize = columns.iter().map(|column| column.width + GAP).sum::<usize>() - GAP;
            assert!(taken == room || room < 20, "{room}: {columns:?}");
            assert!(columns.iter().any(|column| column.kind == Kind::Command), "{room}");
        }
        let kinds = |room| columns(room, |_| true).len();
        assert!(kinds(80) < kinds(120) && kinds(120) < kinds(200));
    }
}

//! Drawing. All foreign text is drawn by [`put`], which writes nothing that a terminal would obey.

use jobcore::Status;
use jobcore::front::text::{fit, width};
use jobcore::output::Stream;
use jobcore::units::format_size;
use jobcore::words::counted;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Modifier, Style};

use super::areas::Areas;
use super::columns::{Kind, columns};
use super::keys::BINDINGS;
use super::messages::{Action, Arrangement, Entry, Which};
use super::row::Row;
use super::state::{For, Mode, State};
use super::theme::{Theme, symbol};

/// Draws the whole state.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme) {
    // The size of the terminal may have changed; the event for that follows.
    let areas = Areas::of(frame.area().width, frame.area().height, state.has_pane);
    let buffer = frame.buffer_mut();
    header(buffer, areas.header, state, theme);
    list(buffer, areas.titles, areas.list, state, theme);
    if !areas.pane.is_empty() {
        pane_title(buffer, areas.pane_title, state, theme);
        pane(buffer, areas.pane, state, theme);
    }
    let cursor = footer(buffer, areas.footer, state, theme);
    if let Mode::Help(first) = state.mode {
        help(buffer, Rect { y: 0, height: areas.footer.y, ..*buffer.area() }, first, theme);
    }
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// Draws a text from a column on, cut at the end of the row, and returns the column after it.
fn put(buffer: &mut Buffer, row: Rect, x: u16, text: &str, style: Style) -> u16 {
    let room = usize::from(row.right().saturating_sub(x));
    if room == 0 || row.height == 0 {
        return x;
    }
    let text = fit(text, room);
    buffer.set_stringn(x, row.y, &text, room, style);
    x.saturating_add(u16::try_from(width(&text)).unwrap_or(u16::MAX)).min(row.right())
}

/// Returns one row of an area.
fn row(area: Rect, number: u16) -> Rect {
    let height = u16::from(number < area.height);
    Rect { y: area.y.saturating_add(number), height, ..area }
}

fn header(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let first = row(area, 0);
    buffer.set_style(first, theme.bar());
    let project =
        state.project.file_name().map_or_else(|| state.project.to_string_lossy(), |name| name.to_string_lossy());
    let which = if state.is_of_project { format!("jobs of {project}") } else { "all jobs".to_owned() };
    let order = match state.arrangement {
        Arrangement::RunningFirst => "running first",
        Arrangement::Newest => "newest first",
        Arrangement::Tree => "by group",
    };
    let jobs_of = |entries: &[Entry]| entries.iter().filter(|entry| entry.job().is_some()).count();
    let shown = jobs_of(&state.entries);
    let place = jobs_of(&state.entries[..(state.selected + 1).min(state.entries.len())]);
    let more = if state.more { " or more" } else { "" };
    let right = match state.is_listed {
        true if shown > 0 => format!("{place} of {shown}{more} "),
        true => "none ".to_owned(),
        false => "reading ".to_owned(),
    };
    let right_at = first.right().saturating_sub(u16::try_from(width(&right)).unwrap_or(0)).max(first.x);
    let left = Rect { width: right_at.saturating_sub(first.x), ..first };
    let x = put(buffer, left, first.x, &format!(" {which}, {order}"), theme.bar().add_modifier(Modifier::BOLD));
    if !state.filter_text.is_empty() {
        put(buffer, left, x, &format!(", filter: {}", state.filter_text), theme.bar());
    }
    put(buffer, first, right_at, &right, theme.bar());
    figures(buffer, row(area, 1), state, theme);
}

fn figures(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let header = &state.header;
    let mut x = area.x + 1;
    let told = [Status::Running, Status::Paused, Status::Queued, Status::Failed, Status::TimedOut, Status::Orphaned];
    let others: u64 = header.counts.iter().filter(|(status, _)| !told.contains(status)).map(|(_, count)| count).sum();
    for status in told {
        if let Some(count) = header.counts.get(&status).filter(|count| **count > 0) {
            let text = format!("{} {count} {status}  ", symbol(status));
            x = put(buffer, area, x, &text, theme.status(status));
        }
    }
    if others > 0 {
        x = put(buffer, area, x, &format!("{}  ", counted(others, "other", "others")), theme.faint());
    }
    let slots = match header.slots {
        (in_use, 0) => format!("slots {in_use}"),
        (in_use, limit) => format!("slots {in_use}/{limit}"),
    };
    let load = header.load.map(|load| format!("  load {load:.2}")).unwrap_or_default();
    x = put(buffer, area, x, &format!("{slots}{load}  {}", format_size(header.bytes)), Style::new());
    if header.is_paused {
        put(buffer, area, x, "  the queue is paused", theme.attention());
    }
}

fn list(buffer: &mut Buffer, titles: Rect, area: Rect, state: &State, theme: Theme) {
    let seen = || state.details.values().filter_map(|row| if let Row::Job(row) = row { Some(row) } else { None });
    let has_any = |kind| match kind {
        Kind::Group => seen().any(|row| row.shape.group.is_some()),
        Kind::Caller => seen().any(|row| row.shape.caller.is_some()),
        _ => true,
    };
    // The first column is for marks.
    let columns = columns(usize::from(area.width).saturating_sub(1), has_any);
    let mut x = titles.x + 1;
    for column in &columns {
        x = put(buffer, titles, x, &column.title(), theme.title());
    }
    for (number, place) in (0..area.height).zip(state.first..) {
        let line = row(area, number);
        let Some(entry) = state.entries.get(place) else { break };
        let is_selected = place == state.selected;
        let (id, depth) = match entry {
            Entry::Group(title) => {
                put(buffer, line, line.x + 1, title, theme.title());
                continue;
            }
            Entry::Job { id, depth } => (*id, *depth),
        };
        let is_marked = state.marks.contains(&id);
        let mut x = put(buffer, line, line.x, if is_marked { "*" } else { " " }, theme.attention());
        match state.details.get(&id) {
            Some(Row::Job(job)) => {
                let has_ended = job.shape.status.is_final();
                for column in &columns {
                    let cell = column.cell(job, state.now);
                    let style = match column.kind {
                        Kind::Status if job.needs_attention() => theme.attention(),
                        Kind::Status => theme.status(job.shape.status),
                        Kind::Command if has_ended => theme.faint(),
                        _ => Style::new(),
                    };
                    if column.kind == Kind::Command && depth > 1 {
                        let deep = usize::from(depth.min(20) - 2) * 2;
                        x = put(buffer, line, x, &format!("{}└ ", " ".repeat(deep)), theme.faint());
                    }
                    x = put(buffer, line, x, &cell, style);
                }
            }
            Some(Row::Damaged(error)) => drop(put(buffer, line, x, &format!("{}  {error}", id.short()), theme.error())),
            None => drop(put(buffer, line, x, &id.short(), theme.faint())),
        }
        if is_selected {
            buffer.set_style(line, theme.selected(!state.is_in_pane));
        }
    }
    if state.is_listed && state.entries.is_empty() {
        let why = if state.filter_text.is_empty() { "no jobs; `jobcli run` starts one" } else { "no job matches" };
        put(buffer, row(area, 0), area.x + 1, why, theme.faint());
    }
}

fn pane_title(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let style = if state.is_in_pane { theme.bar() } else { Style::new().add_modifier(Modifier::UNDERLINED) };
    buffer.set_style(area, style);
    let Some(job) = state.current_row() else { return };
    let pane = &state.pane;
    let which = match pane.which {
        Which::Told if job.is_agent => "what the agent did",
        Which::Told | Which::Both => "output",
        Which::Only(Stream::Stdout) => "standard output",
        Which::Only(Stream::Stderr) => "standard error",
    };
    let follows = if pane.follows && !job.shape.status.is_final() { ", followed" } else { "" };
    let right = format!(" {which}{follows}, {} ", format_size(job.shape.output_bytes));
    let right_at = area.right().saturating_sub(u16::try_from(width(&right)).unwrap_or(0)).max(area.x);
    let why = job.shape.queued.as_ref().map(|queued| format!(": {queued}"));
    let waiting = job.shape.waiting_for_input.as_ref().map(|waiting| format!(": {waiting}"));
    let text = format!(" {}{}", job.summary, why.or(waiting).unwrap_or_default());
    put(
        buffer,
        Rect { width: right_at.saturating_sub(area.x), ..area },
        area.x,
        &text,
        style.add_modifier(Modifier::BOLD),
    );
    put(buffer, area, right_at, &right, style);
}

fn pane(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let pane = &state.pane;
    for (number, shown) in (0..area.height).zip(pane.rows()) {
        let line = row(area, number);
        let style = match shown.stream {
            Some(Stream::Stderr) => theme.stderr(),
            Some(Stream::Stdout) => Style::new(),
            None => theme.attention(),
        };
        // Without wrapping, `…` marks text that begins above or to the left.
        let x = if shown.is_torn && !pane.wraps { put(buffer, line, line.x, "…", theme.faint()) } else { line.x };
        put(buffer, line, x, shown.text, style);
        if shown.is_found {
            buffer.set_style(line, theme.selected(true));
        }
    }
    match (&pane.error, pane.is_empty()) {
        (Some(error), _) => {
            let line = row(area, area.height.saturating_sub(1));
            buffer.set_style(line, theme.bar());
            put(buffer, line, line.x, error, theme.bar());
        }
        (None, true) if pane.job.is_some() => drop(put(buffer, row(area, 0), area.x + 1, "no output", theme.faint())),
        (None, _) => {}
    }
}

/// Draws the last row, and returns the position of the cursor if a line is being typed.
fn footer(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) -> Option<Position> {
    match &state.mode {
        Mode::Confirm(action, ids) => {
            let what = match action {
                Action::Remove => "Remove",
                _ => "Stop",
            };
            let consequence = if *action == Action::Remove { ", with its output" } else { "" };
            let text = format!("{what} {}{consequence}? (y/n)", state.named(ids));
            put(buffer, area, area.x + 1, &text, theme.attention());
            None
        }
        Mode::Type(line, purpose) => {
            let asked = match purpose {
                For::Filter(_) => "filter (text, status: label: group: name: caller:)".to_owned(),
                For::Search => "search the output".to_owned(),
                For::Signal(ids) => format!("signal to {}", state.named(ids)),
                For::Input(ids) => format!("send to {}", state.named(ids)),
            };
            let x = put(
                buffer,
                area,
                area.x + 1,
                &format!("{}: ", fit(&asked, usize::from(area.width / 2))),
                theme.title(),
            );
            let (before, after) = line.halves();
            // The end of the typed text stays visible, however long the line is.
            let room = usize::from(area.right().saturating_sub(x)).saturating_sub(2);
            let mut start = 0;
            while width(&before[start..]) > room {
                start += before[start..].chars().next().map_or(1, char::len_utf8);
            }
            let cursor = put(buffer, area, x, &before[start..], Style::new());
            put(buffer, area, cursor, after, Style::new());
            let complaint = state.notice.as_ref().filter(|notice| notice.is_error);
            if let Some(notice) = complaint {
                put(buffer, area, cursor.saturating_add(3), &notice.text, theme.error());
            }
            (area.height > 0 && area.width > 0).then(|| Position::new(cursor.min(area.right() - 1), area.y))
        }
        Mode::Browse | Mode::Help(_) => {
            match &state.notice {
                Some(notice) => {
                    let style = if notice.is_error { theme.error() } else { theme.title() };
                    put(buffer, area, area.x + 1, &notice.text, style);
                }
                None => keys(buffer, area, state, theme),
            }
            None
        }
    }
}

/// Draws as many keys as fit.
fn keys(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let mut x = area.x + 1;
    if !state.marks.is_empty() {
        let marked = u64::try_from(state.marks.len()).unwrap_or(u64::MAX);
        x = put(buffer, area, x, &format!("{} marked  ", counted(marked, "job", "jobs")), theme.attention());
    }
    for binding in BINDINGS.iter().filter(|binding| !binding.short.is_empty()) {
        if !state.is_for_current(binding.command) {
            continue;
        }
        let needed = width(binding.shown) + 1 + width(binding.short) + 2;
        if usize::from(area.right().saturating_sub(x)) < needed {
            continue;
        }
        x = put(buffer, area, x, binding.shown, theme.title());
        x = put(buffer, area, x, &format!(" {}  ", binding.short), theme.faint());
    }
}

fn help(buffer: &mut Buffer, area: Rect, first: u16, theme: Theme) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            buffer[(x, y)].reset();
        }
    }
    let title = row(area, 0);
    buffer.set_style(title, theme.bar());
    put(buffer, title, title.x, " Keys (any other key closes this page)", theme.bar().add_modifier(Modifier::BOLD));
    let rows = area.height.saturating_sub(1);
    let last = u16::try_from(BINDINGS.len()).unwrap_or(u16::MAX).saturating_sub(rows);
    let shown = BINDINGS.iter().skip(usize::from(first.min(last)));
    for (number, binding) in (1..area.height).zip(shown) {
        let line = row(area, number);
        put(buffer, line, line.x + 2, binding.shown, theme.title());
        put(buffer, line, line.x + 10, binding.long, Style::new());
    }
}

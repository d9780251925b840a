//! Colours and symbols. Nothing is shown by colour alone.

use anstyle::AnsiColor;
use jobcore::Status;
use ratatui::style::{Color, Modifier, Style};

use crate::ui;

/// The styles of the view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    pub(super) has_colours: bool,
}

impl Theme {
    fn coloured(self, colour: Color) -> Style {
        if self.has_colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// Returns the style of a status.
    pub(super) fn status(self, status: Status) -> Style {
        let colour = ui::colour(status).map(|colour| match colour {
            AnsiColor::Yellow => Color::Yellow,
            AnsiColor::Blue => Color::Blue,
            AnsiColor::Green => Color::Green,
            AnsiColor::Red => Color::Red,
            AnsiColor::Magenta => Color::Magenta,
            _ => Color::Reset,
        });
        colour.map_or_else(Style::new, |colour| self.coloured(colour))
    }

    /// Returns the style of what needs attention.
    pub(super) fn attention(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of errors.
    pub(super) fn error(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Returns the style of standard error.
    pub(super) fn stderr(self) -> Style {
        self.coloured(Color::Red)
    }

    /// Returns the style of titles.
    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Returns the style of secondary text.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Returns the style of the selection, in the part of the screen that has the keys or in another.
    pub(super) fn selected(self, has_keys: bool) -> Style {
        match has_keys {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => Style::new().add_modifier(Modifier::UNDERLINED),
        }
    }

    /// Returns the style of a bar.
    pub(super) fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Returns what stands for a status, in one column.
pub(super) fn symbol(status: Status) -> &'static str {
    match status {
        Status::Queued => "·",
        Status::Running => "▶",
        Status::Paused => "‖",
        Status::Completed => "✓",
        Status::Failed => "✗",
        Status::Killed => "■",
        Status::TimedOut => "◷",
        Status::Orphaned => "?",
        Status::Skipped => "–",
        _ => " ",
    }
}

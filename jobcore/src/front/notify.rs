//! Notifications that are shown by the terminal.

use std::str::FromStr;

use crate::parse_error::ParseError;

/// The kind of notification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a sender has to handle each")]
pub enum Notify {
    /// `OSC 9`, a text: iTerm2, kitty, WezTerm, Ghostty, foot, Windows Terminal.
    #[default]
    Osc9,
    /// `OSC 777`, a title and a text: foot, Ghostty, kitty, rxvt-unicode, WezTerm, some builds of VTE.
    Osc777,
    /// The bell; multiplexers and window managers mark a window that rings it.
    Bell,
}

impl FromStr for Notify {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "osc9" => Ok(Self::Osc9),
            "osc777" => Ok(Self::Osc777),
            "bell" => Ok(Self::Bell),
            other => Err(ParseError::new(format!("`{other}` is not one of `osc9`, `osc777` and `bell`"))),
        }
    }
}

impl Notify {
    /// Returns the sequence for a text. The text cannot end the sequence or begin another one.
    pub fn sequence(self, text: &str) -> String {
        let text: String = text.chars().map(|c| if c.is_control() || c == ';' { ' ' } else { c }).collect();
        match self {
            Self::Osc9 => format!("\x1b]9;{text}\x1b\\"),
            Self::Osc777 => format!("\x1b]777;notify;jobcli;{text}\x1b\\"),
            Self::Bell => "\x07".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_the_sequence() {
        let sequence = |notify: Notify| notify.sequence("a\x1b\\b\x07c;d\u{9c}e");
        assert_eq!(sequence(Notify::Osc9), "\x1b]9;a \\b c d e\x1b\\");
        assert_eq!(sequence(Notify::Osc777), "\x1b]777;notify;jobcli;a \\b c d e\x1b\\");
        assert_eq!(sequence(Notify::Bell), "\x07");
    }
}

//! How a terminal is asked to notify whoever sits before it.

use std::str::FromStr;

use crate::parse_error::ParseError;

/// What a terminal is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever sends it has to know each")]
pub enum Notify {
    /// `OSC 9`, a text: iTerm2, kitty, WezTerm, Ghostty, foot, Windows Terminal.
    #[default]
    Osc9,
    /// `OSC 777`, a title and a text: foot, Ghostty, kitty, rxvt-unicode, WezTerm, some builds of VTE.
    Osc777,
    /// The bell, which multiplexers and window managers mark a window for.
    Bell,
}

impl FromStr for Notify {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "osc9" => Ok(Self::Osc9),
            "osc777" => Ok(Self::Osc777),
            "bell" => Ok(Self::Bell),
            other => Err(ParseError::new(format!("`{other}` is none of `osc9`, `osc777` and `bell`"))),
        }
    }
}

impl Notify {
    /// Returns what the terminal is sent for a text. Nothing in that ends the sequence or begins another.
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

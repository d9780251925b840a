//! Text from outside, made safe to show: a job's output, its name, its directory, text that was typed.
//!
//! A terminal obeys some characters instead of showing them: they move the cursor, change the title, or reverse the
//! direction of the text that follows. All text for people, and all JSON, goes through one of these functions.

use std::borrow::Cow;
use std::fmt::Write;

/// Returns whether a terminal or a line reader would obey this character instead of showing it: the control characters
/// (C0, DEL, C1), those that change the direction of text, and the separators of lines and paragraphs.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a text of any number of lines with every obeyed character escaped, as in `\u{1b}`. Line breaks and tabs
/// stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    replaced(text, |c, shown| match c {
        '\n' | '\t' => shown.push(c),
        c => shown.extend(c.escape_default()),
    })
}

/// Returns a text as one line: a line break becomes `⏎`, a tab becomes a blank, and every other obeyed character is
/// escaped, as in `\u{1b}`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    replaced(text, |c, shown| match c {
        '\n' => shown.push('⏎'),
        '\t' => shown.push(' '),
        c => shown.extend(c.escape_default()),
    })
}

/// Returns equivalent JSON without obeyed characters: a C1 control character becomes `\u009b`, for example. Line breaks
/// between its parts stay.
pub fn json(json: &str) -> Cow<'_, str> {
    replaced(json, |c, shown| match c {
        // In JSON these occur only between its parts, never within a string.
        '\n' | '\t' | '\r' => shown.push(c),
        // None of the others needs more than 16 bits. Writing to a String does not fail.
        c => drop(write!(shown, "\\u{:04x}", u32::from(c))),
    })
}

fn replaced(text: &str, replace: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_obeyed(c) {
            true => replace(c, &mut shown),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each kind: C0, DEL, C1, direction, separators.
    const HOSTILE: &str = "a\x1b]0;x\x07\r\x7f\u{9b}2J\u{61c}\u{200f}\u{202e}\u{2066}\u{2028}\u{2029}z";

    #[test]
    fn nothing_that_is_obeyed_is_left() {
        for shown in [lines(HOSTILE), one_line(HOSTILE), json(HOSTILE)] {
            assert!(!shown.chars().any(|c| is_obeyed(c) && c != '\r'), "{shown:?}");
        }
        assert_eq!(one_line("a\n\x1b[31mb\tc\r\u{202e}d"), r"a⏎\u{1b}[31mb c\r\u{202e}d");
        assert_eq!(lines("a\n\tb\x1bc\u{9b}"), "a\n\tb\\u{1b}c\\u{9b}");
    }

    #[test]
    fn harmless_text_is_unchanged() {
        for text in ["", "naïve 日本語 👩‍👩‍👧 ⏎", "שלום"] {
            assert!(matches!(one_line(text), Cow::Borrowed(_)));
            assert_eq!(one_line(text), text);
        }
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({ "text": HOSTILE, "more": [HOSTILE] });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = json(&text);
            assert!(!shown.chars().any(|c| is_obeyed(c) && c != '\n'), "{shown}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }
    }
}

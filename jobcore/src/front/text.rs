//! Printing text and JSON for people and programs.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;

use unicode_width::UnicodeWidthChar;

use super::{Failure, codes};
use crate::escape;
use crate::words::cut_by;

/// Prints a value, such as a job, as one line of JSON.
///
/// # Errors
/// If printing fails.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value).map_err(|error| Failure::new(codes::FAILED, error.to_string()))?;
    writeln!(std::io::stdout(), "{}", escape::json(&json))?;
    Ok(())
}

/// Returns a message without characters that a terminal would obey. Further lines are indented, so that they cannot be
/// taken for separate messages.
pub fn message(text: &str) -> String {
    escape::lines(text).replace('\n', "\n  ")
}

/// Prints the complaint of a command line parser in escaped form if the command line contains characters that a
/// terminal would obey, and returns whether it does. The parser repeats such words unchanged amid its own colours,
/// which are lost then.
pub fn print_if_hostile(complaint: impl Display) -> bool {
    let is_hostile = |word: OsString| word.to_string_lossy().chars().any(escape::is_obeyed);
    let is_any = std::env::args_os().any(is_hostile);
    if is_any {
        let _ = write!(std::io::stderr(), "{}", escape::lines(&complaint.to_string()));
    }
    is_any
}

/// Returns the width of a text in columns.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Returns a text as one line without characters that a terminal would obey, cut to a width.
pub fn fit(text: &str, columns: usize) -> String {
    cut_by(&escape::one_line(text), columns, columns_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_control_the_terminal() {
        assert_eq!(fit("a\n\x1b[31mb\tc", 99), "a⏎\\u{1b}[31mb c");
    }

    #[test]
    fn text_is_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("日本語日本語", 6), "日本…");
    }
}

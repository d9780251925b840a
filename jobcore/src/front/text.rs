//! Text and JSON on their way to a person or a program.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;

use unicode_width::UnicodeWidthChar;

use super::{Failure, codes};
use crate::escape;
use crate::words::cut_by;

/// Prints a job, or jobs, as one line of JSON.
///
/// # Errors
/// If it cannot be printed.
pub fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value).map_err(|error| Failure::new(codes::FAILED, error.to_string()))?;
    writeln!(std::io::stdout(), "{}", escape::json(&json))?;
    Ok(())
}

/// Returns a message in which nothing is obeyed by a terminal. If it has several lines, nobody can take the others for
/// messages of their own.
pub fn message(text: &str) -> String {
    escape::lines(text).replace('\n', "\n  ")
}

/// Prints what a parser has to say of the command line, if a terminal would obey some of that line, and returns whether it
/// would. The parser repeats words as they are, among colours of its own: then there are none.
pub fn print_if_hostile(complaint: impl Display) -> bool {
    let is_hostile = |word: OsString| word.to_string_lossy().chars().any(escape::is_obeyed);
    let is_any = std::env::args_os().any(is_hostile);
    if is_any {
        let _ = write!(std::io::stderr(), "{}", escape::lines(&complaint.to_string()));
    }
    is_any
}

/// Returns how many columns a text takes.
pub fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Returns a text in one line, in which nothing is obeyed by a terminal, and what is too wide is cut off.
pub fn fit(text: &str, columns: usize) -> String {
    cut_by(&escape::one_line(text), columns, columns_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_cannot_write_on_the_terminal() {
        assert_eq!(fit("a\n\x1b[31mb\tc", 99), "a⏎\\u{1b}[31mb c");
    }

    #[test]
    fn what_is_too_wide_is_cut_by_columns_not_by_bytes() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdefg", 6), "abcde…");
        assert_eq!(fit("日本語日本語", 6), "日本…");
    }
}

//! Examines a line or a command. Lines contain commands, and some commands run lines: this module connects the two.

use super::found::{Found, Looks};
use super::shells::Dialect;
use super::words::{Result, Value, Word};
use super::{parse, wrappers};

const LOOKS: Looks = Looks { line: parse::script, command: wrappers::look_into };

/// Returns what a shell line would run with these variables in its environment.
pub(super) fn line(line: &str, dialect: Dialect, given: &[(String, Value)]) -> Result<Found> {
    let mut found = Found::new(dialect, LOOKS);
    found.line(line, dialect)?;
    found.finish(given)
}

/// Returns what a program with these arguments would run with these variables in its environment.
pub(super) fn argv(argv: &[String], given: &[(String, Value)]) -> Result<Found> {
    let mut found = Found::new(Dialect::Bash, LOOKS);
    found.simple(argv.iter().map(|word| Word::literal(word)).collect())?;
    found.finish(given)
}

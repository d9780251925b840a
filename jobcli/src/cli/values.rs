//! Values of arguments, and their parsers.

use std::path::PathBuf;

use jobcore::clock::Timestamp;
use jobcore::queue::Resource;
use jobcore::spec::TerminalSize;

/// What a job reads on standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StdinFrom {
    /// Input that is sent to it later.
    Open,
    /// All of this program's standard input.
    Given,
    /// A file.
    File(PathBuf),
}

pub(crate) fn parse_stdin(text: &str) -> Result<StdinFrom, String> {
    Ok(match text {
        "open" => StdinFrom::Open,
        "-" => StdinFrom::Given,
        file => StdinFrom::File(file.into()),
    })
}

/// Parses an amount of a resource; the amount is 1 if none is given.
pub(crate) fn parse_resource(text: &str) -> Result<(Resource, u32), String> {
    let (name, amount) = text.split_once('=').unwrap_or((text, "1"));
    let amount = amount.parse().map_err(|_| format!("`{amount}` is not an amount; use a number, as in `gpu=2`"))?;
    Ok((name.parse().map_err(|error: jobcore::ParseError| error.to_string())?, amount))
}

/// A terminal for a job, with its size if given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal(pub Option<TerminalSize>);

pub(crate) fn parse_terminal(text: &str) -> Result<Terminal, String> {
    if text.is_empty() {
        return Ok(Terminal(None));
    }
    let size = text
        .split_once('x')
        .and_then(|(columns, rows)| Some(TerminalSize { columns: columns.parse().ok()?, rows: rows.parse().ok()? }));
    size.map(|size| Terminal(Some(size))).ok_or_else(|| format!("`{text}` is not a size; use for example `120x40`"))
}

/// A part of an output, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub from: u64,
    /// The byte after the last one, if given.
    pub to: Option<u64>,
}

pub(super) fn parse_range(text: &str) -> Result<ByteRange, String> {
    let refuse = || format!("`{text}` is not a range; use for example `1000..2000`, `..500` or `1000..`");
    let (from, to) = text.split_once("..").ok_or_else(refuse)?;
    let from = if from.is_empty() { 0 } else { from.parse().map_err(|_| refuse())? };
    let to = if to.is_empty() { None } else { Some(to.parse().map_err(|_| refuse())?) };
    match to {
        Some(to) if to < from => Err(format!("`{text}` ends before it begins")),
        _ => Ok(ByteRange { from, to }),
    }
}

/// Parses how much to print: a size that has room for the note on what is left out.
pub(super) fn parse_budget(text: &str) -> Result<u64, String> {
    let bytes = jobcore::units::parse_size(text)?;
    if bytes < 1024 { Err(format!("`{text}` is too small; use 1K or more")) } else { Ok(bytes) }
}

/// Parses a point in time, for all options that take one.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    jobcore::front::moment::parse(text)
}

/// Parses a point in time in the future.
pub(super) fn parse_coming(text: &str) -> Result<Timestamp, String> {
    jobcore::front::moment::parse_coming(text)
}

/// The number of an event, or a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventOrTime {
    /// The number.
    Number(u64),
    /// The time.
    Time(Timestamp),
}

pub(super) fn parse_event_or_time(text: &str) -> Result<EventOrTime, String> {
    match text.parse() {
        Ok(number) => Ok(EventOrTime::Number(number)),
        Err(_) => parse_time(text).map(EventOrTime::Time),
    }
}

pub(super) fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(format!("`{text}` has no name; write `NAME` or `NAME=VALUE`"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_labels() {
        assert_eq!(parse_range("5..9"), Ok(ByteRange { from: 5, to: Some(9) }));
        assert_eq!(parse_range(".."), Ok(ByteRange { from: 0, to: None }));
        for wrong in ["", "5", "a..b", "-1..2", "9..5"] {
            assert!(parse_range(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_label("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert!(parse_label("=x").is_err());
    }
}

//! The error that a CLI writes to standard error when it cannot start, or gives up.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::digest::Failure;
use super::event::AgentEvent;
use super::format::Format;
use super::words::{plain, squeezed};

/// The maximum length of the message, in characters.
const LONGEST: usize = 500;
/// How much of the end of standard error is read, in bytes.
const LOOKED_AT: usize = 64 << 10;
/// How most CLIs begin a line that reports an error.
const TELLING: [&str; 6] = ["error:", "error ", "fatal:", "panic", "unknown argument", "an unexpected"];
/// Lines that do not explain the end: hints, and unrelated messages. Traces are indented.
const BESIDES: [&str; 10] = [
    "warning",
    "usage:",
    "reading additional input",
    "ripgrep is not",
    "yolo mode",
    "for more information",
    "(node:",
    "(use `node",
    "options:",
    "[claude-code:",
];

/// A line of a log: `2026-11-21T08:52:12.545675Z ERROR codex_core::session: …`.
static LOGGED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\d{4}-\d\d-\d\d[T ]\S+\s+(?:ERROR|WARN|INFO|DEBUG|TRACE)\s+\S+:").expect("a valid pattern")
});

/// Returns the most informative line of standard error, at most 500 characters: the last line that reports an error, or
/// else the last one that is neither a warning nor a trace. For Gemini's JSON object, which is the only report of an
/// error with `-o json`, returns its message.
///
/// Lines that an agent logs while it works do not explain its end: if it `has_begun`, they are skipped.
///
/// Pass the end of standard error: at most 64 KiB of it are read.
pub fn last_words(stderr: &[u8], has_begun: bool) -> Option<Failure> {
    let text = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(LOOKED_AT)..]);
    if let Some(failure) = object(&text) {
        return Some(failure);
    }
    let clean = without_colours(&text);
    // Usage and options follow the line that reports what is wrong with them.
    let lines =
        || clean.lines().filter(|line| !line.starts_with([' ', '\t'])).map(|line| line.trim_end_matches(" {").trim());
    let is_word = |line: &&str| line.len() > 1 && !begins(line, &BESIDES) && !(has_begun && LOGGED.is_match(line));
    let words = || lines().filter(is_word);
    let telling = |line: &&str| begins(behind_time(line), &TELLING);
    words().rfind(telling).or_else(|| words().next_back()).map(|line| shortened(Failure::new(line)))
}

fn shortened(failure: Failure) -> Failure {
    Failure { message: squeezed(&failure.message, LONGEST), ..failure }
}

fn begins(line: &str, beginnings: &[&str]) -> bool {
    let line = line.to_lowercase();
    beginnings.iter().any(|beginning| line.starts_with(beginning))
}

/// Returns a log line without its leading time.
fn behind_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((first, rest)) if first.contains(':') && first.starts_with(|c: char| c.is_ascii_digit()) => {
            rest.trim_start()
        }
        _ => line,
    }
}

/// Returns the error in a JSON object in the last lines.
fn object(text: &str) -> Option<Failure> {
    let begin = text.rfind("\n{").map(|before| before + 1).or_else(|| text.starts_with('{').then_some(0))?;
    let value: Value = serde_json::from_str(text[begin..].trim_end()).ok()?;
    let result = Format::Gemini.events(&value).into_iter().find_map(|event| match event {
        AgentEvent::Result(result) => result.error,
        _ => None,
    });
    result.map(shortened).filter(|failure| !failure.message.is_empty())
}

fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        clean.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').get(1..).unwrap_or_default());
    }
    plain(&clean, clean.len())
}

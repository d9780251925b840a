//! What a CLI says on standard error when it cannot even begin, or gives up.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::digest::Failure;
use super::event::AgentEvent;
use super::format::Format;
use super::words::{plain, squeezed};

/// How long they are, in characters.
const LONGEST: usize = 500;
/// How much of the end of standard error is looked at, in bytes.
const LOOKED_AT: usize = 64 << 10;
/// What most CLIs begin a line with that says what went wrong.
const TELLING: [&str; 6] = ["error:", "error ", "fatal:", "panic", "unknown argument", "an unexpected"];
/// Lines that say nothing of why it ended: hints, and what was going on anyway. Traces are indented.
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

/// Returns the most telling line of what was written to standard error, at most 500 characters: a line that says that it
/// is an error, else the last that is neither a warning nor a trace. Of several errors, the last. Gemini's object in
/// JSON, the only word of an error there is with `-o json`, is told by its message.
///
/// What an agent logs while it works is no reason for its end: where it `has_begun`, such lines are passed over.
///
/// Give it the end of standard error: no more than 64 KiB of that are looked at.
pub fn last_words(stderr: &[u8], has_begun: bool) -> Option<Failure> {
    let text = String::from_utf8_lossy(&stderr[stderr.len().saturating_sub(LOOKED_AT)..]);
    if let Some(failure) = object(&text) {
        return Some(failure);
    }
    let clean = without_colours(&text);
    // Usage and options come below the line that says what is wrong with them.
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

/// Returns a line of a log without the time before it.
fn behind_time(line: &str) -> &str {
    match line.split_once(' ') {
        Some((first, rest)) if first.contains(':') && first.starts_with(|c: char| c.is_ascii_digit()) => {
            rest.trim_start()
        }
        _ => line,
    }
}

/// Returns what an object over the last lines says.
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

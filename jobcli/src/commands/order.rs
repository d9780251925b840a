//! Detects options of `run` after the command: they would become its arguments, and the job would start without them.

use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{Args, Command};
use jobcore::front::{Failure, codes};
use jobcore::words::quoted;

use super::Result;
use crate::cli::Run;

/// Options that so many programs have that they alone do not suggest a mistake.
const COMMON: [&str; 3] = ["json", "env", "spec"];

/// Refuses a command that ends with options of `run`, unless it follows `--`.
pub(super) fn check(words: &[OsString]) -> Result<()> {
    let line: Vec<_> = std::env::args_os().skip(1).collect();
    let before = line.len().checked_sub(words.len()).map_or(&[][..], |count| &line[..count]);
    match misplaced(words) {
        Some(start) if before.last().is_none_or(|word| word != "--") => Err(refusal(before, words, start)),
        _ => Ok(()),
    }
}

fn refusal(before: &[OsString], words: &[OsString], start: usize) -> Failure {
    let (command, options) = words.split_at(start);
    let typed = |words: &[&[OsString]]| {
        let words = words.iter().flat_map(|words| words.iter()).map(|word| quoted(&word.to_string_lossy()));
        words.fold("jobcli".to_owned(), |line, word| format!("{line} {word}"))
    };
    let first = options.first().map(|option| option.display().to_string()).unwrap_or_default();
    let message = format!("options go before the command, but `{first}` comes after it");
    let mut hint = format!("run `{}`", typed(&[before, options, command]));
    if !is_line(&words[0]) {
        let program = words[0].display();
        let literal = typed(&[before, &["--".into()], words]);
        hint = format!("{hint}; or, to pass it to `{program}`, `{literal}`");
    }
    Failure::new(codes::USAGE, message).with_hint(hint)
}

/// Returns the index of the word from which on there are only options of `run`. Short options, and those that many
/// programs have, count only after a shell line, which takes no arguments.
fn misplaced(words: &[OsString]) -> Option<usize> {
    let is_line = is_line(words.first()?);
    // What follows `--` belongs to the command.
    if words.iter().any(|word| word == "--") {
        return None;
    }
    (1..words.len()).find(|start| are_options(&words[*start..], is_line))
}

fn are_options(words: &[OsString], is_line: bool) -> bool {
    let begins = |word: &OsStr, prefix: &[u8]| word.as_encoded_bytes().starts_with(prefix);
    let is_short = |word: &OsString| begins(word, b"-") && !begins(word, b"--");
    if !begins(&words[0], b"-") || (!is_line && words.iter().any(is_short)) {
        return false;
    }
    let command = Run::augment_args(Command::new("run").no_binary_name(true));
    let names: Vec<_> = command.get_arguments().map(|argument| argument.get_id().to_string()).collect();
    let Ok(matches) = command.try_get_matches_from(words) else { return false };
    let is_given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
    let is_own = |name: &str| name != "command" && (is_line || !COMMON.contains(&name));
    !is_given("command") && names.iter().any(|name| is_own(name) && is_given(name))
}

/// Returns whether a word can only be a shell line.
fn is_line(word: &OsStr) -> bool {
    word.as_encoded_bytes().iter().any(|byte| byte.is_ascii_whitespace() || b"|&;<>()$`".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(words: &[&str]) -> Option<usize> {
        misplaced(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_of_run_at_the_end_of_a_command_are_detected() {
        for (words, expected) in [
            (&["echo hi", "--wait"][..], 1),
            (&["echo hi", "-w"], 1),
            (&["echo hi", "-fn", "web"], 1),
            (&["echo hi", "--json"], 1),
            (&["echo hi; exit 3", "--follow", "--name", "web"], 1),
            (&["make", "--follow"], 1),
            (&["make", "-j4", "--wait", "--json"], 2),
            (&["make", "--name=web", "--timeout", "5m"], 1),
            (&["make", "test", "--timeout", "1h 30m"], 2),
            (&["make", "--tty"], 1),
        ] {
            assert_eq!(start(words), Some(expected), "{words:?}");
        }
    }

    #[test]
    fn options_of_the_command_are_left_alone() {
        for words in [
            &[][..],
            &["make"],
            &["cargo", "test", "--release"],
            &["ls", "--help"],
            &["grep", "-n", "x"],
            &["tail", "-f"],
            &["npm", "ls", "--json"],
            &["docker", "run", "image", "--env", "A=1"],
            &["pytest", "--timeout", "60"],
            &["make", "--follow", "all"],
            &["echo", "--follow", "-x"],
            &["cargo", "run", "--", "--follow"],
            &["make", "--wait=x"],
            &["make", "--name"],
            &["make", "--name", "no name"],
            &["--wait"],
            &["echo hi", "x", "--help"],
        ] {
            assert_eq!(start(words), None, "{words:?}");
        }
    }
}

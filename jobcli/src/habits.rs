//! Habits from other tools: what can only mean one thing is understood, and the rest is answered with the right
//! command.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use jobcore::front::{Failure, codes};
use jobcore::stop::Signal;

/// Verbs of other tools, and what does the same here.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["exec", "spawn", "new", "create", "launch"], "`jobcli run COMMAND` starts a job"),
    (&["follow", "watch"], "`jobcli tail --follow ID` prints the output of a job while it runs"),
    (&["cat"], "`jobcli output ID` prints the output of a job"),
    (&["jobs", "queue"], "`jobcli list` lists jobs, and `jobcli top` shows them on the whole screen"),
    (&["info", "inspect", "describe"], "`jobcli show ID` shows a job"),
    (&["suspend"], "`jobcli pause ID` pauses a job"),
    (&["continue", "unpause", "bg"], "`jobcli resume ID` resumes a paused job"),
    (&["signal", "interrupt"], "`jobcli kill --signal INT ID` sends a signal to a job"),
    (&["fg"], "`jobcli attach ID` connects to the terminal of a job; `jobcli tail --follow ID` prints its output"),
    (&["write", "input", "type"], "`jobcli send ID TEXT` sends text to a job"),
    (&["clean", "clear"], "`jobcli prune` removes jobs that have ended"),
    (&["parallel", "limit"], "`jobcli config set max_running NUMBER` limits how many jobs run at a time"),
    (&["is-active"], "`jobcli status --active ID` exits with 0 if a job has not ended"),
];

/// Rewrites abbreviations such as `kill -9` and `tail -5` to the options that they stand for.
pub(crate) fn understood(line: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut line: Vec<_> = line.into_iter().collect();
    let Some(verb) = verb(&line) else { return line };
    let stands_for: fn(&str) -> Option<[String; 2]> = match line[verb].to_str() {
        Some("kill" | "stop") => signal,
        Some("tail") => lines,
        _ => return line,
    };
    let options = line.split_off(verb + 1);
    let end = options.iter().position(|word| word == "--").unwrap_or(options.len());
    let mut is_value = false;
    for (place, word) in options.into_iter().enumerate() {
        // The value of a one-letter option that takes a number.
        let was_value = std::mem::replace(&mut is_value, ["-A", "-B", "-C", "-n"].iter().any(|option| word == *option));
        let short = word.to_str().and_then(|word| word.strip_prefix('-')).filter(|_| place < end && !was_value);
        match short.and_then(stands_for) {
            Some(option) => line.extend(option.map(OsString::from)),
            None => line.push(word),
        }
    }
    line
}

/// Returns the index of the verb: the first word that is neither an option nor the value of one.
fn verb(line: &[OsString]) -> Option<usize> {
    let mut place = 1;
    loop {
        let word = line.get(place)?;
        match word.to_str() {
            Some("--store" | "--config") => place += 2,
            Some(word) if word.starts_with('-') => place += 1,
            _ => return Some(place),
        }
    }
}

fn signal(word: &str) -> Option<[String; 2]> {
    let signal: Signal = word.parse().ok()?;
    Some(match signal == Signal::KILL {
        // `-9` is meant to end the whole job at once, not to send one signal to one process.
        true => ["--grace".to_owned(), "0s".to_owned()],
        false => ["--signal".to_owned(), signal.to_string()],
    })
}

fn lines(word: &str) -> Option<[String; 2]> {
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| ["--lines".to_owned(), word.to_owned()])
}

/// Returns the error, with a hint, for a verb of another tool.
pub(crate) fn explanation(error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let (_, hint) = ELSEWHERE.iter().find(|(words, _)| words.contains(&word.as_str()))?;
    Some(Failure::new(codes::USAGE, format!("there is no verb `{word}`")).with_hint(*hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: &str) {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(understood(words(typed)), words(expected), "{typed}");
    }

    #[test]
    fn signals_and_numbers_of_lines_are_understood() {
        check("jobcli kill -9 web", "jobcli kill --grace 0s web");
        check("jobcli kill web -SIGKILL", "jobcli kill web --grace 0s");
        check("jobcli stop -TERM web", "jobcli stop --signal SIGTERM web");
        check("jobcli --store /s --config=c kill -hup a b", "jobcli --store /s --config=c kill --signal SIGHUP a b");
        check("jobcli tail -5 web", "jobcli tail --lines 5 web");
        check("jobcli tail -f -20 web", "jobcli tail -f --lines 20 web");
    }

    #[test]
    fn nothing_else_is_changed() {
        for line in [
            "jobcli",
            "jobcli --store kill",
            "jobcli kill -s HUP web",
            "jobcli kill -sHUP -lint web",
            "jobcli kill -- -9",
            "jobcli kill --signal=-1 web",
            "jobcli run kill -9 7",
            "jobcli run -- tail -5 file",
            "jobcli tail -n 5 web",
            "jobcli tail -- -5",
            "jobcli list -5",
        ] {
            check(line, line);
        }
    }

    #[test]
    fn no_word_of_another_tool_is_a_verb() {
        let command = crate::help::command();
        for word in ELSEWHERE.iter().flat_map(|(words, _)| *words) {
            assert!(command.find_subcommand(word).is_none(), "{word}");
        }
    }
}

//! Which commands may be submitted: a guard against accidents, not a sandbox.
//!
//! A policy looks at the words of a command before it runs, and cannot know what a permitted program does then.
//! `docs/policy.md` has the rules and their limits. Where there is no policy, nothing is parsed.

mod commands;
mod wrappers;

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::error::{Error, Result};
use crate::spec::{Command, JobSpec};
use commands::{Found, Simple, Word};

/// The shells whose lines the parser understands.
const SHELLS: [&str; 4] = ["bash", "sh", "dash", "ash"];

/// So much of a command is shown when it is refused, in characters.
const SHOWN: usize = 120;

/// Variables that change which program a permitted word starts, or what a shell does before its line. A `*` at the end
/// stands for any rest.
const POWERFUL_VARIABLES: [&str; 16] = [
    "PATH",
    "LD_*",
    "BASH_ENV",
    "BASH_FUNC_*",
    "ENV",
    "IFS",
    "PROMPT_COMMAND",
    "PS4",
    "SHELLOPTS",
    "BASHOPTS",
    "GIT_SSH*",
    "NODE_OPTIONS",
    "PERL5OPT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
];

/// Which commands may be submitted. The default permits all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Policy {
    /// If there are any, every simple command must match one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Pattern>,
    /// No simple command may match one, whatever is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Pattern>,
}

/// The words with which a command begins, such as `npm run *`: in each, `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Vec<String>);

/// Parses patterns that are separated by commas; none, if there is no text.
///
/// # Errors
/// Says which of them is wrong, and why.
pub fn parse_list(text: &str) -> Result<Vec<Pattern>, String> {
    text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(str::parse).collect()
}

/// Returns patterns as [`parse_list`] takes them.
pub fn list_text(patterns: &[Pattern]) -> String {
    patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(", ")
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // Whoever writes one of these expects a pattern to be a line of a shell, and would be let down.
        if let Some(wrong) = text.chars().find(|c| ";|&$`<>()'\"\\,\n".contains(*c)) {
            return Err(format!("`{text}`: a pattern is the first words of one command, and has no `{wrong}`"));
        }
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err("a pattern has at least one word".to_owned()) } else { Ok(Self(words)) }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Pattern {
    /// Returns whether the words of a command begin as this pattern does.
    fn matches(&self, command: &Simple, matches_program: impl Fn(&str, &Word) -> bool) -> bool {
        let (Some((program, rest)), Some(name)) = (self.0.split_first(), command.words.first()) else { return false };
        matches_program(program, name)
            && command.words.len() > rest.len()
            && rest.iter().zip(&command.words[1..]).all(|(pattern, word)| matches_word(pattern, word))
    }
}

/// A word whose value is known only when it runs is matched by what matches everything.
fn matches_word(pattern: &str, word: &Word) -> bool {
    pattern == "*" || (word.is_literal && WildMatch::new(pattern).matches(&word.text))
}

/// As it is written only: another program of that name, elsewhere, is another program.
fn allows_program(pattern: &str, name: &Word) -> bool {
    let is_elsewhere = name.text.contains('/') && !pattern.contains('/') && pattern != "*";
    name.is_literal && !is_elsewhere && WildMatch::new(pattern).matches(&name.text)
}

/// Wherever the program is.
fn denies_program(pattern: &str, name: &Word) -> bool {
    let pattern = WildMatch::new(pattern);
    pattern.matches(&name.text) || pattern.matches(base_name(&name.text))
}

fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

fn is_powerful(name: &str) -> bool {
    POWERFUL_VARIABLES.iter().any(|pattern| WildMatch::new(pattern).matches(name))
}

impl Policy {
    /// Allows what matches one of `allow`, or everything if there is none, and denies what matches one of `deny`.
    pub fn new(allow: Vec<Pattern>, deny: Vec<Pattern>) -> Self {
        Self { allow, deny }
    }

    /// Returns whether everything is permitted.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Checks every simple command that `spec` would run. Under a policy, what cannot be judged is not permitted.
    ///
    /// # Errors
    /// [`Error::Forbidden`]
    pub fn check(&self, spec: &JobSpec) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let shown = match &spec.command {
            Command::Shell(line) => shorten(line),
            Command::Argv(argv) => shorten(&argv.join(" ")),
        };
        let unjudged = |reason| Error::Forbidden { command: shown, reason };
        let found = match &spec.command {
            Command::Shell(line) => check_shell(spec.shell.as_deref()).and_then(|()| commands::of_line(line)),
            Command::Argv(argv) => commands::of_argv(argv),
        };
        self.judge(&found.map_err(unjudged)?)
    }

    fn judge(&self, found: &Found) -> Result<()> {
        let refuse =
            |command: &Simple, reason: String| Err(Error::Forbidden { command: shorten(&command.to_string()), reason });
        for command in &found.commands {
            if let Some(pattern) = self.deny.iter().find(|pattern| pattern.matches(command, denies_program)) {
                return refuse(command, format!("`{pattern}` is denied"));
            }
        }
        for command in &found.commands {
            if command.words.first().is_some_and(|name| !name.is_literal) {
                return refuse(command, "which program it runs is known only when it runs".to_owned());
            }
            if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches(command, allows_program)) {
                return refuse(command, format!("allowed are: {}", list_text(&self.allow)));
            }
        }
        match found.variables.iter().find(|name| is_powerful(name)) {
            Some(name) if !self.allow.is_empty() => Err(Error::Forbidden {
                command: format!("{name}=..."),
                reason: "this variable can change what the allowed commands run".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

fn check_shell(shell: Option<&Path>) -> Result<(), String> {
    let Some(name) = shell.map(|shell| shell.file_name().unwrap_or_default().to_string_lossy()) else { return Ok(()) };
    if SHELLS.contains(&&*name) {
        return Ok(());
    }
    Err(format!("lines for the shell `{name}` cannot be judged; those for {} can", SHELLS.join(", ")))
}

fn shorten(text: &str) -> String {
    let text = text.trim().replace(|c: char| c.is_control(), " ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;

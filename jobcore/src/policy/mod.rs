//! Restrictions on the commands that may be submitted: a guard against accidents, not a sandbox.
//!
//! A policy examines the words of a command before it runs, and cannot know what a permitted program does.
//! `docs/policy.md` has the rules and their limits. Without a policy, nothing is parsed.

// In the order in which to read them:
// - `words.rs`: the words of a command, and what is known about each
// - `found.rs`: what a line would run and set
// - `look.rs`: connects lines and commands, each of which may contain the other
// - `parse/`: parses a line like a shell
// - `wrappers.rs`, `builtins.rs`: commands that run other commands, and those of the shell
// - `shells.rs`, `variables.rs`: the known shells and variables
// - `corpus.txt`, `tests.rs`, `properties.rs`: lines of every kind

mod builtins;
mod found;
mod look;
mod parse;
mod shells;
mod variables;
mod words;
mod wrappers;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

use crate::environment::VariablePattern;
use crate::error::{Error, Result};
use crate::parse_error::ParseError;
use crate::spec::{Command, JobSpec, shell_words};
use found::Found;
use shells::Dialect;
use words::{Simple, Value, Word, base_name};

pub use variables::{HARMLESS_VARIABLES, POWERFUL_VARIABLES};

/// How much of a refused command is shown, in characters.
const SHOWN: usize = 120;

/// Restrictions on the commands that may be submitted. The default permits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Policy {
    /// If there are any, every simple command must match one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Pattern>,
    /// No simple command may match any of these, whatever is allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<Pattern>,
    /// Variables that may be set in addition to [`HARMLESS_VARIABLES`] and those in lower case when only some commands
    /// are allowed. A variable among [`POWERFUL_VARIABLES`] must be named in full.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_variables: Vec<VariablePattern>,
}

/// The words that a command begins with, such as `npm run *`: in each, `*` stands for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Vec<String>);

/// Parses patterns that are separated by commas. An empty text has none.
///
/// # Errors
/// Names the first wrong pattern, and says why.
pub fn parse_list<P: FromStr<Err = ParseError>>(text: &str) -> Result<Vec<P>, ParseError> {
    text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(str::parse).collect()
}

/// Returns patterns as accepted by [`parse_list`].
pub fn list_text<P: fmt::Display>(patterns: &[P]) -> String {
    patterns.iter().map(P::to_string).collect::<Vec<_>>().join(", ")
}

impl FromStr for Pattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // A pattern with one of these characters looks like a shell line, which it is not.
        if let Some(wrong) = text.chars().find(|c| ";|&$`<>()'\"\\,\n".contains(*c)) {
            let reason = format!("`{text}`: a pattern is the first words of one command and cannot contain `{wrong}`");
            return Err(ParseError::new(reason));
        }
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err(ParseError::new("a pattern needs at least one word")) } else { Ok(Self(words)) }
    }
}

impl TryFrom<String> for Pattern {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
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

/// A word whose value is known only when it runs is matched only by a pattern for everything.
fn matches_word(pattern: &str, word: &Word) -> bool {
    pattern == "*" || (word.is_literal && WildMatch::new(pattern).matches(&word.text))
}

/// Only exactly as written: a program with that name elsewhere is another program.
fn allows_program(pattern: &str, name: &Word) -> bool {
    let is_elsewhere = name.text.contains('/') && !pattern.contains('/') && pattern != "*";
    name.is_literal && !is_elsewhere && WildMatch::new(pattern).matches(&name.text)
}

/// Wherever the program is.
fn denies_program(pattern: &str, name: &Word) -> bool {
    let pattern = WildMatch::new(pattern);
    pattern.matches(&name.text) || pattern.matches(base_name(&name.text))
}

impl Policy {
    /// Allows commands that match one of `allow`, or all if there are none, and denies commands that match one of
    /// `deny`.
    pub fn new(allow: Vec<Pattern>, deny: Vec<Pattern>) -> Self {
        Self { allow, deny, allow_variables: Vec::new() }
    }

    /// Allows these variables to be set as well.
    #[must_use]
    pub fn with_variables(self, allow_variables: Vec<VariablePattern>) -> Self {
        Self { allow_variables, ..self }
    }

    /// Returns whether all commands are permitted, whatever the rules for variables are.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Returns whether there are no rules, not even for variables.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every simple command that `spec` would run, and every variable that it sets. Under a policy, a command
    /// that cannot be judged is not permitted. A spec without a shell is judged as one for bash; at submit, each has
    /// one.
    ///
    /// # Errors
    /// [`Error::Forbidden`] if the policy does not permit it.
    pub fn check(&self, spec: &JobSpec) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let shown = match &spec.command {
            Command::Shell(line) => shorten(line),
            Command::Argv(argv) => shorten(&argv.join(" ")),
        };
        let given: Vec<_> = spec.set_variables().map(|(name, value)| (name.into_owned(), Value::of(&value))).collect();
        let found = match &spec.command {
            Command::Shell(line) => {
                dialect(spec.shell.as_deref()).and_then(|dialect| look::line(line, dialect, &given))
            }
            Command::Argv(argv) => look::argv(argv, &given),
        };
        self.judge(&found.map_err(|reason| Error::Forbidden { command: shown, reason })?)
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
                return refuse(command, "its program is known only when it runs".to_owned());
            }
            if !self.allow.is_empty() && !self.allow.iter().any(|pattern| pattern.matches(command, allows_program)) {
                return refuse(command, format!("allowed commands: {}", list_text(&self.allow)));
            }
        }
        found.variables.iter().try_for_each(|name| self.judge_variable(name))
    }

    fn judge_variable(&self, name: &str) -> Result<()> {
        let reason = if variables::is_code(name) {
            "a shell runs the value of this variable"
        } else if !self.allow.is_empty() && !variables::may_be_set(name, &self.allow_variables) {
            "this variable could change what the allowed commands run; `policy.allow_variables` lists those that \
             may be set"
        } else {
            return Ok(());
        };
        Err(Error::Forbidden { command: shorten(&format!("{name}=...")), reason: reason.to_owned() })
    }
}

/// Returns how the shell of a job parses its line.
fn dialect(shell: Option<&str>) -> words::Result<Dialect> {
    let Some(shell) = shell else { return Ok(Dialect::Bash) };
    let words = shell_words(shell)?;
    shells::check(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn shorten(text: &str) -> String {
    let text = text.trim().replace(|c: char| c.is_control(), " ");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

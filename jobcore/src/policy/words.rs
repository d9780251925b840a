//! The words of a line or a command, and what is known about each before it runs.

use std::fmt;

/// The result of a check; the error is the reason why something is not permitted.
pub(super) type Result<T = ()> = std::result::Result<T, String>;

/// Returns the reason for refusing something that is not understood.
pub(super) fn unjudged(reason: impl fmt::Display) -> String {
    format!("it cannot be judged: {reason}")
}

pub(super) fn unreadable(name: &str, reason: &str) -> String {
    format!("it cannot be judged what `{name}` runs: {reason}")
}

/// What is known about the value of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// Nothing.
    Unknown,
    /// It is a name, a path or the like, in which a shell finds nothing to expand or to evaluate.
    Plain,
    /// It consists of digits.
    Number,
}

impl Value {
    pub(super) fn of(text: &str) -> Self {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Self::Number;
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./:@%+=,-".contains(c);
        if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
            Self::Plain
        } else {
            Self::Unknown
        }
    }
}

/// A word, without its quotes if its value is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The value if it is known, or else the source text.
    pub(super) text: String,
    /// Whether the value is known before the command runs.
    pub(super) is_literal: bool,
    /// Whether it is written without quotes and expansions.
    pub(super) is_bare: bool,
    /// Whether it can become several unknown words, or none.
    pub(super) splits: bool,
    /// The known beginning of the value.
    pub(super) start: String,
    /// The known end of the value.
    pub(super) end: String,
    /// What is known about the value if it is assigned to a variable.
    pub(super) value: Value,
}

impl Word {
    /// Creates a word that is completely known.
    pub(super) fn literal(text: &str) -> Self {
        let (value, text) = (Value::of(text), text.to_owned());
        Self { start: text.clone(), end: text.clone(), text, is_literal: true, is_bare: false, splits: false, value }
    }

    /// Returns this word for a program that replaces a part of it before it is used.
    pub(super) fn replaced(&self) -> Self {
        Self { is_literal: false, start: String::new(), end: String::new(), value: Value::Unknown, ..self.clone() }
    }

    /// Returns whether it may turn out to be this text.
    pub(super) fn could_be(&self, text: &str) -> bool {
        match self.is_literal {
            true => self.text == text,
            false => self.splits || (text.starts_with(&self.start) && text.ends_with(&self.end)),
        }
    }

    /// Returns whether it may turn out to be an option.
    pub(super) fn could_be_option(&self) -> bool {
        self.splits || self.start.starts_with('-') || (self.start.is_empty() && !self.is_literal)
    }

    /// Returns what is known about the value in `NAME=VALUE`.
    pub(super) fn value_after_equals(&self) -> Value {
        match self.text.split_once('=') {
            Some((_, value)) if self.is_literal => Value::of(value),
            _ => Value::Unknown,
        }
    }
}

/// A simple command: a program or a builtin, and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
}

impl fmt::Display for Simple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.words.iter().map(|word| word.text.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

/// Joins words to the line that a shell makes of them.
pub(super) fn literal_line(name: &str, words: &[Word]) -> Result<String> {
    if words.iter().any(|word| !word.is_literal) {
        return Err(unreadable(name, "its line is known only when it runs"));
    }
    Ok(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "))
}

/// Returns the file name of a program, wherever it is.
pub(super) fn base_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// Returns whether a file may be another name for the input of a program: `/dev/stdin`, however it is written.
pub(super) fn is_input(path: &str) -> bool {
    path.split('/').any(|part| ["dev", "proc"].contains(&part))
}

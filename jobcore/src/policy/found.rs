//! What a line or a command would run and set, as far as its words tell.

use std::collections::BTreeMap;
use std::fmt;

use super::parse::Reader;
use super::shells::Dialect;
use super::{variables, wrappers};

/// So many commands, substitutions and lines may be within each other.
const MAX_DEPTH: usize = 100;
/// So many lines, `sh -c` in `eval` and so on.
const MAX_LINES: usize = 10;

/// Why something is not permitted.
pub(super) type Result<T = ()> = std::result::Result<T, String>;

/// Returns the reason for a refusal of what is not understood.
pub(super) fn unjudged(reason: impl fmt::Display) -> String {
    format!("it cannot be judged: {reason}")
}

/// What is known of the value of a variable.
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
    /// The value, or else what is written.
    pub(super) text: String,
    /// Whether the value is known before it runs.
    pub(super) is_literal: bool,
    /// Whether it is written without any quotes and expansions.
    pub(super) is_bare: bool,
    /// Whether it can become several words, or none, of which nothing is known.
    pub(super) splits: bool,
    /// What the value is known to begin with.
    pub(super) start: String,
    /// What the value is known to end with.
    pub(super) end: String,
    /// What is known of the value as that of a variable.
    pub(super) value: Value,
}

impl Word {
    /// A word of which all is known.
    pub(super) fn literal(text: &str) -> Self {
        let (value, text) = (Value::of(text), text.to_owned());
        Self { start: text.clone(), end: text.clone(), text, is_literal: true, is_bare: false, splits: false, value }
    }

    /// Returns this word as one in which something is replaced before it is used.
    pub(super) fn replaced(&self) -> Self {
        Self { is_literal: false, start: String::new(), end: String::new(), value: Value::Unknown, ..self.clone() }
    }

    /// Returns whether it may turn out to be this.
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

    /// Returns what is known of the value in `NAME=VALUE`.
    pub(super) fn value_behind_equals(&self) -> Value {
        match self.text.split_once('=') {
            Some((_, value)) if self.is_literal => Value::of(value),
            _ => Value::Unknown,
        }
    }
}

/// A simple command: a program, or something of the shell, and its arguments.
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

/// What a line or a command would run and set.
#[derive(Debug)]
pub(super) struct Found {
    /// All simple commands, those that others run included.
    pub(super) commands: Vec<Simple>,
    /// The names of all variables that are set.
    pub(super) variables: Vec<String>,
    /// How the line that is looked at is read.
    pub(super) dialect: Dialect,
    /// The least that is known of the values of variables that are set, by the line or by the shell itself.
    values: BTreeMap<String, Value>,
    /// Variables of which a shell evaluates the value, and what has to be known of it.
    evaluated: Vec<(String, Value)>,
    /// Texts that commands read, as far as they are known.
    inputs: Vec<Option<String>>,
    /// Shells that read their commands.
    readers: Vec<(String, Dialect)>,
    depth: usize,
    lines: usize,
}

impl Found {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            commands: Vec::new(),
            variables: Vec::new(),
            dialect,
            values: BTreeMap::new(),
            evaluated: Vec::new(),
            inputs: Vec::new(),
            readers: Vec::new(),
            depth: 0,
            lines: 0,
        }
    }

    /// Returns what a shell line would run, with these variables in its environment.
    pub(super) fn of_line(line: &str, dialect: Dialect, given: &[(String, Value)]) -> Result<Self> {
        let mut found = Self::new(dialect);
        found.line(line, dialect)?;
        found.finish(given)
    }

    /// Returns what a program with these arguments would run, with these variables in its environment.
    pub(super) fn of_argv(argv: &[String], given: &[(String, Value)]) -> Result<Self> {
        let mut found = Self::new(Dialect::Bash);
        found.simple(argv.iter().map(|word| Word::literal(word)).collect())?;
        found.finish(given)
    }

    /// Looks through a shell line.
    pub(super) fn line(&mut self, line: &str, dialect: Dialect) -> Result {
        let outer = std::mem::replace(&mut self.dialect, dialect);
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(unjudged(format_args!("more than {MAX_LINES} lines are within each other")));
        }
        self.enter()?;
        Reader::new(self, line).script()?;
        self.leave();
        self.lines -= 1;
        self.dialect = outer;
        Ok(())
    }

    /// Goes one deeper into what is within each other.
    pub(super) fn enter(&mut self) -> Result {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(unjudged(format_args!("it is more than {MAX_DEPTH} deep")));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Takes down a simple command and those that it runs.
    pub(super) fn simple(&mut self, words: Vec<Word>) -> Result {
        if words.is_empty() {
            return Ok(());
        }
        self.enter()?;
        wrappers::look_into(&words, self)?;
        self.leave();
        self.commands.push(Simple { words });
        Ok(())
    }

    /// Takes down a variable that the line sets.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.fill(name, value);
        self.variables.push(name.to_owned());
    }

    /// Takes down a variable that the shell sets by itself.
    pub(super) fn fill(&mut self, name: &str, value: Value) {
        let known = self.values.entry(name.to_owned()).or_insert(value);
        *known = value.min(*known);
    }

    /// Takes down that the value of a variable is evaluated, which is safe if this is known of it.
    pub(super) fn evaluates(&mut self, name: &str, needed: Value) {
        self.evaluated.push((name.to_owned(), needed));
    }

    /// Takes down a text that a command reads.
    pub(super) fn input(&mut self, text: Option<String>) {
        self.inputs.push(text);
    }

    /// Takes down a shell that reads its commands.
    pub(super) fn reads_commands(&mut self, name: &str, dialect: Dialect) {
        let reader = (name.to_owned(), dialect);
        if !self.readers.contains(&reader) {
            self.readers.push(reader);
        }
    }

    /// Judges what depends on the line as a whole.
    fn finish(mut self, given: &[(String, Value)]) -> Result<Self> {
        for (name, value) in given {
            self.set(name, *value);
        }
        // Which command a text reaches cannot be known for sure (`exec <<E; sh`), so each may be read by each shell. Those may
        // have more texts and shells in them.
        let (mut readers, mut inputs) = (0, 0);
        while (readers, inputs) != (self.readers.len(), self.inputs.len()) {
            (readers, inputs) = (self.readers.len(), self.inputs.len());
            for (name, dialect) in self.readers.clone() {
                for text in self.inputs.clone() {
                    let Some(text) = text else {
                        return Err(format!(
                            "it cannot be judged what `{name}` runs: the text that it reads is known only then"
                        ));
                    };
                    self.line(&text, dialect)?;
                }
            }
            if self.inputs.len() > MAX_DEPTH {
                return Err(unjudged("it has too many here-documents for shells"));
            }
        }
        for (name, needed) in &self.evaluated {
            let known = self.values.get(name).copied();
            if known.is_some_and(|known| known < *needed) || variables::is_text_of_the_shell(name) {
                let what = if *needed == Value::Number { "a number" } else { "a plain word" };
                return Err(unjudged(format_args!(
                    "the shell evaluates the value of `{name}`, which is not known to be {what}"
                )));
            }
        }
        Ok(self)
    }
}

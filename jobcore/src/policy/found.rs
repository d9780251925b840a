//! What a line or a command would run and set, as far as its words tell.

use std::collections::BTreeMap;

use super::shells::Dialect;
use super::variables;
use super::words::{Result, Simple, Value, Word, unjudged};

/// So many commands, substitutions and lines may be within each other.
const MAX_DEPTH: usize = 100;
/// So many lines, `sh -c` in `eval` and so on.
const MAX_LINES: usize = 10;

/// How a line and a simple command are looked through, each of which may hold the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    pub(super) line: fn(&str, &mut Found) -> Result,
    pub(super) command: fn(&[Word], &mut Found) -> Result,
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
    looks: Looks,
    depth: usize,
    lines: usize,
}

impl Found {
    pub(super) fn new(dialect: Dialect, looks: Looks) -> Self {
        Self {
            commands: Vec::new(),
            variables: Vec::new(),
            dialect,
            values: BTreeMap::new(),
            evaluated: Vec::new(),
            inputs: Vec::new(),
            readers: Vec::new(),
            looks,
            depth: 0,
            lines: 0,
        }
    }

    /// Looks through a shell line.
    pub(super) fn line(&mut self, line: &str, dialect: Dialect) -> Result {
        let outer = std::mem::replace(&mut self.dialect, dialect);
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(unjudged(format_args!("more than {MAX_LINES} lines are within each other")));
        }
        self.enter()?;
        (self.looks.line)(line, self)?;
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
        (self.looks.command)(&words, self)?;
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
    pub(super) fn finish(mut self, given: &[(String, Value)]) -> Result<Self> {
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

//! The commands that a line or a command would run and the variables that it would set, as far as its words show.

use std::collections::BTreeMap;

use super::shells::Dialect;
use super::variables;
use super::words::{Result, Simple, Value, Word, unjudged};

/// The maximum nesting depth of commands, substitutions and lines.
const MAX_DEPTH: usize = 100;
/// The maximum nesting depth of lines, such as `sh -c` in `eval`.
const MAX_LINES: usize = 10;

/// The functions that examine a line and a simple command. Each may contain the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Looks {
    pub(super) line: fn(&str, &mut Found) -> Result,
    pub(super) command: fn(&[Word], &mut Found) -> Result,
}

/// What a line or a command would run and set.
#[derive(Debug)]
pub(super) struct Found {
    /// All simple commands, including those that others run.
    pub(super) commands: Vec<Simple>,
    /// The names of all variables that are set.
    pub(super) variables: Vec<String>,
    /// How the present line is parsed.
    pub(super) dialect: Dialect,
    /// The least that is known about the values of variables that are set, by the line or by the shell itself.
    values: BTreeMap<String, Value>,
    /// Variables whose values a shell evaluates, and what must be known about the values.
    evaluated: Vec<(String, Value)>,
    /// Texts that commands read, if they are known.
    inputs: Vec<Option<String>>,
    /// Shells that read their commands from their input.
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

    /// Examines a shell line.
    pub(super) fn line(&mut self, line: &str, dialect: Dialect) -> Result {
        let outer = std::mem::replace(&mut self.dialect, dialect);
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(unjudged(format_args!("more than {MAX_LINES} lines are nested")));
        }
        self.enter()?;
        (self.looks.line)(line, self)?;
        self.leave();
        self.lines -= 1;
        self.dialect = outer;
        Ok(())
    }

    /// Enters another level of nesting.
    pub(super) fn enter(&mut self) -> Result {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(unjudged(format_args!("it is nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Records a simple command and the commands that it runs.
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

    /// Records a variable that the line sets.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.fill(name, value);
        self.variables.push(name.to_owned());
    }

    /// Records a variable that the shell sets by itself.
    pub(super) fn fill(&mut self, name: &str, value: Value) {
        let known = self.values.entry(name.to_owned()).or_insert(value);
        *known = value.min(*known);
    }

    /// Records that the value of a variable is evaluated, which is safe if at least `needed` is known about it.
    pub(super) fn evaluates(&mut self, name: &str, needed: Value) {
        self.evaluated.push((name.to_owned(), needed));
    }

    /// Records a text that a command reads.
    pub(super) fn input(&mut self, text: Option<String>) {
        self.inputs.push(text);
    }

    /// Records a shell that reads its commands from its input.
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
        // It is not certain which command a text reaches (`exec <<E; sh`), so each text may be read by each shell. The
        // texts may contain further texts and shells.
        let (mut readers, mut inputs) = (0, 0);
        while (readers, inputs) != (self.readers.len(), self.inputs.len()) {
            (readers, inputs) = (self.readers.len(), self.inputs.len());
            for (name, dialect) in self.readers.clone() {
                for text in self.inputs.clone() {
                    let Some(text) = text else {
                        return Err(format!(
                            "it cannot be judged what `{name}` runs: the text that it reads is known only when it runs"
                        ));
                    };
                    self.line(&text, dialect)?;
                }
            }
            if self.inputs.len() > MAX_DEPTH {
                return Err(unjudged("there are too many here-documents for shells"));
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

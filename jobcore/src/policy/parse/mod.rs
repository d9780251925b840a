//! Parses a line like a shell, and records what it would run.
//!
//! The language is what bash and dash have in common, plus the common extensions of bash. It is parsed by one strict
//! grammar, in which each character has one meaning: anything that a shell might read in another way, or that is not
//! known here, is an error and never skipped. A list of commands is examined wherever the shell would run one.

// In the order in which to read them:
// - `grammar.rs`: lists, pipelines and commands
// - `word.rs`, `expansion.rs`: words, and the expansions in them
// - `redirection.rs`: redirections and here-documents
// - `condition.rs`, `arithmetic.rs`: what bash evaluates

mod arithmetic;
mod condition;
mod expansion;
mod grammar;
mod redirection;
mod word;

use super::found::Found;
use super::shells::Dialect;
use super::words::{Result, unjudged};

pub(super) use arithmetic::evaluate;

/// Parses a whole text as a list of commands.
pub(super) fn script(text: &str, found: &mut Found) -> Result {
    Reader::new(found, text).script()
}

/// Reads one text: a line, the contents of backticks, or a here-document.
struct Reader<'a> {
    found: &'a mut Found,
    text: Vec<char>,
    at: usize,
    /// Here-documents that begin after this line.
    pending: Vec<HereDocument>,
    /// Whether a here-document of an enclosing list begins after this line.
    is_outer_pending: bool,
}

/// A here-document whose text has not been read yet.
struct HereDocument {
    delimiter: String,
    strips_tabs: bool,
    is_quoted: bool,
}

/// Characters that end a word.
fn is_meta(c: char) -> bool {
    " \t\n;&|()<>".contains(c)
}

impl<'a> Reader<'a> {
    fn new(found: &'a mut Found, text: &str) -> Self {
        Self { found, text: text.chars().collect(), at: 0, pending: Vec::new(), is_outer_pending: false }
    }

    /// Parses the whole text as a list of commands.
    fn script(&mut self) -> Result {
        self.list()?;
        if self.peek().is_some() {
            return Err(self.unexpected());
        }
        match self.pending.is_empty() {
            true => Ok(()),
            false => Err(unjudged("a here-document has no end")),
        }
    }

    fn is_posix(&self) -> bool {
        self.found.dialect == Dialect::Posix
    }

    /// Refuses a feature of bash in a line for `sh`.
    fn only_in_bash(&self, what: &str) -> Result {
        match self.is_posix() {
            true => Err(unjudged(format_args!("shells named `sh` read `{what}` in different ways"))),
            false => Ok(()),
        }
    }

    fn unexpected(&mut self) -> String {
        match self.peek() {
            None => unjudged("it ends too early"),
            Some(c) => unjudged(format_args!("`{}` is not expected here", c.escape_debug())),
        }
    }

    /// Returns the next character. Continued lines are joined.
    fn peek(&mut self) -> Option<char> {
        while self.text[self.at..].starts_with(&['\\', '\n']) {
            self.at += 2;
        }
        self.text.get(self.at).copied()
    }

    /// Consumes the next character if it is this one.
    fn eat(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += usize::from(is_next);
        is_next
    }

    /// Consumes the next characters if they are these.
    fn eat_all(&mut self, text: &str) -> bool {
        let at = self.at;
        let is_next = text.chars().all(|c| self.eat(c));
        if !is_next {
            self.at = at;
        }
        is_next
    }

    fn starts_with(&mut self, text: &str) -> bool {
        let at = self.at;
        let is_next = self.eat_all(text);
        self.at = at;
        is_next
    }

    fn expect(&mut self, text: &str) -> Result {
        if self.eat_all(text) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Consumes the next character verbatim, within something that must be closed.
    fn raw(&mut self) -> Result<char> {
        let Some(c) = self.text.get(self.at).copied() else { return Err(unjudged("a quote or a bracket has no end")) };
        self.at += 1;
        if c == '\n' {
            self.cross_line()?;
        }
        Ok(c)
    }

    /// Refuses a line break if shells could begin a here-document there or later.
    fn cross_line(&self) -> Result {
        match self.pending.is_empty() && !self.is_outer_pending {
            true => Ok(()),
            false => Err(unjudged("a line break within the line of a here-document")),
        }
    }

    /// Skips blanks and a comment.
    fn blanks(&mut self) {
        while self.eat(' ') || self.eat('\t') {}
        if self.peek() == Some('#') {
            while self.text.get(self.at).is_some_and(|c| *c != '\n') {
                self.at += 1;
            }
        }
    }

    /// Skips line breaks and blanks.
    fn newlines(&mut self) -> Result {
        self.blanks();
        while self.peek() == Some('\n') {
            if self.is_outer_pending {
                return self.cross_line();
            }
            self.at += 1;
            self.here_documents()?;
            self.blanks();
        }
        Ok(())
    }

    /// Reads a name, which may be empty.
    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek()
            && (c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && !name.is_empty()))
        {
            name.push(c);
            self.at += 1;
        }
        name
    }

    /// Reads a list in parentheses, after the opening one.
    fn parenthesized(&mut self) -> Result {
        let pending = std::mem::take(&mut self.pending);
        let outer = self.is_outer_pending;
        self.is_outer_pending |= !pending.is_empty();
        self.list()?;
        self.expect(")")?;
        if !self.pending.is_empty() {
            return Err(unjudged("a here-document begins after the end of its command"));
        }
        (self.pending, self.is_outer_pending) = (pending, outer);
        Ok(())
    }

    /// Reads a nested construct.
    fn inner<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.found.enter()?;
        let read = read(self)?;
        self.found.leave();
        Ok(read)
    }
}

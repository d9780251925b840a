//! Words: their quotes and expansions.

use super::super::variables::is_name;
use super::super::words::{Result, Value, Word, unjudged};
use super::{Reader, evaluate, is_meta};

/// The position of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// At the beginning of a command.
    Command,
    /// Among the arguments, and elsewhere.
    Argument,
    /// After a command that sets the variables that it names.
    Declaration,
    /// As the value of a variable, which is always one word.
    Value,
    /// In a condition, where a word is not split either.
    Condition,
}

/// The quotes around a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Double,
    /// In a here-document, where quotes are ordinary characters.
    Here,
}

/// A word that is being read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    /// The text before the first unknown part.
    start: Option<String>,
    /// The text after the last unknown part.
    end: String,
    is_quoted: bool,
    splits: bool,
    /// Whether an unknown part may be something other than a number.
    has_text: bool,
}

impl Draft {
    pub(super) fn known(&mut self, c: char) {
        self.text.push(c);
        self.end.push(c);
    }

    /// Adds a part that is known only when the command runs.
    pub(super) fn unknown(&mut self, splits: bool) {
        self.number();
        self.splits |= splits;
        self.has_text = true;
    }

    /// Adds a part that is known to be a number.
    pub(super) fn number(&mut self) {
        self.start.get_or_insert_with(|| self.text.clone());
        self.end.clear();
    }

    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.start.is_none() && !self.is_quoted
    }

    fn is_bare(&self) -> bool {
        self.start.is_none() && !self.is_quoted
    }

    /// Returns the word that was written as `source`.
    pub(super) fn finish(self, source: String) -> Word {
        let (is_literal, is_bare) = (self.start.is_none(), self.is_bare());
        let value = match is_literal || (!self.has_text && self.text.is_empty()) {
            true if is_literal => Value::of(&self.text),
            true => Value::Number,
            false => Value::Unknown,
        };
        let text = if is_literal { self.text } else { source };
        let start = self.start.unwrap_or_else(|| text.clone());
        Word { text, is_literal, is_bare, splits: self.splits, start, end: self.end, value }
    }
}

impl Reader<'_> {
    /// Reads a word, if there is one.
    pub(super) fn word(&mut self, place: Place) -> Result<Option<Word>> {
        let from = self.at;
        let mut draft = Draft::default();
        let keeps_whole = matches!(place, Place::Value | Place::Condition);
        while let Some(c) = self.peek() {
            let is_first = draft.is_empty();
            match c {
                '<' | '>' if self.starts_with("<(") || self.starts_with(">(") => self.process(&mut draft)?,
                '(' if place == Place::Declaration && is_array_next(&draft) => {
                    self.array()?;
                    draft.unknown(false);
                }
                c if is_meta(c) => break,
                '#' if is_first => return Err(unjudged("`#` where a word should begin")),
                '\'' | '"' | '\\' | '$' | '`' => {
                    let splits = draft.splits;
                    self.special(c, &mut draft)?;
                    // The value of a variable is one word; that of `export` is one in bash.
                    if keeps_whole || (place == Place::Declaration && is_assignment(&draft)) {
                        draft.splits = splits;
                    }
                }
                c => {
                    self.at += 1;
                    let is_whole = |reader: &mut Self| is_first && reader.peek().is_none_or(is_meta);
                    let is_itself = match c {
                        '~' => !(draft.text.is_empty() || draft.text.ends_with([':', '='])),
                        '*' | '?' => place == Place::Value,
                        // Alone, it is a command.
                        '[' => place == Place::Value || is_whole(self),
                        '{' => keeps_whole || self.peek() == Some('}') || is_whole(self),
                        _ => true,
                    };
                    if is_itself {
                        draft.known(c);
                    } else {
                        draft.unknown(c == '{');
                        draft.text.push(c);
                    }
                }
            }
        }
        if draft.is_empty() {
            return Ok(None);
        }
        Ok(Some(draft.finish(self.source(from))))
    }

    pub(super) fn source(&self, from: usize) -> String {
        self.text[from..self.at].iter().collect()
    }

    /// Reads quotes, or a construct that begins with a character that is special within double quotes as well.
    fn special(&mut self, c: char, draft: &mut Draft) -> Result {
        self.at += 1;
        match c {
            '\'' => {
                draft.is_quoted = true;
                self.single(draft)
            }
            '"' => {
                draft.is_quoted = true;
                self.double(draft)
            }
            '\\' => {
                draft.is_quoted = true;
                draft.known(self.raw()?);
                Ok(())
            }
            '`' => self.inner(|reader| reader.backticks(draft, Quotes::None)),
            _ => self.inner(|reader| reader.dollar(draft, Quotes::None)),
        }
    }

    fn single(&mut self, draft: &mut Draft) -> Result {
        loop {
            match self.raw()? {
                '\'' => return Ok(()),
                c => draft.known(c),
            }
        }
    }

    pub(super) fn double(&mut self, draft: &mut Draft) -> Result {
        loop {
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => self.double_quoted(draft, Quotes::Double)?,
            }
        }
    }

    /// Reads a here-document in which the shell expands.
    pub(super) fn here_text(&mut self) -> Result {
        let mut draft = Draft::default();
        while self.peek().is_some() {
            self.double_quoted(&mut draft, Quotes::Here)?;
        }
        Ok(())
    }

    /// Reads one part of a text in double quotes.
    fn double_quoted(&mut self, draft: &mut Draft, quotes: Quotes) -> Result {
        match self.raw()? {
            // Verbatim: an escaped backslash does not continue a line.
            '\\' => match self.text.get(self.at).copied() {
                Some(c) if "$`\\".contains(c) || (c == '"' && quotes == Quotes::Double) => {
                    self.at += 1;
                    draft.known(c);
                }
                _ => draft.known('\\'),
            },
            '`' => return self.inner(|reader| reader.backticks(draft, quotes)),
            '$' => return self.inner(|reader| reader.dollar(draft, quotes)),
            c => draft.known(c),
        }
        Ok(())
    }

    /// Reads `$'...'`, after its first quote.
    pub(super) fn ansi(&mut self, draft: &mut Draft) -> Result {
        draft.is_quoted = true;
        loop {
            match self.raw()? {
                '\'' => return Ok(()),
                '\\' => match self.raw()? {
                    'n' => draft.known('\n'),
                    't' => draft.known('\t'),
                    c @ ('\\' | '\'' | '"' | '?') => draft.known(c),
                    // A number or a control character.
                    _ => draft.unknown(false),
                },
                c => draft.known(c),
            }
        }
    }

    /// Reads an assignment at the beginning of a command, if there is one.
    pub(super) fn assignment(&mut self, place: Place) -> Result<bool> {
        if place != Place::Command {
            return Ok(false);
        }
        let at = self.at;
        let name = self.name();
        if name.is_empty() || !self.peek().is_some_and(|c| "=+[".contains(c)) {
            self.at = at;
            return Ok(false);
        }
        let is_element = self.eat('[');
        if is_element {
            self.only_in_bash("NAME[")?;
            self.subscript()?;
        }
        let adds = self.eat('+');
        if !self.eat('=') {
            if is_element {
                return Err(unjudged("a subscript without a value"));
            }
            self.at = at;
            return Ok(false);
        }
        if adds {
            self.only_in_bash("+=")?;
        }
        let value = match self.peek() {
            Some('(') => {
                self.only_in_bash("=(")?;
                self.array()?
            }
            Some(c) if !is_meta(c) && c != '#' => self.word(Place::Value)?.map_or(Value::Unknown, |word| word.value),
            Some('#') => {
                self.at += 1;
                self.word(Place::Value)?;
                Value::Unknown
            }
            _ => Value::Plain,
        };
        self.found.set(&name, value);
        Ok(true)
    }

    /// Reads the elements of an array, and returns what is known about all of them.
    fn array(&mut self) -> Result<Value> {
        self.expect("(")?;
        let mut value = Value::Number;
        loop {
            while self.eat(' ') || self.eat('\t') || self.peek() == Some('\n') {
                if self.peek() == Some('\n') {
                    self.raw()?;
                }
            }
            if self.eat(')') {
                return if self.peek().is_none_or(is_meta) { Ok(value) } else { Err(self.unexpected()) };
            }
            if self.peek() == Some('[') {
                return Err(unjudged("an element of an array with a subscript"));
            }
            match self.inner(|reader| reader.word(Place::Argument))? {
                Some(word) => value = value.min(word.value),
                None => return Err(self.unexpected()),
            }
        }
    }

    /// Reads a subscript, after its bracket.
    pub(super) fn subscript(&mut self) -> Result {
        if self.eat_all("@]") || self.eat_all("*]") {
            return Ok(());
        }
        let mut expression = String::new();
        loop {
            match self.raw()? {
                ']' => return evaluate(&expression, self.found),
                c => expression.push(c),
            }
        }
    }
}

fn is_array_next(draft: &Draft) -> bool {
    draft.is_bare() && draft.text.strip_suffix('=').is_some_and(is_name)
}

/// Returns whether the word sets a variable.
fn is_assignment(draft: &Draft) -> bool {
    let text = draft.start.as_ref().unwrap_or(&draft.text);
    text.split_once('=').is_some_and(|(name, _)| is_name(name))
}

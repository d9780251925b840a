//! Expansions: everything that begins with `$` or a backtick.

use super::super::words::{Result, Value, unjudged};
use super::word::{Draft, Quotes};
use super::{Reader, evaluate};

impl Reader<'_> {
    /// Reads an expansion, after its `$`.
    pub(super) fn dollar(&mut self, draft: &mut Draft, quotes: Quotes) -> Result {
        let is_open = quotes == Quotes::None;
        match self.peek() {
            Some('(') => {
                self.at += 1;
                if self.eat('(') {
                    let expression = self.balanced(false)?;
                    if !self.eat(')') {
                        return Err(unjudged("put a blank between `(` and `(` of a nested list"));
                    }
                    evaluate(&expression, self.found)?;
                    draft.number();
                } else {
                    self.parenthesized()?;
                    draft.unknown(is_open);
                }
            }
            Some('{') => {
                self.at += 1;
                self.braces(draft, quotes)?;
            }
            Some('[') => return Err(unjudged("`$[` is arithmetic in some shells; write `$((...))`")),
            Some('\'') if is_open => {
                self.only_in_bash("$'")?;
                self.at += 1;
                self.ansi(draft)?;
            }
            Some('"') if is_open => {
                self.only_in_bash("$\"")?;
                self.at += 1;
                // It may be replaced by a translation.
                draft.unknown(false);
                self.double(draft)?;
                draft.unknown(false);
            }
            Some('#' | '?' | '$' | '!') => {
                self.at += 1;
                draft.number();
            }
            Some('-' | '0'..='9') => {
                self.at += 1;
                draft.unknown(is_open);
            }
            Some(c @ ('@' | '*')) => {
                self.at += 1;
                draft.unknown(is_open || c == '@');
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                self.name();
                draft.unknown(is_open);
            }
            _ => draft.known('$'),
        }
        Ok(())
    }

    /// Reads `${...}`, after its brace.
    fn braces(&mut self, draft: &mut Draft, quotes: Quotes) -> Result {
        let mut splits = quotes == Quotes::None;
        let refuse = |what: &str| Err(unjudged(format_args!("`${{{what}`")));
        if self.eat('#') {
            // A length, or `$#` itself.
            let at = self.at;
            if !self.eat('}') {
                self.parameter()?;
                if !self.eat('}') {
                    self.at = at;
                    return refuse("#...}");
                }
            }
            draft.number();
            return Ok(());
        }
        let is_indirect = self.eat('!');
        if is_indirect && self.eat('}') {
            draft.unknown(splits);
            return Ok(());
        }
        if is_indirect {
            self.only_in_bash("${!")?;
        }
        let (name, is_all) = self.parameter()?;
        splits |= is_all;
        if is_indirect {
            let names_only = is_all || self.eat('*') || self.eat('@');
            if !self.eat('}') {
                return refuse("!...}");
            }
            if !names_only {
                // The value is a name, possibly with a subscript.
                self.found.evaluates(&name, Value::Plain);
            }
            draft.unknown(true);
            return Ok(());
        }
        match self.peek() {
            Some('}') => self.at += 1,
            Some(':') => {
                self.at += 1;
                match self.peek() {
                    Some('-' | '=' | '+' | '?') => self.alternative(&name, quotes)?,
                    _ => {
                        self.only_in_bash("${NAME:")?;
                        self.substring()?;
                    }
                }
            }
            Some('-' | '=' | '+' | '?') => self.alternative(&name, quotes)?,
            Some('#' | '%') => {
                self.at += 1;
                self.brace_word(quotes)?;
            }
            Some('/' | '^' | ',') => {
                self.only_in_bash("${NAME/")?;
                self.at += 1;
                self.brace_word(quotes)?;
            }
            Some('@') => {
                self.only_in_bash("${NAME@")?;
                self.at += 1;
                // `@P` runs the commands in the value.
                if !self.peek().is_some_and(|c| "QUuLEAKak".contains(c)) {
                    return refuse("...@...}");
                }
                self.at += 1;
                self.expect("}")?;
            }
            _ => return refuse("...}"),
        }
        draft.unknown(splits);
        Ok(())
    }

    /// Reads the name of a parameter with its subscript, and returns whether it stands for many values.
    fn parameter(&mut self) -> Result<(String, bool)> {
        if let Some(c) = self.peek().filter(|c| "@*?-$!".contains(*c)) {
            self.at += 1;
            return Ok((c.to_string(), c == '@'));
        }
        let mut name = self.name();
        while name.bytes().all(|byte| byte.is_ascii_digit())
            && let Some(c) = self.peek().filter(char::is_ascii_digit)
        {
            name.push(c);
            self.at += 1;
        }
        if name.is_empty() {
            return Err(unjudged("the parameter in `${` is not known"));
        }
        if !self.eat('[') {
            return Ok((name, false));
        }
        self.only_in_bash("${NAME[")?;
        let is_all = self.starts_with("@]");
        self.subscript()?;
        Ok((name, is_all))
    }

    /// Reads an alternative to the value, which may also be assigned.
    fn alternative(&mut self, name: &str, quotes: Quotes) -> Result {
        let is_set = self.eat('=');
        self.at += usize::from(!is_set);
        let from = self.at;
        self.brace_word(quotes)?;
        if is_set {
            let text: String = self.text[from..self.at - 1].iter().collect();
            self.found.set(name, Value::of(&text));
        }
        Ok(())
    }

    fn substring(&mut self) -> Result {
        let mut expression = String::new();
        loop {
            match self.raw()? {
                '}' => return evaluate(&expression, self.found),
                c => expression.push(c),
            }
        }
    }

    /// Reads a word up to the brace that closes the expansion.
    fn brace_word(&mut self, quotes: Quotes) -> Result {
        let mut draft = Draft::default();
        loop {
            let Some(c) = self.peek() else { return Err(self.unexpected()) };
            match c {
                '\'' | '"' if quotes == Quotes::Here => return Err(unjudged("a quote in `${...}` of a here-document")),
                '\'' if quotes == Quotes::Double => {
                    return Err(unjudged(
                        "a single quote in `${...}` in double quotes, which shells read in different ways",
                    ));
                }
                '"' if quotes == Quotes::Double => self.only_in_bash("\" in \"${...}\"")?,
                '<' | '>' if self.starts_with("<(") || self.starts_with(">(") => {
                    return Err(unjudged("a process substitution in `${...}`"));
                }
                _ => {}
            }
            if c == '}' {
                self.at += 1;
                return Ok(());
            }
            self.raw()?;
            match c {
                '\'' => while self.raw()? != '\'' {},
                '"' => self.double(&mut draft)?,
                '\\' => drop(self.raw()?),
                '`' => self.inner(|reader| reader.backticks(&mut draft, quotes))?,
                '$' => self.inner(|reader| reader.dollar(&mut draft, quotes))?,
                _ => {}
            }
        }
    }

    /// Reads a command in backticks, after the first one. It ends at the next backtick without a backslash, regardless
    /// of quotes, and one level of backslashes is removed before it is parsed as a line of its own.
    pub(super) fn backticks(&mut self, draft: &mut Draft, quotes: Quotes) -> Result {
        let mut line = String::new();
        loop {
            match self.raw()? {
                '`' => break,
                '\\' => match self.raw()? {
                    c @ ('`' | '\\' | '$') => line.push(c),
                    '"' if quotes == Quotes::Double => line.push('"'),
                    '"' if quotes == Quotes::Here => {
                        return Err(unjudged("`\\\"` in backticks of a here-document"));
                    }
                    '\n' => {}
                    c => line.extend(['\\', c]),
                },
                c => line.push(c),
            }
        }
        Reader::new(self.found, &line).script()?;
        draft.unknown(quotes == Quotes::None);
        Ok(())
    }

    /// Reads a process substitution.
    pub(super) fn process(&mut self, draft: &mut Draft) -> Result {
        self.only_in_bash("<(")?;
        self.at += 2;
        self.inner(Self::parenthesized)?;
        draft.unknown(false);
        Ok(())
    }
}

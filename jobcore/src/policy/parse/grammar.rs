//! Lists, pipelines and commands.

use super::super::builtins::is_declaration;
use super::super::variables::is_name;
use super::super::words::{Result, Value, Word, unjudged};
use super::word::Place;
use super::{Reader, evaluate, is_meta};

/// Words with a meaning at the beginning of a command.
const RESERVED: [&str; 22] = [
    "!", "[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "select",
    "then", "time", "until", "while", "{", "}", "]]",
];
/// Words that end a list.
const CLOSING: [&str; 8] = ["do", "done", "elif", "else", "esac", "fi", "then", "}"];
/// Words that only bash has.
const OF_BASH: [&str; 5] = ["[[", "coproc", "function", "select", "]]"];

impl Reader<'_> {
    /// Reads commands up to the end of the list.
    pub(super) fn list(&mut self) -> Result {
        loop {
            self.newlines()?;
            if self.is_end() {
                return Ok(());
            }
            self.and_or()?;
            self.blanks();
            if self.is_end() || self.peek() == Some('\n') {
                continue;
            }
            if !self.eat(';') && !self.eat('&') {
                return Err(self.unexpected());
            }
        }
    }

    fn is_end(&mut self) -> bool {
        matches!(self.peek(), None | Some(')'))
            || self.starts_with(";;")
            || self.starts_with(";&")
            || self.reserved().is_some_and(|word| CLOSING.contains(&word))
    }

    /// Reads a list that must contain a command.
    fn body(&mut self) -> Result {
        self.newlines()?;
        if self.is_end() { Err(self.unexpected()) } else { self.list() }
    }

    fn and_or(&mut self) -> Result {
        loop {
            self.pipeline()?;
            self.blanks();
            if !self.eat_all("&&") && !self.eat_all("||") {
                return Ok(());
            }
            self.newlines()?;
        }
    }

    fn pipeline(&mut self) -> Result {
        loop {
            self.blanks();
            while self.take("!") {
                self.blanks();
            }
            if !self.is_posix() && self.take("time") {
                self.blanks();
                while self.eat_all("-p ") || self.eat_all("-- ") {
                    self.blanks();
                }
                if self.peek() == Some('-') {
                    return Err(unjudged("an option of `time`, which may be the keyword or the program"));
                }
                while self.take("!") {
                    self.blanks();
                }
                if self.is_end() || self.peek().is_some_and(|c| ";&|\n".contains(c)) {
                    return Ok(());
                }
            }
            self.inner(Self::command)?;
            self.blanks();
            if self.starts_with("||") || !self.eat('|') {
                return Ok(());
            }
            if self.eat('&') {
                self.only_in_bash("|&")?;
            }
            self.newlines()?;
        }
    }

    /// Returns the next reserved word, without consuming it.
    fn reserved(&mut self) -> Option<&'static str> {
        let at = self.at;
        let mut word = String::new();
        while let Some(c) = self.peek().filter(|c| !is_meta(*c))
            && word.len() < 10
        {
            word.push(c);
            self.at += 1;
        }
        let reserved = RESERVED.into_iter().find(|reserved| *reserved == word);
        let is_whole = self.peek().is_none_or(is_meta);
        self.at = at;
        reserved.filter(|_| is_whole)
    }

    /// Consumes a reserved word.
    fn take(&mut self, word: &str) -> bool {
        self.reserved() == Some(word) && self.eat_all(word)
    }

    fn command(&mut self) -> Result {
        let Some(word) = self.reserved() else {
            if self.peek() != Some('(') {
                return self.simple();
            }
            self.parentheses()?;
            return self.redirections();
        };
        if OF_BASH.contains(&word) {
            self.only_in_bash(word)?;
        }
        if word == "time" {
            return self.simple();
        }
        if CLOSING.contains(&word) || ["in", "]]", "!"].contains(&word) {
            return Err(self.unexpected());
        }
        self.expect(word)?;
        match word {
            "{" => {
                self.body()?;
                self.keyword("}")?;
            }
            "if" => self.condition_and_bodies()?,
            "while" | "until" => {
                self.body()?;
                self.keyword("do")?;
                self.body()?;
                self.keyword("done")?;
            }
            "for" => self.for_loop()?,
            "select" => {
                self.loop_over_words()?;
                self.found.fill("REPLY", Value::Unknown);
            }
            "case" => self.case()?,
            "[[" => self.condition()?,
            "function" => {
                self.blanks();
                self.function_name()?;
                self.blanks();
                if self.eat('(') {
                    self.blanks();
                    self.expect(")")?;
                }
                return self.function_body();
            }
            _ => {
                // `coproc`: a name after it would be read as another command, or is not understood.
                self.blanks();
                return self.inner(Self::command);
            }
        }
        self.redirections()
    }

    fn keyword(&mut self, word: &str) -> Result {
        self.blanks();
        if self.take(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn condition_and_bodies(&mut self) -> Result {
        loop {
            self.body()?;
            self.keyword("then")?;
            self.body()?;
            if self.take("elif") {
                continue;
            }
            if self.take("else") {
                self.body()?;
            }
            return self.keyword("fi");
        }
    }

    /// Reads a list in parentheses, or arithmetic in double parentheses.
    fn parentheses(&mut self) -> Result {
        self.expect("(")?;
        if self.peek() == Some('(') {
            self.only_in_bash("((")?;
            let at = self.at;
            self.at += 1;
            let expression = self.balanced(false)?;
            if self.eat(')') {
                return evaluate(&expression, self.found);
            }
            // Two nested lists, which bash reads in the same way.
            self.at = at;
        }
        self.newlines()?;
        if self.peek() == Some(')') {
            return Err(self.unexpected());
        }
        self.parenthesized()
    }

    fn for_loop(&mut self) -> Result {
        self.blanks();
        if !self.starts_with("((") {
            return self.loop_over_words();
        }
        self.only_in_bash("for ((")?;
        self.expect("((")?;
        let parts = self.balanced(true)?;
        self.expect(")")?;
        if parts.matches(';').count() != 2 {
            return Err(unjudged("`for ((` needs three expressions"));
        }
        parts.split(';').try_for_each(|part| evaluate(part, self.found))?;
        self.blanks();
        self.eat(';');
        self.loop_body()
    }

    fn loop_over_words(&mut self) -> Result {
        self.blanks();
        let name = self.name();
        if !is_name(&name) || self.peek().is_some_and(|c| !is_meta(c)) {
            return Err(unjudged("the variable of a loop needs a plain name"));
        }
        self.newlines()?;
        if self.take("in") {
            let mut value = Value::Number;
            loop {
                self.blanks();
                let Some(read) = self.word(Place::Argument)? else { break };
                value = value.min(if is_range(&read.text) { Value::Number } else { read.value });
            }
            self.found.set(&name, value);
            if self.peek() != Some('\n') {
                self.expect(";")?;
            }
        } else {
            self.found.set(&name, Value::Unknown);
            self.eat(';');
        }
        self.loop_body()
    }

    fn loop_body(&mut self) -> Result {
        self.newlines()?;
        if self.take("do") {
            self.body()?;
            return self.keyword("done");
        }
        self.only_in_bash("for ...; {")?;
        self.keyword("{")?;
        self.body()?;
        self.keyword("}")
    }

    fn case(&mut self) -> Result {
        self.blanks();
        if self.word(Place::Argument)?.is_none() {
            return Err(self.unexpected());
        }
        self.newlines()?;
        self.keyword("in")?;
        loop {
            self.newlines()?;
            if self.take("esac") {
                return Ok(());
            }
            self.eat('(');
            loop {
                self.blanks();
                let pattern = self.word(Place::Argument)?;
                if pattern.is_none_or(|word| word.is_bare && word.text == "esac") {
                    return Err(unjudged("a pattern of `case` is not understood"));
                }
                self.blanks();
                if self.starts_with("||") || !self.eat('|') {
                    break;
                }
            }
            self.expect(")")?;
            self.list()?;
            if self.eat_all(";&") || self.eat_all(";;&") {
                self.only_in_bash(";&")?;
            } else if !self.eat_all(";;") {
                return self.keyword("esac");
            }
        }
    }

    fn function_name(&mut self) -> Result {
        let at = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c)) {
            self.at += 1;
        }
        if at == self.at || self.peek().is_some_and(|c| !is_meta(c)) { Err(self.unexpected()) } else { Ok(()) }
    }

    fn function_body(&mut self) -> Result {
        self.newlines()?;
        let is_compound = self.peek() == Some('(')
            || self
                .reserved()
                .is_some_and(|word| ["{", "[[", "case", "for", "if", "select", "until", "while"].contains(&word));
        if is_compound { self.inner(Self::command) } else { Err(self.unexpected()) }
    }

    fn redirections(&mut self) -> Result {
        loop {
            self.blanks();
            let at = self.at;
            while self.peek().is_some_and(|c| c.is_ascii_digit()) {
                self.at += 1;
            }
            if !self.redirection()? {
                self.at = at;
                return Ok(());
            }
        }
    }

    fn simple(&mut self) -> Result {
        let mut words: Vec<Word> = Vec::new();
        let (mut is_first, mut has_any) = (true, false);
        loop {
            self.blanks();
            if self.redirection()? {
                (is_first, has_any) = (false, true);
                continue;
            }
            let place = match words.first() {
                None => Place::Command,
                Some(first) if first.is_bare && is_declaration(&first.text) && !self.is_posix() => Place::Declaration,
                Some(_) => Place::Argument,
            };
            let (before, assigned) = (self.at, self.assignment(place)?);
            if assigned {
                (is_first, has_any) = (false, true);
                continue;
            }
            let Some(word) = self.word(place)? else { break };
            has_any = true;
            if word.is_bare && self.peek().is_some_and(|c| "<>".contains(c)) {
                if word.text.bytes().all(|byte| byte.is_ascii_digit()) {
                    if word.text.len() > 1 {
                        self.only_in_bash(&format!("{}>", word.text))?;
                    }
                    is_first = false;
                    continue;
                }
                if word.text.starts_with('{') {
                    return Err(unjudged("a redirection that sets a variable"));
                }
            }
            if is_first && word.is_bare {
                let end = self.at;
                self.blanks();
                if self.peek() == Some('(') {
                    return self.function(before, end);
                }
            }
            is_first = false;
            words.push(word);
        }
        if !has_any {
            return Err(self.unexpected());
        }
        if words.first().is_some_and(|first| first.is_bare && first.text == "time")
            && words.iter().skip(1).any(|word| RESERVED.contains(&word.text.as_str()))
        {
            self.only_in_bash("time")?;
        }
        self.found.simple(words)
    }

    /// Reads a function whose name has been read and whose parentheses come next.
    fn function(&mut self, name: usize, end: usize) -> Result {
        let behind = self.at;
        self.at = name;
        self.function_name()?;
        if self.at != end {
            return Err(self.unexpected());
        }
        self.at = behind;
        self.expect("(")?;
        self.blanks();
        self.expect(")")?;
        self.function_body()
    }
}

/// Returns whether this is a range of numbers, such as `{1..5}`.
fn is_range(text: &str) -> bool {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or_default();
    let parts: Vec<_> = inner.split("..").collect();
    matches!(parts.len(), 2 | 3) && parts.iter().all(|part| Value::of(part) == Value::Number)
}

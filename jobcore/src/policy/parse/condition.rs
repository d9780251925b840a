//! Conditions of bash, `[[ ... ]]`.

use super::super::variables::is_name;
use super::super::words::{Result, Value, Word, unjudged};
use super::word::Place;
use super::{Reader, evaluate};

const UNARY: &str = "abcdefghknoprstuvwxzGLNORS";
const BINARY: [&str; 9] = ["=", "==", "!=", "=~", "-ef", "-nt", "-ot", "<", ">"];
/// Operators that evaluate both operands as arithmetic.
const ARITHMETIC: [&str; 6] = ["-eq", "-ne", "-lt", "-le", "-gt", "-ge"];

impl Reader<'_> {
    /// Reads a condition, after the opening brackets.
    pub(super) fn condition(&mut self) -> Result {
        self.alternatives()?;
        match self.operand()? {
            word if word.is_bare && word.text == "]]" => Ok(()),
            _ => Err(unjudged("a condition is not understood")),
        }
    }

    fn alternatives(&mut self) -> Result {
        loop {
            self.primary()?;
            self.condition_blanks()?;
            if !self.eat_all("&&") && !self.eat_all("||") {
                return Ok(());
            }
        }
    }

    fn condition_blanks(&mut self) -> Result {
        while self.eat(' ') || self.eat('\t') || self.peek() == Some('\n') {
            if self.peek() == Some('\n') {
                self.raw()?;
            }
        }
        Ok(())
    }

    fn primary(&mut self) -> Result {
        self.condition_blanks()?;
        if self.eat('(') {
            self.inner(Self::alternatives)?;
            self.condition_blanks()?;
            return self.expect(")");
        }
        let first = self.operand()?;
        if first.is_bare && first.text == "!" {
            return self.inner(Self::primary);
        }
        if first.is_bare && first.text == "]]" {
            return Err(unjudged("a condition is not understood"));
        }
        if let Some(operator) = first.text.strip_prefix('-')
            && first.is_bare
            && operator.len() == 1
            && UNARY.contains(operator)
        {
            let operand = self.value()?;
            return match operator {
                "v" | "R" if !(operand.is_literal && is_name(&operand.text)) => {
                    Err(unjudged(format_args!("it is not known which variable `-{operator}` tests")))
                }
                _ => Ok(()),
            };
        }
        let at = self.at;
        self.condition_blanks()?;
        let operator = match self.peek() {
            Some(c @ ('<' | '>')) if !self.starts_with("<(") && !self.starts_with(">(") => {
                self.at += 1;
                c.to_string()
            }
            Some('&' | '|' | ')') => return Ok(()),
            _ => self.operand()?.text,
        };
        if operator == "]]" {
            self.at = at;
            return Ok(());
        }
        if operator == "=~" {
            self.found.fill("BASH_REMATCH", Value::Unknown);
            return self.regex();
        }
        if ARITHMETIC.contains(&operator.as_str()) {
            let second = self.value()?;
            return [first, second].iter().try_for_each(|word| self.number(word));
        }
        if !BINARY.contains(&operator.as_str()) {
            return Err(unjudged(format_args!("`{operator}` in a condition")));
        }
        self.value().map(drop)
    }

    /// Reads a word of a condition, which may also be its end or an operator.
    fn operand(&mut self) -> Result<Word> {
        while self.eat(' ') || self.eat('\t') {}
        match self.word(Place::Condition)? {
            Some(word) => Ok(word),
            None => Err(self.unexpected()),
        }
    }

    /// Reads a word that is not the end of the condition.
    fn value(&mut self) -> Result<Word> {
        let word = self.operand()?;
        if word.is_bare && word.text == "]]" {
            return Err(unjudged("a condition is not understood"));
        }
        Ok(word)
    }

    /// Judges a word that is evaluated as arithmetic.
    fn number(&mut self, word: &Word) -> Result {
        let text = word.text.as_str();
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        evaluate(inner, self.found)
            .map_err(|reason| format!("{reason}; `[ ... ]` compares numbers without evaluating them"))
    }

    /// Reads a regular expression, in which parentheses and `|` are ordinary characters.
    fn regex(&mut self) -> Result {
        while self.eat(' ') || self.eat('\t') {}
        let mut open = 0_usize;
        let start = self.at;
        loop {
            let is_part = self.word(Place::Condition)?.is_some();
            match self.peek() {
                Some('(') => open += 1,
                Some(')') if open > 0 => open -= 1,
                Some('|') if !self.starts_with("||") || open > 0 => {}
                Some(' ' | '\t' | '\n' | '&' | ')') if open == 0 && (is_part || self.at > start) => return Ok(()),
                _ => return Err(unjudged("a regular expression is not understood")),
            }
            self.at += 1;
        }
    }
}

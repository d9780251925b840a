//! Redirections and here-documents.

use super::super::words::{Result, unjudged};
use super::word::Place;
use super::{HereDocument, Reader, is_meta};

impl Reader<'_> {
    /// Reads a redirection if one comes next.
    pub(super) fn redirection(&mut self) -> Result<bool> {
        if self.starts_with("<(") || self.starts_with(">(") {
            return Ok(false);
        }
        if self.eat_all("<<<") {
            self.only_in_bash("<<<")?;
            while self.eat(' ') || self.eat('\t') {}
            let Some(word) = self.word(Place::Argument)? else { return Err(self.unexpected()) };
            self.found.input(word.is_literal.then_some(word.text));
            return Ok(true);
        }
        if self.eat_all("<<") {
            self.here_delimiter()?;
            return Ok(true);
        }
        if self.eat_all("&>") {
            self.only_in_bash("&>")?;
            self.eat('>');
        } else if self.eat('<') {
            let _ = self.eat('&') || self.eat('>');
        } else if self.eat('>') {
            let _ = self.eat('>') || self.eat('|') || self.eat('&');
        } else {
            return Ok(false);
        }
        while self.eat(' ') || self.eat('\t') {}
        match self.word(Place::Argument)? {
            Some(_) => Ok(true),
            None => Err(self.unexpected()),
        }
    }

    /// Reads the delimiter of a here-document: a plain word, which may be quoted as a whole.
    fn here_delimiter(&mut self) -> Result {
        let strips_tabs = self.eat('-');
        while self.eat(' ') || self.eat('\t') {}
        let quote = self.peek().filter(|c| "'\"\\".contains(*c));
        self.at += usize::from(quote.is_some());
        let mut delimiter = String::new();
        while let Some(c) = self.peek()
            && (c.is_ascii_alphanumeric() || "_-.+%@,".contains(c))
        {
            delimiter.push(c);
            self.at += 1;
        }
        if let Some(quote @ ('\'' | '"')) = quote {
            self.expect(&quote.to_string())?;
        }
        if delimiter.is_empty() || self.peek().is_some_and(|c| !is_meta(c)) {
            return Err(unjudged("the delimiter of a here-document needs to be a plain word"));
        }
        self.pending.push(HereDocument { delimiter, strips_tabs, is_quoted: quote.is_some() });
        Ok(())
    }

    /// Reads the here-documents that begin here.
    pub(super) fn here_documents(&mut self) -> Result {
        for document in std::mem::take(&mut self.pending) {
            let mut body = String::new();
            loop {
                let Some(line) = self.here_line(document.is_quoted)? else {
                    return Err(unjudged("a here-document has no end"));
                };
                let line = if document.strips_tabs { line.trim_start_matches('\t') } else { &line };
                if line == document.delimiter {
                    break;
                }
                body.push_str(line);
                body.push('\n');
            }
            if document.is_quoted {
                self.found.input(Some(body));
                continue;
            }
            self.found.input((!body.contains(['$', '`', '\\'])).then(|| body.clone()));
            self.inner(|reader| Reader::new(reader.found, &body).here_text())?;
        }
        Ok(())
    }

    /// Reads a line of a here-document. If it is not quoted, continued lines are joined.
    fn here_line(&mut self, is_quoted: bool) -> Result<Option<String>> {
        if self.at >= self.text.len() {
            return Ok(None);
        }
        let mut line = String::new();
        while let Some(c) = self.text.get(self.at).copied() {
            self.at += 1;
            match c {
                '\n' => break,
                '\\' if !is_quoted => match self.text.get(self.at).copied() {
                    Some('\n') => {
                        self.only_in_bash("\\ at the end of a line of a here-document")?;
                        self.at += 1;
                    }
                    Some(next) => {
                        line.extend([c, next]);
                        self.at += 1;
                    }
                    None => line.push(c),
                },
                c => line.push(c),
            }
        }
        Ok(Some(line))
    }
}

//! From bytes to JSON values, however the bytes are divided and however the values are laid out.
//!
//! A CLI writes one value a line, or all of them in one array, or one value over many lines; and now and then somebody
//! else writes a line in between. So a value begins with a bracket at the beginning of a line and ends with the line in
//! which that is closed. What begins at the beginning of a line is never taken for a part of what was not closed before:
//! within a value that is spread over lines, they are indented.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest line that is looked at, in bytes.
const LONGEST_LINE: usize = 32 << 20;
/// The longest value that is spread over lines, in bytes.
const LONGEST_SPREAD: usize = 16 << 20;

/// Finds JSON values in a stream of bytes. The state can be kept and gone on from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Values {
    /// The line that has not ended yet.
    #[serde(with = "super::bytes")]
    line: Vec<u8>,
    /// Whether the rest of this line does not count.
    skips: bool,
    /// The lines of a value that is not closed yet.
    #[serde(with = "super::bytes")]
    spread: Vec<u8>,
    /// How many there are.
    lines: u64,
    /// How many brackets of it are open.
    depth: i64,
    /// How many lines belong to no value.
    pub(super) noise: u64,
}

/// What is found in a stream.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// An object.
    Value(Value),
    /// Something that was too long to be looked at.
    Oversized,
}

impl Values {
    /// Takes the next bytes, and hands on the objects that end in them, those of arrays one by one.
    pub(super) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // What stands behind the last line break goes on in the next bytes.
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            self.push(line, &mut found);
            let line = std::mem::take(&mut self.line);
            if !std::mem::take(&mut self.skips) {
                self.end_line(&line, &mut found);
            }
        }
        self.push(rest, &mut found);
    }

    fn push(&mut self, bytes: &[u8], found: &mut impl FnMut(Found)) {
        if self.skips {
            return;
        }
        if self.line.len() + bytes.len() > LONGEST_LINE {
            self.line = Vec::new();
            self.skips = true;
            self.noise += 1;
            found(Found::Oversized);
            return;
        }
        self.line.extend_from_slice(bytes);
    }

    /// Goes on behind bytes that are gone: what is incomplete stays so, and of the line in which they end nothing counts.
    pub(super) fn gap(&mut self) {
        self.give_up();
        self.line = Vec::new();
        self.skips = true;
    }

    /// Hands on what would end here if the stream did: the last line need not have a line break.
    pub(super) fn end(mut self, mut found: impl FnMut(Found)) {
        let line = std::mem::take(&mut self.line);
        if !self.skips {
            self.end_line(&line, &mut found);
        }
    }

    /// Returns how many bytes are kept of what is incomplete.
    pub(super) fn pending(&self) -> usize {
        self.line.len() + self.spread.len()
    }

    fn end_line(&mut self, line: &[u8], found: &mut impl FnMut(Found)) {
        let text = line.trim_ascii();
        if text.is_empty() {
            return;
        }
        let is_begun = !self.spread.is_empty();
        let begins = matches!(text[0], b'{' | b'[');
        if begins && (!is_begun || text[0] == line[0] || is_event(text)) {
            self.give_up();
        } else if !is_begun {
            self.noise += 1;
            return;
        }
        self.spread.extend_from_slice(text);
        self.spread.push(b'\n');
        self.lines += 1;
        self.depth += depth(text);
        if self.depth <= 0 {
            match parse(&self.spread) {
                Some(value) => {
                    each(value, found);
                    self.forget();
                }
                None => self.give_up(),
            }
        } else if self.lines > 1 && self.spread.len() > LONGEST_SPREAD {
            self.give_up();
            found(Found::Oversized);
        }
    }

    fn give_up(&mut self) {
        self.noise += self.lines;
        self.forget();
    }

    fn forget(&mut self) {
        (self.spread, self.lines, self.depth) = (Vec::new(), 0, 0);
    }
}

fn parse(text: &[u8]) -> Option<Value> {
    serde_json::from_str(&String::from_utf8_lossy(text)).ok()
}

fn is_event(text: &[u8]) -> bool {
    depth(text) == 0 && parse(text).is_some_and(|value| value.get("type").is_some_and(Value::is_string))
}

fn each(value: Value, found: &mut impl FnMut(Found)) {
    match value {
        Value::Array(values) => values.into_iter().filter(Value::is_object).map(Found::Value).for_each(found),
        value => found(Found::Value(value)),
    }
}

/// Returns how many more brackets a line opens than it closes. No string of JSON goes on in the next line.
fn depth(line: &[u8]) -> i64 {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the `n` of a value, and 0 for what was too long.
    fn number(found: Found) -> u64 {
        match found {
            Found::Value(value) => value["n"].as_u64().unwrap(),
            Found::Oversized => 0,
        }
    }

    /// The `n` of each value that is found in a stream that ends here, and how many lines are noise.
    fn found(bytes: &[u8]) -> (Vec<u64>, u64) {
        let (mut values, mut numbers) = (Values::default(), Vec::new());
        let mut add = |found| numbers.push(number(found));
        values.feed(bytes, &mut add);
        let noise = values.noise;
        values.end(add);
        (numbers, noise)
    }

    #[test]
    fn values_are_found_however_they_are_laid_out() {
        let cases: &[(&str, &[u64])] = &[
            ("", &[]),
            ("{\"n\":1}\n{\"n\":2}\r\n\n{\"n\":3}", &[1, 2, 3]),
            ("{\n  \"n\": 1,\n  \"a\": {\n    \"b\": []\n  }\n}\n{\"n\":2}\n", &[1, 2]),
            ("[{\"n\":1},{\"n\":2},3]\n", &[1, 2]),
            ("[\n  {\n    \"n\": 1\n  },\n  {\n    \"n\": 2\n  }\n]", &[1, 2]),
            ("{\n  \"n\": 1,\n  \"a\": [\n    {},\n    {}\n  ]\n}", &[1]),
            ("{\"s\":\"}]\\\"{\",\"n\":1}\n", &[1]),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text.as_bytes()), (expected.to_vec(), 0), "{text}");
        }
        assert_eq!(found(b"{\"n\":1,\"s\":\"\xff\"}\n").0, [1], "invalid UTF-8 is replaced");
    }

    #[test]
    fn noise_swallows_nothing() {
        let cases: &[(&str, &[u64], u64)] = &[
            ("hello\n{\"n\":1}\n42\n\"x\"\n", &[1], 3),
            ("{ warning: no JSON\n{\"n\":1}\n", &[1], 1),
            ("{ warning: \"no JSON\n{\n  \"n\": 1\n}\n", &[1], 1),
            ("[info] started\n{\"n\":1}\n", &[1], 1),
            ("{a\n b\n  {\"type\":\"x\",\"n\":1}\n", &[1], 2),
            ("}\n]\n{\"n\":1}}\n{\"n\":2}\n", &[2], 3),
            ("{\"n\":1}{\"n\":2}\n{\"n\":3}\n", &[3], 1),
        ];
        for (text, expected, noise) in cases {
            assert_eq!(found(text.as_bytes()), (expected.to_vec(), *noise), "{text}");
        }
    }

    #[test]
    fn what_is_cut_off_is_no_value() {
        let text = b"{\"n\":1,\"a\":{\"n\":2}}";
        for end in 1..text.len() {
            assert_eq!(found(&text[..end]), (vec![], 0), "{end}");
        }
        assert_eq!(found(text), (vec![1], 0));
    }

    #[test]
    fn behind_a_gap_the_next_line_counts() {
        let (mut values, mut numbers) = (Values::default(), Vec::new());
        let mut add = |found| numbers.push(number(found));
        values.feed(b"{\"n\":1}\n{\n  \"n\": 2,\n  \"a", &mut add);
        values.gap();
        values.feed(b"\":\"b\"}\n{\"n\":3}\n", &mut add);
        assert_eq!(numbers, [1, 3]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() {
        let (mut values, mut numbers) = (Values::default(), Vec::new());
        let mut add = |found| numbers.push(number(found));
        values.feed(b"{\"n\":1,\"s\":\"", &mut add);
        for _ in 0..40 {
            values.feed(&[b'x'; 1 << 20], &mut add);
            assert!(values.pending() <= LONGEST_LINE);
        }
        values.feed(b"\"}\n{\"n\":2}\n", &mut add);
        // As is a value over lines.
        values.feed(b"{\n", &mut add);
        for _ in 0..40 {
            values.feed(&[b' ', b'"', b'a', b'"', b',', b'\n'].repeat(1 << 17), &mut add);
            assert!(values.pending() <= LONGEST_SPREAD + 100);
        }
        values.feed(b"}\n{\"n\":3}\n", &mut add);
        assert_eq!(numbers, [0, 2, 0, 3]);
    }
}

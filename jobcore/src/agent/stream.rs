//! From bytes to JSON values, however the bytes are divided and however the values are laid out.
//!
//! A CLI writes one value per line, or all of them in one array, or one value over many lines, and sometimes another
//! program writes a line in between. Therefore a value begins with a bracket at the beginning of a line and ends with
//! the line in which that bracket is closed. A bracket at the beginning of a line is never taken for a part of an
//! unfinished value: within a value that is spread over lines, brackets are indented.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest line that is read, in bytes.
const LONGEST_LINE: usize = 32 << 20;
/// The longest value spread over several lines, in bytes.
const LONGEST_SPREAD: usize = 16 << 20;

/// Finds JSON values in a stream of bytes. The state can be saved and resumed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Values {
    /// The line that has not ended yet.
    #[serde(with = "super::bytes")]
    line: Vec<u8>,
    /// Whether the rest of this line is skipped.
    skips: bool,
    /// The lines of a value that is not closed yet.
    #[serde(with = "super::bytes")]
    spread: Vec<u8>,
    /// How many lines it has.
    lines: u64,
    /// How many of its brackets are open.
    depth: i64,
    /// How many lines do not belong to a value.
    pub(super) noise: u64,
}

/// An item that is found in a stream.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// An object.
    Value(Value),
    /// Something that was too long to be read.
    Oversized,
}

impl Values {
    /// Reads the next bytes, and passes the objects that end in them to `found`, those of arrays one by one.
    pub(super) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(Found)) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // The bytes after the last line break continue in the next call.
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

    /// Continues after missing bytes: an incomplete value is dropped, and the line in which they end is skipped.
    pub(super) fn gap(&mut self) {
        self.give_up();
        self.line = Vec::new();
        self.skips = true;
    }

    /// Passes the values that end with the stream to `found`: the last line need not have a line break.
    pub(super) fn end(mut self, mut found: impl FnMut(Found)) {
        let line = std::mem::take(&mut self.line);
        if !self.skips {
            self.end_line(&line, &mut found);
        }
    }

    /// Returns the size of the incomplete input, in bytes.
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

/// Returns how many more brackets a line opens than it closes. A string in JSON cannot contain a line break.
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

    /// Returns the `n` of a value, or 0 if it was too long.
    fn number(found: Found) -> u64 {
        match found {
            Found::Value(value) => value["n"].as_u64().unwrap(),
            Found::Oversized => 0,
        }
    }

    /// Returns the `n` of each value in a stream that ends here, and the number of noise lines.
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
    fn noise_does_not_hide_values() {
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
    fn a_truncated_value_is_dropped() {
        let text = b"{\"n\":1,\"a\":{\"n\":2}}";
        for end in 1..text.len() {
            assert_eq!(found(&text[..end]), (vec![], 0), "{end}");
        }
        assert_eq!(found(text), (vec![1], 0));
    }

    #[test]
    fn after_a_gap_the_next_line_counts() {
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
        // So is a value over several lines.
        values.feed(b"{\n", &mut add);
        for _ in 0..40 {
            values.feed(&[b' ', b'"', b'a', b'"', b',', b'\n'].repeat(1 << 17), &mut add);
            assert!(values.pending() <= LONGEST_SPREAD + 100);
        }
        values.feed(b"}\n{\"n\":3}\n", &mut add);
        assert_eq!(numbers, [0, 2, 0, 3]);
    }
}

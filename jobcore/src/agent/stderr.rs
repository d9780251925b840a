//! Lines of standard error, piece by piece, for CLIs that report some things only there.

use serde::{Deserialize, Serialize};

/// The longest line that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// Finds lines in a stream of bytes. The state can be saved and resumed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lines {
    /// The line that has not ended yet, or its beginning.
    #[serde(with = "super::bytes")]
    line: Vec<u8>,
    /// Whether the beginning of this line is missing.
    #[serde(default)]
    is_torn: bool,
}

impl Lines {
    /// Reads the next bytes, and passes each line that ends in them to `found`. Of a long line, only the beginning is
    /// passed.
    pub(super) fn feed(&mut self, bytes: &[u8], mut found: impl FnMut(&str)) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            self.push(line);
            if !std::mem::take(&mut self.is_torn) {
                found(&String::from_utf8_lossy(&self.line));
            }
            self.line.clear();
        }
        self.push(rest);
    }

    /// Continues after missing bytes: the line in which they end does not count.
    pub(super) fn gap(&mut self) {
        self.line.clear();
        self.is_torn = true;
    }

    fn push(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_however_the_bytes_are_divided() {
        let text = format!("one\n\ntwo\u{ff} {}\nthree\nopen", "x".repeat(LONGEST));
        for size in [1, 2, 7, 1000, text.len()] {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for bytes in text.as_bytes().chunks(size) {
                lines.feed(bytes, |line| found.push(line.get(..5).unwrap_or(line).to_owned()));
            }
            assert_eq!(found, ["one", "", "two\u{ff}", "three"], "{size}");
        }
    }

    #[test]
    fn a_line_with_a_gap_does_not_count() {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        lines.feed(b"one\ntw", |line| found.push(line.to_owned()));
        lines.gap();
        lines.feed(b"o\nthree\n", |line| found.push(line.to_owned()));
        assert_eq!(found, ["one", "three"]);
    }
}

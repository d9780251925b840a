//! Lines that match a regular expression, and the lines around them.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use super::OutputChunk;
use super::blocks::BlockSearch;
use super::lines::Lines;
use super::remembered::Remembered;
use super::shown::{LONGEST, Line, Shown};
use crate::parse_error::ParseError;

/// A regular expression in the syntax of the crate `regex`: matched in linear time, and refused if it would be too
/// large. It may match anywhere in a line.
#[derive(Debug, Clone)]
pub struct Pattern(regex::bytes::Regex);

impl Pattern {
    /// Returns whether a line matches.
    pub fn matches(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }
}

impl FromStr for Pattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        regex::bytes::Regex::new(text).map(Self).map_err(|error| ParseError::new(error.to_string()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Selects lines to show: those that match, and some around them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grep {
    /// The pattern to match.
    pub pattern: Pattern,
    /// How many lines to show before each match.
    pub before: u64,
    /// How many lines to show after each match.
    pub after: u64,
}

impl Grep {
    /// Shows only the lines that match, without context.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, before: 0, after: 0 }
    }

    /// Shows this many lines before and after each match as well. At most 16 MiB of lines before a match are kept for
    /// that.
    #[must_use]
    pub fn with_context(self, before: u64, after: u64) -> Self {
        Self { before, after, ..self }
    }
}

/// Selects matching lines and their context.
#[derive(Debug)]
pub(super) struct Filter {
    grep: Grep,
    search: Option<BlockSearch>,
    /// The offset before which no line matches, as far as whole blocks were searched.
    searched: u64,
    remembered: Remembered,
    after_left: u64,
    /// Whether lines were skipped since the last one that was shown, and whether any was shown.
    skipped: bool,
    any: bool,
}

impl Filter {
    pub(super) fn new(grep: Grep) -> Self {
        let remembered = Remembered::lines(grep.before);
        let search = BlockSearch::new(grep.pattern.0.as_str());
        Self { grep, search, searched: 0, remembered, after_left: 0, skipped: false, any: false }
    }

    /// Searches each line by itself.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn look_at_each(&mut self) {
        self.search = None;
    }

    /// Skips lines that are not shown, many at once: those that neither match nor are context.
    pub(super) fn pass_over(&mut self, lines: &mut Lines) {
        let Some(search) = self.search.as_ref().filter(|_| self.after_left == 0) else { return };
        let offset = lines.cursor();
        if offset < self.searched {
            return;
        }
        let (before, searched) = (self.grep.before, &mut self.searched);
        let passed = lines.take_whole(|whole| {
            let unmatched = &whole[..search.before_match(whole)];
            *searched = offset + unmatched.len() as u64;
            without_last(unmatched, before)
        });
        if passed > 0 {
            drop(self.remembered.take());
            self.skipped = true;
        }
    }

    pub(super) fn matches(&self, line: &Line) -> bool {
        self.grep.pattern.matches(&line.text)
    }

    pub(super) fn push(&mut self, line: Line, shown: &mut VecDeque<Shown>) {
        if self.matches(&line) {
            let has_context = self.grep.before > 0 || self.grep.after > 0;
            if has_context && self.any && (self.skipped || self.remembered.forgotten().lines > 0) {
                shown.push_back(Shown::Separator);
            }
            shown.extend(self.remembered.take());
            shown.push_back(Shown::Line(line));
            (self.after_left, self.skipped, self.any) = (self.grep.after, false, true);
        } else if self.after_left > 0 {
            self.after_left -= 1;
            shown.push_back(Shown::Line(line));
        } else {
            let bytes = line.text.len() as u64;
            self.remembered.push(Shown::Line(line), bytes);
        }
    }

    /// Ends the context: what follows is not adjacent to what came before.
    pub(super) fn break_off(&mut self) {
        drop(self.remembered.take());
        self.after_left = 0;
        self.skipped = true;
    }
}

/// Returns the size of all lines except the last `count`, in bytes.
fn without_last(lines: &[u8], count: u64) -> usize {
    // The first line break found from the end is that of the last line.
    let mut ends = memchr::memrchr_iter(b'\n', lines).map(|end| end + 1);
    usize::try_from(count).ok().and_then(|count| ends.nth(count)).unwrap_or(0)
}

/// Finds matching lines in chunks of output that are fed to it in order. The lines of each stream are separate and
/// cleaned; a line longer than 64 KiB is matched in parts.
#[derive(Debug)]
pub struct LineMatcher {
    pattern: Pattern,
    search: Option<BlockSearch>,
    lines: Lines,
}

impl LineMatcher {
    /// Creates a matcher for a pattern.
    pub fn new(pattern: Pattern) -> Self {
        let search = BlockSearch::new(pattern.0.as_str());
        Self { pattern, search, lines: Lines::new(true, LONGEST) }
    }

    /// Adds the next chunk.
    pub fn feed(&mut self, chunk: OutputChunk) {
        self.lines.feed(chunk);
    }

    /// Returns the next matching line, or `None` if more output is needed. A line is matched once it is complete.
    pub fn next_match(&mut self) -> Option<Line> {
        loop {
            if let Some(search) = &self.search {
                self.lines.take_whole(|whole| search.before_match(whole));
            }
            if let Shown::Line(line) = self.lines.next()?
                && self.pattern.matches(&line.text)
            {
                return Some(line);
            }
        }
    }

    /// Returns an unfinished line that matches as it is now: a prompt, or the last line if nothing more will arrive. It
    /// is matched again when it grows.
    pub fn open_match(&self) -> Option<Line> {
        self.lines.open().find(|line| self.pattern.matches(&line.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::output::{Cursor, Piece, Stream};

    #[test]
    fn a_line_is_matched_once_it_is_complete_and_as_it_is_shown() {
        let mut matcher = LineMatcher::new("^ready on [0-9]+$".parse().unwrap());
        let mut offset = 0;
        let mut feed = |matcher: &mut LineMatcher, stream, text: &str| {
            let bytes = text.as_bytes().to_vec();
            let piece = Piece::Data { offset, stream, at: Timestamp::UNIX_EPOCH, bytes };
            offset += text.len() as u64;
            let (cursor, end) = (Cursor(offset), Cursor(offset));
            matcher.feed(OutputChunk { pieces: vec![piece], cursor, end, more: false, cut: false });
            matcher.next_match().map(|line| (String::from_utf8(line.text).unwrap(), line.end))
        };
        assert_eq!(feed(&mut matcher, Stream::Stdout, "not ready\n\x1b[32mrea"), None);
        assert_eq!(feed(&mut matcher, Stream::Stderr, "ready on x\n"), None);
        assert_eq!(feed(&mut matcher, Stream::Stdout, "dy on\x1b[0m 80"), None);
        assert_eq!(feed(&mut matcher, Stream::Stdout, "80\r\n"), Some(("ready on 8080".to_owned(), 45)));
        assert_eq!(feed(&mut matcher, Stream::Stderr, "0%\rready on "), None);
        assert_eq!(matcher.open_match(), None);
        assert_eq!(feed(&mut matcher, Stream::Stderr, "9"), None);
        assert_eq!(matcher.open_match().unwrap().text, b"ready on 9");
        assert_eq!(feed(&mut matcher, Stream::Stderr, "0\n").unwrap().0, "ready on 90");
    }

    #[test]
    fn an_invalid_or_too_large_pattern_is_refused() {
        let refused = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        assert!(refused("a(b").contains("unclosed group"), "{}", refused("a(b"));
        assert!(refused(r"(\w{1000}){1000}").contains("size limit"), "{}", refused(r"(\w{1000}){1000}"));
    }
}

//! Lines that match a regular expression, and those around them.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use super::OutputChunk;
use super::blocks::BlockSearch;
use super::lines::Lines;
use super::remembered::Remembered;
use super::shown::{LONGEST, Line, Shown};
use crate::parse_error::ParseError;

/// A regular expression, as the crate `regex` has them: matched in linear time, and refused where it would be too large.
/// It is looked for anywhere in a line.
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

/// Which lines to show: those that match, and some around them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Grep {
    /// What they match.
    pub pattern: Pattern,
    /// How many lines before each match.
    pub before: u64,
    /// How many lines behind each match.
    pub after: u64,
}

impl Grep {
    /// Shows the lines that match, and none around them.
    pub fn new(pattern: Pattern) -> Self {
        Self { pattern, before: 0, after: 0 }
    }

    /// Shows so many lines before and behind each match, too. Of those before it at most 16 MiB are remembered.
    #[must_use]
    pub fn with_context(self, before: u64, after: u64) -> Self {
        Self { before, after, ..self }
    }
}

/// Picks matching lines and their context out of all.
#[derive(Debug)]
pub(super) struct Filter {
    grep: Grep,
    search: Option<BlockSearch>,
    /// The offset before which no line matches, as far as lines were looked at together.
    searched: u64,
    remembered: Remembered,
    after_left: u64,
    /// Whether lines were left out since the last that was shown, and whether there was one.
    skipped: bool,
    any: bool,
}

impl Filter {
    pub(super) fn new(grep: Grep) -> Self {
        let remembered = Remembered::lines(grep.before);
        let search = BlockSearch::new(grep.pattern.0.as_str());
        Self { grep, search, searched: 0, remembered, after_left: 0, skipped: false, any: false }
    }

    /// Looks at each line alone.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn look_at_each(&mut self) {
        self.search = None;
    }

    /// Passes over lines that are not shown, many at once: those that do not match and are no context.
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

    /// Ends the context: what comes is not next to what came.
    pub(super) fn break_off(&mut self) {
        drop(self.remembered.take());
        self.after_left = 0;
        self.skipped = true;
    }
}

/// Returns how many bytes the lines have but for the last `count`.
fn without_last(lines: &[u8], count: u64) -> usize {
    // The end of the last line is the first that is found.
    let mut ends = memchr::memrchr_iter(b'\n', lines).map(|end| end + 1);
    usize::try_from(count).ok().and_then(|count| ends.nth(count)).unwrap_or(0)
}

/// Finds lines that match in chunks of output that are fed to it in order: cleaned, each stream's own, and none longer
/// than 64 KiB, beyond which a line is looked at in parts.
#[derive(Debug)]
pub struct LineMatcher {
    pattern: Pattern,
    search: Option<BlockSearch>,
    lines: Lines,
}

impl LineMatcher {
    /// Looks for lines that match.
    pub fn new(pattern: Pattern) -> Self {
        let search = BlockSearch::new(pattern.0.as_str());
        Self { pattern, search, lines: Lines::new(true, LONGEST) }
    }

    /// Adds what was read next.
    pub fn feed(&mut self, chunk: OutputChunk) {
        self.lines.feed(chunk);
    }

    /// Returns the next line that matches; nothing if there is none before more is fed. A line is looked at when it is
    /// whole.
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

    /// Returns a line that matches as it is now, although it is not at its end: a prompt, or the last line when nothing
    /// more will come. It is looked at again when there is more of it.
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
    fn a_matching_line_is_found_when_it_is_whole_and_as_it_is_seen() {
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
    fn a_pattern_that_is_wrong_or_too_large_says_so() {
        let refused = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
        assert!(refused("a(b").contains("unclosed group"), "{}", refused("a(b"));
        assert!(refused(r"(\w{1000}){1000}").contains("size limit"), "{}", refused(r"(\w{1000}){1000}"));
    }
}

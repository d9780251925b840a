//! Helpers of all readers: bounded lines, and joining several lines into one.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;

/// How many bytes of a line are read.
const LONGEST_LINE: usize = 4096;
/// The maximum number of lines that are read for one failure, if nothing else ends it.
pub(super) const BLOCK: usize = 80;
/// How many lines of a message are shown.
const MESSAGE: usize = 4;

/// A regular expression that is compiled when it is first needed.
pub(super) type Lazy = LazyLock<Regex>;

/// Returns a static that holds the regular expression.
macro_rules! regex {
    ($pattern:expr) => {
        std::sync::LazyLock::new(|| regex::Regex::new($pattern).expect("the pattern is valid"))
    };
}
pub(super) use regex;

/// Returns the part of a line that is read.
pub(super) fn bounded(line: &str) -> &str {
    line[..line.floor_char_boundary(LONGEST_LINE)].trim_end()
}

/// Returns a text as one line, without control characters and repeated blanks.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Joins the first non-empty lines of a message into one line.
pub(super) fn joined<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for line in lines.into_iter().map(str::trim).filter(|line| !line.is_empty()).take(MESSAGE) {
        text += match text.chars().next_back() {
            None => "",
            Some(last) if ":;,.([{".contains(last) => " ",
            Some(_) => ", ",
        };
        text += line;
    }
    text
}

/// Returns the lines after this one that may belong to it.
pub(super) fn after<'l, 'a>(lines: &'l [&'a str], at: usize) -> &'l [&'a str] {
    let rest = lines.get(at + 1..).unwrap_or_default();
    &rest[..rest.len().min(BLOCK)]
}

/// Returns whether a path seems to be that of the user's own code.
pub(super) fn is_own(path: &str) -> bool {
    const OTHERS: [&str; 6] =
        ["node_modules/", "site-packages/", "/src/testing/", "/src/runtime/", "node:", "<frozen "];
    !OTHERS.iter().any(|other| path.contains(other))
}

/// The number of tests of each kind, such as `1 failed, 30 passed`, summed over all summaries in an output: a tool may
/// have run several times.
#[derive(Debug, Default)]
pub(super) struct Counts {
    kinds: Vec<(String, u64)>,
    summaries: usize,
}

impl Counts {
    /// Adds the counts of a summary.
    pub(super) fn add(&mut self, summary: &str) {
        self.summaries += 1;
        for part in summary.split(", ") {
            let (count, kind) = part.split_once(' ').unwrap_or((part, ""));
            let count: u64 = count.parse().unwrap_or_default();
            match self.kinds.iter_mut().find(|(known, _)| known == kind) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => self.kinds.push((kind.to_owned(), count)),
            }
        }
        if self.summaries > 1 {
            // The first summary may have had no failures.
            self.kinds.sort_by_key(|(kind, _)| !["fail", "error"].iter().any(|word| kind.starts_with(word)));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.summaries == 0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
        f.write_str(&kinds.collect::<Vec<_>>().join(", "))
    }
}

//! The output pane: a window of lines that moves over the output of a job.

use std::collections::VecDeque;

use jobcore::JobId;
use jobcore::front::text::width;
use jobcore::output::{Pattern, Stream};

use super::messages::{Part, Read, Reading, Which};
use super::output::{Block, OutputLine};

/// How many bytes of text are kept: several blocks, so that lines just seen need not be read again.
const KEPT: usize = 512 * 1024;

/// The output of a job, as far as it has been read.
#[derive(Debug)]
pub(super) struct Pane {
    /// The job whose output it is.
    pub(super) job: Option<JobId>,
    pub(super) which: Which,
    lines: VecDeque<OutputLine>,
    /// The line at the top, and how many of its rows are above the window; not used while following.
    top: (usize, usize),
    pub(super) follows: bool,
    pub(super) wraps: bool,
    /// How many columns are scrolled out on the left.
    pub(super) left: usize,
    is_first: bool,
    is_last: bool,
    /// Whether the last line of the output was incomplete when it was read: more of it may have been written since.
    is_open: bool,
    /// The part being read, so that it is requested once.
    asked: Option<Part>,
    pub(super) pattern: Option<Pattern>,
    /// The offset of the line that was found.
    found: Option<u64>,
    /// Why the output cannot be read, or no match was found.
    pub(super) error: Option<String>,
    /// The columns and rows of the pane.
    size: (usize, usize),
}

/// Shows no job, and wraps lines.
impl Default for Pane {
    fn default() -> Self {
        Self {
            job: None,
            which: Which::default(),
            lines: VecDeque::new(),
            top: (0, 0),
            follows: false,
            wraps: true,
            left: 0,
            is_first: false,
            is_last: false,
            is_open: false,
            asked: None,
            pattern: None,
            found: None,
            error: None,
            size: (0, 0),
        }
    }
}

/// A visible row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PaneRow<'a> {
    pub(super) text: &'a str,
    pub(super) stream: Option<Stream>,
    /// Whether its line begins before this row.
    pub(super) is_torn: bool,
    /// Whether its line is the one that was found.
    pub(super) is_found: bool,
}

impl Pane {
    /// Shows the end of another job's output.
    pub(super) fn of(job: Option<JobId>, before: &Self) -> Self {
        let follows = job.is_some();
        Self {
            job,
            follows,
            wraps: before.wraps,
            pattern: before.pattern.clone(),
            size: before.size,
            ..Self::default()
        }
    }

    /// Shows the end of the next stream.
    pub(super) fn switch(&mut self, is_agent: bool) {
        let which = match self.which {
            Which::Told if is_agent => Which::Both,
            Which::Told | Which::Both => Which::Only(Stream::Stdout),
            Which::Only(Stream::Stdout) => Which::Only(Stream::Stderr),
            Which::Only(Stream::Stderr) => Which::Told,
        };
        *self = Self { which, ..Self::of(self.job, self) };
    }

    /// Sets the columns and rows of the pane.
    pub(super) fn resize(&mut self, columns: usize, rows: usize) {
        if self.size.0 != columns {
            self.top.1 = 0;
        }
        self.size = (columns, rows);
    }

    /// Takes what was read, and returns what to read next.
    pub(super) fn take(&mut self, read: Read) -> Option<Reading> {
        match read {
            Read::Last(block) if self.follows => self.show(block),
            // It has grown, or ended.
            Read::Last(block) => {
                self.is_last &= block.lines.last().map(|line| line.end) == self.lines.back().map(|line| line.end);
            }
            Read::Part(part, block) => {
                // It may have been requested when something else was shown.
                if self.asked == Some(part) {
                    self.asked = None;
                    self.join(part, block);
                }
            }
            Read::Found(Some(block)) => {
                self.found = block.lines.first().map(|line| line.offset);
                self.show(block);
                (self.top, self.follows) = ((0, 0), false);
            }
            Read::Found(None) => self.error = Some("there is no other match".to_owned()),
            Read::Failed(error) => self.error = Some(error),
        }
        self.missing()
    }

    fn show(&mut self, block: Block) {
        self.is_first = block.is_first;
        self.note_end(&block);
        self.lines = block.lines.into();
        (self.asked, self.error) = (None, None);
    }

    fn note_end(&mut self, block: &Block) {
        self.is_last = block.is_last;
        self.is_open = block.is_last && block.lines.last().is_some_and(|line| !line.ends);
    }

    fn join(&mut self, part: Part, block: Block) {
        match part {
            Part::First => {
                self.show(block);
                self.top = (0, 0);
            }
            Part::Before(_) => {
                self.is_first = block.is_first;
                self.top.0 += block.lines.len();
                for line in block.lines.into_iter().rev() {
                    self.lines.push_front(line);
                }
            }
            Part::From(offset) => {
                self.note_end(&block);
                self.lines.retain(|line| line.end <= offset);
                self.lines.extend(block.lines);
            }
        }
        self.settle();
        self.forget();
    }

    /// Drops lines far from the window.
    fn forget(&mut self) {
        let mut bytes: usize = self.lines.iter().map(|line| line.text.len()).sum();
        while bytes > KEPT && self.lines.len() > 1 {
            let is_above = self.top.0 > self.lines.len() / 2;
            let gone = if is_above { self.lines.pop_front() } else { self.lines.pop_back() };
            bytes -= gone.map_or(0, |line| line.text.len());
            match is_above {
                true => (self.top.0, self.is_first) = (self.top.0.saturating_sub(1), false),
                false => (self.is_last, self.is_open) = (false, false),
            }
        }
    }

    /// Returns what to read to fill the window and a page around it.
    fn missing(&mut self) -> Option<Reading> {
        if self.asked.is_some() || self.follows || self.error.is_some() {
            return None;
        }
        let rows = self.size.1.max(1);
        let part = if !self.is_first && self.top.0 < rows {
            Part::Before(self.lines.front()?.offset)
        } else if !self.is_last && self.lines.len().saturating_sub(self.top.0) < 2 * rows {
            let last = self.lines.back()?;
            Part::From(if self.is_open { last.offset } else { last.end })
        } else {
            return None;
        };
        self.asked = Some(part);
        Some(Reading::Part(part))
    }

    /// Scrolls by `rows`, up if negative, and returns what to read for that.
    pub(super) fn scroll(&mut self, rows: isize) -> Option<Reading> {
        self.error = None;
        if self.follows {
            if rows >= 0 {
                return None;
            }
            (self.top, self.follows) = (self.bottom(), false);
        }
        for _ in 0..rows.unsigned_abs() {
            let moved = if rows < 0 { self.up() } else { self.down() };
            if !moved {
                break;
            }
        }
        if rows > 0 {
            self.settle();
        }
        self.missing()
    }

    fn up(&mut self) -> bool {
        match self.top {
            (0, 0) => return false,
            (line, 0) => self.top = (line - 1, self.rows_of(line - 1) - 1),
            (line, row) => self.top = (line, row - 1),
        }
        true
    }

    fn down(&mut self) -> bool {
        let (line, row) = self.top;
        if line >= self.lines.len() {
            return false;
        }
        self.top = if row + 1 < self.rows_of(line) { (line, row + 1) } else { (line + 1, 0) };
        true
    }

    /// Scrolls back if the last line is above the bottom of the window.
    fn settle(&mut self) {
        if self.follows {
            return;
        }
        let bottom = self.bottom();
        if self.top >= bottom {
            self.top = bottom;
        }
    }

    /// Returns the top at which the last line is at the bottom of the window.
    fn bottom(&self) -> (usize, usize) {
        let mut left = self.size.1;
        for line in (0..self.lines.len()).rev() {
            let rows = self.rows_of(line);
            if rows >= left {
                return (line, rows - left);
            }
            left -= rows;
        }
        (0, 0)
    }

    /// Goes to the beginning of the output.
    pub(super) fn first(&mut self) -> Option<Reading> {
        (self.follows, self.top, self.error) = (false, (0, 0), None);
        if self.is_first {
            return None;
        }
        self.asked = Some(Part::First);
        Some(Reading::Part(Part::First))
    }

    /// Goes to the end of the output and follows it.
    pub(super) fn follow(&mut self) -> Option<Reading> {
        (self.follows, self.error, self.asked) = (true, None, None);
        Some(Reading::Follow)
    }

    /// Searches for the next or the previous matching line.
    pub(super) fn find(&mut self, backwards: bool) -> Option<Reading> {
        let pattern = self.pattern.clone()?;
        self.error = None;
        let top = if self.follows { self.bottom().0 } else { self.top.0 };
        let line = self.found.and_then(|found| self.lines.iter().find(|line| line.offset == found));
        let line = line.or_else(|| self.lines.get(top));
        let is_at_match = line.is_some_and(|line| self.found == Some(line.offset));
        let from = match (line, backwards) {
            (Some(line), true) => line.offset,
            (Some(line), false) if is_at_match => line.end,
            (Some(line), false) => line.offset,
            (None, _) => 0,
        };
        Some(Reading::Find { pattern, from, backwards })
    }

    /// Returns how many rows a line takes.
    fn rows_of(&self, line: usize) -> usize {
        let text = self.lines.get(line).map_or("", |line| line.text.as_str());
        if self.wraps { wrapped(text, self.size.0).count().max(1) } else { 1 }
    }

    /// Returns the visible rows.
    pub(super) fn rows(&self) -> Vec<PaneRow<'_>> {
        let (first, mut skip) = if self.follows { self.bottom() } else { self.top };
        let mut rows = Vec::with_capacity(self.size.1);
        for line in self.lines.iter().skip(first) {
            if rows.len() == self.size.1 {
                break;
            }
            let is_found = self.found == Some(line.offset);
            let row = |text, is_torn| PaneRow { text, stream: line.stream, is_torn, is_found };
            if self.wraps {
                let parts = wrapped(&line.text, self.size.0).enumerate().skip(std::mem::take(&mut skip));
                let room = self.size.1 - rows.len();
                rows.extend(parts.take(room).map(|(number, text)| row(text, number > 0 || !line.begins)));
            } else {
                rows.push(row(from_column(&line.text, self.left), !line.begins || self.left > 0));
            }
        }
        rows
    }

    /// Returns whether nothing has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Splits a text into rows of at most `columns`; an empty text is one empty row.
fn wrapped(text: &str, columns: usize) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (row, after) = text.split_at(fitting(text, columns.max(2)));
        rest = Some(after).filter(|after| !after.is_empty());
        Some(row)
    })
}

/// Returns how many bytes of a text fit: at least one character, so that wrapping ends.
fn fitting(text: &str, columns: usize) -> usize {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += width(c.encode_utf8(&mut [0; 4]));
        if used > columns && at > 0 {
            return at;
        }
    }
    text.len()
}

/// Returns a text without its first columns.
fn from_column(text: &str, columns: usize) -> &str {
    if columns == 0 {
        return text;
    }
    let mut used = 0;
    for (at, c) in text.char_indices() {
        if used >= columns {
            return &text[at..];
        }
        used += width(c.encode_utf8(&mut [0; 4]));
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(numbers: std::ops::Range<u64>) -> Block {
        let line = |number: u64| OutputLine {
            offset: number * 10,
            end: number * 10 + 10,
            stream: Some(Stream::Stdout),
            text: format!("line {number}"),
            begins: true,
            ends: true,
        };
        Block { is_first: numbers.start == 0, is_last: numbers.end == 1000, lines: numbers.map(line).collect() }
    }

    fn shown(pane: &Pane) -> Vec<&str> {
        pane.rows().iter().map(|row| row.text).collect()
    }

    fn pane() -> Pane {
        let mut pane = Pane { follows: true, ..Pane::default() };
        pane.resize(20, 3);
        assert!(pane.take(Read::Last(block(900..1000))).is_none());
        pane
    }

    #[test]
    fn the_window_reads_what_it_moves_over() {
        let mut pane = pane();
        assert_eq!(shown(&pane), ["line 997", "line 998", "line 999"]);
        assert!(pane.scroll(-93).is_none());
        assert_eq!(shown(&pane), ["line 904", "line 905", "line 906"]);
        let asked = pane.scroll(-3);
        assert!(matches!(asked, Some(Reading::Part(Part::Before(9000)))), "{asked:?}");
        pane.take(Read::Part(Part::Before(9000), block(800..900)));
        assert_eq!(shown(&pane), ["line 901", "line 902", "line 903"]);
        assert!(matches!(pane.first(), Some(Reading::Part(Part::First))));
        pane.take(Read::Part(Part::Before(1), block(1..5)));
        pane.take(Read::Part(Part::First, block(0..4)));
        assert_eq!(shown(&pane), ["line 0", "line 1", "line 2"]);
        let asked = pane.scroll(2);
        assert!(asked.is_none(), "requested twice: {asked:?}");
        pane.take(Read::Part(Part::From(40), block(4..100)));
        pane.scroll(2);
        assert_eq!(shown(&pane), ["line 3", "line 4", "line 5"]);
    }

    #[test]
    fn new_output_does_not_move_the_window() {
        let mut pane = pane();
        pane.scroll(-5);
        let before = shown(&pane).join(" ");
        pane.take(Read::Last(block(900..1000)));
        assert_eq!(shown(&pane).join(" "), before);
        assert!(matches!(pane.follow(), Some(Reading::Follow)));
        pane.take(Read::Last(block(990..1001)));
        assert_eq!(shown(&pane), ["line 998", "line 999", "line 1000"]);
    }

    #[test]
    fn long_lines_are_wrapped_by_columns() {
        let mut pane = pane();
        pane.wraps = true;
        pane.resize(4, 5);
        let mut long = block(0..1);
        long.lines[0].text = "日本語日本".to_owned();
        pane.take(Read::Last(long));
        assert_eq!(shown(&pane), ["日本", "語日", "本"]);
        pane.wraps = false;
        pane.left = 4;
        assert_eq!(shown(&pane), ["語日本"]);
    }
}

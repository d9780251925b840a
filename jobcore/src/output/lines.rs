//! Assembles the lines of each stream from pieces of a log, with bounded memory per line.

use std::collections::VecDeque;

use super::clean::{Cleaner, as_seen, longest_drawn};
use super::shown::{Line, Shown};
use super::{OutputChunk, Piece, Stream};
use crate::clock::Timestamp;

/// Assembles lines from chunks that are fed to it in order.
///
/// A line is returned when it ends, so the lines of the two streams are ordered by their ends. A line that is longer
/// than the bound is returned in parts, none of which ends within a character.
#[derive(Debug)]
pub(super) struct Lines {
    longest: usize,
    /// Standard output and standard error.
    open: [Open; 2],
    pieces: VecDeque<Piece>,
    /// How much of the first piece has been consumed.
    taken: usize,
    /// The end of the known whole, unchanged lines in the first piece. If it is not beyond `taken`, it has to be
    /// determined.
    whole: usize,
    /// Where the pieces end.
    cursor: u64,
    ready: VecDeque<Shown>,
}

/// The unfinished line of one stream.
#[derive(Debug)]
struct Open {
    /// The offset and the arrival time of its first byte, if there is one.
    first: Option<(u64, Timestamp)>,
    begins: bool,
    /// Whether the previous line ended because the cursor was moved away from it, with no byte since.
    follows_a_move: bool,
    text: Text,
}

#[derive(Debug)]
enum Text {
    Raw(Vec<u8>),
    Clean(Box<Cleaner>),
}

impl Lines {
    /// Creates lines of at most `longest` bytes each, cleaned or raw.
    pub(super) fn new(clean: bool, longest: usize) -> Self {
        let text = || if clean { Text::Clean(Box::default()) } else { Text::Raw(Vec::new()) };
        let open = || Open { first: None, begins: true, follows_a_move: false, text: text() };
        let (pieces, ready) = (VecDeque::new(), VecDeque::new());
        Self { longest, open: [open(), open()], pieces, taken: 0, whole: 0, cursor: 0, ready }
    }

    /// Adds the next chunk.
    pub(super) fn feed(&mut self, chunk: OutputChunk) {
        self.pieces.extend(chunk.pieces);
        self.cursor = chunk.cursor.0;
    }

    /// Returns the next complete line or gap.
    pub(super) fn next(&mut self) -> Option<Shown> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            match self.pieces.front()? {
                Piece::Gap { offset, bytes } => {
                    let gap = Shown::Gap { offset: *offset, bytes: *bytes };
                    let at = *offset;
                    self.pieces.pop_front();
                    self.break_off(at);
                    self.ready.push_back(gap);
                }
                Piece::Data { offset, stream, at, bytes } => {
                    let rest = &bytes[self.taken..];
                    let offset = offset + self.taken as u64;
                    let open = &mut self.open[*stream as usize];
                    let (taken, line) = open.take(rest, offset, *at, *stream, self.longest);
                    self.ready.extend(line.map(Shown::Line));
                    let is_all = self.taken + taken == bytes.len();
                    self.take(taken, is_all);
                }
            }
        }
    }

    /// Passes the next whole lines that are shown unchanged to `take`, as many as there are at once, and consumes the
    /// number of bytes that it returns, which must be whole lines as well. Returns that number.
    ///
    /// Most output consists of such lines, and creating a [`Line`] for each takes ten times as long as scanning them.
    pub(super) fn take_whole(&mut self, take: impl FnOnce(&[u8]) -> usize) -> usize {
        let (Some(Piece::Data { stream, bytes, .. }), true) = (self.pieces.front(), self.ready.is_empty()) else {
            return 0;
        };
        let open = &self.open[*stream as usize];
        if !open.is_at_start() {
            return 0;
        }
        if self.whole <= self.taken {
            self.whole = self.taken + open.whole_lines(&bytes[self.taken..], self.longest);
        }
        let taken = if self.whole > self.taken { take(&bytes[self.taken..self.whole]) } else { 0 };
        let is_all = self.taken + taken == bytes.len();
        self.take(taken, is_all);
        taken
    }

    /// Consumes bytes of the first piece.
    fn take(&mut self, count: usize, is_all: bool) {
        self.taken += count;
        if is_all {
            self.pieces.pop_front();
            (self.taken, self.whole) = (0, 0);
        }
    }

    /// Returns the offset up to which bytes have been consumed, including those of unfinished lines.
    pub(super) fn cursor(&self) -> u64 {
        self.pieces.front().map_or(self.cursor, |piece| piece.offset() + self.taken as u64)
    }

    /// Returns the offset from which on no byte has been returned in a line.
    pub(super) fn untold(&self) -> u64 {
        let begun = self.open.iter().filter_map(|open| Some(open.first?.0)).min();
        begun.map_or(self.cursor(), |begun| begun.min(self.cursor()))
    }

    /// Returns the unfinished lines as they are. Later bytes are not part of them.
    pub(super) fn finish(&mut self) -> Vec<Line> {
        let end = self.cursor();
        let streams = [Stream::Stdout, Stream::Stderr].into_iter();
        streams.filter_map(|stream| self.open[stream as usize].break_off(stream, end)).collect()
    }

    /// Returns the unfinished lines as they are now, without ending them.
    pub(super) fn open(&self) -> impl Iterator<Item = Line> {
        let streams = [Stream::Stdout, Stream::Stderr].into_iter();
        streams.filter_map(|stream| {
            let open = &self.open[stream as usize];
            let (offset, at) = open.first?;
            let text = match &open.text {
                Text::Raw(text) => text.clone(),
                Text::Clean(cleaner) => cleaner.seen(),
            };
            Some(Line { offset, end: self.cursor(), stream, at, text, begins: open.begins, ends: false })
        })
    }

    /// Discards what was fed but has not been consumed.
    pub(super) fn forget(&mut self) {
        self.cursor = self.cursor();
        self.pieces.clear();
        self.ready.clear();
        (self.taken, self.whole) = (0, 0);
    }

    /// Discards everything: the next chunk is from elsewhere and may begin within a line.
    pub(super) fn jump(&mut self) {
        self.forget();
        self.finish();
        self.open.iter_mut().for_each(|open| open.begins = false);
    }

    /// Ends the unfinished lines: bytes after a gap do not continue what came before it.
    fn break_off(&mut self, end: u64) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let open = &mut self.open[stream as usize];
            self.ready.extend(open.break_off(stream, end).map(Shown::Line));
            open.begins = false;
        }
    }
}

impl Open {
    /// Returns whether the next byte begins a line, and no earlier byte affects it.
    fn is_at_start(&self) -> bool {
        let is_begun = matches!(&self.text, Text::Clean(cleaner) if cleaner.is_begun());
        self.first.is_none() && self.begins && !self.follows_a_move && !is_begun
    }

    /// Returns how many of the first bytes are whole lines that fit into one part each and need no cleaning.
    fn whole_lines(&self, bytes: &[u8], longest: usize) -> usize {
        let (text, longest) = match self.text {
            Text::Raw(_) => (bytes, longest),
            Text::Clean(_) => (&bytes[..as_seen(bytes)], longest_drawn(longest)),
        };
        let mut whole = 0;
        // Lines that end within this many bytes are not too long.
        while let Some(end) = memchr::memrchr(b'\n', &text[whole..text.len().min(whole + longest + 1)]) {
            whole += end + 1;
        }
        whole
    }

    /// Consumes bytes up to the end of the line and returns how many, along with the line if it ended.
    fn take(
        &mut self,
        bytes: &[u8],
        offset: u64,
        at: Timestamp,
        stream: Stream,
        longest: usize,
    ) -> (usize, Option<Line>) {
        if std::mem::take(&mut self.follows_a_move) && bytes.first() == Some(&b'\n') {
            // This break ends the line that the cursor was moved away from, as if it had arrived with the movement.
            return (1, None);
        }
        self.first.get_or_insert((offset, at));
        // No more than can be consumed, so that nothing is scanned repeatedly.
        let bytes = &bytes[..bytes.len().min(longest + 1)];
        let border = memchr::memchr(b'\n', bytes);
        let rest = &bytes[..border.unwrap_or(bytes.len())];
        if let (Text::Clean(cleaner), Some(border)) = (&self.text, border)
            && let Some(seen) = cleaner.seen_of(rest, longest)
        {
            let text = seen.to_vec();
            return (border + 1, Some(Line { text, ..self.end(stream, offset + border as u64 + 1) }));
        }
        let taken = match &mut self.text {
            Text::Raw(text) => {
                let before = text.len();
                text.extend_from_slice(&rest[..rest.len().min(longest.saturating_sub(before))]);
                if text.len() - before < rest.len() {
                    // A character that does not fit is left for the next part.
                    text.truncate(whole_characters(text).max(before));
                }
                text.len() - before
            }
            Text::Clean(cleaner) => cleaner.draw(rest, longest),
        };
        let end = offset + taken as u64;
        if taken == rest.len() && border.is_some() {
            return (taken + 1, Some(self.end(stream, end + 1)));
        }
        let line = match &self.text {
            Text::Clean(cleaner) if cleaner.is_left() => {
                self.follows_a_move = true;
                Some(self.end(stream, end))
            }
            _ if taken < rest.len() => self.part(stream, end),
            _ => None,
        };
        (taken, line)
    }

    /// Returns the line, which has ended.
    fn end(&mut self, stream: Stream, end: u64) -> Line {
        let (offset, at) = self.first.take().unwrap_or((end, Timestamp::UNIX_EPOCH));
        let text = match &mut self.text {
            Text::Raw(text) => std::mem::take(text),
            Text::Clean(cleaner) => {
                if !cleaner.is_left() {
                    cleaner.cancel();
                }
                cleaner.take()
            }
        };
        let begins = std::mem::replace(&mut self.begins, true);
        Line { offset, end, stream, at, text, begins, ends: true }
    }

    /// Returns the first part of a line that is too long.
    fn part(&mut self, stream: Stream, end: u64) -> Option<Line> {
        let (offset, at) = self.first.take()?;
        let text = match &mut self.text {
            Text::Raw(text) => std::mem::take(text),
            Text::Clean(cleaner) => cleaner.take(),
        };
        let begins = std::mem::replace(&mut self.begins, false);
        Some(Line { offset, end, stream, at, text, begins, ends: false })
    }

    /// Returns the unfinished line, which will not be continued, if it has any text.
    fn break_off(&mut self, stream: Stream, end: u64) -> Option<Line> {
        self.follows_a_move = false;
        self.first?;
        let begins = self.begins;
        let line = Line { ends: false, ..self.end(stream, end) };
        self.begins = line.text.is_empty() && begins;
        (!line.text.is_empty()).then_some(line)
    }
}

/// Returns the length of a text without an incomplete character at its end, or of all of it if there is nothing else.
pub(super) fn whole_characters(text: &[u8]) -> usize {
    let begins = text.iter().rposition(|byte| byte & 0xc0 != 0x80).unwrap_or(0);
    match std::str::from_utf8(&text[begins..]) {
        Err(error) if error.error_len().is_none() && begins > 0 => begins,
        _ => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Cursor;

    fn chunk(pieces: Vec<Piece>) -> OutputChunk {
        let end = pieces.last().map_or(0, |piece| match piece {
            Piece::Data { offset, bytes, .. } => offset + bytes.len() as u64,
            Piece::Gap { offset, bytes } => offset + bytes,
        });
        OutputChunk { pieces, cursor: Cursor(end), end: Cursor(end), more: false, cut: false }
    }

    fn data(offset: u64, stream: Stream, bytes: &[u8]) -> Piece {
        let at = Timestamp::from_microsecond(i64::try_from(offset).unwrap()).unwrap();
        Piece::Data { offset, stream, at, bytes: bytes.to_vec() }
    }

    /// Formats a line as `offset-end text`, with `~` where it continues.
    fn show(shown: Shown) -> String {
        match shown {
            Shown::Line(line) => {
                let text = String::from_utf8_lossy(&line.text).into_owned();
                let (before, behind) = (if line.begins { "" } else { "~" }, if line.ends { "" } else { "~" });
                format!("{}-{} {before}{text}{behind}", line.offset, line.end)
            }
            other => format!("{other:?}"),
        }
    }

    fn shown(lines: &mut Lines) -> Vec<String> {
        std::iter::from_fn(|| lines.next()).map(show).collect()
    }

    fn open(lines: &mut Lines) -> Vec<String> {
        lines.finish().into_iter().map(Shown::Line).map(show).collect()
    }

    #[test]
    fn the_lines_of_two_streams_do_not_mix() {
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        let mut lines = Lines::new(false, 100);
        lines.feed(chunk(vec![data(0, out, b"one\ntw"), data(6, err, b"e1\ne"), data(10, out, b"o\n\nthree")]));
        assert_eq!(shown(&mut lines), ["0-4 one", "6-9 e1", "4-12 two", "12-13 "]);
        assert_eq!((lines.cursor(), lines.untold()), (18, 9));
        lines.feed(chunk(vec![data(18, err, b"2\n")]));
        assert_eq!(shown(&mut lines), ["9-20 e2"]);
        assert_eq!((lines.cursor(), lines.untold()), (20, 13));
        assert_eq!(open(&mut lines), ["13-20 three~"]);
        assert_eq!(lines.untold(), 20);
    }

    #[test]
    fn a_stop_within_a_chunk_loses_nothing() {
        let mut lines = Lines::new(false, 100);
        lines.feed(chunk(vec![data(0, Stream::Stdout, b"on"), data(2, Stream::Stderr, b"e1\ne2\ne3\n")]));
        assert!(lines.next().is_some());
        assert_eq!(lines.cursor(), 5);
        lines.forget();
        assert_eq!(open(&mut lines), ["0-5 on~"]);
        assert_eq!(lines.cursor(), 5);
    }

    #[test]
    fn a_long_line_is_split_without_tearing_a_character() {
        let mut lines = Lines::new(false, 4);
        lines.feed(chunk(vec![data(0, Stream::Stdout, "abc日本x\nabcd\nnext\n".as_bytes())]));
        let expected = ["0-3 abc~", "3-6 ~日~", "6-11 ~本x", "11-16 abcd", "16-21 next"];
        assert_eq!(shown(&mut lines), expected);
        let mut lines = Lines::new(true, 12);
        lines.feed(chunk(vec![data(0, Stream::Stdout, &[b'x'; 25])]));
        let mut parts = shown(&mut lines);
        parts.extend(open(&mut lines));
        assert_eq!(parts.iter().map(|part| part.matches('x').count()).sum::<usize>(), 25);
        assert!(parts.len() > 2 && parts.iter().all(|part| part.ends_with('~')), "{parts:?}");
    }

    #[test]
    fn a_gap_ends_unfinished_lines() {
        let gap = Piece::Gap { offset: 3, bytes: 10 };
        let mut lines = Lines::new(true, 100);
        lines.feed(chunk(vec![data(0, Stream::Stdout, b"\x1b[3"), gap, data(13, Stream::Stdout, b"mid\nnew\n")]));
        assert_eq!(shown(&mut lines), ["Gap { offset: 3, bytes: 10 }", "13-17 ~mid", "17-21 new"]);
        lines.feed(chunk(vec![data(21, Stream::Stdout, b"abc")]));
        assert!(shown(&mut lines).is_empty());
        lines.jump();
        lines.feed(chunk(vec![data(100, Stream::Stdout, b"c\nd\n")]));
        assert_eq!(shown(&mut lines), ["100-102 ~c", "102-104 d"]);
    }

    #[test]
    fn cleaned_lines_are_the_same_however_the_bytes_are_divided() {
        let text =
            "\x1b[31mred\x1b[0m\r\n10%\r100%\n\x1b]0;never ended\nafter\n日本\nup\x1b[Adown\nleft\x1b[E\n\nlast\n";
        let text = text.as_bytes();
        let expected = ["red", "100%", "", "after", "日本", "up", "down", "left", "", "last"];
        for cut in 0..=text.len() {
            let mut lines = Lines::new(true, 100);
            let (first, second) = text.split_at(cut);
            lines.feed(chunk(vec![data(0, Stream::Stdout, first), data(cut as u64, Stream::Stdout, second)]));
            let found: Vec<_> =
                shown(&mut lines).iter().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
            assert_eq!(found, expected, "{cut}");
        }
    }
}

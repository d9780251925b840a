//! Cleaning lines as a terminal would show them: without escape sequences, and with only the last state of redraws.

use std::fmt;

use vte::{Params, Parser, Perform};

/// Cancels an incomplete sequence or character.
const CANCEL: u8 = 0x18;
/// How far a sequence can move the cursor to the right beyond the text: no terminal is wider.
const WIDEST: usize = 1024;
/// How many bytes of text one byte can become at most: the replacement for bytes that are not UTF-8 has three.
const GROWTH: usize = 3;

/// Draws the bytes of one stream line by line. How they are divided over calls makes no difference.
///
/// Carriage returns and backspaces move the cursor, and later text overwrites. Sequences that move the cursor within
/// the line or erase a part of it are obeyed. Sequences that move it to another line end this one, so that no text is
/// lost. All others, and all control characters except the tab, are removed. A line break ends every sequence, even an
/// incomplete one, so that a broken sequence spoils only one line. Every character is assumed to be one column wide.
#[derive(Default)]
pub(super) struct Cleaner {
    parser: Parser,
    /// Whether bytes of this line have been drawn, or an earlier sequence may continue.
    is_begun: bool,
    /// How many bytes of an incomplete character are still missing.
    torn: usize,
    drawn: Drawn,
}

impl Cleaner {
    /// Draws some of the bytes, none of which is a line break, and returns how many. If that is not all of them, the
    /// line has ended: it has reached `longest` bytes, or the cursor was moved to another line.
    pub(super) fn draw(&mut self, bytes: &[u8], longest: usize) -> usize {
        self.is_begun = true;
        let mut done = 0;
        while done < bytes.len() && !self.drawn.is_left {
            let room = longest.saturating_sub(self.drawn.bytes) / GROWTH;
            if room == 0 && self.drawn.bytes > 0 {
                break;
            }
            // The parser skips text that follows the rest of a character in the same call.
            let count = if self.torn > 0 { 1 } else { room.max(1) };
            let some = &bytes[done..bytes.len().min(done + count)];
            let taken = self.parser.advance_until_terminated(&mut self.drawn, some);
            self.torn = still_to_come(self.torn, &some[..taken]);
            done += taken;
        }
        done
    }

    /// Returns the drawn form of a whole line if that is known without drawing it: most lines are unchanged.
    pub(super) fn seen_of<'a>(&self, line: &'a [u8], longest: usize) -> Option<&'a [u8]> {
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        (!self.is_begun && text.len() <= longest_drawn(longest) && as_seen(text) == text.len()).then_some(text)
    }

    /// Returns whether earlier bytes may affect what is drawn next.
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Returns whether the cursor was moved to another line.
    pub(super) fn is_left(&self) -> bool {
        self.drawn.is_left
    }

    /// Cancels what is incomplete: the rest of it will not arrive.
    pub(super) fn cancel(&mut self) {
        self.parser.advance(&mut self.drawn, &[CANCEL]);
        self.torn = 0;
        self.is_begun = false;
    }

    /// Returns the line as it looks now.
    pub(super) fn seen(&self) -> Vec<u8> {
        self.drawn.cells.iter().collect::<String>().into_bytes()
    }

    /// Returns the line as it looks now, and begins another.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let seen = self.seen();
        self.drawn = Drawn::default();
        seen
    }
}

/// Returns how long a line may be to be certainly drawn as a whole under the bound `longest`.
pub(super) fn longest_drawn(longest: usize) -> usize {
    longest.saturating_sub(GROWTH)
}

/// Returns how many of the first bytes look the same when drawn: text in UTF-8, tabs and line breaks.
pub(super) fn as_seen(bytes: &[u8]) -> usize {
    let mut seen = 0;
    loop {
        seen += ascii(&bytes[seen..]);
        let others = bytes[seen..].iter().take_while(|byte| !byte.is_ascii()).count();
        match std::str::from_utf8(&bytes[seen..seen + others]) {
            Ok(text) if others > 0 && !text.contains(char::is_control) => seen += others,
            _ => return seen,
        }
    }
}

/// Returns how many of the first bytes are printable ASCII, tabs and line breaks. Works on whole blocks, which the
/// compiler turns into a few instructions.
fn ascii(bytes: &[u8]) -> usize {
    let is_seen = |byte: &u8| matches!(*byte, b' '..=b'~' | b'\t' | b'\n');
    let (blocks, _) = bytes.as_chunks::<32>();
    let are_seen = |block: &&[u8; 32]| block.iter().fold(true, |all, byte| all & is_seen(byte));
    let seen = 32 * blocks.iter().take_while(are_seen).count();
    seen + bytes[seen..].iter().take_while(|byte| is_seen(byte)).count()
}

/// Returns how many bytes of the last character are missing, if `before` bytes of one were missing before these.
fn still_to_come(before: usize, bytes: &[u8]) -> usize {
    let goes_on = |byte: u8| byte & 0xc0 == 0x80;
    match bytes {
        [byte] if before > 0 && goes_on(*byte) => before - 1,
        _ => {
            let last = bytes.iter().rev().take(3).position(|byte| !goes_on(*byte));
            last.map_or(0, |behind| {
                let all: usize = match bytes[bytes.len() - 1 - behind] {
                    0xc2..=0xdf => 1,
                    0xe0..=0xef => 2,
                    0xf0..=0xf4 => 3,
                    _ => 0,
                };
                all.saturating_sub(behind)
            })
        }
    }
}

impl fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cleaner").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Drawn {
    cells: Vec<char>,
    column: usize,
    /// The length of the text in UTF-8.
    bytes: usize,
    is_left: bool,
}

impl Drawn {
    fn go_to(&mut self, column: usize) {
        self.column = column.min(self.cells.len().max(WIDEST));
    }

    /// Blanks these cells, or removes them if nothing follows them.
    fn erase(&mut self, from: usize, to: usize) {
        if to >= self.cells.len() {
            self.drain(from, self.cells.len());
        } else if from < to {
            self.bytes -= length(&self.cells[from..to]);
            self.cells[from..to].fill(' ');
            self.bytes += to - from;
        }
    }

    /// Removes these cells.
    fn drain(&mut self, from: usize, to: usize) {
        let gone = self.cells.drain(from.min(to)..to);
        self.bytes -= length(gone.as_slice());
    }

    /// Inserts blanks before the cell of the cursor. Cells that are pushed over the edge are removed.
    fn insert(&mut self, count: usize) {
        let width = self.cells.len().max(WIDEST);
        let count = count.min(width - self.column);
        self.drain((width - count).min(self.cells.len()), self.cells.len());
        self.cells.splice(self.column..self.column, std::iter::repeat_n(' ', count));
        self.bytes += count;
    }
}

/// The length of these characters in UTF-8.
fn length(cells: &[char]) -> usize {
    cells.iter().map(|c| c.len_utf8()).sum()
}

impl Perform for Drawn {
    fn print(&mut self, c: char) {
        // The parser passes on DEL, and C1 controls whose two bytes arrived separately.
        if c.is_control() && c != '\t' {
            return;
        }
        if self.column > self.cells.len() {
            self.bytes += self.column - self.cells.len();
            self.cells.resize(self.column, ' ');
        }
        match self.cells.get_mut(self.column) {
            Some(cell) => self.bytes -= std::mem::replace(cell, c).len_utf8(),
            None => self.cells.push(c),
        }
        self.bytes += c.len_utf8();
        self.column += 1;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => self.print('\t'),
            b'\r' => self.column = 0,
            b'\x08' => self.column = self.column.saturating_sub(1),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let given = params.iter().next().map_or(0, |param| usize::from(param[0]));
        let count = given.max(1);
        match (action, given) {
            ('K' | 'J', 0) => self.erase(self.column, usize::MAX),
            ('K', 1) => self.erase(0, self.column + 1),
            ('K', 2) => self.erase(0, usize::MAX),
            ('X', _) => self.erase(self.column, self.column + count),
            ('P', _) => {
                let to = (self.column + count).min(self.cells.len());
                self.drain(self.column, to);
            }
            ('@', _) if self.column < self.cells.len() => self.insert(count),
            ('C' | 'a', _) => self.go_to(self.column + count),
            ('D', _) => self.column = self.column.saturating_sub(count),
            ('G' | '`', _) => self.go_to(count - 1),
            ('A' | 'B' | 'E' | 'F' | 'H' | 'f' | 'd' | 'J', _) => self.is_left = !self.cells.is_empty(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, intermediates: &[u8], _: bool, byte: u8) {
        if intermediates.is_empty() && matches!(byte, b'D' | b'E' | b'M' | b'c') {
            self.is_left = !self.cells.is_empty();
        }
    }

    fn terminated(&self) -> bool {
        self.is_left
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::generate::cases;
    use crate::output::properties::PARTS;

    /// Draws bytes in pieces that are divided at these places, and returns the lines joined by `/`.
    fn drawn(bytes: &[u8], cuts: &[usize]) -> String {
        let mut cleaner = Cleaner::default();
        let mut shown = Vec::new();
        let borders = cuts.iter().copied().chain([bytes.len()]);
        let mut from = 0;
        for to in borders {
            let mut piece = &bytes[from..to];
            while !piece.is_empty() {
                // Lines of these tests are shorter, so that a line ends only when the cursor leaves it.
                piece = &piece[cleaner.draw(piece, 1 << 20)..];
                if cleaner.is_left() {
                    shown.extend_from_slice(&cleaner.take());
                    shown.push(b'/');
                }
            }
            from = to;
        }
        cleaner.cancel();
        shown.extend_from_slice(&cleaner.take());
        String::from_utf8(shown).unwrap()
    }

    /// The output of programs, and how it looks.
    const SEEN: &[(&[u8], &str)] = &[
        (b"plain", "plain"),
        (b"\x1b[1;31merror\x1b[0m: no", "error: no"),
        (b"\x1b[38;2;1;2;3mrgb\x1b[38:5:9mcolon\x1b[m", "rgbcolon"),
        (b"a\tb\x07c\x00d\x7fe\x0ef", "a\tbcdef"),
        (b"dos line\r", "dos line"),
        // Redraws: a shorter text does not hide a longer one before it unless that is erased.
        (b"  0%\r 50%\r100%", "100%"),
        (b"100%\rok", "ok0%"),
        (b"100%\r\x1b[Kok", "ok"),
        (b"100%\r\x1b[2Kok", "ok"),
        (b"abcdef\x1b[3G\x1b[1K", "   def"),
        (b"abc\x1b[2Kd", "   d"),
        // curl, pip, npm, cargo.
        (b"  0 100M   0    0\r 50 100M  50  50M\r100 100M 100 100M", "100 100M 100 100M"),
        (
            "\r\x1b[K   ━━━━━━╸━━━━ 0.6/1.0 MB\r\x1b[2K   ━━━━━━━━━━━━ 1.0/1.0 MB".as_bytes(),
            "   ━━━━━━━━━━━━ 1.0/1.0 MB",
        ),
        ("\x1b[1G\x1b[0K⠙ idealTree\x1b[1G\x1b[0K⠹ reify\x1b[1G\x1b[0Kadded 3 packages".as_bytes(), "added 3 packages"),
        (b"    Building [=>  ] 1/3: a\r    Building [==> ] 2/3: b\r\x1b[K    Finished", "    Finished"),
        (b"wait\x1b[?25l|\x08/\x08-\x08\\\x08 \x08\x1b[?25h done", "wait done"),
        // Bold text as in man pages.
        (b"N\x08NA\x08AM\x08ME\x08E", "NAME"),
        (b"ab\x08\x08\x08X", "Xb"),
        // Titles, links, and other strings, terminated by BEL or ST.
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\!", "link!"),
        (b"\x1bP1$r0m\x1b\\dcs\x1b_apc\x1b\\\x1b^pm\x1b\\\x1bXsos\x1b\\end", "dcsend"),
        (b"\x1b(Bcharset\x1b=\x1b>\x1b7\x1b8", "charset"),
        // Cursor movements and edits within the line.
        (b"abc\x1b[2DX\x1b[CY", "aXcY"),
        (b"a\x1b[5Gb\x1b[3Cc", "a   b   c"),
        (b"abcdef\r\x1b[2P\x1b[C\x1b[2X!", "c! f"),
        (b"ad\x08\x1b[2@bc", "abcd"),
        // Movements to other lines lose no text.
        (b"\x1b[2J\x1b[Hone\x1b[2;1Htwo\x1b[3;1Hthree", "one/two/three"),
        (b"\x1b[1A\x1b[2Kagain", "again"),
        (b"up\x1b[1Adown", "up/down"),
        // Broken sequences, and bytes that are not text.
        (b"text\x1b", "text"),
        (b"text\x1b[31", "text"),
        (b"text\x1b]0;never ended", "text"),
        (b"a\x1b[\x1b[31mb", "ab"),
        (b"a\xffb\xe6\x97", "a\u{fffd}b\u{fffd}"),
        ("日本\u{9b}語😀é".as_bytes(), "日本語😀é"),
        ("éaéb日c😀dé".as_bytes(), "éaéb日c😀dé"),
        (b"\xc3\xa9a\xc3b\xe6\x97c\xf0\x9f\x98d\xff", "éa\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}"),
    ];

    #[test]
    fn a_cleaned_line_is_what_a_terminal_shows() {
        for (bytes, seen) in SEEN {
            assert_eq!(drawn(bytes, &[]), *seen, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn dividing_the_bytes_makes_no_difference() {
        for (bytes, _) in SEEN {
            let whole = drawn(bytes, &[]);
            let text = String::from_utf8_lossy(bytes);
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    assert_eq!(drawn(bytes, &[first, second]), whole, "{text:?} at {first} and {second}");
                }
            }
            assert_eq!(drawn(bytes, &(0..bytes.len()).collect::<Vec<_>>()), whole, "{text:?} byte by byte");
        }
    }

    proptest! {
        #![proptest_config(cases(1000))]

        #[test]
        fn dividing_arbitrary_bytes_makes_no_difference(
            parts in vec(select(&PARTS[..]), 0..30),
            cuts in vec(any::<Index>(), 0..4),
        ) {
            let bytes: Vec<u8> = parts.concat().into_iter().filter(|byte| *byte != b'\n').collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            prop_assert_eq!(drawn(&bytes, &cuts), drawn(&bytes, &[]));
        }
    }

    #[test]
    fn a_line_is_never_longer_than_its_bound() {
        let mut cleaner = Cleaner::default();
        for bytes in [&[b'x'; 5000][..], &[0xff; 5000], b"\x1b[900Cx", b"\r\x1b[5000@"] {
            let drawn = cleaner.draw(bytes, 3000);
            assert!(drawn <= bytes.len() && cleaner.drawn.bytes <= 4096, "{drawn}");
            assert_eq!(cleaner.drawn.bytes, cleaner.drawn.cells.iter().map(|c| c.len_utf8()).sum::<usize>());
        }
        // However long a sequence is, and for a redraw.
        let mut cleaner = Cleaner::default();
        cleaner.draw(b"\x1b]0;", 100);
        for _ in 0..1000 {
            assert_eq!(cleaner.draw(&[b'x'; 1000], 100), 1000);
        }
        cleaner.cancel();
        for _ in 0..1000 {
            assert_eq!(cleaner.draw(b"\r12345678", 100), 9);
        }
        assert_eq!(cleaner.take(), b"12345678");
    }
}

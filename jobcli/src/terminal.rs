//! Makes a job's output harmless to a terminal: it can set colours and redraw its own line, and nothing else.

use std::io::{self, Write};

use jobcore::escape::is_obeyed;

/// The longest sequence to wait for, in bytes. The longest one that sets colours has about 20.
const LONGEST: usize = 64;
/// Resets all colours (xterm control sequence).
const PLAIN: &[u8] = b"\x1b[0m";

/// Passes on a job's output as text that a terminal cannot obey. It makes no difference how the bytes are split over
/// calls.
///
/// Text, line breaks and tabs are passed on, and so is what changes only colours or the current line: carriage return,
/// backspace, `CSI m` and `CSI K`. Every other character that a terminal would obey is written as an escape, such as
/// `\u{1b}`, and bytes that are not UTF-8 as `\xff`.
#[derive(Debug)]
pub(crate) struct Harmless<W: Write> {
    out: W,
    /// An incomplete character or sequence.
    pending: Vec<u8>,
    is_coloured: bool,
}

impl<W: Write> Harmless<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, pending: Vec::new(), is_coloured: false }
    }

    /// Writes what is incomplete as escapes, and resets colours.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        let rest = std::mem::take(&mut self.pending);
        let mut shown = Vec::new();
        escape(&rest, &mut shown);
        if std::mem::take(&mut self.is_coloured) {
            shown.extend_from_slice(PLAIN);
        }
        self.out.write_all(&shown)?;
        self.out.flush()
    }
}

impl<W: Write> Write for Harmless<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = std::mem::take(&mut self.pending);
        all.extend_from_slice(bytes);
        let mut shown = Vec::with_capacity(all.len());
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            match part(rest) {
                Part::Kept(length) => {
                    let (kept, behind) = rest.split_at(length);
                    shown.extend_from_slice(kept);
                    if kept.starts_with(b"\x1b") && kept.ends_with(b"m") {
                        self.is_coloured = kept != b"\x1b[m" && kept != PLAIN;
                    }
                    rest = behind;
                }
                Part::Obeyed(length) => {
                    let (obeyed, behind) = rest.split_at(length);
                    escape(obeyed, &mut shown);
                    rest = behind;
                }
                Part::Incomplete => break,
            }
        }
        self.pending = rest.to_vec();
        self.out.write_all(&shown)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The kind and length of what some bytes begin with.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// To be passed on unchanged.
    Kept(usize),
    /// Would be obeyed by a terminal, or is not text.
    Obeyed(usize),
    /// Cannot be decided without more bytes.
    Incomplete,
}

fn part(bytes: &[u8]) -> Part {
    let plain = bytes.iter().take_while(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r' | b'\x08')).count();
    if plain > 0 {
        return Part::Kept(plain);
    }
    match bytes {
        [0x1b] => Part::Incomplete,
        [0x1b, b'[', rest @ ..] => sequence(rest),
        _ => character(bytes),
    }
}

/// Judges a sequence by what follows its first two bytes.
fn sequence(rest: &[u8]) -> Part {
    let parameters = rest.iter().take(LONGEST).take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')).count();
    match rest.get(parameters) {
        Some(b'm' | b'K') => Part::Kept(2 + parameters + 1),
        None if parameters < LONGEST => Part::Incomplete,
        Some(_) | None => Part::Obeyed(1),
    }
}

fn character(bytes: &[u8]) -> Part {
    let first = bytes.utf8_chunks().next();
    let Some(chunk) = first else { return Part::Incomplete };
    match chunk.valid().chars().next() {
        Some(c) if is_obeyed(c) => Part::Obeyed(c.len_utf8()),
        Some(_) => Part::Kept(chunk.valid().chars().take_while(|c| !is_obeyed(*c)).map(char::len_utf8).sum()),
        // All that is left may be the first bytes of a split character, at most three.
        None if chunk.invalid().len() == bytes.len()
            && std::str::from_utf8(bytes).is_err_and(|e| e.error_len().is_none()) =>
        {
            Part::Incomplete
        }
        None => Part::Obeyed(chunk.invalid().len()),
    }
}

/// Writes bytes as escapes.
fn escape(bytes: &[u8], shown: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match is_obeyed(c) {
                true => shown.extend(c.escape_default().map(|c| c as u8)),
                false => shown.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            shown.extend(std::ascii::escape_default(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&[u8]]) -> String {
        let mut harmless = Harmless::new(Vec::new());
        for part in parts {
            harmless.write_all(part).unwrap();
        }
        harmless.finish().unwrap();
        String::from_utf8(harmless.out).unwrap()
    }

    const CASES: [(&[u8], &str); 12] = [
        (b"plain\ttext\n", "plain\ttext\n"),
        (b" 10%\r 20%\x08\x1b[K", " 10%\r 20%\x08\x1b[K"),
        (b"\x1b[1;31mred\x1b[0m\n", "\x1b[1;31mred\x1b[0m\n"),
        (b"\x1b[38:2::1:2:3mred", "\x1b[38:2::1:2:3mred\x1b[0m"),
        (b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
        (b"\x1b[2J\x1b[?1049h\x1b[6n", "\\u{1b}[2J\\u{1b}[?1049h\\u{1b}[6n"),
        (b"\x1b[31", "\\u{1b}[31"),
        ("日本語\u{9b}2J\u{202e}x".as_bytes(), "日本語\\u{9b}2J\\u{202e}x"),
        (b"\xff\x9b2J\xe6\x97", "\\xff\\x9b2J\\xe6\\x97"),
        (b"\xe6\x97x", "\\xe6\\x97x"),
        (b"\x1b\x1b[32mok\x7f", "\\u{1b}\x1b[32mok\\u{7f}\x1b[0m"),
        (b"", ""),
    ];

    #[test]
    fn only_colours_and_the_current_line_can_change() {
        for (bytes, expected) in CASES {
            assert_eq!(shown(&[bytes]), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn chunk_boundaries_make_no_difference() {
        for (bytes, expected) in CASES {
            let single: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(shown(&single), expected, "{}", bytes.escape_ascii());
            for border in 0..bytes.len() {
                let (head, tail) = bytes.split_at(border);
                assert_eq!(shown(&[head, tail]), expected, "{} at {border}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn a_sequence_without_an_end_is_not_waited_for() {
        let long = [b"\x1b[".as_slice(), &b"1;".repeat(1000)].concat();
        let mut harmless = Harmless::new(Vec::new());
        harmless.write_all(&long).unwrap();
        assert!(harmless.pending.is_empty() && harmless.out.starts_with(b"\\u{1b}[1;1;"));
    }
}

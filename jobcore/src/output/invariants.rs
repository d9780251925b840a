//! What holds for lines, whatever is written: for the fuzz targets and the property tests.

use super::lines::Lines;
use super::{Cursor, OutputChunk, Piece, Shown, Stream};
use crate::clock::Timestamp;

/// How long a line of a test is at least.
const SHORTEST: usize = 16;
/// By how much a line that is drawn may be longer than its bound: one move to the right goes no further.
const BEYOND: usize = 1024 + 4;

/// Feeds bytes in pieces of this size, the streams in turns where `both` are written to, and returns the lines of each.
fn lines(bytes: &[u8], size: usize, clean: bool, longest: usize, both: bool) -> [Vec<super::Line>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    let mut lines = Lines::new(clean, longest);
    let stream_of = |index: usize| if both && index % 2 == 1 { Stream::Stderr } else { Stream::Stdout };
    let mut offset = 0;
    for (index, piece) in bytes.chunks(size).enumerate() {
        let end = offset + piece.len() as u64;
        let data = Piece::Data { offset, stream: stream_of(index), at: Timestamp::UNIX_EPOCH, bytes: piece.to_vec() };
        lines.feed(OutputChunk { pieces: vec![data], cursor: Cursor(end), end: Cursor(end), more: false, cut: false });
        offset = end;
        while let Some(shown) = lines.next() {
            let Shown::Line(line) = shown else { panic!("nothing is missing: {shown:?}") };
            found[line.stream as usize].push(line);
        }
        assert_eq!(lines.cursor(), end, "all is looked at");
        assert!(lines.untold() <= end);
    }
    for line in lines.finish() {
        found[line.stream as usize].push(line);
    }
    found
}

/// Puts the parts of lines together.
fn joined(lines: &[super::Line]) -> Vec<Vec<u8>> {
    let mut joined: Vec<Vec<u8>> = Vec::new();
    for line in lines {
        match joined.last_mut().filter(|_| !line.begins) {
            Some(before) => before.extend_from_slice(&line.text),
            None => joined.push(line.text.clone()),
        }
    }
    joined
}

/// Checks lines of output, raw and cleaned: the first byte is how they are divided, the second how long a line may be.
pub(crate) fn check_lines(bytes: &[u8]) {
    let ([size, longest, ..], rest) = (bytes, bytes.get(2..).unwrap_or_default()) else { return };
    let (size, longest) = (usize::from(*size).max(1), SHORTEST + usize::from(*longest));
    for both in [false, true] {
        let mut written = [Vec::new(), Vec::new()];
        for (index, piece) in rest.chunks(size).enumerate() {
            written[usize::from(both) * (index % 2)].extend_from_slice(piece);
        }
        for (lines, written) in lines(rest, size, false, longest, both).iter().zip(&written) {
            let mut expected: Vec<&[u8]> = written.split(|byte| *byte == b'\n').collect();
            if expected.last().is_some_and(|last| last.is_empty()) {
                expected.pop();
            }
            assert_eq!(joined(lines), expected, "raw lines are what was written");
            assert!(lines.iter().all(|line| line.text.len() <= longest && line.offset <= line.end));
            assert!(lines.iter().all(|line| line.text.is_empty() || line.end > line.offset));
        }
    }
    let [cleaned, _] = lines(rest, size, true, longest, false);
    for line in &cleaned {
        let text = std::str::from_utf8(&line.text).expect("what is cleaned is text");
        assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}");
        assert!(text.len() <= longest + BEYOND, "a line of {} bytes, where {longest} are the most", text.len());
    }
    if cleaned.iter().all(|line| line.ends || line.begins) && rest.len() < longest / 3 {
        let [whole, _] = lines(rest, usize::MAX, true, longest, false);
        assert_eq!(joined(&whole), joined(&cleaned), "it makes no difference how the bytes are divided");
    }
}

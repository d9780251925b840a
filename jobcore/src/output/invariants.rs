//! Invariants of lines, whatever is written: for the fuzz targets and the property tests.

use super::clean::Cleaner;
use super::lines::Lines;
use super::{Cursor, Grep, OutputChunk, OutputQuery, Pattern, Piece, Position, Shown, Stream, View, ViewText, Viewer};
use crate::clock::Timestamp;

/// A size at which bytes are not divided.
const WHOLE: usize = 1 << 30;
/// The minimum line limit in a test.
const SHORTEST: usize = 16;
/// How much longer than its bound a drawn line may be: the reach of one movement to the right.
const BEYOND: usize = 1024 + 4;

/// Divides bytes into chunks of this size, alternating between the streams if `both` are written.
fn chunks(bytes: &[u8], size: usize, both: bool) -> impl Iterator<Item = OutputChunk> {
    bytes.chunks(size).enumerate().map(move |(index, piece)| {
        let stream = if both && index % 2 == 1 { Stream::Stderr } else { Stream::Stdout };
        let offset = (index * size) as u64;
        let data = Piece::Data { offset, stream, at: Timestamp::UNIX_EPOCH, bytes: piece.to_vec() };
        let end = Cursor(offset + piece.len() as u64);
        OutputChunk { pieces: vec![data], cursor: end, end, more: false, cut: false }
    })
}

/// Feeds bytes in pieces of this size, and returns the lines of each stream.
fn lines(bytes: &[u8], size: usize, clean: bool, longest: usize, both: bool) -> [Vec<super::Line>; 2] {
    let mut found = [Vec::new(), Vec::new()];
    let mut lines = Lines::new(clean, longest);
    for chunk in chunks(bytes, size, both) {
        let end = chunk.end.0;
        lines.feed(chunk);
        while let Some(shown) = lines.next() {
            let Shown::Line(line) = shown else { panic!("expected a line: {shown:?}") };
            found[line.stream as usize].push(line);
        }
        assert_eq!(lines.cursor(), end, "everything was consumed");
        assert!(lines.untold() <= end);
    }
    for line in lines.finish() {
        found[line.stream as usize].push(line);
    }
    found
}

/// Joins the parts of long lines.
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

/// Checks lines of output, raw and cleaned: the first byte selects how they are divided, the second how long a line may
/// be.
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
            assert_eq!(joined(lines), expected, "raw lines differ from what was written");
            assert!(lines.iter().all(|line| line.text.len() <= longest && line.offset <= line.end));
            assert!(lines.iter().all(|line| line.text.is_empty() || line.end > line.offset));
        }
    }
    for line in rest.split(|byte| *byte == b'\n') {
        let mut cleaner = Cleaner::default();
        if let Some(seen) = cleaner.seen_of(line, longest) {
            assert_eq!(cleaner.draw(line, longest), line.len(), "{line:?} was not drawn as one line");
            assert!(!cleaner.is_left() && cleaner.take() == seen, "{line:?} was changed by drawing it");
        }
    }
    for both in [false, true] {
        check_written_whole(rest, size, both);
    }
    let [cleaned, _] = lines(rest, size, true, longest, false);
    for line in &cleaned {
        let text = std::str::from_utf8(&line.text).expect("a cleaned line is UTF-8");
        assert!(!text.chars().any(|c| c.is_control() && c != '\t'), "{text:?}");
        assert!(text.len() <= longest + BEYOND, "a line of {} bytes, but the limit is {longest}", text.len());
    }
    if cleaned.iter().all(|line| line.ends || line.begins) && rest.len() < longest / 3 {
        let [whole, _] = lines(rest, WHOLE, true, longest, false);
        assert_eq!(joined(&whole), joined(&cleaned), "the lines depend on how the bytes are divided");
    }
}

/// Checks that writing many lines at once gives the same result as writing them one by one.
fn check_written_whole(bytes: &[u8], size: usize, both: bool) {
    for clean in [false, true] {
        let view = View::default().with_clean(clean);
        let written = [false, true].map(|at_once| {
            let (mut viewer, _) = Viewer::new(&view, &OutputQuery::from(Position::Start).with_max_bytes(u64::MAX));
            let mut text = ViewText::new(&view, None);
            let mut show = |viewer: &mut Viewer| loop {
                if at_once {
                    viewer.write_whole(&mut text);
                }
                let Some(shown) = viewer.next_shown() else { break };
                text.push(&shown);
            };
            for chunk in chunks(bytes, size, both) {
                viewer.feed(chunk);
                show(&mut viewer);
            }
            viewer.finish();
            show(&mut viewer);
            (text.take(), viewer.cursor())
        });
        assert_eq!(written[0], written[1]);
    }
}

/// Checks that searching many lines at once finds the same matches and shows the same context as searching each line.
pub(crate) fn check_grep(pattern: &Pattern, bytes: &[u8]) {
    for (size, before, after) in [(WHOLE, 0, 0), (50, 1, 0), (7, 0, 2), (300, 2, 1), (WHOLE, u64::MAX, 0)] {
        for (clean, both) in [(false, false), (true, false), (false, true)] {
            let grep = Grep::new(pattern.clone()).with_context(before, after);
            let view = View::default().with_clean(clean).with_grep(Some(grep));
            let shown = [false, true].map(|at_once| {
                let (mut viewer, _) = Viewer::new(&view, &OutputQuery::from(Position::Start));
                if !at_once {
                    viewer.look_at_each();
                }
                let mut all = Vec::new();
                for chunk in chunks(bytes, size, both) {
                    viewer.feed(chunk);
                    all.extend(std::iter::from_fn(|| viewer.next_shown()));
                }
                viewer.finish();
                all.extend(std::iter::from_fn(|| viewer.next_shown()));
                (all, viewer.cursor())
            });
            assert_eq!(shown[0], shown[1], "{pattern} with {before} lines before and {after} after");
        }
    }
}

//! The result of a read: pieces in order, the gaps between them, and where to continue.

use super::{Cursor, Row, Stream};
use crate::clock::Timestamp;

/// How far at most a cursor is moved back because of an incomplete character.
const TORN_HOLDS_UP: u64 = 4096;
/// A part of the output that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Piece {
    /// Bytes exactly as the job wrote them.
    #[non_exhaustive]
    Data {
        /// The offset of the first byte.
        offset: u64,
        /// The stream that they belong to.
        stream: Stream,
        /// When they arrived, to a hundredth of a second.
        at: Timestamp,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Bytes that the job wrote and that were not kept. They may belong to either stream.
    #[non_exhaustive]
    Gap {
        /// The offset of the first of them.
        offset: u64,
        /// How many there were.
        bytes: u64,
    },
}

impl Piece {
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Data { offset, .. } | Self::Gap { offset, .. } => *offset,
        }
    }
}

/// The result of a read, and where to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputChunk {
    /// The parts, in order.
    pub pieces: Vec<Piece>,
    /// Pass this to read on from here.
    pub cursor: Cursor,
    /// Where the output ended when it was read.
    pub end: Cursor,
    /// Whether there was more to read than the query's limits allowed.
    pub more: bool,
    /// Whether fewer lines were found than requested because the search for them ended within a long line: the result
    /// begins in the middle of a line.
    pub cut: bool,
}

impl OutputChunk {
    /// Returns the bytes of one stream, or of both in the order in which they arrived, without the gaps.
    pub fn bytes(&self, only: Option<Stream>) -> Vec<u8> {
        let mut all = Vec::new();
        for piece in &self.pieces {
            if let Piece::Data { stream, bytes, .. } = piece
                && only.is_none_or(|only| only == *stream)
            {
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    /// Returns where the result begins, if it is not empty.
    pub(crate) fn begins(&self) -> Option<Cursor> {
        self.pieces.first().map(|piece| Cursor(piece.offset()))
    }

    /// Removes an incomplete character at the end, so that a text is never torn; the cursor is then before that
    /// character. With `is_last`, nothing will follow, and characters that no later read can complete stay.
    #[must_use]
    pub fn whole_characters(mut self, is_last: bool) -> Self {
        if is_last && !self.more {
            return self;
        }
        let torn = [Stream::Stdout, Stream::Stderr].into_iter().filter_map(|stream| self.torn_at(stream)).min();
        // A stream that stops within a character must not hold up the other.
        let Some(at) = torn.filter(|at| self.cursor.0 - at <= TORN_HOLDS_UP) else { return self };
        let mut pieces = self.pieces.clone();
        pieces.retain(|piece| piece.offset() < at);
        if let Some(Piece::Data { offset, bytes, .. }) = pieces.last_mut() {
            bytes.truncate(usize::try_from(at - *offset).unwrap_or(usize::MAX));
        }
        if pieces.is_empty() && self.more {
            // There was no room for anything else: half a character is better than no progress.
            return self;
        }
        self.pieces = pieces;
        self.cursor = Cursor(at);
        self
    }

    /// Returns where an incomplete character at the end of a stream begins.
    fn torn_at(&self, stream: Stream) -> Option<u64> {
        // A character has at most four bytes, which may be spread over several pieces.
        let mut tail: Vec<(u64, u8)> = Vec::new();
        for piece in self.pieces.iter().rev() {
            match piece {
                Piece::Data { stream: of, offset, bytes, .. } if *of == stream => {
                    let there = bytes.iter().enumerate().rev().map(|(index, byte)| (offset + index as u64, *byte));
                    tail.extend(there.take(3_usize.saturating_sub(tail.len())));
                }
                Piece::Data { .. } => {}
                // A character before a gap is not completed by the bytes after it.
                Piece::Gap { .. } => break,
            }
            if tail.len() == 3 {
                break;
            }
        }
        tail.reverse();
        let bytes: Vec<u8> = tail.iter().map(|(_, byte)| *byte).collect();
        // The first of the three bytes may belong to an earlier character, so every start is tried.
        (0..bytes.len()).find_map(|first| {
            let error = std::str::from_utf8(&bytes[first..]).err()?;
            let is_begun = error.valid_up_to() == 0 && error.error_len().is_none();
            is_begun.then(|| tail[first].0)
        })
    }

    /// Returns how many bytes within the result were not kept.
    pub fn dropped(&self) -> u64 {
        self.pieces.iter().map(|piece| if let Piece::Gap { bytes, .. } = piece { *bytes } else { 0 }).sum()
    }
}

/// Adds bytes that were not kept.
pub(super) fn push_gap(pieces: &mut Vec<Piece>, offset: u64, count: u64) {
    match pieces.last_mut() {
        Some(Piece::Gap { bytes, .. }) => *bytes += count,
        _ => pieces.push(Piece::Gap { offset, bytes: count }),
    }
}

/// Adds bytes, to the last piece if they belong to the same row.
pub(super) fn push_data(pieces: &mut Vec<Piece>, row: Row, offset: u64, mut more: Vec<u8>) {
    match pieces.last_mut() {
        Some(Piece::Data { stream, bytes, at, .. }) if *stream == row.stream && *at == row.at() => {
            bytes.append(&mut more);
        }
        _ => pieces.push(Piece::Data { offset, stream: row.stream, at: row.at(), bytes: more }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_torn_only_if_nothing_will_complete_it() {
        let chunk = |parts: &[(Stream, &[u8])], more| {
            let mut offset = 0;
            let mut pieces = Vec::new();
            for (stream, bytes) in parts {
                pieces.push(Piece::Data { offset, stream: *stream, at: Timestamp::UNIX_EPOCH, bytes: bytes.to_vec() });
                offset += bytes.len() as u64;
            }
            OutputChunk { pieces, cursor: Cursor(offset), end: Cursor(offset), more, cut: false }
        };
        let cursor = |parts: &[(Stream, &[u8])], more, is_last| chunk(parts, more).whole_characters(is_last).cursor.0;
        let (out, err) = (Stream::Stdout, Stream::Stderr);
        assert_eq!(cursor(&[(out, b"a\xe6\x97")], false, false), 1);
        assert_eq!(cursor(&[(out, b"a\xe6\x97")], false, true), 3, "nothing follows");
        assert_eq!(cursor(&[(out, b"a\xe6\x97")], true, true), 1, "there is more");
        assert_eq!(cursor(&[(out, b"\xe6\x97")], true, true), 2, "there is no room for anything else");
        assert_eq!(cursor(&[(out, "a日".as_bytes())], false, false), 4);
        assert_eq!(cursor(&[(out, b"a\xff\xfe")], false, false), 3, "not the beginning of a character");
        assert_eq!(cursor(&[(out, b"a\xe6"), (err, b"xyz"), (out, b"\x97")], false, false), 1);
        assert_eq!(cursor(&[(out, b"a\xe6"), (err, b"xyz"), (out, b"\x97\xa5")], false, false), 7);
        assert_eq!(cursor(&[(out, b"a\xe6"), (err, &[b'x'; 5000])], false, false), 5002, "the other stream continues");
    }
}

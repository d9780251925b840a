//! The items of a view: lines, and notes in place of lines that are not shown.

use super::{Cursor, Stream};
use crate::clock::Timestamp;

/// A longer line is shown in parts.
pub(super) const LONGEST: usize = 64 * 1024;

/// A line of one stream, or a part of a line that is longer than the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The offset of its first byte.
    pub offset: u64,
    /// The offset after its last byte.
    pub end: u64,
    /// The stream that it belongs to.
    pub stream: Stream,
    /// When its first byte arrived, to a hundredth of a second.
    pub at: Timestamp,
    /// Its text, without the line break. A cleaned text is UTF-8; otherwise it is exactly as the job wrote it.
    pub text: Vec<u8>,
    /// Whether this is the beginning of a line, as far as is known.
    pub begins: bool,
    /// Whether this is the end of a line. If not, more of the line may follow later.
    pub ends: bool,
}

/// An item of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// A line, or a part of a long one.
    Line(Line),
    /// Lines that do not match were left out here, between two groups of lines.
    Separator,
    /// The previous line was repeated.
    Repeated {
        /// How many more times.
        times: u64,
        /// The stream of the line.
        stream: Stream,
        /// When it arrived last.
        at: Timestamp,
    },
    /// Bytes that were not kept. They may belong to either stream.
    Gap {
        /// The offset of the first of them.
        offset: u64,
        /// How many there were.
        bytes: u64,
    },
    /// Output that was left out for lack of room.
    LeftOut(LeftOut),
}

impl Shown {
    /// Returns the length of its text.
    pub(crate) fn len(&self) -> u64 {
        if let Self::Line(line) = self { line.text.len() as u64 } else { 0 }
    }

    pub(super) fn begins(&self) -> bool {
        matches!(self, Self::Line(line) if line.begins)
    }

    /// Returns whether it is a part of a line but not its beginning.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self, Self::Line(line) if !line.begins)
    }
}

/// A part of a view that was left out for lack of room, and how much of it had been dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Pass this to read it.
    pub cursor: Cursor,
    /// How many bytes of it can be read: of its lines or, if those were not scanned, of the output of both streams.
    pub bytes: u64,
    /// How many bytes of the output of both streams were dropped within it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// How many lines it has; absent if they were not scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
}

impl LeftOut {
    pub(crate) fn new(cursor: Cursor, bytes: u64, dropped: u64, lines: Option<u64>) -> Self {
        Self { cursor, bytes, dropped, lines }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(bytes: &u64) -> bool {
    *bytes == 0
}

//! What a view consists of: lines, and what stands in the place of those that are not shown.

use super::{Cursor, Stream};
use crate::clock::Timestamp;

/// A longer line comes in parts.
pub(super) const LONGEST: usize = 64 * 1024;

/// A line of one stream, or a part of a line that is longer than the bound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// Where it begins.
    pub offset: u64,
    /// The offset behind its last byte.
    pub end: u64,
    /// Which stream it is of.
    pub stream: Stream,
    /// When its first byte came, to a hundredth of a second.
    pub at: Timestamp,
    /// What it says, without the line break. Cleaned, it is UTF-8; else it is as the job wrote it.
    pub text: Vec<u8>,
    /// Whether it is the beginning of a line, as far as that is known.
    pub begins: bool,
    /// Whether it is the end of a line. If not, more of the line may follow, or may come.
    pub ends: bool,
}

/// What a view consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// A line, or a part of a long one.
    Line(Line),
    /// Lines that do not match were left out here, between two groups of lines.
    Separator,
    /// The line before came again.
    Repeated {
        /// How many times more.
        times: u64,
        /// Of which stream it is.
        stream: Stream,
        /// When it came last.
        at: Timestamp,
    },
    /// Bytes that were not kept. They may have been of either stream.
    Gap {
        /// Where they began.
        offset: u64,
        /// How many they were.
        bytes: u64,
    },
    /// What there was no room for.
    LeftOut(LeftOut),
}

impl Shown {
    /// Returns how long its text is.
    pub(crate) fn len(&self) -> u64 {
        if let Self::Line(line) = self { line.text.len() as u64 } else { 0 }
    }

    pub(super) fn begins(&self) -> bool {
        matches!(self, Self::Line(line) if line.begins)
    }

    /// Returns whether it is a part of a line that is not its beginning.
    pub(super) fn goes_on(&self) -> bool {
        matches!(self, Self::Line(line) if !line.begins)
    }
}

/// A part of a view that was left out because there was no room for it, and what of it was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct LeftOut {
    /// Pass this to get it.
    pub cursor: Cursor,
    /// How many bytes it has that can be read: of the lines, or if those were not looked at, of the output of both streams.
    pub bytes: u64,
    /// How many bytes of the output of both streams were dropped within it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// How many lines it has; absent where they were not looked at.
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

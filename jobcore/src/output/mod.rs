//! The output of a job: one sequence of bytes for both streams, parts of which may have been dropped, and how it is
//! read.
//!
//! Every byte that a job writes has an offset that never changes. The bytes are kept in segments named by the offset of
//! their first byte. Beside each segment is a sidecar of rows that record from which offset on the bytes belong to
//! which stream, and when they arrived. A log that exceeds its limit drops its oldest segments except the first: the
//! beginning and the newest output stay, and the size of the gap between them is reported in bytes.

// In the order in which to read them:
// - `write.rs`, `size.rs`: segments, rows and limits
// - `query.rs`, `chunk.rs`, `read.rs`: queries, results, and reading
// - `clean.rs`, `lines.rs`, `shown.rs`: lines, cleaned
// - `view.rs`, `grep.rs`, `blocks.rs`, `remembered.rs`: which lines are shown
// - `excerpt.rs`, `text.rs`: how much of them, and as text
// - `invariants.rs`, `properties.rs`: invariants of any output

mod blocks;
mod chunk;
mod clean;
mod excerpt;
mod grep;
#[cfg(any(test, feature = "fuzzing"))]
mod invariants;
mod lines;
#[cfg(test)]
mod properties;
mod query;
mod read;
mod remembered;
mod shown;
mod size;
mod text;
mod view;
mod write;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::error::Result;
use crate::parse_error::ParseError;

pub use chunk::{OutputChunk, Piece};
pub(crate) use excerpt::Excerpt;
pub use excerpt::Viewed;
pub use grep::{Grep, LineMatcher, Pattern};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use invariants::{check_grep, check_lines};
pub use query::{OutputQuery, Position};
pub(crate) use read::LogReader;
pub use read::read;
pub use shown::{LeftOut, Line, Shown};
pub use size::{MIN_OUTPUT_LIMIT, OutputSize};
pub use text::ViewText;
pub use view::{View, Viewer};
pub(crate) use write::{LogBackend, LogWriter};

/// One of the two output streams of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "a Unix process has these two and no others")]
pub enum Stream {
    /// Standard output; with `merge`, both streams.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A position in a job's output, in bytes since its beginning. It stays valid even if output has been dropped
/// meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub u64);

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let reason = || format!("`{text}` is not a cursor; use the number that an earlier answer gave");
        text.parse().map(Self).map_err(|_| ParseError::new(reason()))
    }
}

/// A part of a log that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// The offset of its first byte.
    pub start: u64,
    /// How many bytes it has.
    pub len: u64,
}

impl Segment {
    /// Creates the description of a segment.
    pub fn new(start: u64, len: u64) -> Self {
        Self { start, len }
    }

    /// Returns the offset after its last byte.
    pub fn end(self) -> u64 {
        self.start + self.len
    }
}

/// Returns segments in order, without impossible ones: those that begin within another, or lie beyond the last offset
/// that a row can express. Files with such names do not belong to the log.
pub(crate) fn in_order(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.sort_by_key(|segment| segment.start);
    let mut end = 0;
    segments.retain(|segment| {
        let is_one = segment.start >= end && segment.start.saturating_add(segment.len) <= Row::LAST_OFFSET;
        if is_one {
            end = segment.end();
        }
        is_one
    });
    segments
}

/// A row of the sidecar: the bytes from `offset` up to the next row belong to `stream`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// The offset of the first byte.
    pub offset: u64,
    /// The stream that they belong to.
    pub stream: Stream,
    /// When the first of them arrived, in microseconds since 1970.
    pub micros: u64,
}

impl Row {
    /// The size of a row on disk: a power of two, so that a full disk cannot tear a row.
    pub const SIZE: usize = 16;
    /// An offset has seven bytes on disk.
    const LAST_OFFSET: u64 = u64::MAX >> 8;

    pub(crate) fn to_bytes(self) -> [u8; Self::SIZE] {
        let stream = match self.stream {
            Stream::Stdout => 1,
            Stream::Stderr => 2,
        };
        let mut bytes = [0; Self::SIZE];
        bytes[..8].copy_from_slice(&((self.offset << 8) | stream).to_le_bytes());
        bytes[8..].copy_from_slice(&self.micros.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let (offset, micros) = bytes.split_at(8);
        let word = u64::from_le_bytes(offset.try_into().expect("eight bytes"));
        let stream = if word & 0xff == 2 { Stream::Stderr } else { Stream::Stdout };
        Self { offset: word >> 8, stream, micros: u64::from_le_bytes(micros.try_into().expect("eight bytes")) }
    }

    fn at(self) -> Timestamp {
        i64::try_from(self.micros).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok()).unwrap_or_default()
    }
}

/// Returns when the last byte that is kept arrived, to a hundredth of a second, or `None` if there is none.
///
/// # Errors
/// If the store cannot be read.
pub(crate) fn last_written(log: &dyn JobLog) -> Result<Option<Timestamp>> {
    let Some(last) = log.segments()?.last().copied() else { return Ok(None) };
    let Some(row) = log.row_count(last.start)?.checked_sub(1) else { return Ok(None) };
    Ok(log.rows(last.start, row, 1)?.first().map(|row| row.at()))
}

/// What a store keeps of a job's output. Each call is bounded: it reads no more than requested.
pub trait JobLog: Send {
    /// Returns the segments that exist now, in order of their offsets. They do not overlap.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn segments(&self) -> Result<Vec<Segment>>;

    /// Reads bytes from an absolute `offset` within the segment that begins at `segment`, and returns how many; 0 if
    /// there are none, or if the segment no longer exists.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Returns how many sidecar rows the segment has; 0 if it no longer exists.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn row_count(&self, segment: u64) -> Result<u64>;

    /// Returns at most `count` sidecar rows of the segment, starting with the row at index `first`, in order of
    /// offsets.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn rows(&self, segment: u64, first: u64, count: usize) -> Result<Vec<Row>>;
}

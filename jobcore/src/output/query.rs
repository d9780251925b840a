//! What is to be read.

use super::{Cursor, OutputChunk, Stream};
use crate::clock::Timestamp;

/// Where to begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// At the first byte that the job wrote.
    #[default]
    Start,
    /// Where an earlier answer ended.
    Cursor(Cursor),
    /// So many bytes before the end, or before where to stop.
    TailBytes(u64),
    /// So many lines before the end, or before where to stop. A last line without a line break counts.
    /// At most 64 KiB a line are searched, 1 MiB at least and 16 MiB at most for all of them.
    TailLines(u64),
}

/// What to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputQuery {
    /// Where to begin.
    pub from: Position,
    /// Where to stop at the latest.
    pub until: Option<Cursor>,
    /// Nothing that came before this time, to about a hundredth of a second, as far as the clock of the machine was not
    /// set back. What is read may begin within a line.
    pub since: Option<Timestamp>,
    /// Nothing before this position, however many lines or bytes are asked for.
    pub not_before: Option<Cursor>,
    /// Only this stream; both, if absent.
    pub stream: Option<Stream>,
    /// How many bytes to return at most.
    pub max_bytes: u64,
    /// How many lines to return at most.
    pub max_lines: Option<u64>,
}

impl OutputQuery {
    /// How many bytes one answer has unless a query says otherwise.
    pub const DEFAULT_BYTES: u64 = 256 * 1024;

    /// Reads from there, both streams, at most [`OutputQuery::DEFAULT_BYTES`].
    pub fn from(from: Position) -> Self {
        Self {
            from,
            until: None,
            since: None,
            not_before: None,
            stream: None,
            max_bytes: Self::DEFAULT_BYTES,
            max_lines: None,
        }
    }

    /// Stops before this cursor.
    #[must_use]
    pub fn with_until(self, until: Option<Cursor>) -> Self {
        Self { until, ..self }
    }

    /// Reads nothing that came before this time.
    #[must_use]
    pub fn with_since(self, since: Option<Timestamp>) -> Self {
        Self { since, ..self }
    }

    /// Reads nothing before this position.
    #[must_use]
    pub fn with_not_before(self, not_before: Option<Cursor>) -> Self {
        Self { not_before, ..self }
    }

    /// Reads only one stream.
    #[must_use]
    pub fn with_stream(self, stream: Option<Stream>) -> Self {
        Self { stream, ..self }
    }

    /// Returns at most this many bytes.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// Returns at most this many lines.
    #[must_use]
    pub fn with_max_lines(self, max_lines: Option<u64>) -> Self {
        Self { max_lines, ..self }
    }

    /// Goes on behind what was read.
    #[must_use]
    pub fn behind(self, chunk: &OutputChunk) -> Self {
        Self { from: Position::Cursor(chunk.cursor), since: None, ..self }
    }
}

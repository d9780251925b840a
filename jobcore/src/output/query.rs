//! Queries for output.

use super::{Cursor, OutputChunk, Stream};
use crate::clock::Timestamp;

/// Where to begin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Position {
    /// At the first byte that the job wrote.
    #[default]
    Start,
    /// Where an earlier result ended.
    Cursor(Cursor),
    /// This many bytes before the end, or before the position where to stop.
    TailBytes(u64),
    /// This many lines before the end, or before the position where to stop. A last line without a line break counts.
    /// The search covers at most 64 KiB per line, and between 1 MiB and 16 MiB in total.
    TailLines(u64),
}

/// Selects the output to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputQuery {
    /// Where to begin.
    pub from: Position,
    /// Where to stop at the latest.
    pub until: Option<Cursor>,
    /// Nothing that arrived before this time, to about a hundredth of a second, provided that the machine's clock was
    /// not set back. The result may begin within a line.
    pub since: Option<Timestamp>,
    /// Nothing before this position, however many lines or bytes are requested.
    pub not_before: Option<Cursor>,
    /// Only this stream, or both if absent.
    pub stream: Option<Stream>,
    /// The maximum number of bytes to return.
    pub max_bytes: u64,
    /// The maximum number of lines to return.
    pub max_lines: Option<u64>,
}

impl OutputQuery {
    /// The default maximum number of bytes to return.
    pub const DEFAULT_BYTES: u64 = 256 * 1024;

    /// Reads both streams from this position, at most [`OutputQuery::DEFAULT_BYTES`].
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

    /// Reads nothing that arrived before this time.
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

    /// Continues after a chunk that was read.
    #[must_use]
    pub fn after(self, chunk: &OutputChunk) -> Self {
        Self { from: Position::Cursor(chunk.cursor), since: None, ..self }
    }
}

//! How much output there is.

use super::Segment;

/// How much a job has written, and how much of that is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputSize {
    /// Bytes written by the job since its start, both streams together: the end of the log, as an offset.
    pub bytes: u64,
    /// How many of them were not kept.
    pub dropped: u64,
}

impl OutputSize {
    /// Says how much was written and how much of it is gone.
    pub fn new(bytes: u64, dropped: u64) -> Self {
        Self { bytes, dropped }
    }

    /// Returns how much came and how much of it is not there, as the segments of a log tell it.
    pub(crate) fn of(segments: &[Segment]) -> Self {
        let end = segments.last().map_or(0, |last| last.end());
        let kept: u64 = segments.iter().map(|segment| segment.len).sum();
        Self::new(end, end.saturating_sub(kept))
    }
}

/// The smallest output limit there is, since a log of less would be all borders.
pub const MIN_OUTPUT_LIMIT: u64 = 4096;

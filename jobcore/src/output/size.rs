//! The amount of output.

use super::Segment;

/// How much a job has written, and how much of it was not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputSize {
    /// Bytes written by the job since its start, both streams together: the end of the log, as an offset.
    pub bytes: u64,
    /// How many of them were not kept.
    pub dropped: u64,
}

impl OutputSize {
    /// Creates a size from the number of bytes written and the number of those not kept.
    pub fn new(bytes: u64, dropped: u64) -> Self {
        Self { bytes, dropped }
    }

    /// Returns the size of a log, derived from its segments.
    pub(crate) fn of(segments: &[Segment]) -> Self {
        let end = segments.last().map_or(0, |last| last.end());
        let kept: u64 = segments.iter().map(|segment| segment.len).sum();
        Self::new(end, end.saturating_sub(kept))
    }
}

/// The smallest output limit: a smaller log would consist mostly of segment borders.
pub const MIN_OUTPUT_LIMIT: u64 = 4096;

//! The bookkeeping for writing a log: when a segment is full, when a row is due, which segment to drop.

use std::collections::VecDeque;
use std::io;

use super::{MIN_OUTPUT_LIMIT, OutputSize, Row, Segment, Stream};

/// The maximum size of a segment, so that even a log without a limit can be read piece by piece.
const LARGEST_SEGMENT: u64 = 64 * 1024 * 1024;
/// The number of segments in a full log: between three quarters of the limit and all of it are kept.
const SEGMENTS: u64 = 8;
/// Bytes of one stream that arrive within this time share a row.
pub(super) const ROW_MICROS: u64 = 10_000;

/// Where segments are kept.
pub(crate) trait LogBackend {
    /// Begins a new current segment.
    fn create(&mut self, start: u64) -> io::Result<()>;
    /// Adds a row to the sidecar of the current segment.
    fn push_row(&mut self, row: Row) -> io::Result<()>;
    /// Writes after the first `at` bytes of the current segment, and returns how many bytes were written.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Removes an earlier segment. If that fails, it stays until the job is removed.
    fn remove(&mut self, start: u64);
}

/// Decides where the next bytes of a job are written.
///
/// [`LogWriter::append`] takes bytes in memory. For other bytes, the caller calls [`LogWriter::prepare`], moves them
/// itself, and reports them with [`LogWriter::wrote`] or [`LogWriter::lost`].
#[derive(Debug)]
pub(crate) struct LogWriter<B> {
    pub(crate) backend: B,
    limit: u64,
    segment_size: u64,
    kept: VecDeque<Kept>,
    end: u64,
    dropped: u64,
    last_row: Option<Row>,
    /// Whether bytes were dropped since the last write: the next bytes begin a new segment.
    gap: bool,
}

#[derive(Debug)]
struct Kept {
    start: u64,
    bytes: u64,
    rows: u64,
}

impl Kept {
    fn size(&self) -> u64 {
        self.bytes + self.rows * Row::SIZE as u64
    }
}

impl<B: LogBackend> LogWriter<B> {
    /// Begins an empty log that keeps at most `limit` bytes, including rows; 0 means no limit.
    pub(crate) fn new(backend: B, limit: u64) -> Self {
        // A damaged record, or one from another program, may have a lower limit.
        let limit = if limit == 0 { 0 } else { limit.max(MIN_OUTPUT_LIMIT) };
        let segment_size = match limit {
            0 => LARGEST_SEGMENT,
            limit => (limit / SEGMENTS).min(LARGEST_SEGMENT),
        };
        Self { backend, limit, segment_size, kept: VecDeque::new(), end: 0, dropped: 0, last_row: None, gap: false }
    }

    /// Continues a log with these segments, each with its number of rows. New bytes begin a new segment.
    pub(crate) fn resume(backend: B, limit: u64, segments: &[(Segment, u64)]) -> Self {
        let mut log = Self::new(backend, limit);
        log.kept = segments.iter().map(|(s, rows)| Kept { start: s.start, bytes: s.len, rows: *rows }).collect();
        log.end = segments.last().map_or(0, |(last, _)| last.end());
        log.dropped = log.end - segments.iter().map(|(segment, _)| segment.len).sum::<u64>();
        log.gap = true;
        log
    }

    /// Adds bytes of `stream` that arrived this many microseconds after 1970. Bytes that cannot be kept are counted.
    pub(crate) fn append(&mut self, stream: Stream, micros: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let written = self.prepare(stream, micros).and_then(|room| {
                let (_, at) = self.position();
                let count = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
                self.backend.write(at, &bytes[..count])
            });
            match written {
                Ok(count) if count > 0 => {
                    self.wrote(count as u64);
                    bytes = &bytes[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => return self.lost(bytes.len() as u64),
            }
        }
    }

    /// Prepares for bytes of `stream`, and returns how many may be written at most at [`LogWriter::position`].
    ///
    /// # Errors
    /// Those of the backend, when there is no room: the bytes are dropped unless a later attempt succeeds.
    pub(crate) fn prepare(&mut self, stream: Stream, micros: u64) -> io::Result<u64> {
        // Room for the row and at least one byte after it.
        let is_full = |kept: &Kept| kept.size() + Row::SIZE as u64 >= self.segment_size;
        if self.gap || self.kept.back().is_none_or(is_full) {
            self.backend.create(self.end)?;
            self.kept.push_back(Kept { start: self.end, bytes: 0, rows: 0 });
            self.last_row = None;
            self.gap = false;
            self.make_room();
        }
        let row = Row { offset: self.end, stream, micros };
        let is_due = |last: Row| last.stream != stream || micros.saturating_sub(last.micros) >= ROW_MICROS;
        let current = self.kept.back_mut().expect("a current segment exists");
        if self.last_row.is_none_or(is_due) {
            if let Err(error) = self.backend.push_row(row) {
                if current.bytes == 0 && current.rows == 0 {
                    // Otherwise each dropped piece of output would leave an empty segment.
                    self.backend.remove(current.start);
                    self.kept.pop_back();
                    // The next bytes must not be written to an earlier segment.
                    self.gap = true;
                }
                return Err(error);
            }
            current.rows += 1;
            self.last_row = Some(row);
        }
        Ok(self.segment_size - current.size())
    }

    /// Returns the start of the current segment and its size.
    pub(crate) fn position(&self) -> (u64, u64) {
        self.kept.back().map_or((0, 0), |kept| (kept.start, kept.bytes))
    }

    /// Counts bytes that were written at the current position.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        if let Some(current) = self.kept.back_mut() {
            current.bytes += bytes;
        }
        self.end += bytes;
    }

    /// Counts bytes that could not be kept.
    pub(crate) fn lost(&mut self, bytes: u64) {
        self.end += bytes;
        self.dropped += bytes;
        self.gap |= bytes > 0;
    }

    /// Returns how much was written, and how much of it was not kept.
    pub(crate) fn size(&self) -> OutputSize {
        OutputSize::new(self.end, self.dropped)
    }

    fn make_room(&mut self) {
        if self.limit == 0 {
            return;
        }
        // The current segment is empty and may grow to its full size.
        let mut total = self.kept.iter().map(Kept::size).sum::<u64>() + self.segment_size;
        while total > self.limit && self.kept.len() > 2 {
            let oldest = self.kept.remove(1).expect("more than two segments are kept");
            self.backend.remove(oldest.start);
            self.dropped += oldest.bytes;
            total -= oldest.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Names(Vec<u64>, usize, bool);

    impl LogBackend for Names {
        fn create(&mut self, start: u64) -> io::Result<()> {
            if self.2 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.push(start);
            Ok(())
        }

        fn push_row(&mut self, _: Row) -> io::Result<()> {
            self.1 += 1;
            Ok(())
        }

        fn write(&mut self, _: u64, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn remove(&mut self, start: u64) {
            self.0.retain(|name| *name != start);
        }
    }

    fn write(log: &mut LogWriter<Names>, mut bytes: u64) {
        while bytes > 0 {
            let room = log.prepare(Stream::Stdout, 0).unwrap().min(bytes);
            assert!(room > 0);
            log.wrote(room);
            bytes -= room;
        }
    }

    #[test]
    fn the_first_and_the_newest_segments_stay_within_the_limit() {
        let mut log = LogWriter::new(Names::default(), 8000);
        for _ in 0..1000 {
            write(&mut log, 77);
            let size: u64 = log.kept.iter().map(Kept::size).sum();
            assert!(size <= 8000, "{size}");
        }
        assert_eq!(log.backend.0[0], 0);
        assert_eq!(log.backend.0.len(), 8);
        let kept: u64 = log.kept.iter().map(|kept| kept.bytes).sum();
        assert_eq!(log.size(), OutputSize::new(77_000, 77_000 - kept));
        assert!(kept > 6500, "{kept}");
    }

    #[test]
    fn rows_count_towards_the_size_of_a_segment() {
        let mut log = LogWriter::new(Names::default(), 4096);
        for turn in 0..1000 {
            let stream = if turn % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
            log.prepare(stream, 0).unwrap();
            log.wrote(1);
        }
        assert!(log.kept.iter().map(Kept::size).sum::<u64>() <= 4096);
        assert!(log.size().dropped > 0);
    }

    #[test]
    fn a_row_is_due_when_the_stream_changes_or_time_passes() {
        let mut log = LogWriter::new(Names::default(), 0);
        let came = [(Stream::Stdout, 0), (Stream::Stdout, 9_999), (Stream::Stderr, 9_999), (Stream::Stderr, 20_000)];
        let rows: Vec<_> = came
            .into_iter()
            .map(|(stream, micros)| {
                log.prepare(stream, micros).unwrap();
                log.wrote(10);
                log.backend.1
            })
            .collect();
        assert_eq!(rows, [1, 1, 2, 3]);
    }

    #[test]
    fn a_segment_without_room_is_not_left_empty() {
        #[derive(Default)]
        struct NoRows(Vec<u64>, bool);
        impl LogBackend for NoRows {
            fn create(&mut self, start: u64) -> io::Result<()> {
                assert!(!self.0.contains(&start), "made twice");
                self.0.push(start);
                Ok(())
            }
            fn push_row(&mut self, _: Row) -> io::Result<()> {
                if self.1 { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
            }
            fn write(&mut self, _: u64, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn remove(&mut self, start: u64) {
                self.0.retain(|name| *name != start);
            }
        }
        let mut log = LogWriter::new(NoRows(Vec::new(), true), 0);
        log.prepare(Stream::Stdout, 0).unwrap();
        log.wrote(5);
        log.backend.1 = false;
        for bytes in [10, 0, 0, 10, 0] {
            assert!(log.prepare(Stream::Stderr, 0).is_err());
            log.lost(bytes);
            assert_eq!(log.backend.0, [0]);
        }
        assert_eq!(log.size(), OutputSize::new(25, 20));
        log.backend.1 = true;
        log.prepare(Stream::Stdout, 0).unwrap();
        assert_eq!(log.position(), (25, 0));
    }

    #[test]
    fn dropped_bytes_leave_a_gap_between_segment_names() {
        let mut log = LogWriter::new(Names::default(), 0);
        write(&mut log, 10);
        log.lost(5);
        log.backend.2 = true;
        assert!(log.prepare(Stream::Stdout, 0).is_err());
        log.lost(5);
        log.backend.2 = false;
        write(&mut log, 1);
        assert_eq!(log.backend.0, [0, 20]);
        assert_eq!(log.size(), OutputSize::new(21, 10));
    }
}

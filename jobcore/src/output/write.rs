//! The bookkeeping of a log while it is written: when a segment is full, when a row is due, what must go.

use std::collections::VecDeque;
use std::io;

use super::{MIN_OUTPUT_LIMIT, OutputSize, Row, Segment, Stream};

/// No segment is larger, so that a log without a limit can still be looked at piece by piece.
const LARGEST_SEGMENT: u64 = 64 * 1024 * 1024;
/// A log is a row of so many segments: what is kept is between three quarters of the limit and all of it.
const SEGMENTS: u64 = 8;
/// Bytes of one stream that come within this time share a row.
pub(super) const ROW_MICROS: u64 = 10_000;

/// Where segments are kept.
pub(crate) trait LogBackend {
    /// Begins a segment, which becomes the current one.
    fn create(&mut self, start: u64) -> io::Result<()>;
    /// Adds a row to the sidecar of the current segment.
    fn push_row(&mut self, row: Row) -> io::Result<()>;
    /// Writes behind the `at` bytes that the current segment has, and returns how many bytes were written.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Removes an earlier segment. What cannot be removed stays until the job is.
    fn remove(&mut self, start: u64);
}

/// Decides where the next bytes of a job go.
///
/// Bytes that do not come through memory, as those of [`LogWriter::append`] do, are announced by [`LogWriter::prepare`], moved
/// by the caller, and counted by [`LogWriter::wrote`] or [`LogWriter::lost`].
#[derive(Debug)]
pub(crate) struct LogWriter<B> {
    pub(crate) backend: B,
    limit: u64,
    segment_size: u64,
    kept: VecDeque<Kept>,
    end: u64,
    dropped: u64,
    last_row: Option<Row>,
    /// Whether bytes were lost since the last that were written: what follows begins a new segment.
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
    /// Begins an empty log that keeps at most `limit` bytes, rows included; 0 means no limit.
    pub(crate) fn new(backend: B, limit: u64) -> Self {
        // A record that was damaged, or written by somebody else, may say less.
        let limit = if limit == 0 { 0 } else { limit.max(MIN_OUTPUT_LIMIT) };
        let segment_size = match limit {
            0 => LARGEST_SEGMENT,
            limit => (limit / SEGMENTS).min(LARGEST_SEGMENT),
        };
        Self { backend, limit, segment_size, kept: VecDeque::new(), end: 0, dropped: 0, last_row: None, gap: false }
    }

    /// Goes on with a log of which these segments are there, each with how many rows it has. What comes begins a new one.
    pub(crate) fn resume(backend: B, limit: u64, segments: &[(Segment, u64)]) -> Self {
        let mut log = Self::new(backend, limit);
        log.kept = segments.iter().map(|(s, rows)| Kept { start: s.start, bytes: s.len, rows: *rows }).collect();
        log.end = segments.last().map_or(0, |(last, _)| last.end());
        log.dropped = log.end - segments.iter().map(|(segment, _)| segment.len).sum::<u64>();
        log.gap = true;
        log
    }

    /// Adds bytes of `stream` that came so many microseconds after 1970. What cannot be kept is counted.
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

    /// Gets ready for bytes of `stream`, and returns how many at most may be written at [`LogWriter::position`].
    ///
    /// # Errors
    /// Those of the backend: there is no room, and the bytes are lost unless a later try succeeds.
    pub(crate) fn prepare(&mut self, stream: Stream, micros: u64) -> io::Result<u64> {
        // Room for the row and for at least one byte behind it.
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
        let current = self.kept.back_mut().expect("there is one now");
        if self.last_row.is_none_or(is_due) {
            if let Err(error) = self.backend.push_row(row) {
                if current.bytes == 0 && current.rows == 0 {
                    // Else every piece of output that is lost would leave an empty segment.
                    self.backend.remove(current.start);
                    self.kept.pop_back();
                    // What comes next must not be written behind an earlier segment.
                    self.gap = true;
                }
                return Err(error);
            }
            current.rows += 1;
            self.last_row = Some(row);
        }
        Ok(self.segment_size - current.size())
    }

    /// Returns the start of the current segment, and how many bytes it has.
    pub(crate) fn position(&self) -> (u64, u64) {
        self.kept.back().map_or((0, 0), |kept| (kept.start, kept.bytes))
    }

    /// Counts bytes that were written behind the current position.
    pub(crate) fn wrote(&mut self, bytes: u64) {
        if let Some(current) = self.kept.back_mut() {
            current.bytes += bytes;
        }
        self.end += bytes;
    }

    /// Counts bytes that came and could not be kept.
    pub(crate) fn lost(&mut self, bytes: u64) {
        self.end += bytes;
        self.dropped += bytes;
        self.gap |= bytes > 0;
    }

    /// Returns how much came, and how much of it is gone.
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
            let oldest = self.kept.remove(1).expect("there are more than two");
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
    fn the_first_segment_and_the_newest_stay_and_the_sum_is_bounded() {
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
    fn rows_count_and_many_of_them_fill_a_segment_too() {
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
    fn a_row_is_due_when_the_stream_changes_or_time_passed() {
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
    fn a_segment_for_which_there_is_no_room_is_not_left_empty() {
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
    fn what_is_lost_leaves_a_hole_in_the_names() {
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

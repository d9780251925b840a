//! Reading a log: from a cursor or from either end, one stream or both, always bounded.

use std::ops::Deref;

use super::chunk::{push_data, push_gap};
use super::write::ROW_MICROS;
use super::{Cursor, JobLog, OutputChunk, OutputQuery, Piece, Position, Row, Segment, Stream};
use crate::clock::Timestamp;
use crate::error::Result;

/// How far back a search for lines goes: this far per line, with a minimum and a maximum for all lines together. A
/// longer line is cut, because scanning gigabytes without a line break would take too long.
const LINE_SEARCH: u64 = 64 * 1024;
const LEAST_SEARCH: u64 = 1024 * 1024;
const MOST_SEARCH: u64 = 16 * 1024 * 1024;
/// How many rows are read at a time.
const ROW_BLOCK: usize = 1024;
/// How many bytes are scanned at a time when lines are counted.
const SCAN_BLOCK: u64 = 64 * 1024;

/// Reads from a log. `end` is the offset after the last byte that the job wrote, kept or not.
///
/// # Errors
/// If the store cannot be read.
pub fn read(log: &dyn JobLog, end: u64, query: &OutputQuery) -> Result<OutputChunk> {
    LogReader::new(log, end).read(query)
}

/// Contiguous bytes of one stream in one segment.
#[derive(Debug, Clone, Copy)]
struct Extent {
    start: u64,
    end: u64,
    row: Row,
}

/// Reads one log, chunk by chunk.
pub(crate) struct LogReader<L> {
    log: L,
    segments: Vec<Segment>,
    end: u64,
    /// The end of the log when its segments were listed.
    listed: u64,
    /// The rows that were read last: consecutive rows of one segment, and whether they include its last row.
    window: (Option<Segment>, Vec<Row>, bool),
    /// A buffer to reuse for the next read.
    spare: Vec<u8>,
}

impl<L: Deref<Target: JobLog>> LogReader<L> {
    /// Creates a reader. `end` is the offset after the last byte that the job wrote, as far as that is known.
    pub(crate) fn new(log: L, end: u64) -> Self {
        Self { log, segments: Vec::new(), end, listed: 0, window: (None, Vec::new(), false), spare: Vec::new() }
    }

    /// Reads a chunk.
    pub(crate) fn read(&mut self, query: &OutputQuery) -> Result<OutputChunk> {
        // A chunk that ends before the end of the list needs no new list. The bytes of a single stream may end
        // anywhere.
        let ends_within = |cursor: Cursor| cursor.0.saturating_add(query.max_bytes) < self.listed;
        if !matches!(query.from, Position::Cursor(cursor) if query.stream.is_none() && ends_within(cursor)) {
            self.segments = self.log.segments()?;
            self.listed = self.segments.last().map_or(0, |last| last.end());
            self.end = self.end.max(self.listed);
            self.window.0 = None;
        }
        let (mut from, mut cut) = self.locate(query)?;
        let since = query.since.map(|since| self.since(since)).transpose()?;
        if let Some(earliest) = since.into_iter().chain(query.not_before.map(|cursor| cursor.0)).max() {
            cut &= earliest < from;
            from = from.max(earliest);
        }
        Ok(OutputChunk { cut, ..self.collect(from, query)? })
    }

    /// Takes back the memory of a chunk for the next read, which then does not have to clear new memory.
    pub(crate) fn reuse(&mut self, chunk: OutputChunk) {
        let bytes = chunk
            .pieces
            .into_iter()
            .filter_map(|piece| if let Piece::Data { bytes, .. } = piece { Some(bytes) } else { None });
        self.spare = bytes.max_by_key(Vec::len).unwrap_or_default();
    }

    /// Returns how many bytes between two offsets are in no segment.
    pub(crate) fn dropped(&self, from: u64, to: u64) -> u64 {
        if self.segments.is_empty() && self.end == 0 {
            return 0;
        }
        let within = |segment: &Segment| segment.end().min(to).saturating_sub(segment.start.max(from));
        to.min(self.end).saturating_sub(from).saturating_sub(self.segments.iter().map(within).sum::<u64>())
    }

    /// Returns the segment that contains the byte at `offset`, or else the next one after it.
    fn segment_from(&self, offset: u64) -> Option<Segment> {
        let index = self.segments.partition_point(|segment| segment.end() <= offset);
        self.segments.get(index).copied()
    }

    /// Returns the extent that contains the byte at `offset` in `segment`.
    fn extent(&mut self, segment: Segment, offset: u64) -> Result<Extent> {
        let within = |rows: &[Row], complete: bool| {
            let next = rows.partition_point(|row| row.offset <= offset);
            (next > 0 && (next < rows.len() || complete)).then_some(next)
        };
        if self.window.0 != Some(segment) || within(&self.window.1, self.window.2).is_none() {
            self.load_rows(segment, offset)?;
        }
        let rows = &self.window.1;
        let next = rows.partition_point(|row| row.offset <= offset);
        // A segment without rows is being dropped or begun at this moment.
        let row = next.checked_sub(1).map_or(Row { offset, stream: Stream::Stdout, micros: 0 }, |index| rows[index]);
        let end = rows.get(next).map_or(segment.end(), |row| row.offset.min(segment.end()));
        Ok(Extent { start: row.offset.max(segment.start), end: end.max(offset + 1), row })
    }

    /// Reads a block of rows that includes the row of `offset`, found by bisection.
    fn load_rows(&mut self, segment: Segment, offset: u64) -> Result<()> {
        let count = self.log.row_count(segment.start)?;
        let (mut low, mut high) = (0, count);
        while high - low > ROW_BLOCK as u64 / 2 {
            let middle = low + (high - low) / 2;
            match self.log.rows(segment.start, middle, 1)?.first() {
                Some(row) if row.offset <= offset => low = middle,
                _ => high = middle,
            }
        }
        // Half of the block is before the row, for reading backwards, and half is after it, for reading on.
        let first = low.saturating_sub(ROW_BLOCK as u64 / 4);
        let rows = self.log.rows(segment.start, first, ROW_BLOCK)?;
        let complete = first + rows.len() as u64 >= count;
        self.window = (Some(segment), rows, complete);
        Ok(())
    }

    fn collect(&mut self, from: u64, query: &OutputQuery) -> Result<OutputChunk> {
        let until = query.until.map_or(self.end, |until| until.0.min(self.end));
        let (mut at, mut bytes_left, mut lines_left) = (from, query.max_bytes, query.max_lines);
        let mut pieces = Vec::new();
        while at < until && bytes_left > 0 && lines_left != Some(0) {
            let Some(segment) = self.segment_from(at).filter(|segment| segment.start < until) else {
                push_gap(&mut pieces, at, until - at);
                at = until;
                break;
            };
            if segment.start > at {
                push_gap(&mut pieces, at, segment.start - at);
                at = segment.start;
                continue;
            }
            let extent = self.extent(segment, at)?;
            let extent_end = extent.end.min(until);
            if query.stream.is_some_and(|stream| stream != extent.row.stream) {
                at = extent_end;
                continue;
            }
            // When lines are counted, no more is read than may be shown.
            let block = if lines_left.is_some() { SCAN_BLOCK } else { bytes_left };
            let wanted = (extent_end - at).min(bytes_left).min(block);
            let mut bytes = self.bytes(segment, at, wanted)?;
            if bytes.is_empty() {
                // Dropped since the segments were listed: the new list has a gap there instead.
                self.forget(segment)?;
                continue;
            }
            if let Some(lines) = &mut lines_left {
                cut_after_lines(&mut bytes, lines);
            }
            at += bytes.len() as u64;
            bytes_left -= bytes.len() as u64;
            push_data(&mut pieces, extent.row, at - bytes.len() as u64, bytes);
        }
        let more = at < until && (bytes_left == 0 || lines_left == Some(0));
        Ok(OutputChunk { pieces, cursor: Cursor(at), end: Cursor(self.end), more, cut: false })
    }

    fn bytes(&mut self, segment: Segment, offset: u64, count: u64) -> Result<Vec<u8>> {
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.resize(usize::try_from(count).unwrap_or(usize::MAX), 0);
        let read = self.log.read_at(segment.start, offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn forget(&mut self, gone: Segment) -> Result<()> {
        self.segments = self.log.segments()?;
        // A segment that is still listed but has nothing to read would be retried forever.
        self.segments.retain(|segment| segment.start != gone.start);
        self.window.0 = None;
        Ok(())
    }

    /// Returns the offset at which a query begins, and whether that is in the middle of a line that should have been
    /// whole.
    fn locate(&mut self, query: &OutputQuery) -> Result<(u64, bool)> {
        match query.from {
            Position::Start => Ok((0, false)),
            Position::Cursor(cursor) => Ok((cursor.0.min(self.end), false)),
            Position::TailBytes(count) => Ok((self.backwards(query, count, None)?.0, false)),
            Position::TailLines(count) => {
                let search = LINE_SEARCH.saturating_mul(count).clamp(LEAST_SEARCH, MOST_SEARCH);
                self.backwards(query, search, Some(count))
            }
        }
    }

    /// Returns the offset of the first byte that may have arrived at this time or later. Rows are ordered by time, so
    /// only a few of them have to be read.
    fn since(&self, since: Timestamp) -> Result<u64> {
        let micros = u64::try_from(since.as_microsecond()).unwrap_or(0);
        // The bytes of a row arrived within this time, starting with the row's own.
        let is_before = |row: Option<Row>| row.is_some_and(|row| row.micros.saturating_add(ROW_MICROS) <= micros);
        let row = |segment: Segment, index| Ok(self.log.rows(segment.start, index, 1)?.into_iter().next());
        let later = halve(self.segments.len() as u64, |index| row(self.segments[index as usize], 0).map(is_before))?;
        // The byte is in the previous segment, or else it is the first byte of the later one.
        let later = usize::try_from(later).unwrap_or(usize::MAX);
        let next = self.segments.get(later).map_or(self.end, |segment| segment.start);
        let Some(segment) = later.checked_sub(1).map(|index| self.segments[index]) else { return Ok(0) };
        let first = halve(self.log.row_count(segment.start)?, |index| row(segment, index).map(is_before))?;
        Ok(row(segment, first)?.map_or(next, |row| row.offset.min(next)))
    }

    /// Walks back from the end, or from where the query stops, over at most `max_bytes` available bytes of the stream,
    /// or to the beginning of the last `lines` lines. Returns that offset, and whether the walk reached its limit.
    fn backwards(&mut self, query: &OutputQuery, max_bytes: u64, lines: Option<u64>) -> Result<(u64, bool)> {
        let end = query.until.map_or(self.end, |until| until.0.min(self.end));
        let (mut at, mut bytes_left) = (end, max_bytes);
        // The line break that ends the last line does not begin another one.
        let mut is_last_byte = true;
        let mut lines_left = lines;
        if lines == Some(0) {
            return Ok((at, false));
        }
        while bytes_left > 0 {
            let before = self.segments.partition_point(|segment| segment.start < at);
            let Some(segment) = before.checked_sub(1).map(|index| self.segments[index]) else { break };
            at = at.min(segment.end());
            if segment.len == 0 || at == segment.start {
                at = segment.start;
                if before == 1 {
                    break;
                }
                self.segments.remove(before - 1);
                continue;
            }
            let extent = self.extent(segment, at - 1)?;
            if query.stream.is_some_and(|stream| stream != extent.row.stream) {
                at = extent.start;
                continue;
            }
            let count = (at - extent.start).min(bytes_left).min(SCAN_BLOCK);
            if let Some(left) = &mut lines_left {
                let bytes = self.bytes(segment, at - count, count)?;
                let searched = &bytes[..bytes.len() - usize::from(is_last_byte && bytes.ends_with(b"\n"))];
                for index in memchr::memrchr_iter(b'\n', searched) {
                    *left -= 1;
                    if *left == 0 {
                        return Ok((at - count + index as u64 + 1, false));
                    }
                }
                is_last_byte &= bytes.is_empty();
            }
            at -= count;
            bytes_left -= count;
        }
        Ok((at, bytes_left == 0))
    }
}

/// Returns the first index for which `is_before` is false, or `count` if there is none.
fn halve(count: u64, mut is_before: impl FnMut(u64) -> Result<bool>) -> Result<u64> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

fn cut_after_lines(bytes: &mut Vec<u8>, lines: &mut u64) {
    for index in memchr::memchr_iter(b'\n', bytes) {
        *lines -= 1;
        if *lines == 0 {
            bytes.truncate(index + 1);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in memory: segments of (start, rows, bytes).
    struct Fixed(Vec<(u64, Vec<Row>, Vec<u8>)>);

    impl Fixed {
        fn segment(&self, start: u64) -> &(u64, Vec<Row>, Vec<u8>) {
            self.0.iter().find(|segment| segment.0 == start).unwrap()
        }
    }

    impl JobLog for Fixed {
        fn segments(&self) -> Result<Vec<Segment>> {
            Ok(self.0.iter().map(|(start, _, bytes)| Segment::new(*start, bytes.len() as u64)).collect())
        }

        fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
            let bytes = &self.segment(segment).2[(offset - segment) as usize..];
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn row_count(&self, segment: u64) -> Result<u64> {
            Ok(self.segment(segment).1.len() as u64)
        }

        fn rows(&self, segment: u64, first: u64, count: usize) -> Result<Vec<Row>> {
            Ok(self.segment(segment).1.iter().skip(first as usize).take(count).copied().collect())
        }
    }

    fn row(offset: u64, stream: Stream) -> Row {
        Row { offset, stream, micros: offset }
    }

    /// `out1\n` `err1\n` | gap of 10 | `out2\nout3\n` `err2\n`
    fn log() -> Fixed {
        let first = vec![row(0, Stream::Stdout), row(5, Stream::Stderr)];
        let second = vec![row(20, Stream::Stdout), row(20, Stream::Stdout), row(30, Stream::Stderr)];
        Fixed(vec![(0, first, b"out1\nerr1\n".to_vec()), (20, second, b"out2\nout3\nerr2\n".to_vec())])
    }

    fn text(query: OutputQuery) -> String {
        let chunk = read(&log(), 35, &query).unwrap();
        let piece = |piece: &Piece| match piece {
            Piece::Data { bytes, .. } => String::from_utf8_lossy(bytes).replace('\n', "/"),
            Piece::Gap { offset, bytes } => format!("[{offset}+{bytes}]"),
        };
        let pieces: String = chunk.pieces.iter().map(piece).collect();
        format!("{pieces} {}{}", chunk.cursor, if chunk.more { " more" } else { "" })
    }

    #[test]
    fn everything_is_read_and_the_gap_is_reported() {
        assert_eq!(text(OutputQuery::from(Position::Start)), "out1/err1/[10+10]out2/out3/err2/ 35");
    }

    #[test]
    fn one_stream_alone() {
        let query = OutputQuery::from(Position::Start);
        assert_eq!(text(query.with_stream(Some(Stream::Stderr))), "err1/[10+10]err2/ 35");
        assert_eq!(text(query.with_stream(Some(Stream::Stdout))), "out1/[10+10]out2/out3/ 35");
    }

    #[test]
    fn bounds_are_respected_and_the_cursor_advances() {
        let query = OutputQuery::from(Position::Start).with_max_bytes(7);
        assert_eq!(text(query), "out1/er 7 more");
        let query = OutputQuery::from(Position::Cursor(Cursor(7))).with_max_lines(Some(2));
        assert_eq!(text(query), "r1/[10+10]out2/ 25 more");
        assert_eq!(text(OutputQuery::from(Position::Cursor(Cursor(99)))), " 35");
        let query = OutputQuery::from(Position::Cursor(Cursor(2))).with_until(Some(Cursor(22)));
        assert_eq!(text(query), "t1/err1/[10+10]ou 22");
    }

    #[test]
    fn tails_are_found_across_streams_and_gaps() {
        let lines = |count| OutputQuery::from(Position::TailLines(count));
        assert_eq!(text(lines(0)), " 35");
        assert_eq!(text(lines(1)), "err2/ 35");
        // A line after a gap may have begun within it.
        assert_eq!(text(lines(2)), "out3/err2/ 35");
        assert_eq!(text(lines(3)), "[10+10]out2/out3/err2/ 35");
        assert_eq!(text(lines(4)), "err1/[10+10]out2/out3/err2/ 35");
        assert_eq!(text(lines(99)), "out1/err1/[10+10]out2/out3/err2/ 35");
        assert_eq!(text(lines(1).with_stream(Some(Stream::Stdout))), "out3/ 35");
        assert_eq!(text(lines(2).with_stream(Some(Stream::Stdout))), "[10+10]out2/out3/ 35");
        assert_eq!(text(lines(2).with_stream(Some(Stream::Stderr))), "err1/[10+10]err2/ 35");
        assert_eq!(text(OutputQuery::from(Position::TailBytes(7))), "3/err2/ 35");
        assert_eq!(text(OutputQuery::from(Position::TailBytes(17))), "1/[10+10]out2/out3/err2/ 35");
    }

    #[test]
    fn rows_are_found_by_bisection_from_both_sides() {
        let rows = (0..10_000).map(|i| row(i, if i % 2 == 0 { Stream::Stdout } else { Stream::Stderr })).collect();
        let bytes: Vec<u8> = (0..10_000).map(|i| if i % 2 == 0 { b'o' } else { b'e' }).collect();
        let log = Fixed(vec![(0, rows, bytes)]);
        let all = read(&log, 0, &OutputQuery::from(Position::Start).with_stream(Some(Stream::Stderr))).unwrap();
        assert_eq!(all.bytes(None), vec![b'e'; 5000]);
        let tail =
            read(&log, 0, &OutputQuery::from(Position::TailBytes(3000)).with_stream(Some(Stream::Stdout))).unwrap();
        assert_eq!(tail.bytes(None), vec![b'o'; 3000]);
    }

    /// A log that counts its reads.
    struct Counting(Fixed, std::cell::Cell<u64>);

    impl JobLog for Counting {
        fn segments(&self) -> Result<Vec<Segment>> {
            self.0.segments()
        }

        fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
            self.1.update(|reads| reads + 1);
            self.0.read_at(segment, offset, buffer)
        }

        fn row_count(&self, segment: u64) -> Result<u64> {
            self.0.row_count(segment)
        }

        fn rows(&self, segment: u64, first: u64, count: usize) -> Result<Vec<Row>> {
            self.1.update(|reads| reads + 1);
            self.0.rows(segment, first, count)
        }
    }

    #[test]
    fn a_time_is_found_by_bisection() {
        /// Each segment has one row per byte, and rows are a second apart.
        const SIZE: u64 = 5000;
        let segment = |number: u64| {
            let rows = (number * SIZE..(number + 1) * SIZE).map(|offset| Row {
                offset,
                stream: Stream::Stdout,
                micros: offset * 1_000_000,
            });
            (number * SIZE, rows.collect(), vec![b'x'; SIZE as usize])
        };
        let log = Counting(Fixed((0..100).map(segment).collect()), Default::default());
        let first = |micros: i64| {
            let since = Timestamp::from_microsecond(micros).unwrap();
            let query = OutputQuery::from(Position::Start).with_since(Some(since)).with_max_bytes(1);
            read(&log, 0, &query).unwrap().begins().map(|begins| begins.0)
        };
        // The bytes of a row arrived within ten milliseconds.
        let end = 100 * SIZE;
        for offset in [0, 1, 2, SIZE - 1, SIZE, SIZE + 1, 7 * SIZE + 77, end - SIZE, end - 1] {
            let micros = offset as i64 * 1_000_000;
            assert_eq!(first(micros), Some(offset));
            assert_eq!(first(micros + 9_999), Some(offset));
            assert_eq!(first(micros + 10_000), (offset + 1 < end).then_some(offset + 1), "{offset}");
        }
        assert_eq!(first(-1), Some(0));
        log.1.set(0);
        first(77_777 * 1_000_000);
        assert!(log.1.get() < 40, "{}", log.1.get());
        // The later of the two limits counts.
        let since = Timestamp::from_second(100).unwrap();
        let from = |position| {
            let query = OutputQuery::from(position).with_since(Some(since)).with_max_bytes(1);
            read(&log, 0, &query).unwrap().begins().map(|begins| begins.0)
        };
        assert_eq!(from(Position::Cursor(Cursor(50))), Some(100));
        assert_eq!(from(Position::Cursor(Cursor(150))), Some(150));
        assert_eq!(from(Position::TailBytes(10)), Some(end - 10));
    }

    #[test]
    fn a_tail_ends_where_the_query_stops() {
        let until = |position| OutputQuery::from(position).with_until(Some(Cursor(25)));
        assert_eq!(text(until(Position::TailBytes(7))), "1/[10+10]out2/ 25");
        assert_eq!(text(until(Position::TailLines(1))), "[10+10]out2/ 25");
    }

    #[test]
    fn the_search_for_lines_is_bounded_by_their_number() {
        const SIZE: u64 = 32 << 20;
        let log = Fixed(vec![(0, vec![row(0, Stream::Stdout)], vec![b'x'; SIZE as usize])]);
        for (lines, searched) in [(1, 1 << 20), (16, 1 << 20), (20, 20 << 16), (256, 16 << 20), (u64::MAX, 16 << 20)] {
            let query = OutputQuery::from(Position::TailLines(lines)).with_max_bytes(1);
            let chunk = read(&log, SIZE, &query).unwrap();
            assert_eq!((chunk.begins().map(|begins| SIZE - begins.0), chunk.cut), (Some(searched), true), "{lines}");
        }
    }

    #[test]
    fn a_log_is_read_to_its_end_in_chunks_of_any_size() {
        for size in [1, 3, 7, 100] {
            let mut reader = LogReader::new(Box::new(log()), 35);
            let (mut query, mut bytes) = (OutputQuery::from(Position::Start).with_max_bytes(size), Vec::new());
            loop {
                let chunk = reader.read(&query).unwrap();
                bytes.extend(chunk.bytes(None));
                query = query.after(&chunk);
                if !chunk.more {
                    break;
                }
                reader.reuse(chunk);
            }
            assert_eq!(bytes, b"out1\nerr1\nout2\nout3\nerr2\n", "{size}");
        }
    }

    #[test]
    fn an_end_after_the_last_segment_is_a_gap() {
        let chunk = read(&log(), 50, &OutputQuery::from(Position::Cursor(Cursor(34)))).unwrap();
        assert_eq!(chunk.dropped(), 15);
        assert_eq!(chunk.cursor, Cursor(50));
        assert_eq!(chunk.bytes(Some(Stream::Stderr)), b"\n");
    }
}

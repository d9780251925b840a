//! Property tests for the files of a log.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::generate::cases;
use crate::output::{self, Cursor, JobLog, OutputQuery, Position, Stream};
use crate::store::file::layout::JobDir;
use crate::store::file::log::{FileLog, FileLogWriter};

fn stream(is_err: bool) -> Stream {
    if is_err { Stream::Stderr } else { Stream::Stdout }
}

proptest! {
    #![proptest_config(cases(48))]

    /// Also if the writer was killed and another one continued.
    #[test]
    fn written_output_is_read_by_stream_and_from_any_cursor(
        writes in vec((any::<bool>(), vec(any::<u8>(), 0..200), 0..50_000_u64, any::<bool>()), 0..12),
        max_bytes in 1..300_u64,
        from in 0..3000_u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        let mut writer = FileLogWriter::new(&job, 0);
        let (mut all, mut micros) = (Vec::new(), 0);
        for (is_err, bytes, later, is_killed) in &writes {
            micros += later;
            writer.append(stream(*is_err), micros, bytes);
            all.extend(bytes.iter().map(|byte| (stream(*is_err), *byte)));
            if *is_killed {
                writer = FileLogWriter::resume(&job, 0).unwrap();
            }
        }
        let (log, end) = (FileLog::new(job), all.len() as u64);
        let size = log.size().unwrap();
        prop_assert_eq!((size.bytes, size.dropped), (end, 0));
        for only in [None, Some(Stream::Stdout), Some(Stream::Stderr)] {
            let (mut read, mut cursor) = (Vec::new(), Cursor(from.min(end)));
            loop {
                let query = OutputQuery::from(Position::Cursor(cursor)).with_stream(only).with_max_bytes(max_bytes);
                let chunk = output::read(&log, end, &query).unwrap();
                prop_assert!(chunk.bytes(None).len() as u64 <= max_bytes && chunk.dropped() == 0);
                read.extend(chunk.bytes(None));
                if !chunk.more {
                    break;
                }
                prop_assert!(chunk.cursor > cursor, "reading on reaches an end");
                cursor = chunk.cursor;
            }
            let there = all.iter().skip(usize::try_from(from.min(end)).unwrap());
            let expected: Vec<u8> =
                there.filter(|(of, _)| only.is_none_or(|only| only == *of)).map(|(_, byte)| *byte).collect();
            prop_assert_eq!(&read, &expected);
        }
    }

    /// With a limit: what is kept is what was written, and what was dropped is counted.
    #[test]
    fn kept_and_dropped_output_add_up_to_all_of_it(
        writes in vec((any::<bool>(), vec(any::<u8>(), 0..900), 0..50_000_u64), 0..30),
        limit in 4096..8192_u64,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        let mut writer = FileLogWriter::new(&job, limit);
        let (mut all, mut micros) = (Vec::new(), 0);
        for (is_err, bytes, later) in &writes {
            micros += later;
            writer.append(stream(*is_err), micros, bytes);
            all.extend_from_slice(bytes);
        }
        let (log, end) = (FileLog::new(job), all.len() as u64);
        let on_disk: u64 = log.segments().unwrap().iter().map(|segment| segment.len).sum();
        prop_assert!(on_disk <= limit);
        prop_assert_eq!(writer.size(), log.size().unwrap());
        prop_assert_eq!(writer.size().bytes, end);
        let chunk = output::read(&log, end, &OutputQuery::from(Position::Start)).unwrap();
        prop_assert_eq!(chunk.dropped(), writer.size().dropped);
        for piece in &chunk.pieces {
            if let output::Piece::Data { offset, bytes, .. } = piece {
                let from = usize::try_from(*offset).unwrap();
                prop_assert_eq!(bytes.as_slice(), &all[from..from + bytes.len()]);
            }
        }
    }

    #[test]
    fn the_last_lines_are_counted_from_the_end(text in "[a-c\\n]{0,60}", count in 0..9_u64) {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        let mut writer = FileLogWriter::new(&job, 0);
        writer.append(Stream::Stdout, 0, text.as_bytes());
        let query = OutputQuery::from(Position::TailLines(count));
        let chunk = output::read(&FileLog::new(job), text.len() as u64, &query).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let expected = lines[lines.len().saturating_sub(usize::try_from(count).unwrap())..].concat();
        prop_assert_eq!(String::from_utf8(chunk.bytes(None)).unwrap(), expected);
    }

    /// Whatever is in its directory, and whichever writer continues it.
    #[test]
    fn a_log_of_any_files_is_read_and_continued(
        files in vec((
            prop_oneof!["[0-9]{1,3}", any::<u64>().prop_map(|offset| offset.to_string()), "[0-9]{10,22}", "[a-z]{1,4}"],
            vec(any::<u8>(), 0..100),
            vec(any::<u8>(), 0..100),
        ), 0..5),
        end in any::<u64>(),
        limit in prop_oneof![Just(0), 4096..9000_u64],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let job = JobDir { path: directory.path().to_owned() };
        for (name, bytes, rows) in files {
            fs::write(job.path.join(format!("{name}.log")), bytes).unwrap();
            fs::write(job.path.join(format!("{name}.idx")), rows).unwrap();
        }
        let log = FileLog::new(job.clone());
        let _ = log.size();
        for from in [Position::Start, Position::TailLines(3), Position::TailBytes(20), Position::Cursor(Cursor(end))] {
            let chunk = output::read(&log, end, &OutputQuery::from(from).with_max_bytes(50)).unwrap();
            prop_assert!(chunk.bytes(None).len() <= 50);
        }
        if let Ok(mut writer) = FileLogWriter::resume(&job, limit) {
            writer.append(Stream::Stdout, 0, b"more");
            writer.size();
        }
    }
}

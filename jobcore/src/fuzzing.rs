//! The invariants of every reader of untrusted bytes, as one function for each reader: for the fuzz targets below
//! `fuzz/` and for the property tests. Each function panics if its invariant is violated.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{Fold, Format, Transcript};
use crate::clock::Timestamp;
use crate::control::{Answer, Frame, PROTOCOL_VERSION};
use crate::error::Result;
use crate::id::IdPrefix;
use crate::key::Key;
use crate::output::{
    Cursor, JobLog, LogBackend, LogWriter, OutputQuery, Pattern, Piece, Position, Row, Segment, Stream,
};
use crate::policy::Policy;
use crate::queue::LoadCondition;
use crate::record::{Ended, Evidence, Running, Start, Stopping, Submission};
use crate::signal::Signal;
use crate::store::StoreSettings;
use crate::sys::process::Seen;
use crate::until::Until;
use crate::{Error, JobId, JobSpec, Name, units};

/// Choices that are made from bytes.
#[derive(Debug)]
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Returns a number: usually a small one, sometimes one near the limits of 64 bits.
    fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..200 => byte.into(),
            byte @ 200..220 => u64::from(byte) << 12,
            byte @ 220..235 => u64::MAX - u64::from(byte - 220),
            byte @ 235..245 => i64::MAX as u64 - 5 + u64::from(byte - 235),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn stream(&mut self) -> Stream {
        if self.byte().is_multiple_of(2) { Stream::Stdout } else { Stream::Stderr }
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Reads a value and checks that it can be written and is read back unchanged.
fn read_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).expect("a value that was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("a value that was written can be read"), read);
    Some(read)
}

/// Parses a text and checks that its displayed form is parsed as the same value.
fn parse_again<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(parsed) = text.parse::<T>() else { return };
    let shown = parsed.to_string();
    assert_eq!(shown.parse::<T>().unwrap_or_else(|error| panic!("`{text}` is shown as `{shown}`: {error:?}")), parsed);
}

/// The records of a job, one per line (the submission, start, running, ended, a stop), and the job that they describe.
pub fn records(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let submission = read_again::<Submission>(line());
    let start = read_again::<Start>(line());
    let running = read_again::<Running>(line());
    let ended = read_again::<Ended>(line());
    let now = Timestamp::UNIX_EPOCH;
    if let Some(stopping) = read_again::<Stopping>(line()) {
        stopping.rest(now);
    }
    let Some(submission) = submission else { return };
    for (held, seen) in [(true, Seen::Alive(1)), (false, Seen::Paused(1)), (false, Seen::Gone), (false, Seen::Rebooted)]
    {
        let mut evidence = Evidence::new(submission.clone());
        (evidence.start, evidence.running, evidence.ended) = (start.clone(), running.clone(), ended.clone());
        (evidence.held, evidence.seen) = (held, seen);
        let Ok((job, _)) = evidence.judge(now) else { continue };
        assert_eq!(job.id, submission.job_id);
        assert!(
            ended.is_some() == job.state.outcome().is_some() || seen != Seen::Alive(1),
            "ended, but alive: {job:?}"
        );
        serde_json::to_vec(&job.shape(now)).expect("a job can be shown");
    }
}

/// Texts by which people and programs refer to things.
pub fn words(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    parse_again::<Cursor>(&text);
    parse_again::<JobId>(&text);
    parse_again::<Name>(&text);
    parse_again::<Signal>(&text);
    parse_again::<LoadCondition>(&text);
    let _ = (text.parse::<IdPrefix>(), text.parse::<Key>(), text.parse::<Until>());
    if let Ok(size) = units::parse_size(&text) {
        units::format_size(size);
    }
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert!(text.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()), "{text} is {cursor}");
    }
}

/// The settings of a store: settings that were read are unchanged after writing and reading them, as a whole and key by
/// key.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(settings) = toml::from_str::<StoreSettings>(text) else { return };
    // TOML cannot express the largest numbers.
    let Ok(written) = toml::to_string(&settings) else { return };
    let again: StoreSettings = toml::from_str(&written).expect("settings that were written can be read");
    // Compared as text, because a NaN does not equal itself.
    assert_eq!(toml::to_string(&again).ok(), Some(written));
    let mut set = StoreSettings::default();
    for (key, value) in settings.entries() {
        let _ = set.set(&key, &value);
    }
    settings.retention();
}

/// Requests as they arrive on the control pipe of a job, and answers on theirs.
pub fn request(bytes: &[u8]) {
    match crate::store::file::control::parse_request(bytes) {
        Ok((request_id, request)) => {
            let frame = Frame { v: PROTOCOL_VERSION, request_id, body: request };
            let written = serde_json::to_vec(&frame).expect("a frame can be written");
            if written.len() <= crate::control::FRAME {
                let (id, request) = crate::store::file::control::parse_request(&frame.to_bytes())
                    .expect("a frame that fits can be parsed");
                assert_eq!((id, request), (request_id, frame.body));
            }
        }
        Err(rejected) => assert!(!rejected.reason.is_empty()),
    }
    let _ = read_again::<Answer>(bytes);
}

/// The output of an agent: the first byte selects the format, the second how the bytes are divided.
pub fn agent(bytes: &[u8]) {
    const FORMATS: [Format; 5] = [Format::Claude, Format::Codex, Format::Gemini, Format::Opencode, Format::Text];
    let mut choices = Choices(bytes);
    let format = FORMATS[usize::from(choices.byte()) % FORMATS.len()];
    let size = usize::from(choices.byte()).max(1);
    let bytes = choices.0;
    let (mut whole, mut divided) = (Fold::new(format), Fold::new(format));
    let (mut told, mut transcript) = (Transcript::new(format), Transcript::new(format));
    whole.feed(bytes);
    let mut text = told.feed(bytes);
    text += &told.end();
    let mut in_pieces = String::new();
    for piece in bytes.chunks(size) {
        divided.feed(piece);
        in_pieces += &transcript.feed(piece);
    }
    in_pieces += &transcript.end();
    assert_eq!(text, in_pieces, "a transcript depends on how the bytes are divided");
    let state = serde_json::to_vec(&divided).expect("a state can be saved");
    assert!(state.len() < 4 * bytes.len() + (1 << 20), "{} bytes of state for {}", state.len(), bytes.len());
    let digest = whole.digest();
    assert_eq!(digest, divided.digest(), "a digest depends on how the bytes are divided");
    assert!(digest.activity.as_ref().is_none_or(|line| line.chars().count() <= 120 && !line.contains('\n')));
    let mut kept: Fold = serde_json::from_slice(&state).expect("a saved state can be read");
    assert_eq!(kept.digest(), digest, "a digest depends on whether the state was saved");
    kept.gap();
    kept.feed(b"\n{}\n");
    serde_json::to_vec(&kept.digest()).expect("a digest can be shown");
    for has_begun in [false, true] {
        let _ = crate::agent::last_words(bytes, has_begun);
    }
}

/// Lines of output, raw or cleaned: the first byte selects how they are divided, the second how long a line may be.
pub fn lines(bytes: &[u8]) {
    crate::output::check_lines(bytes);
}

/// A pattern of `grep`, up to the first line break, and the text to search.
pub fn grep(bytes: &[u8]) {
    let (pattern, text) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let Ok(pattern) = std::str::from_utf8(pattern).unwrap_or_default().parse::<Pattern>() else { return };
    assert!(pattern.to_string().parse::<Pattern>().is_ok());
    crate::output::check_grep(&pattern, text.strip_prefix(b"\n").unwrap_or_default());
}

/// A shell line, or words, under a policy: each is either permitted or refused.
pub fn policy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let policy = Policy::new(vec!["npm *".parse().expect("a pattern")], vec!["rm *".parse().expect("a pattern")]);
    let judged = JobSpec::shell(&*text).build().map(|spec| policy.check(&spec));
    if let Ok(Err(error)) = judged {
        assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    }
    if let Ok(spec) = JobSpec::command(text.split('\n')).build() {
        let _ = policy.check(&spec);
    }
    if let Ok(patterns) = crate::policy::parse_list::<crate::policy::Pattern>(&text) {
        let shown = crate::policy::list_text(&patterns);
        assert_eq!(
            crate::policy::parse_list::<crate::policy::Pattern>(&shown).expect("a displayed list can be parsed"),
            patterns
        );
    }
}

/// The index of a day: the bytes of its whole file, which is written to `path`.
pub fn index(bytes: &[u8], path: &std::path::Path) {
    crate::store::file::check_index(bytes, path);
}

/// Segments of events: the bytes of a whole segment file.
pub fn events(bytes: &[u8]) {
    crate::store::file::check_events(bytes);
}

/// A log whose files contain anything: the pieces that are read are within the bounds and in order, and reading reaches
/// an end.
pub fn log(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let log = Wild::of(&mut choices);
    let segments = log.segments().expect("the segments are listed");
    let end = choices.number();
    // A writer that continues it.
    let kept: Vec<_> = segments.iter().map(|segment| (*segment, 1)).collect();
    let mut writer = LogWriter::resume(Nothing, choices.number(), &kept);
    if writer.prepare(Stream::Stdout, choices.number()).is_ok() {
        writer.wrote(1);
    }
    writer.size();
    for _ in 0..4 {
        let mut query = OutputQuery::from(match choices.byte() % 4 {
            0 => Position::Start,
            1 => Position::Cursor(Cursor(choices.number())),
            2 => Position::TailBytes(choices.number()),
            _ => Position::TailLines(choices.number()),
        });
        let flags = choices.byte();
        query.max_bytes = choices.number();
        query.until = (flags & 1 != 0).then(|| Cursor(choices.number()));
        query.stream = (flags & 2 != 0).then(|| choices.stream());
        query.max_lines = (flags & 4 != 0).then(|| choices.number());
        query.since =
            (flags & 8 != 0).then(|| Timestamp::from_microsecond(choices.number() as i64).unwrap_or_default());
        let chunk = crate::output::read(&log, end, &query).expect("the log is read");
        let mut at = None;
        let mut count = 0;
        for piece in &chunk.pieces {
            let (offset, length) = match piece {
                Piece::Data { offset, bytes, .. } => (*offset, bytes.len() as u64),
                Piece::Gap { offset, bytes } => (*offset, *bytes),
            };
            assert!(at.is_none_or(|at| at <= offset), "pieces overlap: {chunk:?}");
            at = Some(offset.checked_add(length).expect("a piece ends within 64 bits"));
            count += if matches!(piece, Piece::Data { .. }) { length } else { 0 };
        }
        assert!(count <= query.max_bytes, "{count} bytes of {}", query.max_bytes);
        assert!(at.is_none_or(|at| at <= chunk.cursor.0), "the cursor is before what was read: {chunk:?}");
        let _ = chunk.whole_characters(flags & 16 != 0);
    }
    let _ = crate::output::last_written(&log);
}

/// A backend that stores nothing.
#[derive(Debug)]
struct Nothing;

impl LogBackend for Nothing {
    fn create(&mut self, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn push_row(&mut self, _: Row) -> std::io::Result<()> {
        Ok(())
    }

    fn write(&mut self, _: u64, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn remove(&mut self, _: u64) {}
}

/// A log as damaged files may present it: segments anywhere, rows in any order.
#[derive(Debug)]
struct Wild(BTreeMap<u64, (Vec<u8>, Vec<Row>)>);

impl Wild {
    fn of(choices: &mut Choices<'_>) -> Self {
        let segments = (0..choices.byte() % 5).map(|_| {
            let start = choices.number();
            let count = choices.byte().into();
            let bytes = choices.bytes(count).to_vec();
            let rows = (0..choices.byte() % 5).map(|_| {
                let (stream, micros) = (choices.stream(), choices.number());
                // Encoded and decoded as in a file, where an offset has seven bytes.
                Row::from_bytes(Row { offset: choices.number() & (u64::MAX >> 8), stream, micros }.to_bytes())
            });
            let rows = rows.collect();
            (start, (bytes, rows))
        });
        Self(segments.collect())
    }
}

impl JobLog for Wild {
    fn segments(&self) -> Result<Vec<Segment>> {
        let segments = self.0.iter().map(|(start, (bytes, _))| Segment::new(*start, bytes.len() as u64));
        Ok(crate::output::in_order(segments.collect()))
    }

    fn read_at(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let Some((bytes, _)) = self.0.get(&segment) else { return Ok(0) };
        let from = usize::try_from(offset.saturating_sub(segment)).unwrap_or(usize::MAX).min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn row_count(&self, segment: u64) -> Result<u64> {
        Ok(self.0.get(&segment).map_or(0, |(_, rows)| rows.len() as u64))
    }

    fn rows(&self, segment: u64, first: u64, count: usize) -> Result<Vec<Row>> {
        let rows = self.0.get(&segment).map_or(&[][..], |(_, rows)| rows);
        Ok(rows.iter().skip(usize::try_from(first).unwrap_or(usize::MAX)).take(count).copied().collect())
    }
}

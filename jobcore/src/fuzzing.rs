//! What every reader of untrusted bytes must hold, whatever it reads: one function a reader, for the fuzz targets below
//! `fuzz/` and for the property tests. Each panics if it does not hold.

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

/// Choices that are made by bytes.
#[derive(Debug)]
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number: mostly a small one, and now and then one near a border of what 64 bits hold.
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

/// Reads a value; what was read can be written, and is the same when it is read again.
fn read_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written can be read"), read);
    Some(read)
}

/// Parses a text; what it is shown as is parsed as the same.
fn parse_again<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(parsed) = text.parse::<T>() else { return };
    let shown = parsed.to_string();
    assert_eq!(shown.parse::<T>().unwrap_or_else(|error| panic!("`{text}` is shown as `{shown}`: {error:?}")), parsed);
}

/// The records of a job, one a line: the submission, start, running, ended, a stop; and what is made of them.
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
            "over, and yet alive: {job:?}"
        );
        serde_json::to_vec(&job.shape(now)).expect("a job can be shown");
    }
}

/// Texts by which people and programs name things.
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

/// The settings of a store: what was read is the same when it is written and read, key by key too.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(settings) = toml::from_str::<StoreSettings>(text) else { return };
    // The largest numbers that a store can have are those of TOML.
    let Ok(written) = toml::to_string(&settings) else { return };
    let again: StoreSettings = toml::from_str(&written).expect("what was written can be read");
    // As text, in which what is no number is itself.
    assert_eq!(toml::to_string(&again).ok(), Some(written));
    let mut set = StoreSettings::default();
    for (key, value) in settings.entries() {
        let _ = set.set(&key, &value);
    }
    settings.retention();
}

/// What comes through the control pipe of a job, and through the pipe of an answer.
pub fn request(bytes: &[u8]) {
    match crate::store::file::control::parse_request(bytes) {
        Ok((request_id, request)) => {
            let frame = Frame { v: PROTOCOL_VERSION, request_id, body: request };
            let written = serde_json::to_vec(&frame).expect("it can be written");
            if written.len() <= crate::control::FRAME {
                let (id, request) = crate::store::file::control::parse_request(&frame.to_bytes()).expect("it fits");
                assert_eq!((id, request), (request_id, frame.body));
            }
        }
        Err(rejected) => assert!(!rejected.reason.is_empty()),
    }
    let _ = read_again::<Answer>(bytes);
}

/// An agent's output: the first byte is the format, the second how it is divided.
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
    let state = serde_json::to_vec(&divided).expect("a state can be kept");
    assert!(state.len() < 4 * bytes.len() + (1 << 20), "{} bytes of state for {}", state.len(), bytes.len());
    let digest = whole.digest();
    assert_eq!(digest, divided.digest(), "a digest depends on how the bytes are divided");
    assert!(digest.activity.as_ref().is_none_or(|line| line.chars().count() <= 120 && !line.contains('\n')));
    let mut kept: Fold = serde_json::from_slice(&state).expect("a state that was kept can be read");
    assert_eq!(kept.digest(), digest, "a digest depends on whether the state was kept");
    kept.gap();
    kept.feed(b"\n{}\n");
    serde_json::to_vec(&kept.digest()).expect("a digest can be shown");
    for has_begun in [false, true] {
        let _ = crate::agent::last_words(bytes, has_begun);
    }
}

/// Lines of output, raw or cleaned: the first byte is how they are divided, the second how long a line may be.
pub fn lines(bytes: &[u8]) {
    crate::output::check_lines(bytes);
}

/// A pattern of `grep`, up to the first line break, and what it is looked for in.
pub fn grep(bytes: &[u8]) {
    let (pattern, text) = bytes.split_at(bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len()));
    let Ok(pattern) = std::str::from_utf8(pattern).unwrap_or_default().parse::<Pattern>() else { return };
    assert!(pattern.to_string().parse::<Pattern>().is_ok());
    crate::output::check_grep(&pattern, text.strip_prefix(b"\n").unwrap_or_default());
}

/// A line for a shell, or words, under a policy: it is judged, one way or the other.
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
            crate::policy::parse_list::<crate::policy::Pattern>(&shown).expect("what is shown can be parsed"),
            patterns
        );
    }
}

/// An index of a day: its whole file, which is written to `path`.
pub fn index(bytes: &[u8], path: &std::path::Path) {
    crate::store::file::check_index(bytes, path);
}

/// Segments of events: the whole file of one.
pub fn events(bytes: &[u8]) {
    crate::store::file::check_events(bytes);
}

/// A log of which the files say anything: what is read is within the bounds, in order, and leads to an end.
pub fn log(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let log = Wild::of(&mut choices);
    let segments = log.segments().expect("they are there");
    let end = choices.number();
    // A writer that goes on with it.
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
        let chunk = crate::output::read(&log, end, &query).expect("it is read");
        let mut at = None;
        let mut count = 0;
        for piece in &chunk.pieces {
            let (offset, length) = match piece {
                Piece::Data { offset, bytes, .. } => (*offset, bytes.len() as u64),
                Piece::Gap { offset, bytes } => (*offset, *bytes),
            };
            assert!(at.is_none_or(|at| at <= offset), "pieces overlap: {chunk:?}");
            at = Some(offset.checked_add(length).expect("no piece is longer than all there is"));
            count += if matches!(piece, Piece::Data { .. }) { length } else { 0 };
        }
        assert!(count <= query.max_bytes, "{count} bytes of {}", query.max_bytes);
        assert!(at.is_none_or(|at| at <= chunk.cursor.0), "the cursor is before what was read: {chunk:?}");
        let _ = chunk.whole_characters(flags & 16 != 0);
    }
    let _ = crate::output::last_written(&log);
}

/// Where nothing is kept.
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

/// A log as damaged files may show it: segments anywhere, rows in no order.
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
                // As it is read from a file, of which the offset has seven bytes.
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

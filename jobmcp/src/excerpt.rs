//! The part of a job's output that a model reads: its end, the likely cause of a failure, or what the call requested.

use jobcore::digest;
use jobcore::output::{Cursor, Grep, OutputQuery, Piece, Position, Shown, Stream, View, ViewText};
use jobcore::units::format_size;
use jobcore::words::{about, counted};
use jobcore::{Job, JobId, JobManager, Status};

use crate::server::Server;
use crate::text::{self, BUDGET, LARGEST};

/// Output up to this size is shown as a whole; the second limit is for running jobs.
const WHOLE: u64 = 1_200;
const WHOLE_SO_FAR: u64 = 240;
/// How many lines are shown after success, after failure, and while a job runs.
const AFTER_SUCCESS: u64 = 10;
const AFTER_FAILURE: u64 = 15;
const SO_FAR: u64 = 3;
/// How many bytes of output are shown by default, and how many of them may be lines with likely causes.
const UNASKED: usize = 1_500;
const CAUSES: usize = 500;
/// From this many similar lines before the last one on, they are counted instead of shown.
const ALIKE: usize = 4;
/// The longest line that is shown of a running job, in characters.
const LINE_SO_FAR: usize = 100;
/// How many bytes before the end are searched for causes.
const SEARCHED: u64 = 1 << 20;
/// How many bytes are read to count new lines.
const COUNTED: u64 = 1 << 20;

/// What a call requests of an output.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Only this many last lines.
    pub(crate) lines: Option<u64>,
    /// Only matching lines.
    pub(crate) grep: Option<Grep>,
    pub(crate) stream: Option<Stream>,
    /// Only output after this cursor.
    pub(crate) from: Option<Cursor>,
}

/// What is shown of an output.
#[derive(Debug, Default)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    /// The cursor up to which the output was considered.
    pub(crate) cursor: Cursor,
    /// How much is new, for a running job.
    pub(crate) news: Option<String>,
}

/// Returns what to show of the current output of a job.
pub(crate) async fn of(server: &Server, job: &Job, look: &Look) -> jobcore::Result<Excerpt> {
    let jobs = server.jobs();
    let from = look.from.unwrap_or_else(|| server.shown().of(job.id));
    let mut excerpt = match job.status() {
        Status::Queued => Excerpt::default(),
        status if status.is_final() => after_end(jobs, job, look, from).await?,
        _ => so_far(jobs, job, look, from).await?,
    };
    excerpt.cursor = excerpt.cursor.max(Cursor(job.output.bytes));
    server.shown().note(job.id, excerpt.cursor);
    Ok(excerpt)
}

async fn so_far(jobs: &JobManager, job: &Job, look: &Look, from: Cursor) -> jobcore::Result<Excerpt> {
    let new = job.output.bytes.saturating_sub(from.0);
    let again = if from.0 > 0 { "new " } else { "" };
    let mut excerpt = Excerpt::default();
    let dropped = match dropped(jobs, job, from, Cursor(job.output.bytes)).await? {
        0 => String::new(),
        dropped => format!(", {} of it dropped", format_size(dropped)),
    };
    if new == 0 {
        excerpt.news = Some(format!("no {again}output"));
    } else if let Some(grep) = &look.grep {
        excerpt.text = matching(jobs, job, grep, look.stream, from, BUDGET).await?;
        excerpt.news =
            excerpt.text.is_empty().then(|| format!("no {again}line matches in {}{dropped}", format_size(new)));
    } else if new <= WHOLE_SO_FAR && look.lines.is_none() {
        excerpt.text = end(jobs, job, look.stream, from, u64::MAX, UNASKED).await?.text;
    } else {
        let lines = end(jobs, job, look.stream, from, look.lines.unwrap_or(SO_FAR), room(look.lines)).await?.text;
        excerpt.text = if look.lines.is_some() { lines } else { unlike(&lines) };
        excerpt.news = Some(format!("{again}output: {}{dropped}", amount(jobs, job.id, from, new).await?));
    }
    Ok(excerpt)
}

async fn after_end(jobs: &JobManager, job: &Job, look: &Look, from: Cursor) -> jobcore::Result<Excerpt> {
    let has_failed = job.status() != Status::Completed;
    let mut text = String::new();
    if let Some(grep) = &look.grep {
        text = matching(jobs, job, grep, look.stream, look.from.unwrap_or_default(), BUDGET).await?;
        if !text.is_empty() {
            return Ok(Excerpt { text, ..Excerpt::default() });
        }
        text = format!("{}\n", none_matches(job));
        if !has_failed {
            return Ok(Excerpt { text, ..Excerpt::default() });
        }
    }
    // The cause of a failure may have been written before the last call.
    let from = if has_failed { look.from.unwrap_or_default() } else { from };
    let is_short = job.output.bytes.saturating_sub(from.0) <= WHOLE && look.lines.is_none();
    let found = match has_failed && !is_short && look.lines.is_none() {
        true => causes(jobs, job, look.stream).await?,
        false => Causes::None,
    };
    if let Causes::Digest { digest, of } = &found {
        let more = call(job, r#""lines": 100"#);
        let text = format!("{text}{digest}\n[digest of {of}; {more} prints the end of the output]");
        return Ok(Excerpt { text, ..Excerpt::default() });
    }
    let lines = match (look.lines, has_failed) {
        _ if is_short => u64::MAX,
        (Some(lines), _) => lines,
        (None, true) => AFTER_FAILURE,
        (None, false) => AFTER_SUCCESS,
    };
    let mut room = room(look.lines);
    if let Causes::Lines(lines) = &found {
        room -= lines.len();
    }
    let end = end(jobs, job, look.stream, from, lines, room).await?;
    let searches =
        if has_failed { format!("; {} searches it", call(job, r#""grep": "REGEX""#)) } else { String::new() };
    if let Some(above) = above(jobs, job, from, &end).await? {
        text.push_str(&format!("[{above}{searches}]\n"));
    }
    if let Causes::Lines(lines) = found {
        text.push_str(&format!("{lines}\n…\n"));
    }
    text.push_str(&if look.lines.is_some() || is_short { end.text } else { folded(&end.text) });
    Ok(Excerpt { text, ..Excerpt::default() })
}

/// Returns what a call requests of the output of one of several jobs, in at most about `room` bytes; nothing if nothing
/// is requested or no line matches.
pub(crate) async fn asked(jobs: &JobManager, job: &Job, look: &Look, room: u64) -> jobcore::Result<String> {
    let from = look.from.unwrap_or_default();
    match (&look.grep, look.lines) {
        (Some(grep), _) => matching(jobs, job, grep, look.stream, from, room.max(1_000)).await,
        (None, Some(lines)) => {
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            Ok(end(jobs, job, look.stream, from, lines, room).await?.text)
        }
        (None, None) => Ok(String::new()),
    }
}

/// Returns one line on why a job failed: the last one that looks like a cause, or else the last one.
pub(crate) async fn cause(jobs: &JobManager, job: &Job, room: u64) -> jobcore::Result<String> {
    let text = last_text(jobs, job, None, SEARCHED / 16).await?;
    let found = digest::causes(&text, 0, CAUSES).pop();
    let last = || text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned();
    Ok(text::cut(found.unwrap_or_else(last).trim(), usize::try_from(room).unwrap_or(usize::MAX)))
}

/// Returns the matching lines with their context; nothing if no line matches.
async fn matching(
    jobs: &JobManager,
    job: &Job,
    grep: &Grep,
    stream: Option<Stream>,
    from: Cursor,
    budget: u64,
) -> jobcore::Result<String> {
    let view = text::view(budget).with_grep(Some(grep.clone()));
    let query = OutputQuery::from(Position::Cursor(from)).with_stream(stream);
    let viewed = jobs.view(job.id, &query, &view).await?;
    let is_any = viewed.shown.iter().any(|shown| matches!(shown, Shown::Line(_)));
    Ok(if is_any { String::from_utf8_lossy(&viewed.text(&view, stream)).trim_end().to_owned() } else { String::new() })
}

/// States how much output was searched without a match: a model must not conclude that a dropped line was never
/// written.
pub(crate) fn none_matches(job: &Job) -> String {
    let (all, dropped) = (job.output.bytes, job.output.dropped);
    match dropped {
        0 => format!("No line matches in {} of output.", format_size(all)),
        _ => format!(
            "No line matches in the {} kept of {}; a larger output_limit keeps more.",
            format_size(all - dropped),
            format_size(all)
        ),
    }
}

enum Causes {
    None,
    /// A digest of the failures, and its source.
    Digest {
        digest: String,
        of: String,
    },
    Lines(String),
}

async fn causes(jobs: &JobManager, job: &Job, stream: Option<Stream>) -> jobcore::Result<Causes> {
    let text = last_text(jobs, job, stream, SEARCHED).await?;
    if let Some(failures) = digest::digest(&text) {
        let of = match job.output.bytes > SEARCHED {
            true => format!("the last {} of {}", format_size(SEARCHED), format_size(job.output.bytes)),
            false => "the output".to_owned(),
        };
        return Ok(Causes::Digest { digest: failures.render(UNASKED), of });
    }
    if let Some(failures) = jobs.junit_report(job).await? {
        return Ok(Causes::Digest { digest: failures.render(UNASKED), of: "its report".to_owned() });
    }
    let lines = digest::causes(&text, usize::try_from(AFTER_FAILURE).unwrap_or_default(), CAUSES);
    Ok(if lines.is_empty() { Causes::None } else { Causes::Lines(lines.join("\n")) })
}

/// Returns the last part of an output, cleaned.
async fn last_text(jobs: &JobManager, job: &Job, stream: Option<Stream>, bytes: u64) -> jobcore::Result<String> {
    let view = View::default().with_clean(true);
    let query = OutputQuery::from(Position::TailBytes(bytes)).with_stream(stream).with_max_bytes(bytes);
    let viewed = jobs.view(job.id, &query, &view).await?;
    Ok(String::from_utf8_lossy(&viewed.text(&view, stream)).into_owned())
}

/// The end of an output.
struct End {
    text: String,
    /// The cursor at which it begins.
    begins: Cursor,
}

/// Returns at most `lines` last lines of the output after `from`, as whole lines within `room` bytes.
async fn end(
    jobs: &JobManager,
    job: &Job,
    stream: Option<Stream>,
    from: Cursor,
    lines: u64,
    room: usize,
) -> jobcore::Result<End> {
    let view = View::default().with_clean(true);
    // Control sequences that are removed take room, too.
    let bytes = 4 * room as u64 + 4_096;
    let query = |position| OutputQuery::from(position).with_stream(stream).with_max_bytes(bytes);
    let offset = |shown: &Shown| match shown {
        Shown::Line(line) => Some(line.offset),
        Shown::Gap { offset, .. } => Some(*offset),
        _ => None,
    };
    let is_all = job.output.bytes.saturating_sub(from.0) <= bytes && lines == u64::MAX;
    let position = if is_all { Position::Cursor(from) } else { Position::TailLines(lines.min(1_000)) };
    let mut viewed = jobs.view(job.id, &query(position), &view).await?;
    if viewed.more {
        viewed = jobs.view(job.id, &query(Position::TailBytes(bytes)), &view).await?;
    }
    if viewed.shown.iter().find_map(offset).is_some_and(|first| first < from.0) {
        viewed.shown.retain(|shown| offset(shown).is_some_and(|offset| offset >= from.0));
    }
    let mut left = room;
    let size = |shown: &Shown| if let Shown::Line(line) = shown { line.text.len() + 1 } else { 64 };
    let fits = |shown: &&Shown| {
        let rest = left.checked_sub(size(shown));
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    // A single line that is too long is cut below.
    let count = viewed.shown.iter().rev().take_while(fits).count().max(1).min(viewed.shown.len());
    let shown = &viewed.shown[viewed.shown.len() - count..];
    let mut text = ViewText::new(&view, stream);
    shown.iter().for_each(|shown| text.push(shown));
    let bytes = text.take();
    let mut text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
    if text.len() > room {
        text = format!("…{}", text::end(&text, room));
    }
    let begins = shown.iter().find_map(offset).map_or(Cursor(job.output.bytes), Cursor);
    Ok(End { text, begins })
}

/// States how much output precedes the end, and how much of it was dropped.
async fn above(jobs: &JobManager, job: &Job, from: Cursor, end: &End) -> jobcore::Result<Option<String>> {
    let above = end.begins.0.saturating_sub(from.0);
    if above == 0 {
        return Ok(None);
    }
    let dropped = match dropped(jobs, job, from, end.begins).await? {
        0 => String::new(),
        dropped => {
            let lines = match end.text.lines().count() as u64 {
                0..5 => String::new(),
                lines => {
                    let lines = u128::from(dropped) * u128::from(lines) / end.text.len() as u128;
                    let lines = about(u64::try_from(lines).unwrap_or(u64::MAX).max(1));
                    format!(" (about {})", counted(lines, "line", "lines"))
                }
            };
            format!(", {}{lines} of it dropped: over output_limit", format_size(dropped))
        }
    };
    Ok(Some(format!("{} above{dropped}", format_size(above))))
}

/// Returns how many bytes of the output of a job were dropped between two cursors.
async fn dropped(jobs: &JobManager, job: &Job, from: Cursor, to: Cursor) -> jobcore::Result<u64> {
    if job.output.dropped == 0 {
        return Ok(0);
    }
    let mut output = jobs.output_reader(job.id).await?;
    output.read(&OutputQuery::from(Position::Cursor(from)).with_max_bytes(1)).await?;
    Ok(output.dropped(from, to))
}

/// States how much is new: in lines, or in bytes if there is too much to count.
async fn amount(jobs: &JobManager, id: JobId, from: Cursor, new: u64) -> jobcore::Result<String> {
    if new > COUNTED {
        return Ok(format_size(new));
    }
    let chunk = jobs.output(id, &OutputQuery::from(Position::Cursor(from)).with_max_bytes(COUNTED)).await?;
    let lines = chunk.pieces.iter().map(|piece| match piece {
        Piece::Data { bytes, .. } => bytes.iter().filter(|byte| **byte == b'\n').count() as u64,
        _ => 0,
    });
    match lines.sum() {
        0 => Ok(format_size(new)),
        lines => Ok(counted(lines, "line", "lines")),
    }
}

/// Returns a line without what changes with progress: numbers, bars and blanks.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    for letter in line.chars().filter(|letter| !letter.is_whitespace()) {
        let letter = if letter.is_ascii_digit() { '0' } else { letter };
        if !shape.ends_with(letter) {
            shape.push(letter);
        }
    }
    shape
}

/// Replaces consecutive similar lines by their number and the last one.
fn folded(text: &str) -> String {
    let mut folded: Vec<String> = Vec::new();
    let lines: Vec<_> = text.lines().collect();
    for alike in lines.chunk_by(|one, next| shape(one) == shape(next)) {
        match alike {
            [before @ .., last] if before.len() >= ALIKE => {
                folded.push(format!("[{} lines like this:]", before.len()));
                folded.push((*last).to_owned());
            }
            few => folded.extend(few.iter().map(|line| (*line).to_owned())),
        }
    }
    folded.join("\n")
}

/// Returns the lines that are not similar to a later one, so that progress is shown once.
fn unlike(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let is_last = |index: usize| lines[index + 1..].iter().all(|later| shape(later) != shape(lines[index]));
    let unlike = (0..lines.len()).filter(|index| is_last(*index)).map(|index| text::cut(lines[index], LINE_SO_FAR));
    unlike.collect::<Vec<_>>().join("\n")
}

fn room(lines: Option<u64>) -> usize {
    match lines {
        Some(_) => usize::try_from(LARGEST).unwrap_or(usize::MAX),
        None => UNASKED,
    }
}

/// Returns the call of `output` that reads more of a job.
fn call(job: &Job, argument: &str) -> String {
    let reference = job.spec.name.as_ref().map_or_else(|| job.id.short(), ToString::to_string);
    format!(r#"output {{"job_id": "{reference}", {argument}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shown_once() {
        let compiling = "[ 1/90] compiling a_1.c\n[ 2/90] compiling a_2.c\n[10/90] compiling a_13.c";
        assert_eq!(unlike(compiling), "[10/90] compiling a_13.c");
        assert_eq!(unlike("10% [##      ]\n\n100% [########]"), "100% [########]");
        assert_eq!(unlike("a\nb\na\n"), "b\na");
    }

    #[test]
    fn similar_lines_are_counted() {
        let warnings: Vec<_> = (0..5).map(|index| format!("warning {index}")).collect();
        let text = format!("start\n{}\nfatal", warnings.join("\n"));
        assert_eq!(folded(&text), "start\n[4 lines like this:]\nwarning 4\nfatal");
        assert_eq!(folded("a 1\na 2\na 3\na 4\nb"), "a 1\na 2\na 3\na 4\nb");
    }
}

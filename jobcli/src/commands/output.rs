use std::io::Write;
use std::process::ExitCode;

use jobcore::output::{Cursor, OutputChunk, OutputQuery, Piece, Position, Stream};
use jobcore::units::format_size;
use jobcore::{JobId, JobManager};

use super::{Result, print_json, tell, unless_interrupted};
use crate::cli::{Output, ShowOutput, Tail};

/// How much is printed at a time.
const CHUNK: u64 = 1024 * 1024;

/// Where the two streams are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    /// Both on standard output.
    Together,
    /// Each on its own.
    Apart,
}

pub(super) async fn run(jobs: &JobManager, arguments: Output) -> Result {
    let mut query = OutputQuery::from(Position::Start).with_max_lines(arguments.head);
    if let Some(lines) = arguments.tail {
        query.from = Position::TailLines(lines);
    }
    if let Some(range) = arguments.bytes {
        query.from = Position::Cursor(Cursor(range.from));
        query.until = range.to.map(Cursor);
    }
    if let Some(cursor) = arguments.cursor {
        query.from = Position::Cursor(cursor);
    }
    print(jobs, arguments.job.reference(), query, &arguments.show).await
}

pub(super) async fn tail(jobs: &JobManager, arguments: Tail) -> Result {
    print(jobs, arguments.job.reference(), OutputQuery::from(Position::TailLines(arguments.lines)), &arguments.show)
        .await
}

async fn print(jobs: &JobManager, reference: &str, query: OutputQuery, show: &ShowOutput) -> Result {
    let id = jobs.find(reference).await?;
    let stream = match (show.stdout, show.stderr) {
        (true, _) => Some(Stream::Stdout),
        (_, true) => Some(Stream::Stderr),
        _ => None,
    };
    let query = query.with_stream(stream);
    if show.json {
        print_json(&jobs.output_text(id, &query).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut query = query.with_max_bytes(CHUNK);
    loop {
        let chunk = jobs.output(id, &query).await?;
        if chunk.cut {
            tell("[the beginning of a very long line is left out]");
        }
        write(&chunk, Sink::Together)?;
        query.max_lines = query.max_lines.map(|left| left.saturating_sub(lines(&chunk)));
        query.from = Position::Cursor(chunk.cursor);
        if !chunk.more || query.max_lines == Some(0) {
            break;
        }
    }
    if show.follow {
        let Position::Cursor(cursor) = query.from else { return Ok(ExitCode::SUCCESS) };
        let followed = follow(jobs, id, cursor, stream, |chunk| write(chunk, Sink::Together));
        if let Err(code) = unless_interrupted(&id.short(), followed).await? {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Hands over what comes from `cursor` on, until the job has ended and all is told.
pub(super) async fn follow(
    jobs: &JobManager,
    id: JobId,
    cursor: Cursor,
    stream: Option<Stream>,
    mut print: impl FnMut(&OutputChunk) -> Result<()>,
) -> Result<()> {
    let mut query = OutputQuery::from(Position::Cursor(cursor)).with_stream(stream).with_max_bytes(CHUNK);
    loop {
        // Looked at before reading: what was written before an end is read after it is known.
        let is_over = jobs.job(id).await?.status().is_final();
        let chunk = jobs.output(id, &query).await?;
        print(&chunk)?;
        query.from = Position::Cursor(chunk.cursor);
        if chunk.more {
            continue;
        }
        if is_over {
            return Ok(());
        }
        jobs.more_output(id, chunk.cursor).await?;
    }
}

/// Prints the bytes as they are. What is gone is told where nobody takes it for output.
pub(super) fn write(chunk: &OutputChunk, sink: Sink) -> Result<()> {
    let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr().lock());
    for piece in &chunk.pieces {
        match piece {
            Piece::Data { stream: Stream::Stderr, bytes, .. } if sink == Sink::Apart => stderr.write_all(bytes)?,
            Piece::Data { bytes, .. } => stdout.write_all(bytes)?,
            Piece::Gap { bytes, offset, .. } => {
                stdout.flush()?;
                tell_gap(*offset, *bytes);
            }
            _ => {}
        }
    }
    stdout.flush()?;
    Ok(())
}

fn tell_gap(offset: u64, bytes: u64) {
    let size = if bytes < 1024 { String::new() } else { format!(" ({})", format_size(bytes)) };
    tell(&format!("[{bytes} bytes{size} from offset {offset} on were not kept]"));
}

fn lines(chunk: &OutputChunk) -> u64 {
    chunk.bytes(None).iter().filter(|byte| **byte == b'\n').count() as u64
}

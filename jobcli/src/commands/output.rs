use std::io::{self, IsTerminal, Stderr, Stdout, Write};
use std::process::ExitCode;

use jobcore::agent::AgentRun;
use jobcore::front::text::print_json;
use jobcore::front::{Failure, Failures, Settings, agents, codes};
use jobcore::output::{Cursor, OutputChunk, OutputQuery, Piece, Position, Stream, View};
use jobcore::units::format_size;
use jobcore::words::counted;
use jobcore::{Job, JobId, JobManager};

use super::reading::{OfRun, What, check_schedule, tell_cut, tell_fewer, view};
use super::select::{Asked, Which, asked, find};
use super::{Result, agent, several, tell, unless_interrupted};
use crate::cli::{Output, SeveralJobs, Tail};
use crate::terminal::Harmless;

/// How many bytes are printed at a time: few enough to stay in the processor's cache from the read to the write.
const CHUNK: u64 = 256 * 1024;

/// Where the two streams of a job are printed. Unless raw, a terminal gets no control sequences except colours and
/// redrawing of the line.
pub(super) struct Sink {
    stdout: Printer<Stdout>,
    /// Nothing if both streams are printed on standard output.
    stderr: Option<Printer<Stderr>>,
}

enum Printer<W: Write> {
    Raw(W),
    Harmless(Harmless<W>),
}

impl<W: Write + IsTerminal> Printer<W> {
    fn new(out: W, is_raw: bool) -> Self {
        match is_raw || !out.is_terminal() {
            true => Self::Raw(out),
            false => Self::Harmless(Harmless::new(out)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Raw(out) => out.write_all(bytes),
            Self::Harmless(out) => out.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Raw(out) => out.flush(),
            Self::Harmless(out) => out.flush(),
        }
    }
}

impl<W: Write> Drop for Printer<W> {
    fn drop(&mut self) {
        if let Self::Harmless(out) = self {
            // If the reader is gone, there is nothing to restore.
            let _ = out.finish();
        }
    }
}

impl Sink {
    /// Prints both streams on standard output.
    pub(super) fn together(is_raw: bool) -> Self {
        Self { stdout: Printer::new(io::stdout(), is_raw), stderr: None }
    }

    /// Prints each stream on its own.
    pub(super) fn apart(is_raw: bool) -> Self {
        Self { stderr: Some(Printer::new(io::stderr(), is_raw)), ..Self::together(is_raw) }
    }

    /// Prints a part of the output. Dropped bytes are reported on standard error, so that the note is not taken for
    /// output.
    pub(super) fn write(&mut self, chunk: &OutputChunk) -> Result<()> {
        for piece in &chunk.pieces {
            match (piece, &mut self.stderr) {
                (Piece::Data { stream: Stream::Stderr, bytes, .. }, Some(stderr)) => stderr.write(bytes)?,
                (Piece::Data { bytes, .. }, _) => self.stdout.write(bytes)?,
                (Piece::Gap { bytes, offset, .. }, _) => {
                    self.stdout.flush()?;
                    tell_gap(*offset, *bytes);
                }
                _ => {}
            }
        }
        Ok(self.stdout.flush()?)
    }

    /// Prints text derived from the output, on standard output.
    pub(super) fn write_text(&mut self, text: &[u8]) -> Result<()> {
        self.stdout.write(text)?;
        Ok(self.stdout.flush()?)
    }
}

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Output) -> Result {
    let is_whole =
        arguments.head.is_none() && arguments.tail.is_none() && arguments.bytes.is_none() && arguments.cursor.is_none();
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
    let attempt = arguments.attempt;
    let of_run = (is_whole && attempt.is_none()).then_some(OfRun::Answer);
    let what = What { query, show: &arguments.show, attempt, of_run };
    let is_of_one = arguments.bytes.is_some() || arguments.cursor.is_some() || attempt.is_some();
    print_all(jobs, settings, &arguments.jobs, &what, is_of_one).await
}

pub(super) async fn tail(jobs: &JobManager, settings: &Settings, arguments: Tail) -> Result {
    let query = OutputQuery::from(Position::TailLines(arguments.lines));
    let of_run = Some(OfRun::LastLines(arguments.lines));
    print_all(jobs, settings, &arguments.jobs, &What { query, show: &arguments.show, attempt: None, of_run }, false)
        .await
}

/// Prints the output of the named or selected jobs.
async fn print_all(
    jobs: &JobManager,
    settings: &Settings,
    wanted: &SeveralJobs,
    what: &What<'_>,
    is_of_one: bool,
) -> Result {
    let references: Vec<_> = wanted.ids.iter().chain(&wanted.job_id).cloned().collect();
    if let ([reference], false) = (references.as_slice(), wanted.selection.is_given() || wanted.all) {
        let job = jobs.job(find(jobs, reference).await?).await?;
        check_schedule(&job)?;
        return print(jobs, &job, what).await;
    }
    let which = if what.show.follow { Which::Unfinished } else { Which::All };
    let (selection, all) = (&wanted.selection, wanted.all);
    let mut failures = Failures::default();
    let wanted = Asked { references: &references, selection, all, which };
    let mut ids = asked(jobs, settings, &wanted, &mut failures).await?;
    if is_of_one {
        return Err(Failure::new(codes::USAGE, "byte ranges, cursors and attempts belong to one job; name one job"));
    }
    if references.is_empty() {
        // The newest job comes last, like the newest lines.
        ids.reverse();
        if ids.is_empty() && what.show.follow {
            tell(&format!("all jobs{} have ended", if all { String::new() } else { format!(" with {selection}") }));
        }
    }
    let code = several::print(jobs, &ids, what, &mut failures).await?;
    Ok(failures.code().map_or(code, ExitCode::from))
}

/// Prints the answer of an agent, or an account of what it does.
async fn print_run(jobs: &JobManager, job: &Job, run: &AgentRun, what: OfRun, follows: bool) -> Result {
    match what {
        _ if follows => {
            if let Err(code) = unless_interrupted(&job.id.short(), agent::follow(jobs, job, run)).await? {
                return Ok(code);
            }
        }
        OfRun::Answer => agent::print_result(jobs, job).await?,
        OfRun::LastLines(lines) => agent::print(&agents::last_lines(jobs, job, run, lines).await?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the output of a job.
async fn print(jobs: &JobManager, job: &Job, what: &What<'_>) -> Result {
    let (id, show) = (job.id, what.show);
    if let Some((run, of_run)) = what.of_run(job) {
        return print_run(jobs, job, &run, of_run, show.follow).await;
    }
    let (query, view) = (what.query_of(job)?, view(show, job));
    match (show.json, view.is_plain()) {
        (true, true) => print_json(&jobs.output_text(id, &query).await?)?,
        (true, false) => print_json(&jobs.view_text(id, &query, &view).await?)?,
        (false, false) if view.budget.is_some() => {
            print_excerpt(jobs, id, &query, &view, &mut Sink::together(show.raw)).await?;
        }
        (false, is_plain) => {
            let printed = async {
                let mut sink = Sink::together(show.raw);
                match is_plain {
                    true => print_bytes(jobs, id, query, show.follow, &mut sink).await,
                    false => print_view(jobs, id, &query, &view, show.follow, &mut sink).await,
                }
            };
            if !show.follow {
                printed.await?;
            } else if let Err(code) = unless_interrupted(&id.short(), printed).await? {
                return Ok(code);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the output unchanged.
async fn print_bytes(jobs: &JobManager, id: JobId, query: OutputQuery, follows: bool, sink: &mut Sink) -> Result<()> {
    let mut query = query.with_max_bytes(CHUNK);
    let mut output = jobs.output_reader(id).await?;
    loop {
        let chunk = output.read(&query).await?;
        tell_cut(chunk.cut);
        sink.write(&chunk)?;
        query = query.after(&chunk);
        query.max_lines = query.max_lines.map(|left| left.saturating_sub(lines(&chunk)));
        if chunk.more && query.max_lines != Some(0) {
            output.reuse(chunk);
            continue;
        }
        return match follows {
            true => follow(jobs, id, chunk.cursor, query.stream, |chunk| sink.write(chunk)).await,
            false => Ok(()),
        };
    }
}

/// Prints a view. If it is followed, it continues until the job ends.
pub(super) async fn print_view(
    jobs: &JobManager,
    id: JobId,
    query: &OutputQuery,
    view: &View,
    follows: bool,
    sink: &mut Sink,
) -> Result<()> {
    let mut parts = jobs.follow_view(id, query, view, follows);
    while let Some(part) = parts.next().await {
        let part = part?;
        tell_cut(part.cut);
        sink.write_text(&part.text)?;
        tell_fewer(part.fewer);
    }
    Ok(())
}

/// Prints the beginning and the end of a view.
async fn print_excerpt(jobs: &JobManager, id: JobId, query: &OutputQuery, view: &View, sink: &mut Sink) -> Result<()> {
    let viewed = jobs.view(id, query, view).await?;
    tell_fewer(viewed.cut);
    sink.write_text(&viewed.text(view, None))
}

/// Passes on all output from `cursor` on, until the job has ended.
pub(super) async fn follow(
    jobs: &JobManager,
    id: JobId,
    cursor: Cursor,
    stream: Option<Stream>,
    print: impl FnMut(&OutputChunk) -> Result<()>,
) -> Result<()> {
    follow_from(jobs, id, OutputQuery::from(Position::Cursor(cursor)).with_stream(stream), print).await
}

/// Passes on the output of a query and what follows it, until the job has ended.
pub(super) async fn follow_from(
    jobs: &JobManager,
    id: JobId,
    query: OutputQuery,
    mut print: impl FnMut(&OutputChunk) -> Result<()>,
) -> Result<()> {
    let mut chunks = jobs.follow_output(id, query.with_max_bytes(CHUNK));
    while let Some(chunk) = chunks.next().await {
        print(&chunk?)?;
    }
    Ok(())
}

fn tell_gap(offset: u64, bytes: u64) {
    let size = if bytes < 1024 { String::new() } else { format!(" ({})", format_size(bytes)) };
    let (count, were) = (counted(bytes, "byte", "bytes"), if bytes == 1 { "was" } else { "were" });
    tell(&format!("[{count}{size} from offset {offset} on {were} not kept]"));
}

fn lines(chunk: &OutputChunk) -> u64 {
    chunk.bytes(None).iter().filter(|byte| **byte == b'\n').count() as u64
}

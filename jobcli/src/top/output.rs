//! Reads a job's output in blocks of lines, from any place and in both directions, so that the cost does not depend on
//! the size of the output.

use std::time::Duration;

use jobcore::front::agents;
use jobcore::output::{Cursor, OutputQuery, Pattern, Position, Shown, Stream, View};
use jobcore::units::format_size;
use jobcore::{JobId, JobManager, Result, escape};
use tokio::sync::mpsc::UnboundedSender;

use super::messages::{Event, Part, Read, Reading, Which};

/// How many bytes are read at a time for showing, and for searching.
const BLOCK: u64 = 64 * 1024;
const SEARCHED: u64 = 1024 * 1024;
/// How many lines of an agent run are shown.
const OF_AGENT: u64 = 2_000;
/// How long new output is collected before it is read.
const COLLECT: Duration = Duration::from_millis(50);

/// A line of output that a terminal cannot obey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputLine {
    /// Where it begins, and where the next one begins.
    pub(super) offset: u64,
    pub(super) end: u64,
    /// Its stream; nothing for a note that stands for missing lines.
    pub(super) stream: Option<Stream>,
    pub(super) text: String,
    /// Whether it has the beginning, and the end, of its line.
    pub(super) begins: bool,
    pub(super) ends: bool,
}

/// Consecutive lines of an output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) lines: Vec<OutputLine>,
    /// Whether there is nothing before them, and nothing after them.
    pub(super) is_first: bool,
    pub(super) is_last: bool,
}

/// Reads a part of an output and sends it as events.
pub(super) async fn read(jobs: JobManager, id: JobId, which: Which, reading: Reading, events: UnboundedSender<Event>) {
    let tell = |read| drop(events.send(Event::Output(id, read)));
    let done = match reading {
        Reading::Follow => follow(&jobs, id, which, |block| tell(Read::Last(block))).await,
        Reading::Part(part) => block(&jobs, id, which, part).await.map(|block| tell(Read::Part(part, block))),
        Reading::Find { pattern, from, backwards } => {
            find(&jobs, id, which, &pattern, from, backwards).await.map(|block| tell(Read::Found(block)))
        }
    };
    if let Err(error) = done {
        tell(Read::Failed(error.to_string()));
    }
}

/// Passes on the last lines, and again whenever they change, until the job has ended.
async fn follow(jobs: &JobManager, id: JobId, which: Which, tell: impl Fn(Block)) -> Result<()> {
    loop {
        // The status is read before the output: once it shows an end, all output of the job is there to be read.
        let job = jobs.job(id).await?;
        let (block, cursor) = match agents::told_run(&job).filter(|_| which == Which::Told) {
            Some(run) => {
                let text = agents::last_lines(jobs, &job, &run, OF_AGENT).await?;
                (told(&text), Cursor(job.output.bytes))
            }
            None => lines(jobs, id, which, query(which, Position::TailBytes(BLOCK))).await?,
        };
        tell(Block { is_last: true, ..without_torn(block) });
        if job.status().is_final() {
            return Ok(());
        }
        jobs.more_output(id, cursor).await?;
        tokio::time::sleep(COLLECT).await;
    }
}

/// Reads a part of an output.
async fn block(jobs: &JobManager, id: JobId, which: Which, part: Part) -> Result<Block> {
    let (from, until) = match part {
        Part::First => (Position::Start, None),
        Part::From(offset) => (Position::Cursor(Cursor(offset)), None),
        Part::Before(offset) => (Position::TailBytes(BLOCK), Some(Cursor(offset))),
    };
    let (block, _) = lines(jobs, id, which, query(which, from).with_until(until)).await?;
    Ok(match part {
        Part::Before(_) => {
            let is_first = block.lines.is_empty();
            Block { is_first, is_last: false, ..without_open(without_torn(block)) }
        }
        // Its last line may still grow.
        Part::First | Part::From(_) if block.is_last => Block { is_first: part == Part::First, ..block },
        Part::First | Part::From(_) => Block { is_first: part == Part::First, ..without_open(block) },
    })
}

/// Finds a matching line, and returns the lines from there on.
async fn find(
    jobs: &JobManager,
    id: JobId,
    which: Which,
    pattern: &Pattern,
    from: u64,
    backwards: bool,
) -> Result<Option<Block>> {
    let matches = |line: &&OutputLine| line.stream.is_some() && pattern.matches(line.text.as_bytes());
    let mut at = from;
    loop {
        let position = if backwards { Position::TailBytes(SEARCHED) } else { Position::Cursor(Cursor(at)) };
        let until = backwards.then_some(Cursor(at));
        let query = query(which, position).with_until(until);
        let query = if backwards { query } else { query.with_max_bytes(SEARCHED) };
        let (read, cursor) = lines(jobs, id, which, query).await?;
        let read = match (backwards, read.is_last) {
            (true, _) => without_torn(read),
            (false, true) => read,
            (false, false) => without_open(read),
        };
        let found = if backwards { read.lines.iter().rfind(matches) } else { read.lines.iter().find(matches) };
        if let Some(line) = found {
            return Ok(Some(block(jobs, id, which, Part::From(line.offset)).await?));
        }
        let next = match backwards {
            true => read.lines.iter().map(|line| line.offset).min().unwrap_or(0),
            false if read.is_last => at,
            false => read.lines.iter().map(|line| line.end).max().unwrap_or(cursor.0),
        };
        if next == at || (backwards && next == 0) {
            return Ok(None);
        }
        at = next;
    }
}

fn query(which: Which, from: Position) -> OutputQuery {
    let stream = if let Which::Only(stream) = which { Some(stream) } else { None };
    // More than a block at the end can have: nothing of that must be left out.
    let most = if matches!(from, Position::TailBytes(_)) { 4 * SEARCHED } else { BLOCK };
    OutputQuery::from(from).with_stream(stream).with_max_bytes(most)
}

/// Reads lines as a terminal would show them, and the cursor after them.
async fn lines(jobs: &JobManager, id: JobId, which: Which, query: OutputQuery) -> Result<(Block, Cursor)> {
    let viewed = jobs.view(id, &query, &View::default().with_clean(true)).await?;
    let is_wanted = |stream| !matches!(which, Which::Only(only) if only != stream);
    let lines = viewed.shown.into_iter().filter_map(|shown| match shown {
        Shown::Line(line) if is_wanted(line.stream) => Some(OutputLine {
            offset: line.offset,
            end: line.end,
            stream: Some(line.stream),
            text: escape::one_line(&String::from_utf8_lossy(&line.text)).into_owned(),
            begins: line.begins,
            ends: line.ends,
        }),
        Shown::Gap { offset, bytes } => Some(OutputLine {
            offset,
            end: offset + bytes,
            stream: None,
            text: format!("[{} not kept]", format_size(bytes)),
            begins: true,
            ends: true,
        }),
        _ => None,
    });
    Ok((Block { lines: lines.collect(), is_first: false, is_last: !viewed.more }, viewed.cursor))
}

/// Splits the account of an agent run into lines.
fn told(text: &str) -> Block {
    let line = |(number, text): (usize, &str)| OutputLine {
        offset: number as u64,
        end: number as u64 + 1,
        stream: Some(Stream::Stdout),
        text: escape::one_line(text).into_owned(),
        begins: true,
        ends: true,
    };
    Block { lines: text.lines().enumerate().map(line).collect(), is_first: true, is_last: true }
}

/// Leaves out the first line, which may begin before the block. It stays if the output begins there, if the block has
/// no other line, or if the line is so long that its end is not in its first piece.
fn without_torn(mut block: Block) -> Block {
    let first = block.lines.iter().enumerate().min_by_key(|(_, line)| line.offset);
    let Some((place, line)) = first.filter(|_| !block.is_first) else { return block };
    match line.offset {
        0 => block.is_first = true,
        _ if line.ends && block.lines.len() > 1 => drop(block.lines.remove(place)),
        _ => block.lines[place].begins = false,
    }
    block
}

/// Leaves out incomplete lines at the end of a block, unless there are no others. They are read again with the next
/// block.
fn without_open(mut block: Block) -> Block {
    if let Some(last) = block.lines.iter().rposition(|line| line.ends) {
        block.lines.truncate(last + 1);
    }
    block
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jobcore::testing::{FakeRunner, ManualClock, Script};
    use jobcore::{JobSpec, MemoryStore};

    use super::*;
    use crate::top::tests::block_on;

    /// An ended job with this output.
    async fn wrote(output: &str) -> (JobManager, JobId) {
        let script = Script::new().stdout(output.as_bytes());
        let runner = FakeRunner::new(&ManualClock::new()).script("/bin/true", script);
        let jobs = JobManager::new(Arc::new(MemoryStore::new()), Arc::new(runner)).unwrap();
        let job = jobs.submit(JobSpec::command(["/bin/true"]).output_limit(0).build().unwrap()).await.unwrap();
        jobs.wait_for(job.id).await.unwrap();
        (jobs, job.id)
    }

    fn texts(block: &Block) -> Vec<&str> {
        block.lines.iter().map(|line| line.text.as_str()).collect()
    }

    /// Reads from the end to the beginning and back, block by block: every line comes once in each direction.
    #[test]
    fn blocks_are_contiguous_and_split_no_line() {
        block_on(async {
            let output: String =
                (0..20_000).map(|number| format!("line {number} {}\n", "x".repeat(number % 40))).collect();
            let (jobs, id) = wrote(&output).await;
            let expected: Vec<_> = output.lines().collect();
            let mut before = Vec::new();
            let mut at = output.len() as u64;
            loop {
                let read = block(&jobs, id, Which::Told, Part::Before(at)).await.unwrap();
                let Some(first) = read.lines.first() else { break };
                assert!(read.lines.iter().map(|line| line.text.len()).sum::<usize>() <= BLOCK as usize);
                at = first.offset;
                before.splice(0..0, read.lines);
            }
            let differs = before.iter().zip(&expected).position(|(line, expected)| line.text != *expected);
            assert_eq!((before.len(), differs), (expected.len(), None));
            let (mut after, mut part) = (Vec::new(), Part::First);
            loop {
                let read = block(&jobs, id, Which::Told, part).await.unwrap();
                after.extend(read.lines);
                part = Part::From(after.last().unwrap().end);
                if read.is_last {
                    break;
                }
            }
            assert_eq!(after, before);
        });
    }

    #[test]
    fn a_long_line_comes_in_parts() {
        block_on(async {
            let (jobs, id) = wrote(&format!("first\n{}\nlast\n", "日".repeat(1 << 20))).await;
            let (mut at, mut length, mut blocks) = (u64::MAX, 0, 0);
            loop {
                let read = block(&jobs, id, Which::Told, Part::Before(at)).await.unwrap();
                let Some(first) = read.lines.first() else { break };
                (at, blocks) = (first.offset, blocks + 1);
                length += read.lines.iter().map(|line| line.text.len()).sum::<usize>();
            }
            assert!(at == 0 && blocks > 40, "{at} {blocks}");
            assert!(length >= (3 << 20), "{length}");
        });
    }

    #[test]
    fn a_line_is_found_in_both_directions() {
        block_on(async {
            let filler = "nothing to see here, at all\n".repeat(100_000);
            let output = format!("a needle\n{filler}another needle\n{filler}");
            let (jobs, id) = wrote(&output).await;
            let pattern: Pattern = "needle".parse().unwrap();
            let found = async |from, backwards| {
                let block = find(&jobs, id, Which::Told, &pattern, from, backwards).await.unwrap();
                block.map(|block| texts(&block)[0].to_owned())
            };
            let end = output.len() as u64;
            let (first, second) = (Some("a needle".to_owned()), Some("another needle".to_owned()));
            assert_eq!(found(0, false).await, first);
            assert_eq!(found(9, false).await, second);
            assert_eq!(found(end - 5, false).await, None);
            assert_eq!(found(end, true).await, second);
            assert_eq!(found(1000, true).await, first);
            assert_eq!(found(0, true).await, None);
        });
    }

    #[test]
    fn the_last_lines_include_an_incomplete_one() {
        block_on(async {
            let (jobs, id) = wrote("one\n\x1b[31mtwo\x1b[0m\r\nName\u{202e}? ").await;
            let told = std::cell::RefCell::new(Vec::new());
            follow(&jobs, id, Which::Told, |block| told.borrow_mut().push(block)).await.unwrap();
            let told = told.into_inner();
            assert_eq!(texts(told.last().unwrap()), ["one", "two", r"Name\u{202e}? "]);
            assert!(told.last().unwrap().is_first);
        });
    }
}

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use jobcore::front::text::print_json;
use jobcore::front::{Failure, codes};
use jobcore::input::Message;
use jobcore::output::{Cursor, OutputQuery, Position};
use jobcore::shape::OutputShape;
use jobcore::words::counted;
use jobcore::{JobId, JobManager};
use serde::Serialize;

use super::output::Sink;
use super::select::find;
use super::{Result, tell};
use crate::cli::{Piece, Send, Typed};

/// A job that has been quiet for this long has finished its answer.
const QUIET: Duration = Duration::from_millis(200);
/// How long to wait for an answer by default.
const ANSWER: Duration = Duration::from_secs(2);
/// How many bytes of standard input are sent at a time.
const CHUNK: usize = 64 * 1024;

/// The JSON output.
#[derive(Debug, Serialize)]
struct Report {
    job_id: JobId,
    /// How many bytes the job took.
    sent_bytes: usize,
    /// Whether the job took everything.
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<OutputShape>,
}

/// What the job has taken so far, and the cursor from which its answer is read.
struct Progress {
    bytes: usize,
    refused: bool,
    cursor: Option<Cursor>,
}

pub(super) async fn run(jobs: &JobManager, arguments: Send) -> Result {
    let Typed(pieces) = &arguments.typed;
    if pieces.is_empty() && !arguments.eof {
        return Err(Failure::new(codes::USAGE, "there is nothing to send")
            .with_hint("give a TEXT, `-` for standard input, `--key KEY` or `--eof`"));
    }
    let id = find(jobs, arguments.job.reference()).await?;
    let mut progress = Progress { bytes: 0, refused: false, cursor: None };
    let mut message = Message::default();
    for (index, piece) in pieces.iter().enumerate() {
        // If keys follow, they decide whether there is an Enter.
        let is_line = index + 1 == pieces.len() && !arguments.raw;
        let text = match piece {
            Piece::Key(key) => {
                message = message.with_keys(vec![key.clone()]);
                continue;
            }
            Piece::Stdin => {
                progress.send(jobs, id, &std::mem::take(&mut message), arguments.timeout).await?;
                send_stdin(jobs, id, &arguments, is_line, &mut progress).await?;
                continue;
            }
            Piece::Text(text) => text.as_bytes().to_vec(),
            Piece::Escaped(text) => unescaped(text).map_err(|reason| Failure::new(codes::USAGE, reason))?,
        };
        message = if is_line { message.with_line(text) } else { message.with_bytes(text) };
    }
    progress.send(jobs, id, &message, arguments.timeout).await?;
    if arguments.eof && !progress.refused {
        jobs.end_input(id).await?;
    }
    report(jobs, id, &arguments, &progress).await
}

/// Like [`run()`], and prints the answer.
pub(super) async fn interact(jobs: &JobManager, mut arguments: Send) -> Result {
    arguments.wait.get_or_insert(ANSWER);
    run(jobs, arguments).await
}

impl Progress {
    async fn send(&mut self, jobs: &JobManager, id: JobId, message: &Message, patience: Duration) -> Result<()> {
        // The end of input alone needs no message.
        if self.refused || message.is_empty() {
            return Ok(());
        }
        let sent = jobs.send(id, message, patience).await?;
        self.bytes += sent.bytes;
        self.refused = sent.refused > 0;
        self.cursor.get_or_insert(sent.cursor);
        Ok(())
    }
}

/// Sends standard input until its end, or until the job takes no more.
async fn send_stdin(
    jobs: &JobManager,
    id: JobId,
    arguments: &Send,
    ends_line: bool,
    progress: &mut Progress,
) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut is_begun_line = false;
    // Nothing is read that the job would not take: the writer may be slow.
    while !progress.refused {
        let count = std::io::stdin().read(&mut chunk)?;
        if count == 0 {
            break;
        }
        is_begun_line = chunk[count - 1] != b'\n';
        progress.send(jobs, id, &Message::bytes(&chunk[..count]), arguments.timeout).await?;
    }
    if ends_line && is_begun_line {
        progress.send(jobs, id, &Message::line(""), arguments.timeout).await?;
    }
    Ok(())
}

async fn report(jobs: &JobManager, id: JobId, arguments: &Send, progress: &Progress) -> Result {
    let cursor = match progress.cursor {
        Some(cursor) => cursor,
        None => Cursor(jobs.job(id).await?.output.bytes),
    };
    if let Some(limit) = arguments.wait {
        jobs.answered(id, cursor, QUIET, limit).await?;
    }
    let query = OutputQuery::from(Position::Cursor(cursor));
    let view = jobs.job(id).await?.view();
    if arguments.json {
        let answer = match arguments.wait {
            Some(_) if view.is_plain() => Some(jobs.output_text(id, &query).await?),
            Some(_) => Some(jobs.view_text(id, &query, &view).await?),
            None => None,
        };
        print_json(&Report { job_id: id, sent_bytes: progress.bytes, complete: !progress.refused, answer })?;
    } else if arguments.wait.is_some() && !view.is_plain() {
        Sink::together(false).write_text(&jobs.view(id, &query, &view).await?.text(&view, None))?;
    } else if arguments.wait.is_some() {
        Sink::apart(false).write(&jobs.output(id, &query).await?)?;
    } else {
        writeln!(std::io::stdout(), "sent {}", counted(progress.bytes, "byte", "bytes"))?;
    }
    if progress.refused {
        tell(&format!(
            "job {} took only {}: it is not reading its input now; send the rest later",
            id.short(),
            counted(progress.bytes, "byte", "bytes")
        ));
        return Ok(ExitCode::from(codes::FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces the escapes in a text.
fn unescaped(text: &str) -> std::result::Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let wrong = || format!("`\\{}` in the input is not an escape; write `\\\\` for a backslash", first(after));
        let mut characters = after.chars();
        match characters.next().ok_or_else(wrong)? {
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'a' => bytes.push(7),
            'b' => bytes.push(8),
            'e' => bytes.push(0x1b),
            '0' => bytes.push(0),
            same @ ('\\' | '\'' | '"') => bytes.push(same as u8),
            'x' => {
                let byte = after.get(1..3).and_then(hexadecimal).and_then(|byte| u8::try_from(byte).ok());
                bytes.push(byte.ok_or_else(wrong)?);
                characters = after[3..].chars();
            }
            'u' => {
                let character = after.get(1..5).and_then(hexadecimal).and_then(char::from_u32).ok_or_else(wrong)?;
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                characters = after[5..].chars();
            }
            _ => return Err(wrong()),
        }
        rest = characters.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn hexadecimal(digits: &str) -> Option<u32> {
    // `from_str_radix` accepts a sign.
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

fn first(text: &str) -> String {
    text.chars().take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_replaced() {
        for (text, expected) in [
            (r"print('Hi')\n", "print('Hi')\n"),
            (r"a\tb\\n\x1b[A\u00e9\e\0\'", "a\tb\\n\x1b[A\u{e9}\x1b\0'"),
            ("plain ä", "plain ä"),
            ("", ""),
        ] {
            assert_eq!(unescaped(text), Ok(expected.as_bytes().to_vec()), "{text}");
        }
        assert_eq!(unescaped(r"\xff"), Ok(vec![0xff]));
        for wrong in [r"\", r"\q", r"\x", r"\x1", r"\xzz", r"\u12", r"\ud800", r"\xä", r"\x+1"] {
            assert!(unescaped(wrong).is_err(), "{wrong}");
        }
    }
}

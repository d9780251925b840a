//! Shows the output of a job in a pager.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::Stdio;

use jobcore::agent::Transcript;
use jobcore::front::agents;
use jobcore::output::{OutputQuery, Position, Stream, View};
use jobcore::{JobId, JobManager};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};

use super::messages::Which;
use crate::commands::Result;
use crate::terminal::Harmless;

/// Shows all output written so far in `$PAGER`, and returns when the pager ends.
///
/// # Errors
/// If the job cannot be read, or the pager cannot be started.
pub(super) async fn show(jobs: &JobManager, id: JobId, which: Which) -> Result<()> {
    let pager = std::env::var_os("PAGER").filter(|pager| !pager.is_empty()).unwrap_or_else(|| OsString::from("less"));
    // As in git and man, the variable may contain arguments.
    let mut command = Command::new("sh");
    command.arg("-c").arg(&pager).stdin(Stdio::piped());
    let mut running = command.spawn()?;
    let Some(mut input) = running.stdin.take() else { return Ok(()) };
    let written = write(jobs, id, which, &mut input).await;
    drop(input);
    running.wait().await?;
    match written {
        // The pager was closed before it had read everything.
        Err(failure) if failure.is_closed_pipe() => Ok(()),
        written => written,
    }
}

async fn write(jobs: &JobManager, id: JobId, which: Which, input: &mut ChildStdin) -> Result<()> {
    let job = jobs.job(id).await?;
    if let Some(run) = agents::told_run(&job).filter(|_| which == Which::Told) {
        let mut transcript = Transcript::new(run.format);
        let mut query = OutputQuery::from(Position::Start).with_stream(run.format.stream());
        let mut output = jobs.output_reader(id).await?;
        loop {
            let chunk = output.read(&query).await?;
            input.write_all(&harmless(agents::feed(&mut transcript, &chunk).as_bytes())?).await?;
            if !chunk.more {
                break;
            }
            query = query.after(&chunk);
        }
        return Ok(input.write_all(&harmless(transcript.end().as_bytes())?).await?);
    }
    let stream: Option<Stream> = if let Which::Only(stream) = which { Some(stream) } else { None };
    let query = OutputQuery::from(Position::Start).with_stream(stream);
    let mut parts = jobs.follow_view(id, &query, &View::default().with_clean(true), false);
    while let Some(part) = parts.next().await {
        input.write_all(&harmless(&part?.text)?).await?;
    }
    Ok(())
}

/// Returns the text with everything escaped that a terminal would obey, except colours.
fn harmless(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut shown = Vec::with_capacity(text.len());
    let mut harmless = Harmless::new(&mut shown);
    harmless.write_all(text)?;
    harmless.finish()?;
    Ok(shown)
}

//! The output of a job in a program that shows pages.

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

/// Shows all of an output that is there, by the program that `$PAGER` names, until that ends.
///
/// # Errors
/// If the job cannot be read, or the program not started.
pub(super) async fn show(jobs: &JobManager, id: JobId, which: Which) -> Result<()> {
    let pager = std::env::var_os("PAGER").filter(|pager| !pager.is_empty()).unwrap_or_else(|| OsString::from("less"));
    // As git and man do it: the variable may have arguments.
    let mut command = Command::new("sh");
    command.arg("-c").arg(&pager).stdin(Stdio::piped());
    let mut running = command.spawn()?;
    let Some(mut input) = running.stdin.take() else { return Ok(()) };
    let written = write(jobs, id, which, &mut input).await;
    drop(input);
    running.wait().await?;
    match written {
        // It was left before it had read all.
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
            query = query.behind(&chunk);
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

/// Returns text in which nothing is obeyed by a terminal.
fn harmless(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut shown = Vec::with_capacity(text.len());
    let mut harmless = Harmless::new(&mut shown);
    harmless.write_all(text)?;
    harmless.finish()?;
    Ok(shown)
}

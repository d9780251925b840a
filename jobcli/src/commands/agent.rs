//! What runs of agents print: the answer, or what the agent is doing.

use std::io::Write;

use jobcore::agent::{AgentRun, AgentShape, Transcript};
use jobcore::output::{OutputChunk, OutputQuery, Piece, Position, Stream};
use jobcore::{Job, JobManager, JobShape};

use super::output::follow_from;
use super::{Result, tell};
use crate::agents;

/// How much of the end of a run is looked at for its last lines, in bytes.
const TAIL: u64 = 1024 * 1024;

/// Prints the answer of a run, and tells what else there is to know of it.
pub(super) async fn print_result(jobs: &JobManager, job: &Job) -> Result<AgentShape> {
    let JobShape { agent: Some(agent), short_id, .. } = jobs.report(job).await? else {
        unreachable!("the job is the run of an agent");
    };
    if let Some(result) = &agent.digest.result {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(result.as_bytes())?;
        if !result.ends_with('\n') {
            stdout.write_all(b"\n")?;
        }
    }
    if agent.digest.result_cut_bytes > 0 {
        let bytes = agent.digest.result_cut_bytes;
        tell(&format!("{bytes} bytes of the answer are left out; see `jobcli output --raw {short_id}`"));
    }
    tell(&format!("{} {}: {}", agent.agent, short_id, agents::line(&agent)));
    if let Some(denied) = agents::denied(&agent) {
        tell(&denied);
        let allow: String = agents::to_allow(&agent).iter().map(|tool| format!(" --allow-tool '{tool}'")).collect();
        tell(&format!("go on with: jobcli delegate --resume {short_id}{allow} 'Go on.'"));
    }
    Ok(*agent)
}

/// Prints what the agent does, from the beginning and until it ends.
pub(super) async fn follow(jobs: &JobManager, job: &Job, run: &AgentRun) -> Result<()> {
    let mut transcript = Transcript::new(run.format);
    let query = OutputQuery::from(Position::Start).with_stream(Some(Stream::Stdout));
    follow_from(jobs, job.id, query, |chunk| print(&feed(&mut transcript, chunk))).await?;
    print(&transcript.end())
}

/// Prints the last lines of what the agent did.
pub(super) async fn tail(jobs: &JobManager, job: &Job, run: &AgentRun, lines: u64) -> Result<()> {
    let mut transcript = Transcript::new(run.format);
    let mut query = OutputQuery::from(Position::TailBytes(TAIL)).with_stream(Some(Stream::Stdout));
    let mut text = String::new();
    loop {
        let chunk = jobs.output(job.id, &query).await?;
        if text.is_empty()
            && chunk.pieces.first().is_some_and(|piece| matches!(piece, Piece::Data { offset, .. } if *offset > 0))
        {
            // What was written before is left out, and is nobody's loss.
            transcript.gap();
        }
        text.push_str(&feed(&mut transcript, &chunk));
        query = query.behind(&chunk);
        if !chunk.more {
            break;
        }
    }
    text.push_str(&transcript.end());
    let count = text.lines().count();
    let skipped = count.saturating_sub(usize::try_from(lines).unwrap_or(usize::MAX));
    print(&text.lines().skip(skipped).map(|line| format!("{line}\n")).collect::<String>())
}

fn feed(transcript: &mut Transcript, chunk: &OutputChunk) -> String {
    let mut text = String::new();
    for piece in &chunk.pieces {
        match piece {
            Piece::Data { bytes, .. } => text.push_str(&transcript.feed(bytes)),
            Piece::Gap { .. } => text.push_str(&transcript.gap()),
            _ => {}
        }
    }
    text
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

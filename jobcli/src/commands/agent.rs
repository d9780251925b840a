//! What runs of agents print: the answer, or what the agent is doing.

use std::process::ExitCode;

use jobcore::agent::{AgentRun, AgentShape, Progress, Transcript};
use jobcore::front::agents::Permit;
use jobcore::front::text::print_json;
use jobcore::front::{agents, codes};
use jobcore::output::{OutputQuery, Position};
use jobcore::words::{counted, quoted};
use jobcore::{Job, JobManager};

use super::output::{Sink, follow_from};
use super::{Result, code_of, tell};

/// Prints the answer of a run, and tells what else there is to know of it.
pub(super) async fn print_result(jobs: &JobManager, job: &Job) -> Result<()> {
    let Some(agent) = jobs.report(job).await?.agent else { return Ok(()) };
    if let Some(result) = &agent.digest.result {
        let end = if result.ends_with('\n') { "" } else { "\n" };
        print(&format!("{result}{end}"))?;
    }
    if agent.digest.result_cut_bytes > 0 {
        let left_out = counted(agent.digest.result_cut_bytes, "byte of the answer is", "bytes of the answer are");
        tell(&format!("{left_out} left out; see `jobcli output --raw {}`", job.id.short()));
    }
    tell_end(job, &agent);
    Ok(())
}

/// Tells how a run is getting on, or got on, what it was not permitted, and how to go on.
fn tell_end(job: &Job, agent: &AgentShape) {
    let id = job.id.short();
    tell(&format!("{} {id}: {}", agent.agent, agents::line(agent)));
    if let Some(denied) = agents::denied(agent) {
        let Some(Permit { tools, directories, mode }) = agents::to_permit(agent, &job.spec.cwd) else {
            return tell(&denied);
        };
        let tools = tools.iter().map(|tool| format!(" --allow-tool {}", quoted(tool)));
        let directories = directories.iter().map(|path| format!(" --add-dir {}", quoted(&path.to_string_lossy())));
        let mode = mode.iter().map(|mode| format!(" --permission-mode {mode}"));
        let permits: String = tools.chain(directories).chain(mode).collect();
        tell(&format!("{denied}; to continue: jobcli delegate --resume {id}{permits} 'Go on.'"));
    }
}

/// Tells of a run that was waited for and has ended, and returns the code to end with: 0 only if the agent says that it is
/// done. The answer is not printed again where it was followed.
pub(super) async fn finished(jobs: &JobManager, job: &Job, json: bool, followed: bool) -> Result {
    let report = jobs.report(job).await?;
    if json {
        print_json(&report)?;
    } else if !followed {
        print_result(jobs, job).await?;
    }
    let Some(agent) = report.agent else { return Ok(ExitCode::from(code_of(job))) };
    if followed {
        tell_end(job, &agent);
    }
    Ok(ExitCode::from(judged(job, &agent)))
}

/// Tells of a run that has ended, and returns the code for it.
pub(super) async fn ended(jobs: &JobManager, job: &Job) -> Result<u8> {
    let Some(agent) = jobs.report(job).await?.agent else { return Ok(code_of(job)) };
    tell_end(job, &agent);
    Ok(judged(job, &agent))
}

/// Returns the code that says what came of a run: that of its process is that of the CLI, which may be 0 although it
/// failed.
fn judged(job: &Job, agent: &AgentShape) -> u8 {
    match (agent.progress, code_of(job)) {
        (Progress::Succeeded, _) => 0,
        // An agent that was stopped by SIGINT says so, too; nobody interrupted the waiting.
        (_, 0 | codes::DETACHED) => codes::FAILED,
        (_, code) => code,
    }
}

/// Prints what the agent does, from the beginning and until it ends.
pub(super) async fn follow(jobs: &JobManager, job: &Job, run: &AgentRun) -> Result<()> {
    let mut transcript = Transcript::new(run.format);
    let query = OutputQuery::from(Position::Start).with_stream(run.format.stream());
    follow_from(jobs, job.id, query, |chunk| print(&agents::feed(&mut transcript, chunk))).await?;
    print(&transcript.end())
}

pub(super) fn print(text: &str) -> Result<()> {
    Sink::together(false).write_text(text.as_bytes())
}

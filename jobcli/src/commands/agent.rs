//! Prints agent runs: the answer, or an account of what the agent does.

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

/// Prints the answer of a run, and reports its end.
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

/// Reports the progress of a run, what it was denied, and how to continue it.
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

/// Reports a run that was waited for and has ended, and returns the exit code: 0 only if the agent reports success. If
/// the run was followed, the answer is not printed again.
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

/// Reports a run that has ended, and returns its exit code.
pub(super) async fn ended(jobs: &JobManager, job: &Job) -> Result<u8> {
    let Some(agent) = jobs.report(job).await?.agent else { return Ok(code_of(job)) };
    tell_end(job, &agent);
    Ok(judged(job, &agent))
}

/// Returns the exit code for the result of a run. The agent's own process may exit with 0 although the run failed.
fn judged(job: &Job, agent: &AgentShape) -> u8 {
    match (agent.progress, code_of(job)) {
        (Progress::Succeeded, _) => 0,
        // An agent stopped by SIGINT exits with the same code as an interrupted wait, but the wait was not interrupted.
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

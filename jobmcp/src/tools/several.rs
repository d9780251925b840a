//! What several jobs came to, in a few lines: how many did what, and one line for each that failed.

use jobcore::output::Grep;
use jobcore::wait::{Reached, Until};
use jobcore::{Job, Name, Status};

use super::answer::{Answer, Result, told};
use crate::excerpt;
use crate::runs::Run;
use crate::server::Server;
use crate::text;

/// How much all lines on failures may take, and how much one takes at least and at most.
const ROOM: u64 = 5_000;
const LEAST: u64 = 80;
const MOST: u64 = 400;
/// With how much room the answer of an agent is shown.
const OF_RUN: u64 = 500;
/// How much is shown of a command in the place of a name, and how many names of jobs that have not ended.
const COMMAND: usize = 60;
const NAMES: usize = 10;

/// Jobs that were waited for together.
pub(super) struct Several<'a> {
    pub(super) jobs: &'a [Job],
    pub(super) reached: &'a [Reached],
    pub(super) until: &'a Until,
    pub(super) grep: Option<&'a Grep>,
    /// The group that they can be waited for by.
    pub(super) group: Option<&'a Name>,
}

pub(super) async fn answer(server: &Server, several: &Several<'_>) -> Result {
    let Several { jobs, group, .. } = several;
    let with = |wanted: fn(Status) -> bool| jobs.iter().filter(move |job| wanted(job.status())).collect::<Vec<_>>();
    let completed = with(|status| status == Status::Completed);
    let failed = with(|status| status.is_final() && status != Status::Completed);
    let runs = with(|status| matches!(status, Status::Running | Status::Paused));
    let queued = with(|status| status == Status::Queued);
    let mut head = format!("{} of {} completed", completed.len(), jobs.len());
    if !completed.is_empty() && completed.len() + failed.len() < jobs.len() {
        head.push_str(&format!(" ({})", names(&completed)));
    }
    if !failed.is_empty() {
        head.push_str(&format!(", {} failed", failed.len()));
    }
    if !runs.is_empty() {
        head.push_str(&format!(", {} running: {}", runs.len(), names(&runs)));
    }
    if !queued.is_empty() {
        head.push_str(&format!(", {} queued", queued.len()));
    }
    head.push('.');
    if let (Some(group), false) = (group, runs.is_empty() && queued.is_empty()) {
        head.push_str(&format!(r#" Next: wait {{"group": "{group}"}}."#));
    }
    let mut lines = vec![head];
    lines.extend(met(several));
    let share = ROOM / jobs.len().max(1) as u64;
    let mut left = ROOM;
    for (index, job) in failed.iter().enumerate() {
        let line = failure(server, job, several.grep, share).await?;
        let Some(rest) = left.checked_sub(line.len() as u64) else {
            lines.push(format!("[{} more failed; list {{\"status\": [\"failed\"]}} shows them]", failed.len() - index));
            break;
        };
        left = rest;
        lines.push(line);
    }
    for job in *jobs {
        server.caller().knows(job);
        // The answer of an agent is what it was started for.
        if job.status() == Status::Completed
            && let Some(run) = told(server, Run::of(server, job).await).await?
        {
            lines.push(of_run(server, job, &run, share).await?);
        }
    }
    Ok(Answer::text(lines.join("\n")))
}

/// Says which jobs met what was waited for, if that was not their end.
fn met(several: &Several<'_>) -> Vec<String> {
    let Several { jobs, reached, until, .. } = several;
    let said = jobs.iter().zip(*reached).filter_map(|(job, reached)| {
        let line = reached.line.as_ref().map(|line| format!(": {}", text::cut(line, 300))).unwrap_or_default();
        let note = reached.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
        match (reached.met, until.is_exit()) {
            (true, false) => Some(format!("{}: `{until}` is met{line}{note}", text::name(job))),
            (false, false) if !note.is_empty() => Some(format!("{}: `{until}` is not met{note}", text::name(job))),
            _ => None,
        }
    });
    said.collect()
}

async fn failure(server: &Server, job: &Job, grep: Option<&Grep>, share: u64) -> Result<String> {
    let shape = text::shape(server.jobs(), job).await;
    if let Some(run) = told(server, Run::of(server, job).await).await? {
        return of_run(server, job, &run, share).await;
    }
    let name = match &job.spec.name {
        Some(_) => text::name(job),
        None => format!("`{}` ({})", text::cut(&text::one_line(&shape.command_line()), COMMAND), job.id.short()),
    };
    let cause = told(server, excerpt::cause(server.jobs(), job, grep, share.clamp(LEAST, MOST)).await).await?;
    let cause = if cause.is_empty() { cause } else { format!(": {cause}") };
    Ok(format!("{name} {}{}{cause}", text::ended(&shape), text::stragglers(job)))
}

/// Says what a run of an agent came to: of many, each has too little room for its answer.
async fn of_run(server: &Server, job: &Job, run: &Run<'_>, room: u64) -> Result<String> {
    match room < OF_RUN {
        true => Ok(format!("{}, {}: {}.", text::subject(job), run.agent.agent, run.agent.progress.as_str())),
        false => told(server, run.told("", room).await).await,
    }
}

fn names(jobs: &[&Job]) -> String {
    let mut names: Vec<_> = jobs.iter().take(NAMES).map(|job| text::name(job)).collect();
    if jobs.len() > NAMES {
        names.push("…".to_owned());
    }
    names.join(", ")
}

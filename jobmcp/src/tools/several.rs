//! The result of several jobs in a few lines: how many completed, failed or are unfinished, and one line for each
//! failure.

use jobcore::wait::{Reached, Until};
use jobcore::{Job, Name, Status};

use super::answer::{Answer, Result, told};
use crate::excerpt::{self, Look};
use crate::runs::Run;
use crate::server::Server;
use crate::text;

/// How many bytes all lines on failures may take, and the least and most for one of them.
const ROOM: u64 = 5_000;
const LEAST: u64 = 80;
const MOST: u64 = 400;
/// The room per job from which on the answer of an agent is shown.
const OF_RUN: u64 = 500;
/// How many characters of a command are shown in place of a name, and how many names of unfinished jobs.
const COMMAND: usize = 60;
const NAMES: usize = 10;

/// Jobs that were waited for together.
pub(super) struct Several<'a> {
    pub(super) jobs: &'a [Job],
    pub(super) reached: &'a [Reached],
    pub(super) until: &'a Until,
    pub(super) look: &'a Look,
    /// The group by which they can be waited for.
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
        let line = failure(server, job, several.look, share).await?;
        let Some(rest) = left.checked_sub(line.len() as u64) else {
            lines.push(format!("[{} more failed; list {{\"status\": [\"failed\"]}} shows them]", failed.len() - index));
            break;
        };
        left = rest;
        lines.push(line);
    }
    for job in jobs.iter().filter(|job| !failed.contains(job) && job.status() != Status::Queued) {
        let asked = told(server, excerpt::asked(server.jobs(), job, several.look, room(share)).await).await?;
        if let (false, Some(rest)) = (asked.is_empty(), left.checked_sub(asked.len() as u64)) {
            left = rest;
            lines.push(line(&heading(server, job), &asked));
        }
    }
    for job in *jobs {
        server.call().shows(job);
        // An agent is started for its answer, so that is shown.
        if job.status() == Status::Completed
            && let Some(run) = told(server, Run::of(server, job).await).await?
        {
            lines.push(of_run(server, job, &run, share).await?);
        }
    }
    Ok(Answer::text(lines.join("\n")))
}

/// Reports which jobs met the condition, unless it is their end.
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

async fn failure(server: &Server, job: &Job, look: &Look, share: u64) -> Result<String> {
    let shape = text::shape(server.jobs(), job).await;
    if let Some(run) = told(server, Run::of(server, job).await).await? {
        return of_run(server, job, &run, share).await;
    }
    let asked = told(server, excerpt::asked(server.jobs(), job, look, room(share)).await).await?;
    let shown = match asked.is_empty() {
        true => told(server, excerpt::cause(server.jobs(), job, room(share)).await).await?,
        false => asked,
    };
    let head = format!("{} {}{}", heading(server, job), text::ended(&shape), text::stragglers(job));
    Ok(if shown.is_empty() { head } else { line(&head, &shown) })
}

fn room(share: u64) -> u64 {
    share.clamp(LEAST, MOST)
}

/// Returns the heading of a job among several: its name, or else its command.
fn heading(server: &Server, job: &Job) -> String {
    let command = || text::cut(&text::one_line(&server.jobs().shape(job).command_line()), COMMAND);
    match &job.spec.name {
        Some(_) => text::name(job),
        None => format!("`{}` ({})", command(), job.id.short()),
    }
}

/// Joins a heading and the text shown of a job, on the same line if the text is a single line.
fn line(head: &str, shown: &str) -> String {
    format!("{head}:{}{shown}", if shown.contains('\n') { "\n" } else { " " })
}

/// Reports an agent run. If there are many, there is too little room for the answer of each.
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

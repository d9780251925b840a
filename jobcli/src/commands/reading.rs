//! What to print of an output, from the options.

use jobcore::Job;
use jobcore::agent::AgentRun;
use jobcore::front::{Failure, agents, codes};
use jobcore::output::{Cursor, Grep, OutputQuery, Stream, View};

use super::{Result, tell};
use crate::cli::ShowOutput;

/// What to print of an output.
pub(super) struct What<'a> {
    pub(super) query: OutputQuery,
    pub(super) show: &'a ShowOutput,
    /// The attempt, if not all of them.
    pub(super) attempt: Option<u32>,
    /// What to print of an agent run, unless its stream itself is requested.
    pub(super) of_run: Option<OfRun>,
}

impl What<'_> {
    /// Returns the query for the output of a job.
    pub(super) fn query_of(&self, job: &Job) -> Result<OutputQuery> {
        let query = self.query();
        let Some(attempt) = self.attempt else { return Ok(query) };
        let range = job.output_of_attempt(attempt).ok_or_else(|| {
            let hint = format!("`jobcli show {}` lists its attempts", job.id.short());
            Failure::new(codes::USAGE, format!("nothing is on record about attempt {attempt} of {}", job.label()))
                .with_hint(hint)
        })?;
        Ok(query.with_not_before(Some(Cursor(range.start))).with_until(Some(Cursor(range.end))))
    }

    /// Returns the query for an output.
    pub(super) fn query(&self) -> OutputQuery {
        let stream = match (self.show.stdout, self.show.stderr) {
            (true, _) => Some(Stream::Stdout),
            (_, true) => Some(Stream::Stderr),
            _ => None,
        };
        self.query.with_stream(stream).with_since(self.show.since)
    }

    /// Returns the agent run, if the job is one, and what to print of it, unless that is its stream.
    pub(super) fn of_run(&self, job: &Job) -> Option<(AgentRun, OfRun)> {
        let of_run = self.of_run.filter(|_| self.show.is_as_usual())?;
        Some((agents::told_run(job)?, of_run))
    }
}

/// What to print of an agent run instead of its stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum OfRun {
    Answer,
    LastLines(u64),
}

/// Returns the view of the output of a job.
pub(super) fn view(show: &ShowOutput, job: &Job) -> View {
    let (before, after) = (show.before_context.or(show.context), show.after_context.or(show.context));
    let grep = show
        .grep
        .clone()
        .map(|pattern| Grep::new(pattern).with_context(before.unwrap_or_default(), after.unwrap_or_default()));
    View::default()
        .with_clean(show.clean || (!show.raw && job.view().clean))
        .with_grep(grep)
        .with_fold(show.fold)
        .with_timestamps(show.timestamps)
        .with_budget(show.max_bytes)
}

pub(super) fn tell_cut(is_cut: bool) {
    if is_cut {
        tell("[the beginning of a very long line is left out]");
    }
}

pub(super) fn tell_fewer(is_cut: bool) {
    if is_cut {
        tell("[earlier lines are left out: the lines exceed 16 MiB of memory]");
    }
}

/// Refuses to print the output of a schedule: only its runs have output.
pub(super) fn check_schedule(job: &Job) -> Result<()> {
    if job.spec.repeat.is_none() || job.status().is_final() {
        return Ok(());
    }
    let failure = Failure::new(codes::REFUSED, format!("{} is a schedule: only its runs have output", job.label()));
    Err(match job.place.last_run {
        Some(run) => failure.with_hint(format!("see the last one with `jobcli output {}`", run.short())),
        None => failure.with_hint("it has not run yet; `jobcli schedule` shows when it will"),
    })
}

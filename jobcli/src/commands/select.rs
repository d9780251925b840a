//! Which jobs a verb is about: named or selected ones.

use clap::CommandFactory;
use clap::error::ErrorKind;
use jobcore::front::caller::{self, project_of};
use jobcore::front::settings::{absolute, current_dir, expanded};
use jobcore::front::{Failure, Failures, Settings, codes};
use jobcore::query::Period;
use jobcore::{Error, Job, JobId, JobManager, Query, Status};

use super::Result;
use super::inbox::own;
use crate::cli::{Cli, Rare, Selection};

/// Finds a job. If there is none, the error suggests similar names.
pub(super) async fn find(jobs: &JobManager, reference: &str) -> Result<JobId> {
    match caller::find(jobs, reference).await {
        Ok(id) => Ok(id),
        Err(error) => Err(suggesting(jobs, reference, error).await),
    }
}

async fn suggesting(jobs: &JobManager, reference: &str, error: Error) -> Failure {
    let is_unknown = matches!(error, Error::NotFound { .. });
    let failure = Failure::from(error);
    let near = if is_unknown { jobs.near(reference).await } else { Vec::new() };
    if near.is_empty() {
        return failure;
    }
    let near: Vec<_> = near.iter().map(|name| format!("`{name}`")).collect();
    failure.with_hint(format!("did you mean {}? `jobcli list --all` shows all jobs", near.join(" or ")))
}

/// Finds several jobs, each once. Missing ones are reported.
pub(super) async fn find_all(jobs: &JobManager, references: &[String], failures: &mut Failures) -> Vec<JobId> {
    let mut ids = Vec::with_capacity(references.len());
    for reference in references {
        match find(jobs, reference).await {
            Ok(id) if ids.contains(&id) => {}
            Ok(id) => ids.push(id),
            Err(failure) => failures.add(failure),
        }
    }
    ids
}

/// The arguments of a verb that say which jobs it is about.
pub(super) struct Asked<'a> {
    /// The names and ids given.
    pub(super) references: &'a [String],
    /// The selecting options.
    pub(super) selection: &'a Selection,
    /// Whether `--all` is given.
    pub(super) all: bool,
    /// Which of the selected jobs are meant.
    pub(super) which: Which,
}

/// Which of the selected jobs a verb applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// Those that are unfinished or still supervised.
    Live,
    /// Those that are queued.
    Queued,
    /// Unfinished ones, except schedules, which do not end by themselves.
    Unfinished,
    /// Those that are running or paused.
    Running,
    /// Those that have ended.
    Ended,
}

impl Which {
    /// Returns whether jobs with this status may be meant.
    fn may_be(self, status: Status) -> bool {
        match self {
            Self::All | Self::Live => true,
            Self::Queued => status == Status::Queued,
            Self::Unfinished => !status.is_final(),
            Self::Running => matches!(status, Status::Running | Status::Paused),
            Self::Ended => status.is_final(),
        }
    }
}

/// Refuses a command line in the way of the parser, for what the parser cannot check.
fn refuse(reason: &str) -> ! {
    crate::refuse(&Cli::command().error(ErrorKind::MissingRequiredArgument, format!("{reason}\n")))
}

/// Returns the jobs that a verb is about, each once: the named ones in the given order, or the selected ones, newest
/// first.
///
/// # Errors
/// If no jobs are named or selected, or if no job of any status matches the selection: a label may be misspelt.
pub(super) async fn asked(
    jobs: &JobManager,
    settings: &Settings,
    asked: &Asked<'_>,
    failures: &mut Failures,
) -> Result<Vec<JobId>> {
    let Asked { references, selection, all, which } = asked;
    let is_named = !references.is_empty();
    match [is_named, selection.is_given(), *all].into_iter().filter(|is_said| *is_said).count() {
        0 => refuse("name a job, or select jobs, for example with `--label`, `--group` or `--all`"),
        1 => {}
        _ => refuse("either name jobs, or select them with options such as `--label`, or use `--all`"),
    }
    if is_named {
        return Ok(find_all(jobs, references, failures).await);
    }
    let query = query(selection, settings)?;
    let statuses: Vec<_> = Status::ALL
        .into_iter()
        .filter(|status| query.statuses.is_empty() || query.statuses.contains(status))
        .filter(|status| which.may_be(*status))
        .collect();
    let mut of_these = query.clone().with_statuses(statuses.clone());
    if *which == Which::Live {
        of_these = of_these.live();
    }
    let found = if statuses.is_empty() { Vec::new() } else { jobs.list(&of_these).await?.jobs };
    if found.is_empty()
        && !all
        && (*which == Which::All || jobs.list(&query.with_limit(Some(1))).await?.jobs.is_empty())
    {
        let failure = Failure::new(codes::NO_SUCH_JOB, format!("no job has {selection}"));
        return Err(failure.with_hint("`jobcli show` shows the labels and the group of a job"));
    }
    let is_meant = |job: &&Job| *which != Which::Unfinished || job.spec.repeat.is_none();
    Ok(found.iter().filter(is_meant).map(|job| job.id).collect())
}

/// Returns the query for a selection.
///
/// # Errors
/// If jobs of this conversation are selected and there is none, or if the current directory is needed and no longer
/// exists.
pub(crate) fn query(selection: &Selection, settings: &Settings) -> Result<Query> {
    let Selection { label, group, status, filters: Rare(filters) } = selection.clone();
    let caller = match filters.mine {
        true => Some(own(settings.caller.as_ref())?.clone()),
        false => filters.caller,
    };
    let project = match filters.here {
        true => Some(project_of(&current_dir()?)),
        false => None,
    };
    let cwd = filters.cwd.map(|cwd| absolute(expanded(&cwd))).transpose()?;
    Ok(Query::default()
        .with_statuses(status)
        .with_labels(label)
        .with_group(group)
        .with_name_pattern(filters.name)
        .with_text(filters.text)
        .with_exit_codes(filters.exit_code)
        .with_cwd(cwd)
        .with_project(project)
        .with_caller(caller)
        .with_times(filters.submitted_since, filters.submitted_before)
        .with_started(Period::new(filters.started_since, filters.started_before))
        .with_ended(Period::new(filters.ended_since, filters.ended_before)))
}

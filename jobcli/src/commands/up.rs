use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;

use clap::{Args, FromArgMatches};
use jobcore::front::caller::project_of;
use jobcore::front::settings::{absolute, current_dir, expanded};
use jobcore::front::{Failure, Settings, codes};
use jobcore::stop::{StopOptions, StopReport};
use jobcore::wait::{Until, WaitOptions, WaitReason};
use jobcore::{Job, JobId, JobManager, JobSpec, Name, Query};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Result, ending, run, spec, tell, unless_interrupted};
use crate::cli::{Down, Run, Up};
use crate::progress::while_waiting;
use crate::project::Project;

/// The label of jobs started by `up`. Its value changes with the definition of the job in the file.
const LABEL: &str = "up";

/// Starts the jobs of a project that are not running, and restarts those whose definition has changed.
pub(super) async fn up(jobs: &JobManager, settings: &Settings, arguments: Up) -> Result {
    let directory = current_dir()?;
    let project = open(arguments.file, &directory)?;
    for left_out in &project.left_out {
        tell(&format!("{}: {left_out} is ignored", project.path.display()));
    }
    let top = project_of(&project.directory);
    let mut ids: BTreeMap<Name, JobId> = BTreeMap::new();
    for name in project.in_order(&arguments.names)? {
        let given = project.spec(name, |first| ids.get(first).map(ToString::to_string));
        // Without the ids of other jobs, which differ each time.
        let definition = digest(&project.spec(name, |first| Some(first.to_string())));
        let before = running(jobs, name, &top).await?;
        if let Some(job) = &before {
            let known = job.spec.labels.get(LABEL).ok_or_else(|| not_of_up(job))?;
            if *known == definition && !arguments.restart {
                report(job, "unchanged")?;
                ids.insert(name.clone(), job.id);
                continue;
            }
            stop(jobs, job.id).await?;
        }
        let mut spec = submission(jobs, settings, &project, name, given).await?;
        (spec.project, spec.name) = (Some(top.clone()), Some(name.clone()));
        spec.labels.insert(LABEL.to_owned(), definition);
        let job = jobs.submit(spec).await?;
        report(&job, if before.is_some() { "restarted" } else { "started" })?;
        ids.insert(name.clone(), job.id);
    }
    if arguments.names.is_empty() {
        for job in of_project(jobs, top).await?.iter().filter(|job| !ids.values().any(|id| *id == job.id)) {
            tell(&format!("{} is no longer in {}; `jobcli down` stops it", job.label(), project.path.display()));
        }
    }
    if arguments.wait { become_ready(jobs, &ids).await } else { Ok(ExitCode::SUCCESS) }
}

/// Stops what `up` started, the most recent first.
pub(super) async fn down(jobs: &JobManager, arguments: Down) -> Result {
    let top = match arguments.file {
        Some(file) => project_of(&open(Some(file), &current_dir()?)?.directory),
        None => project_of(&current_dir()?),
    };
    let mut running = of_project(jobs, top).await?;
    if let Some(unknown) =
        arguments.names.iter().find(|name| running.iter().all(|job| job.spec.name.as_ref() != Some(*name)))
    {
        return Err(Failure::new(
            codes::NO_SUCH_JOB,
            format!("`{unknown}` is not running, or was not started by `jobcli up`"),
        ));
    }
    running.retain(|job| {
        arguments.names.is_empty() || job.spec.name.as_ref().is_some_and(|name| arguments.names.contains(name))
    });
    if running.is_empty() {
        tell("nothing is running that `jobcli up` started");
    }
    // In the order of the list: newest first.
    for job in running {
        report(&stop(jobs, job.id).await?, "stopped")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn open(file: Option<PathBuf>, directory: &Path) -> Result<Project> {
    let file = file.map(|file| absolute(expanded(&file))).transpose()?;
    Project::open(file.as_deref(), directory, &project_of(directory))
}

/// Returns the spec to submit for a job of a file.
async fn submission(
    jobs: &JobManager,
    settings: &Settings,
    project: &Project,
    name: &Name,
    given: Map<String, Value>,
) -> Result<JobSpec> {
    let place = format!("job `{name}` in {}", project.path.display());
    let matches = Run::augment_args(clap::Command::new("run")).get_matches_from(["run"]);
    let mut run = Run::from_arg_matches(&matches).map_err(|error| Failure::new(codes::USAGE, error.to_string()))?;
    let is_argv = spec::add_json(&mut run, Value::Object(given), &place)?;
    run.cwd = Some(project.directory.join(run.cwd.map(|cwd| expanded(&cwd)).unwrap_or_default()));
    run::prepared(jobs, settings, run, is_argv).await
}

/// Returns the unfinished job with this name.
async fn running(jobs: &JobManager, name: &Name, project: &Path) -> Result<Option<Job>> {
    let Some(id) = jobs.store().named(name, Some(project)).await? else { return Ok(None) };
    Ok(Some(jobs.job(id).await?).filter(|job| !job.status().is_final()))
}

async fn of_project(jobs: &JobManager, project: PathBuf) -> Result<Vec<Job>> {
    let query =
        Query::default().live().with_project(Some(project)).with_labels(vec![(LABEL.to_owned(), String::new())]);
    let mut running = jobs.list(&query).await?.jobs;
    running.retain(|job| !job.status().is_final());
    Ok(running)
}

async fn stop(jobs: &JobManager, id: JobId) -> Result<Job> {
    match jobs.stop(id, &StopOptions::default()).await? {
        StopReport::Stopped(job) | StopReport::AlreadyEnded(job) | StopReport::StragglersStopped { job, .. } => Ok(job),
        StopReport::Stopping { job, .. } | StopReport::Bypassed { job, .. } => {
            Err(Failure::new(codes::FAILED, format!("{} could not be stopped", job.label())))
        }
        _ => Ok(jobs.job(id).await?),
    }
}

/// Waits until all jobs with `ready` are ready.
async fn become_ready(jobs: &JobManager, ids: &BTreeMap<Name, JobId>) -> Result {
    let mut waiting = Vec::new();
    for id in ids.values() {
        if !jobs.job(*id).await?.spec.ready.is_empty() {
            waiting.push(*id);
        }
    }
    if waiting.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let options = WaitOptions::default().with_until(Until::Ready);
    let ready = async { Ok(while_waiting(jobs, &waiting, pin!(jobs.wait_until(&waiting, &options))).await?) };
    let references = waiting.iter().map(|id| id.short()).collect::<Vec<_>>().join(" ");
    let waited = match unless_interrupted(&references, ready).await? {
        Ok(waited) => waited,
        Err(code) => return Ok(code),
    };
    if waited.reason() == WaitReason::Met {
        return Ok(ExitCode::SUCCESS);
    }
    waited.jobs.iter().for_each(ending::tell_of);
    Ok(ExitCode::from(codes::FAILED))
}

fn report(job: &Job, what: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}: {what}", job.label())?)
}

fn not_of_up(job: &Job) -> Failure {
    let message = format!("{} is running, and was not started by `jobcli up`", job.label());
    Failure::new(codes::REFUSED, message).with_hint(format!("stop it first: `jobcli kill {}`", job.id.short()))
}

/// Returns a digest that changes with the spec.
fn digest(spec: &Map<String, Value>) -> String {
    let text = Value::Object(spec.clone()).to_string();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).simple().to_string()[..12].to_owned()
}

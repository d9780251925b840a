use std::io::Write;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::{Job, JobManager, WaitFor, WaitOptions, WaitReason, Waited};

use super::{Result, agent, code_of, print_json, tell, tell_unknown_code, unless_interrupted};
use crate::cli::Wait;
use crate::error::{Failure, codes};

pub(super) async fn run(jobs: &JobManager, arguments: Wait) -> Result {
    let mut ids = Vec::with_capacity(arguments.ids.len());
    for reference in &arguments.ids {
        ids.push(jobs.find(reference).await?);
    }
    if arguments.cursor.is_some() && ids.len() > 1 {
        return Err(Failure::new(codes::USAGE, "a cursor is of one job; wait for one job"));
    }
    raise_descriptor_limit();
    let until = arguments.until.clone().unwrap_or_default();
    let options = WaitOptions::default()
        .with_what(if arguments.any { WaitFor::Any } else { WaitFor::All })
        .with_until(until.clone())
        .with_cursor(arguments.cursor)
        .with_timeout(arguments.timeout)
        .with_notice(|id, note| tell(&format!("job {}: {note}", id.short())));
    let waiting = async { Ok(jobs.wait_until(&ids, &options).await?) };
    let waited = match unless_interrupted(&arguments.ids.join(" "), waiting).await? {
        Ok(waited) => waited,
        Err(code) => return Ok(code),
    };
    if arguments.json {
        let mut shape = waited.shape(Timestamp::now());
        for (told, job) in shape.jobs.iter_mut().zip(&waited.jobs) {
            told.job = jobs.report(job).await?;
        }
        print_json(&shape)?;
    }
    match until.is_exit() {
        true => ended(jobs, &waited, &arguments).await,
        false => reached(&waited, &arguments),
    }
}

/// Tells of jobs that ended, and passes on their code.
async fn ended(jobs: &JobManager, waited: &Waited, arguments: &Wait) -> Result {
    let ended: Vec<&Job> = match waited.first {
        Some(first) => vec![&waited.jobs[first]],
        None => waited.jobs.iter().filter(|job| job.status().is_final()).collect(),
    };
    if !arguments.json {
        for job in &ended {
            writeln!(std::io::stdout(), "{} {}", job.id.short(), job.status())?;
        }
    }
    if waited.reason() == WaitReason::TimedOut {
        let left = waited.jobs.iter().filter(|job| !job.status().is_final()).count();
        tell(&format!("the time is up; {left} of {} jobs go on", waited.jobs.len()));
        return Ok(ExitCode::from(codes::WAITED_ENOUGH));
    }
    let mut first = 0;
    for job in ended {
        let code = if job.spec.agent.is_some() {
            agent::ended(jobs, job).await?
        } else {
            tell_unknown_code(job);
            code_of(job)
        };
        first = if first == 0 { code } else { first };
    }
    Ok(ExitCode::from(first))
}

/// Tells how far jobs have come.
fn reached(waited: &Waited, arguments: &Wait) -> Result {
    let until = arguments.until.as_ref().map(ToString::to_string).unwrap_or_default();
    for (job, reached) in waited.jobs.iter().zip(&waited.reached) {
        let (id, status) = (job.id.short(), job.status());
        if !arguments.json && reached.met {
            let line = reached.line.as_deref().unwrap_or(&until);
            writeln!(std::io::stdout(), "{id} {status}: {line}")?;
        }
        let note = reached.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
        if !reached.met && status.is_final() {
            tell(&format!("job {id} is {status}, and `{until}` never came{note}"));
        } else if !reached.met && waited.timed_out {
            tell(&format!("the time is up for job {id}, which is {status}, and `{until}` has not come{note}"));
        }
    }
    Ok(ExitCode::from(match waited.reason() {
        WaitReason::Met => 0,
        WaitReason::TimedOut => codes::WAITED_ENOUGH,
        _ => codes::FAILED,
    }))
}

/// Waiting for a job takes a descriptor, and a thousand jobs are more than many shells allow by default. Nothing that
/// is started from here inherits the change: jobs get the limits that they were submitted with.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

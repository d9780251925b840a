use std::ffi::OsString;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;

use jobcore::environment::assignment;
use jobcore::front::settings::{absolute, expanded};
use jobcore::front::text::print_json;
use jobcore::front::{Failures, Settings};
use jobcore::{Error, JobId, JobManager, JobSpec};

use super::run::print_submitted;
use super::select::{Asked, Which, asked};
use super::{Result, code_of, ending, unless_interrupted};
use crate::cli::Rerun;
use crate::progress::while_waiting;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Rerun) -> Result {
    let mut failures = Failures::default();
    let (references, selection, all) = (&arguments.ids[..], &arguments.selection, arguments.all);
    let wanted = Asked { references, selection, all, which: Which::Ended };
    // Oldest first, in the order in which they were submitted.
    let ids: Vec<_> = asked(jobs, settings, &wanted, &mut failures).await?.into_iter().rev().collect();
    let mut submitted = Vec::new();
    for id in ids {
        let job = match spec(jobs, settings, id, arguments.run_in.as_deref(), &arguments.env).await? {
            Ok(spec) => jobs.submit(spec).await,
            Err(error) => Err(error),
        };
        match job {
            Ok(job) if arguments.json => submitted.push(job),
            Ok(job) => {
                print_submitted(jobs, &job, false, false).await?;
                submitted.push(job);
            }
            Err(error) => failures.add(error),
        }
    }
    let mut code = failures.code().unwrap_or_default();
    if arguments.wait {
        for job in &mut submitted {
            let ended = async { Ok(while_waiting(jobs, &[job.id], pin!(jobs.wait_for(job.id))).await?) };
            match unless_interrupted(&job.id.short(), ended).await? {
                Err(interrupted) => return Ok(interrupted),
                Ok(ended) => *job = ended,
            }
            ending::tell_of(job);
            if code == 0 {
                code = code_of(job);
            }
        }
    }
    if arguments.json {
        print_json(&jobs.reports(&submitted).await)?;
    }
    Ok(ExitCode::from(code))
}

/// Returns the spec that runs a job again, with the current environment and the given variables, in the given directory
/// if any.
pub(crate) async fn spec(
    jobs: &JobManager,
    settings: &Settings,
    id: JobId,
    run_in: Option<&Path>,
    variables: &[OsString],
) -> Result<std::result::Result<JobSpec, Error>> {
    let mut environment = settings.environment.apply(std::env::vars_os());
    let again = jobs.again(id, environment.clone()).await;
    let Ok(mut spec) = again else { return Ok(again) };
    if let Some(cwd) = run_in {
        spec.cwd = absolute(expanded(cwd))?;
    }
    environment.enter(spec.cwd.clone());
    for variable in variables {
        match assignment(variable) {
            Some((name, value)) => {
                spec.explicit.insert(name.to_owned());
                environment.set(name, value);
            }
            None => drop(std::env::var_os(variable).map(|value| environment.set(variable, value))),
        }
    }
    spec.environment = environment;
    spec.caller.clone_from(&settings.caller);
    Ok(Ok(spec))
}

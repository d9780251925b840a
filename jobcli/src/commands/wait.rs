use std::io::Write;
use std::process::ExitCode;

use jobcore::{Job, JobManager, WaitFor};

use super::{Result, code_of, print_json, tell, tell_unknown_code, unless_interrupted};
use crate::cli::Wait;
use crate::error::codes;

pub(super) async fn run(jobs: &JobManager, arguments: Wait) -> Result {
    let mut ids = Vec::with_capacity(arguments.ids.len());
    for reference in &arguments.ids {
        ids.push(jobs.find(reference).await?);
    }
    raise_descriptor_limit();
    let what = if arguments.any { WaitFor::Any } else { WaitFor::All };
    let waiting = async { Ok(jobs.wait(&ids, what, arguments.timeout).await?) };
    let waited = match unless_interrupted(&arguments.ids.join(" "), waiting).await? {
        Ok(waited) => waited,
        Err(code) => return Ok(code),
    };
    let ended: Vec<&Job> = match waited.first {
        Some(first) if arguments.any => vec![&waited.jobs[first]],
        _ => waited.jobs.iter().filter(|job| job.status().is_final()).collect(),
    };
    if arguments.json {
        print_json(&waited.jobs.iter().map(|job| jobs.shape(job)).collect::<Vec<_>>())?;
    } else {
        for job in &ended {
            writeln!(std::io::stdout(), "{} {}", job.id.short(), job.status())?;
        }
    }
    if waited.timed_out {
        let left = waited.jobs.iter().filter(|job| !job.status().is_final()).count();
        tell(&format!("the time is up; {left} of {} jobs go on", waited.jobs.len()));
        return Ok(ExitCode::from(codes::WAITED_ENOUGH));
    }
    ended.iter().for_each(|job| tell_unknown_code(job));
    Ok(ExitCode::from(ended.iter().map(|job| code_of(job)).find(|code| *code != 0).unwrap_or(0)))
}

/// Waiting for a job takes a descriptor, and a thousand jobs are more than many shells allow by default. Nothing that
/// is started from here inherits the change: jobs get the limits that they were submitted with.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

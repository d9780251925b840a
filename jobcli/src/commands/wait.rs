use std::io::{IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;

use jobcore::clock::Timestamp;
use jobcore::front::text::print_json;
use jobcore::front::{Failure, Failures, Settings, codes, process};
use jobcore::wait::{WaitFor, WaitOptions, WaitReason, Waited};
use jobcore::{Job, JobId, JobManager, escape};

use super::select::{Asked, Which, asked};
use super::{Result, agent, code_of, ending, inbox, tell, unless_interrupted};
use crate::cli::Wait;
use crate::progress::while_waiting;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Wait) -> Result {
    let mut failures = Failures::default();
    let ids = there(jobs, wanted(jobs, settings, &arguments, &mut failures).await?, &mut failures).await;
    if arguments.cursor.is_some() && ids.len() > 1 {
        return Err(Failure::new(codes::USAGE, "a cursor belongs to one job; wait for one job"));
    }
    if ids.is_empty() && failures.code().is_some() {
        return Ok(ExitCode::from(codes::OWN_FAILURE));
    }
    process::raise_open_files();
    let until = arguments.until.clone().unwrap_or_default();
    let notice = ending::Notice::new(arguments.notify, settings);
    // The end of an agent run is reported with its answer.
    let tells_ends = until.is_exit() && !arguments.quiet && !arguments.json;
    let options = WaitOptions::default()
        .with_what(if arguments.any { WaitFor::Any } else { WaitFor::All })
        .with_until(until.clone())
        .with_cursor(arguments.cursor)
        .with_timeout(arguments.timeout)
        .with_notice(|id, note| tell(&format!("job {}: {note}", id.short())))
        .with_arrival(move |job| {
            notice.give(job);
            if tells_ends && !job.is_agent_run() {
                ending::tell_of(job);
            }
        });
    let waiting = async {
        let waiting = pin!(jobs.wait_until(&ids, &options));
        Ok(if arguments.quiet { waiting.await? } else { while_waiting(jobs, &ids, waiting).await? })
    };
    let references = match arguments.ids.is_empty() {
        true => ids.iter().map(|id| id.short()).collect::<Vec<_>>().join(" "),
        false => arguments.ids.join(" "),
    };
    let waited = match unless_interrupted(&references, waiting).await? {
        Ok(waited) => waited,
        Err(code) => return Ok(code),
    };
    if until.is_exit() {
        inbox::shown(jobs, settings.caller.as_ref(), &waited.jobs).await;
    }
    if arguments.json {
        let mut shape = waited.shape(Timestamp::now());
        for (told, job) in shape.jobs.iter_mut().zip(&waited.jobs) {
            told.job = jobs.report(job).await?;
        }
        print_json(&shape)?;
    }
    let code = match until.is_exit() {
        true => ended(jobs, &waited, &arguments).await?,
        false => reached(&waited, &arguments)?,
    };
    Ok(failures.code().map_or(ExitCode::from(code), |_| ExitCode::from(codes::OWN_FAILURE)))
}

/// Returns the jobs to wait for.
async fn wanted(
    jobs: &JobManager,
    settings: &Settings,
    arguments: &Wait,
    failures: &mut Failures,
) -> Result<Vec<JobId>> {
    let selection = &arguments.selection;
    // With named or selected jobs, `--all` only means that one of them is not enough.
    let all = arguments.all && arguments.ids.is_empty() && !selection.is_given();
    let wanted = Asked { references: &arguments.ids, selection, all, which: Which::Unfinished };
    let ids = asked(jobs, settings, &wanted, failures).await?;
    if ids.is_empty() && arguments.ids.is_empty() {
        let which = if all { String::new() } else { format!(" with {selection}") };
        tell(&format!("all jobs{which} have ended"));
    }
    Ok(ids)
}

/// Returns the jobs that exist and can be read, so that others do not keep the wait from starting.
async fn there(jobs: &JobManager, ids: Vec<JobId>, failures: &mut Failures) -> Vec<JobId> {
    let mut there = Vec::with_capacity(ids.len());
    for id in ids {
        match jobs.job(id).await {
            Ok(_) => there.push(id),
            Err(error) => failures.add(error),
        }
    }
    there
}

/// Prints which jobs ended, and returns their code.
async fn ended(jobs: &JobManager, waited: &Waited, arguments: &Wait) -> Result<u8> {
    let ended: Vec<&Job> = match waited.first {
        Some(first) => vec![&waited.jobs[first]],
        None => waited.jobs.iter().filter(|job| job.status().is_final()).collect(),
    };
    // On a terminal that shows both streams, standard error has already reported more.
    let is_told = !arguments.quiet && std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if !arguments.json && !is_told {
        for job in &ended {
            writeln!(std::io::stdout(), "{} {}", job.id.short(), job.status())?;
        }
    }
    if waited.reason() == WaitReason::TimedOut {
        let left = waited.jobs.iter().filter(|job| !job.status().is_final()).count();
        tell(&format!("timed out; {left} of {} jobs are still running", waited.jobs.len()));
        return Ok(codes::WAITED_ENOUGH);
    }
    let mut first = 0;
    for job in ended {
        let code = if job.is_agent_run() { agent::ended(jobs, job).await? } else { code_of(job) };
        first = if first == 0 { code } else { first };
    }
    Ok(first)
}

/// Reports which jobs have met the condition.
fn reached(waited: &Waited, arguments: &Wait) -> Result<u8> {
    let until = arguments.until.as_ref().map(ToString::to_string).unwrap_or_default();
    for (job, reached) in waited.jobs.iter().zip(&waited.reached) {
        let (id, status) = (job.id.short(), job.status());
        if !arguments.json && reached.met {
            let line = escape::one_line(reached.line.as_deref().unwrap_or(&until));
            writeln!(std::io::stdout(), "{id} {status}: {line}")?;
        }
        let note = reached.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
        if !reached.met && status.is_final() && !job.has_living_stragglers() {
            tell(&format!("job {id} is {status}: `{until}` can no longer be met{note}"));
        } else if !reached.met && waited.timed_out {
            tell(&format!("timed out: job {id} is {status}, and `{until}` has not been met{note}"));
        }
    }
    Ok(match waited.reason() {
        WaitReason::Met => 0,
        WaitReason::TimedOut => codes::WAITED_ENOUGH,
        _ => codes::FAILED,
    })
}

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use jobcore::front::caller::project_of;
use jobcore::front::settings::current_dir;
use jobcore::front::text::{message, print_json};
use jobcore::front::{Failure, Settings, codes};
use jobcore::inbox::Delivery;
use jobcore::{Caller, Job, JobId, JobManager};

use super::{Result, ending};
use crate::cli::Inbox;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Inbox) -> Result {
    let json = arguments.json;
    if arguments.here {
        let pending = jobs.inbox_of_project(&project_of(&current_dir()?)).await?;
        print(jobs, &pending, json).await?;
        if arguments.ack {
            acknowledge(jobs, &pending).await?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let caller = own(arguments.caller.as_ref().or(settings.caller.as_ref()))?;
    if !arguments.ack && !arguments.follow {
        print(jobs, &jobs.inbox(caller).await?, json).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(delivery) = jobs.deliver(caller, &[]).await? {
        deliver(jobs, delivery, json).await?;
    }
    if arguments.follow {
        while let Some(delivery) = jobs.deliver_next(caller, true).await? {
            deliver(jobs, delivery, json).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the caller, or an error if there is none.
pub(super) fn own(caller: Option<&Caller>) -> Result<&Caller> {
    caller.ok_or_else(|| {
        Failure::new(codes::USAGE, "this is not the shell of a coding agent")
            .with_hint("name a caller with `--caller`, or use `--here` for this project")
    })
}

async fn deliver(jobs: &JobManager, delivery: Delivery, json: bool) -> Result<()> {
    print(jobs, delivery.jobs(), json).await?;
    Ok(delivery.acknowledge().await?)
}

async fn print(jobs: &JobManager, ended: &[Job], json: bool) -> Result<()> {
    for job in ended {
        match json {
            true => print_json(&jobs.report(job).await?)?,
            false => writeln!(std::io::stdout(), "{}", message(&ending::of(job).unwrap_or_default()))?,
        }
    }
    Ok(())
}

async fn acknowledge(jobs: &JobManager, ended: &[Job]) -> Result<()> {
    let mut by_caller: BTreeMap<&Caller, Vec<JobId>> = BTreeMap::new();
    for job in ended {
        if let Some(caller) = &job.spec.caller {
            by_caller.entry(caller).or_default().push(job.id);
        }
    }
    for (caller, ids) in by_caller {
        jobs.acknowledge(caller, &ids).await?;
    }
    Ok(())
}

/// Records that the ends of its jobs were shown to the caller of this program. If that fails, they are delivered again.
pub(super) async fn shown<'j>(jobs: &JobManager, caller: Option<&Caller>, ended: impl IntoIterator<Item = &'j Job>) {
    let Some(caller) = caller else { return };
    let own = |job: &&Job| job.status().is_final() && job.spec.caller.as_ref() == Some(caller);
    let ids: Vec<_> = ended.into_iter().filter(own).map(|job| job.id).collect();
    if !ids.is_empty() {
        let _ = jobs.acknowledge(caller, &ids).await;
    }
}

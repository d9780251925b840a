//! Actions on jobs, by the same calls as the verbs.

use jobcore::front::{Failure, Settings};
use jobcore::input::Message;
use jobcore::queue::MoveTo;
use jobcore::stop::StopOptions;
use jobcore::words::counted;
use jobcore::{Error, Job, JobId, JobManager, Status};

use super::messages::{Action, Towards};
use crate::commands::kill::stop_each;
use crate::commands::{rerun, rm};

/// Carries out an action on jobs, and returns a message about the result, or why it failed for some of them.
pub(super) async fn act(
    jobs: &JobManager,
    settings: &Settings,
    action: &Action,
    ids: &[JobId],
) -> Result<String, String> {
    let mut said = Vec::new();
    if *action == Action::Stop {
        for stopped in stop_each(jobs, settings.caller.as_ref(), ids, &StopOptions::default()).await {
            said.push(stopped.map(|(job, word, _)| format!("{}: {word}", job.label())).map_err(failed));
        }
    } else {
        for id in ids {
            said.push(to_one(jobs, settings, action, *id).await);
        }
    }
    summary(said)
}

/// Sums up the results of several jobs. A failure takes precedence.
fn summary(said: Vec<Result<String, String>>) -> Result<String, String> {
    let count = said.len();
    let (good, bad): (Vec<_>, Vec<_>) = said.into_iter().partition(Result::is_ok);
    match (bad.into_iter().find_map(Result::err), count) {
        (Some(error), 1) => Err(error),
        (Some(error), _) => Err(format!("{} of {} failed: {error}", count - good.len(), counted(count, "job", "jobs"))),
        (None, 1) => Ok(good.into_iter().find_map(Result::ok).unwrap_or_default()),
        (None, _) => Ok(format!("{}: done", counted(count, "job", "jobs"))),
    }
}

async fn to_one(jobs: &JobManager, settings: &Settings, action: &Action, id: JobId) -> Result<String, String> {
    let told = |job: &Job| format!("{}: {}", job.label(), job.status());
    let done = match action {
        Action::Stop => unreachable!("jobs are stopped together"),
        Action::Signal(signal) => match jobs.signal(id, *signal).await {
            Ok(()) => jobs.job(id).await.map(|job| format!("{}: sent {signal}", job.label())),
            Err(error) => Err(error),
        },
        Action::Rerun => return rerun(jobs, settings, id).await,
        Action::Remove => remove(jobs, id).await,
        Action::Pause => match jobs.job(id).await.map(|job| job.status()) {
            Ok(Status::Paused) => jobs.resume(id).await.map(|job| told(&job)),
            Ok(_) => jobs.pause(id).await.map(|job| told(&job)),
            Err(error) => Err(error),
        },
        Action::Hold => match jobs.job(id).await {
            Ok(job) if job.place.on_hold => jobs.release(id).await.map(|job| format!("{}: released", job.label())),
            Ok(_) => jobs.hold(id).await.map(|job| format!("{}: on hold", job.label())),
            Err(error) => Err(error),
        },
        Action::Priority(change) => match jobs.job(id).await {
            Ok(job) => {
                let changed = jobs.set_priority(id, job.place.priority.saturating_add(*change)).await;
                changed.map(|job| format!("{}: priority {}", job.label(), job.place.priority))
            }
            Err(error) => Err(error),
        },
        Action::Move(towards) => shift(jobs, id, *towards).await,
        Action::Send(line) => match jobs.send(id, &Message::line(line.as_str()), JobManager::PATIENCE).await {
            Ok(sent) if sent.refused > 0 => {
                return Err(format!(
                    "job {} took only {} bytes: it is not reading its input now",
                    id.short(),
                    sent.bytes
                ));
            }
            Ok(sent) => Ok(format!("sent {}", counted(sent.bytes, "byte", "bytes"))),
            Err(error) => Err(error),
        },
    };
    done.map_err(failed)
}

fn failed(error: Error) -> String {
    Failure::from(error).to_string()
}

async fn rerun(jobs: &JobManager, settings: &Settings, id: JobId) -> Result<String, String> {
    let spec = match rerun::spec(jobs, settings, id, None, &[]).await {
        Ok(spec) => spec.map_err(failed)?,
        Err(failure) => return Err(failure.to_string()),
    };
    let job = jobs.submit(spec).await.map_err(failed)?;
    Ok(format!("{}: {}", job.label(), job.status()))
}

async fn remove(jobs: &JobManager, id: JobId) -> Result<String, Error> {
    // A job that cannot be read has no label.
    let job = jobs.job(id).await.ok();
    jobs.remove(id).await?;
    let label = job.as_ref().map_or_else(|| id.short(), Job::label);
    let left = job.as_ref().and_then(rm::worktree_left).map(|left| format!("; {left}")).unwrap_or_default();
    Ok(format!("{label}: removed{left}"))
}

/// Moves a queued job by one place.
async fn shift(jobs: &JobManager, id: JobId, towards: Towards) -> Result<String, Error> {
    let waiting = jobs.store().load().await?.waiting;
    let place = waiting.iter().position(|slot| slot.id == id);
    let beside = |place: usize| match towards {
        Towards::Earlier => waiting.get(place.checked_sub(1)?).map(|slot| MoveTo::Before(slot.id)),
        Towards::Later => waiting.get(place + 1).map(|slot| MoveTo::After(slot.id)),
    };
    let first_or_last = if towards == Towards::Earlier { MoveTo::First } else { MoveTo::Last };
    // The call refuses a job that is not queued.
    let job = jobs.move_to(id, place.and_then(beside).unwrap_or(first_or_last)).await?;
    let position = jobs.store().load().await?.waiting.iter().position(|slot| slot.id == id);
    let position =
        position.map_or_else(|| job.status().to_string(), |position| format!("place {} in the queue", position + 1));
    Ok(format!("{}: {position}", job.label()))
}

//! Several commands in one call of `execute`: each is a job, in a common group.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::wait::WaitOptions;
use jobcore::{JobId, Name, Query, Status};

use super::answer::{Result, told, waited};
use super::arguments::name;
use super::execute::{Arguments, Asked, NamedStep, Step, spec};
use super::several::{self, Several};
use crate::failure::Failure;
use crate::server::{Context, Server};

/// How many commands one call can have.
const MOST: usize = 100;
/// The prefix of generated group names: it is followed by the time of creation in seconds, and a random part.
const PREFIX: &str = "batch-";
/// How long the limit of such a group is kept at least: its jobs may not have been submitted yet.
const KEPT: Duration = Duration::from_secs(3600);

pub(super) async fn run(server: &Server, mut arguments: Arguments, context: &Context) -> Result {
    let asked = Asked::of(&arguments)?;
    let steps = steps(&mut arguments)?;
    let group: Name = match name("group", arguments.group.take())? {
        Some(group) => group,
        None => unused_name()?,
    };
    let mut specs = Vec::new();
    for step in steps {
        // All commands are checked before the first is submitted.
        specs.push(told(server, spec(server, arguments.of_step(step, &group)).await?.build()).await?);
    }
    if let Some(limit) = arguments.at_a_time {
        limit_group(server, group.as_str(), limit).await?;
    }
    let count = specs.len();
    let mut ids: Vec<JobId> = Vec::new();
    for spec in specs {
        match server.submit(spec).await {
            Ok(job) => ids.push(job.id),
            Err(failure) if ids.is_empty() => return Err(failure),
            Err(failure) => {
                let submitted = ids.len();
                return Err(failure.after(format!(
                    "{submitted} of {count} commands were submitted, in group `{group}`; the next one was refused:"
                )));
            }
        }
    }
    let until = asked.until.unwrap_or_default();
    let options = WaitOptions::default().with_until(until.clone()).with_timeout(Some(asked.wait));
    let waited = waited(server, &ids, options, context).await?;
    let (jobs, reached, look) = (&waited.jobs, &waited.reached, &asked.look);
    several::answer(server, &Several { jobs, reached, until: &until, look, group: Some(&group) }).await
}

/// Returns the commands, with their names if given.
fn steps(arguments: &mut Arguments) -> Result<Vec<NamedStep>> {
    let steps = arguments.commands.take().unwrap_or_default();
    if steps.is_empty() || steps.len() > MOST {
        return Err(Failure::new(format!("commands: give 1 to {MOST} of them, not {}.", steps.len())));
    }
    let of_one = [
        ("command", arguments.command.is_some()),
        ("argv", arguments.argv.is_some()),
        ("key", arguments.key.is_some()),
        ("name", arguments.name.is_some()),
    ];
    if let Some((field, _)) = of_one.iter().find(|(_, is_given)| *is_given) {
        let advice = r#"name each as {"name": ..., "command": ...}, or leave it out"#;
        return Err(Failure::new(format!("{field}: it belongs to one command, and there are several; {advice}.")));
    }
    Ok(steps
        .into_iter()
        .map(|step| match step {
            Step::Line(command) => NamedStep { command, name: None, cwd: None },
            Step::Named(step) => step,
        })
        .collect())
}

fn unused_name() -> Result<Name> {
    let random = RandomState::new().hash_one(PREFIX) & 0xffff;
    format!("{PREFIX}{:08x}{random:04x}", Timestamp::now().as_second())
        .parse()
        .map_err(|reason| Failure::new(format!("group: {reason}.")))
}

/// Returns whether a group was generated for a batch, and is old enough for its limit to be dropped.
fn is_old(group: &Name, now: Timestamp) -> bool {
    let made = group.as_str().strip_prefix(PREFIX).and_then(|rest| rest.get(..8));
    let made =
        made.and_then(|made| i64::from_str_radix(made, 16).ok()).and_then(|made| Timestamp::from_second(made).ok());
    made.is_some_and(|made| Duration::try_from(now.duration_since(made)).is_ok_and(|age| age >= KEPT))
}

/// Limits how many jobs of a group run at a time, and drops the limits of earlier batches without unfinished jobs.
pub(super) async fn limit_group(server: &Server, group: &str, limit: u32) -> Result<()> {
    if limit == 0 {
        return Err(Failure::new("at_a_time: use at least 1."));
    }
    let group: Name = group.parse().map_err(|reason| Failure::new(format!("group: {reason}.")))?;
    let unfinished = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
    let listing = server.jobs().list(&Query::default().live().with_statuses(unfinished)).await;
    let used: Vec<_> = told(server, listing).await?.jobs.into_iter().filter_map(|job| job.spec.group).collect();
    let now = Timestamp::now();
    let change = move |settings: &mut jobcore::store::StoreSettings| {
        let is_past = |name: &&Name| is_old(name, now) && !used.contains(name);
        let past: Vec<_> = settings.groups.keys().filter(is_past).cloned().collect();
        past.into_iter().for_each(|name| settings.set_group(name, 0));
        settings.set_group(group.clone(), limit);
    };
    told(server, server.jobs().change_settings(change).await).await.map(drop)
}

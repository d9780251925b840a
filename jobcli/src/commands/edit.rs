use std::process::ExitCode;

use jobcore::environment::assignment;
use jobcore::front::settings::{absolute, expanded};
use jobcore::front::text::print_json;
use jobcore::front::{Failure, Failures, codes};
use jobcore::spec::Command;
use jobcore::{JobManager, JobSpec};

use super::Result;
use super::place::print;
use super::select::find;
use crate::cli::Edit;

pub(super) async fn run(jobs: &JobManager, arguments: Edit) -> Result {
    let id = find(jobs, &arguments.id).await?;
    let (json, at) = (arguments.json, super::run::not_before(arguments.at, arguments.delay));
    let has_rule = arguments.every.is_some() || arguments.cron.is_some();
    if arguments.missed.is_some() && !has_rule && jobs.job(id).await?.spec.repeat.is_none() {
        return Err(Failure::new(codes::USAGE, "`--missed` is only for schedules, and this job is not one"));
    }
    let edited = match (at, change(arguments)?) {
        // After the edit: a new rule sets the next time.
        (Some(at), Some(change)) if has_rule => match jobs.edit(id, change).await {
            Ok(_) => jobs.delay(id, at).await,
            edited => edited,
        },
        // Before the edit: an edited job may start at once.
        (Some(at), change) => match (jobs.delay(id, at).await, change) {
            (Ok(_), Some(change)) => jobs.edit(id, change).await,
            (delayed, _) => delayed,
        },
        (None, Some(change)) => jobs.edit(id, change).await,
        (None, None) => {
            return Err(Failure::new(codes::USAGE, "there is nothing to change")
                .with_hint(format!("name a change, for example `jobcli edit {} --priority 10`", id.short())));
        }
    };
    let mut failures = Failures::default();
    match edited {
        Ok(job) if json => print_json(&jobs.report(&job).await?)?,
        edited => print(jobs, edited, &mut failures).await?,
    }
    Ok(ExitCode::from(failures.code().unwrap_or_default()))
}

/// Returns the change to a job.
fn change(arguments: Edit) -> Result<Option<impl FnOnce(&mut JobSpec) + Send>> {
    let repeat = match arguments.every.is_some() || arguments.cron.is_some() {
        true => super::run::repeat(arguments.every, arguments.cron, None)?,
        false => None,
    };
    let Edit { cwd, env, unset_env, priority, slots, missed, when, no_when, group, no_group, line, command, .. } =
        arguments;
    let is_empty = cwd.is_none() && env.is_empty() && unset_env.is_empty() && priority.is_none() && slots.is_none();
    let is_empty = is_empty && repeat.is_none() && missed.is_none() && when.is_empty() && !no_when;
    if is_empty && group.is_none() && !no_group && line.is_none() && command.is_empty() {
        return Ok(None);
    }
    let cwd = cwd.map(|cwd| absolute(expanded(&cwd))).transpose()?;
    Ok(Some(move |spec: &mut JobSpec| {
        if let Some(cwd) = cwd {
            spec.environment.enter(cwd.clone());
            spec.cwd = cwd;
        }
        for name in unset_env {
            spec.environment.remove(name);
        }
        for variable in env {
            let inherited = || Some((variable.clone(), std::env::var_os(&variable)?));
            if let Some((name, value)) =
                assignment(&variable).map(|(name, value)| (name.to_owned(), value.to_owned())).or_else(inherited)
            {
                spec.explicit.insert(name.clone());
                spec.environment.set(name, value);
            }
        }
        spec.priority = priority.unwrap_or(spec.priority);
        spec.slots = slots.unwrap_or(spec.slots);
        if !when.is_empty() || no_when {
            spec.when = when;
        }
        let before = spec.repeat.as_ref().map(|repeat| repeat.missed);
        if let Some(mut repeat) = repeat.or(spec.repeat.take()) {
            repeat.missed = missed.or(before).unwrap_or_default();
            spec.repeat = Some(repeat);
        }
        if group.is_some() || no_group {
            spec.group = group;
        }
        match (line, command.is_empty()) {
            (Some(line), _) => spec.command = Command::Shell(line),
            (None, false) => spec.command = Command::Argv(command),
            (None, true) => {}
        }
    }))
}

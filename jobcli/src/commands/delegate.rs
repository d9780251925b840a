use std::io::Read;
use std::process::ExitCode;

use jobcore::agent::{Agent, Delegation, NewWorktree, Schema};
use jobcore::front::settings::{absolute, current_dir, expanded};
use jobcore::front::{Asked, Failure, Settings, codes};
use jobcore::spec::MAX_GIVEN;
use jobcore::{JobManager, JobSpecBuilder};

use super::run::{print_submitted, tell_if_queued};
use super::{Result, agent, ending, inbox, tell, unless_interrupted};
use crate::cli::Delegate;

pub(super) async fn run(jobs: &JobManager, settings: &Settings, arguments: Delegate) -> Result {
    let (follows, json) = (arguments.follow, arguments.json);
    let wait = arguments.wait || follows;
    let notice = ending::Notice::new(arguments.notify, settings);
    let environment = settings.environment.apply(std::env::vars_os());
    let (agent, asked) = asked(jobs, settings, &arguments).await?;
    let job = jobs.delegate(agent, asked, environment, |spec| describe(settings, spec, arguments)).await?;
    match (json, wait) {
        // Standard output is for the answer.
        (false, true) => tell(&format!("job {}", job.id)),
        _ => print_submitted(jobs, &job, wait, json).await?,
    }
    if let Some(worktree) = job.agent_run().and_then(|run| run.worktree) {
        tell(&format!("worktree {}, branch {}", worktree.path.display(), worktree.branch));
    }
    tell_if_queued(jobs, &job).await?;
    if !wait {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = async {
        if let (true, Some(run)) = (follows, &job.agent_run()) {
            agent::follow(jobs, &job, run).await?;
        }
        Ok(jobs.wait_for(job.id).await?)
    };
    match unless_interrupted(&job.id.short(), ended).await? {
        Err(code) => Ok(code),
        Ok(job) => {
            notice.give(&job);
            inbox::shown(jobs, settings.caller.as_ref(), [&job]).await;
            agent::finished(jobs, &job, json, follows).await
        }
    }
}

async fn asked<'a>(jobs: &JobManager, settings: &'a Settings, arguments: &Delegate) -> Result<(&'a Agent, Delegation)> {
    let asked = Asked {
        agent: arguments.agent.clone(),
        prompt: prompt(&arguments.prompt)?,
        cwd: arguments.cwd.as_deref().map(expanded),
        permission_mode: arguments.permission_mode,
        resume: arguments.resume.clone(),
    };
    let (agent, mut asked) = settings.delegation(jobs, asked, current_dir).await?;
    asked.model = arguments.model.clone().or(asked.model);
    asked.effort = arguments.effort.clone().or(asked.effort);
    asked.max_turns = arguments.max_turns.or(asked.max_turns);
    asked.max_budget_usd = arguments.max_budget.or(asked.max_budget_usd);
    asked.allow_tools.extend(arguments.allow_tool.iter().cloned());
    for directory in &arguments.add_dir {
        asked.add_dirs.push(absolute(expanded(directory))?);
    }
    asked.session_id = arguments.session_id.clone();
    asked.system_prompt = arguments.system_prompt.clone();
    asked.schema = arguments.schema.as_deref().map(parse_schema).transpose()?;
    asked.worktree =
        arguments.worktree.clone().map(|branch| NewWorktree { branch: Some(branch).filter(|b| !b.is_empty()) });
    Ok((agent, asked))
}

/// Adds to the job what does not concern the agent.
fn describe(settings: &Settings, spec: JobSpecBuilder, arguments: Delegate) -> JobSpecBuilder {
    let mut spec = settings.sign(settings.apply_to_run(spec));
    if let Some(timeout) = arguments.timeout {
        spec = spec.timeout(timeout);
    }
    for (name, value) in arguments.label {
        spec = spec.label(name, value);
    }
    if let Some(name) = arguments.name {
        spec = spec.name(name);
    }
    if let Some(key) = arguments.key {
        spec = spec.key(key);
    }
    if let Some(line) = arguments.on_end {
        spec = spec.on_end(line);
    }
    spec
}

/// Returns the prompt: the word itself, standard input, or the contents of a file.
fn prompt(word: &str) -> Result<String> {
    match word.strip_prefix('@') {
        _ if word == "-" => text("standard input", std::io::stdin().lock()),
        Some(path) => {
            let place = format!("prompt `{path}`");
            let file = std::fs::File::open(path);
            text(&place, file.map_err(|error| Failure::new(codes::USAGE, format!("{place}: {error}")))?)
        }
        None => Ok(word.to_owned()),
    }
}

fn text(place: &str, reader: impl Read) -> Result<String> {
    let wrong = |reason: &str| Failure::new(codes::USAGE, format!("{place}: {reason}"));
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_GIVEN).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(most).read_to_end(&mut bytes).map_err(|error| wrong(&error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| wrong("a prompt is text, and this is not valid UTF-8"))
}

/// Returns the schema: the word itself if it begins like JSON, or else a file.
fn parse_schema(word: &str) -> Result<Schema> {
    let wrong = |reason: String| Failure::new(codes::USAGE, format!("schema: {reason}"));
    if !word.trim_start().starts_with('{') {
        let path = absolute(word.into())?;
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(format!("`{}`: {error}", path.display())))?;
        let _: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).map_err(|error| wrong(format!("`{}`: {error}", path.display())))?;
        return Ok(Schema::File(path));
    }
    serde_json::from_str(word).map(Schema::Json).map_err(|error| wrong(error.to_string()))
}

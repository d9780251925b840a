//! `delegate`: starts an agent run, and answers with its progress or its answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jobcore::agent::{Agent, Agents, NewWorktree, PermissionMode};
use jobcore::environment::Environment;
use jobcore::front::Asked;
use jobcore::output::Cursor;
use jobcore::{Job, Status};
use rmcp::model::{CallToolResponse, Tool};
use schemars::JsonSchema;
use serde::Deserialize;

use super::answer::{Answer, Result, started, told};
use super::arguments::{LONGEST_WAIT, current_dir, name, seconds, short_enough, timeout};
use super::nature::{Nature, tool as describe};
use crate::failure::Failure;
use crate::gate::Question;
use crate::runs::Run;
use crate::server::{Context, Server};
use crate::task;
use crate::text::BUDGET;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// claude, codex, gemini, opencode or one from the settings
    agent: Option<String>,
    prompt: String,
    cwd: Option<PathBuf>,
    model: Option<String>,
    effort: Option<String>,
    max_turns: Option<u32>,
    max_budget_usd: Option<f64>,
    /// Default "edit": files in cwd
    permission_mode: Option<Mode>,
    /// Such as "Bash(git *)"
    allow_tools: Option<Vec<String>>,
    #[schemars(extend("x-unlisted" = true))]
    add_dirs: Option<Vec<PathBuf>>,
    /// Job whose conversation to continue
    resume: Option<String>,
    /// In its own git worktree
    worktree: Option<bool>,
    /// 0 to 50, default 0
    wait_s: Option<f64>,
    timeout_s: Option<f64>,
    name: Option<String>,
    key: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Mode {
    ReadOnly,
    Edit,
    Full,
}

impl From<Mode> for PermissionMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::ReadOnly => Self::ReadOnly,
            Mode::Edit => Self::Edit,
            Mode::Full => Self::Full,
        }
    }
}

/// The name of the tool.
pub(crate) const NAME: &str = "delegate";

pub(super) fn tool() -> Tool {
    describe::<Arguments>(
        NAME,
        "Ask a coding agent",
        "Starts another coding agent on a prompt, as a background job. Returns a job id, or the agent's answer if it ends \
         within wait_s; wait returns it later. No permission prompts: what is not permitted is denied, and the result names the \
         call that permits it.",
        &Nature { reads: false, destroys: true, repeats: false, open: true, core: true },
    )
}

pub(super) async fn run(server: &Server, arguments: Arguments, context: &Context) -> Result<CallToolResponse> {
    let wait = seconds("wait_s", arguments.wait_s, Duration::ZERO, LONGEST_WAIT)?;
    let id = submit(server, arguments).await?.id;
    let job = started(server, id, wait, context).await?;
    let answer = answer(server, &job).await?;
    if !job.status().is_final() && task::are_known_to(context) {
        return Ok(task::created(server, &job, answer.said()).await.into());
    }
    Ok(answer.into_result().into())
}

async fn submit(server: &Server, arguments: Arguments) -> Result<Job> {
    short_enough(arguments.cwd.as_ref())?;
    let settings = server.settings();
    let asked = Asked {
        agent: arguments.agent,
        prompt: arguments.prompt,
        cwd: arguments.cwd,
        permission_mode: arguments.permission_mode.map(PermissionMode::from),
        resume: arguments.resume,
    };
    let asked = settings.delegation(server.jobs(), asked, || current_dir(server)).await;
    let (agent, mut asked) = told(server, asked).await?;
    asked.model = arguments.model.or(asked.model);
    asked.effort = arguments.effort.or(asked.effort);
    asked.max_turns = arguments.max_turns.or(asked.max_turns);
    asked.max_budget_usd = arguments.max_budget_usd.or(asked.max_budget_usd);
    asked.allow_tools.extend(arguments.allow_tools.into_iter().flatten());
    asked.add_dirs.extend(arguments.add_dirs.into_iter().flatten().map(|directory| asked.cwd.join(directory)));
    asked.worktree = arguments.worktree.unwrap_or_default().then(NewWorktree::default);
    let environment = environment(server);
    let timeout = timeout(server, arguments.timeout_s)?;
    let name = name("name", arguments.name)?;
    let (key, labels) = (arguments.key.clone(), arguments.labels);
    if asked.cwd.is_dir() && !agent.is_installed(&asked.cwd, &environment) {
        return Err(missing(server, agent, &environment));
    }
    let described = |spec| {
        let mut spec = settings.apply_to_run(spec);
        if let Some(timeout) = timeout {
            spec = spec.timeout(timeout);
        }
        if let Some(name) = name {
            spec = spec.name(name);
        }
        if let Some(key) = key {
            spec = spec.key(key);
        }
        labels.into_iter().flatten().fold(spec, |spec, (name, value)| spec.label(name, value))
    };
    let question = Question { agent, asked, environment, key: arguments.key };
    server.delegate(question, described).await
}

/// Answers with the result of a run, or its progress.
pub(super) async fn answer(server: &Server, job: &Job) -> Result {
    server.call().shows(job);
    let run = told(server, Run::of(server, job).await).await?;
    let Some(run) = run else { return Err(Failure::new("It is not an agent run.")) };
    let short = job.id.short();
    let next = match job.status() {
        status if status.is_final() => String::new(),
        Status::Queued => format!(
            "{} Next: wait {{\"job_ids\": [\"{short}\"]}}, or list {{\"status\": [\"running\"]}} to see what runs.",
            run.when_due()
        ),
        _ if run.has_ended() => {
            format!(" Its process is still running. Next: wait {{\"job_ids\": [\"{short}\"]}} for its end.")
        }
        _ => format!(
            " It continues in the background. Next: wait {{\"job_ids\": [\"{short}\"]}} for its answer, output {{\"job_id\": \"{short}\"}} to see its \
            progress, kill to stop it."
        ),
    };
    let text = told(server, run.told(&next, BUDGET).await).await?;
    Ok(Answer::text(text.trim_end()).about(job, Some(Cursor(job.output.bytes))).with_progress(Some(&run)))
}

/// Returns whether this tool is listed: whether an agent is installed, or one is declared in the settings.
pub(crate) fn is_shown(server: &Server) -> bool {
    let known = Agents::default();
    let is_named = |agent: &Agent| known.get(&agent.name).map_or(true, |known| known.program != agent.program);
    server.settings().agents.iter().any(is_named) || !installed(server, &environment(server)).is_empty()
}

/// Returns the names of the installed agents.
fn installed<'a>(server: &'a Server, environment: &Environment) -> Vec<&'a str> {
    // Only for programs given by a relative path, which few are.
    let current = current_dir(server).unwrap_or_else(|_| "/".into());
    let agents = server.settings().agents.iter().filter(|agent| agent.is_installed(&current, environment));
    agents.map(|agent| agent.name.as_str()).collect()
}

fn environment(server: &Server) -> Environment {
    server.settings().environment.apply(std::env::vars_os())
}

/// Returns the error for an agent that is not installed, with how to install it and which agents are.
fn missing(server: &Server, agent: &Agent, environment: &Environment) -> Failure {
    let others = match installed(server, environment).as_slice() {
        [] => String::new(),
        [one] => format!(" Installed: {one}; name it as `agent`."),
        several => format!(" Installed: {}; name one as `agent`.", several.join(", ")),
    };
    Failure::new(format!("The program `{}` is not installed. {}.{others}", agent.program, agent.remedy()))
}

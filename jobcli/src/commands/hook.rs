use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jobcore::front::caller::project_of;
use jobcore::front::process;
use jobcore::front::text::{fit, message};
use jobcore::inbox::Delivery;
use jobcore::{Caller, Job, JobManager, Query, Status};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Result, ending};
use crate::cli::Hook;

/// The code by which a hook of Claude Code wakes its model, which reads standard error then.
const WAKE: u8 = 2;
/// The longest line on a job, in characters.
const LINE: usize = 300;
/// How many lines are said at once.
const LINES: usize = 10;
/// How long is waited for other ends after the first: jobs that end together wake once.
const TOGETHER: Duration = Duration::from_millis(250);
/// The largest event that is read.
const LARGEST: u64 = 16 << 20;

/// What Claude Code says to a hook.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    session_id: String,
    cwd: String,
    tool_input: ToolInput,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToolInput {
    command: String,
    run_in_background: bool,
}

/// Answers a hook. Whatever goes wrong, the host goes on as if there were none.
pub(super) async fn run(jobs: impl FnOnce() -> Result<JobManager>, arguments: Hook) -> ExitCode {
    if arguments.host != "claude-code" {
        return ExitCode::SUCCESS;
    }
    let said = said();
    if arguments.event == "pre-tool-use" {
        refuse_background(&said.tool_input);
        return ExitCode::SUCCESS;
    }
    let Ok(jobs) = jobs() else { return ExitCode::SUCCESS };
    let Ok(caller) = format!("claude-code:{}", said.session_id).parse::<Caller>() else { return ExitCode::SUCCESS };
    let is_attended = std::env::var_os("CLAUDE_CODE_ENTRYPOINT").is_some_and(|entrypoint| entrypoint == "cli");
    let answered = match arguments.event.as_str() {
        "session-start" => recap(&jobs, &caller, Path::new(&said.cwd)).await.map(|()| ExitCode::SUCCESS),
        "stop" if is_attended => watch(&jobs, &caller, None).await,
        "stop" => watch(&jobs, &caller, Some(arguments.hold)).await,
        // Elsewhere the host would hold up the call.
        "post-tool-use" if is_attended => watch(&jobs, &caller, None).await,
        _ => Ok(ExitCode::SUCCESS),
    };
    answered.unwrap_or(ExitCode::SUCCESS)
}

fn said() -> Said {
    let mut text = String::new();
    if std::io::stdin().is_terminal() || std::io::stdin().lock().take(LARGEST).read_to_string(&mut text).is_err() {
        return Said::default();
    }
    serde_json::from_str(&text).unwrap_or_default()
}

/// Waits for the next end of the caller's jobs, and wakes it. Where `hold` is given, the host waits for this: not longer than that,
/// and not for a server.
async fn watch(jobs: &JobManager, caller: &Caller, hold: Option<Duration>) -> Result {
    let Some(_watch) = jobs.watch(caller).await? else { return Ok(ExitCode::SUCCESS) };
    let end = hold.map(|hold| Instant::now() + hold);
    loop {
        tokio::select! {
            delivery = jobs.deliver_next(caller, hold.is_none()) => match delivery? {
                Some(delivery) => drop(delivery),
                None => return Ok(ExitCode::SUCCESS),
            },
            // The session has ended: nobody hears this.
            () = process::errors_unread() => return Ok(ExitCode::SUCCESS),
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return Ok(ExitCode::SUCCESS),
        }
        sleep(TOGETHER).await;
        // Others may have delivered it meanwhile.
        if let Some(delivery) = jobs.deliver(caller, &[]).await? {
            return wake(delivery).await;
        }
    }
}

async fn wake(delivery: Delivery) -> Result {
    let count = delivery.jobs().len();
    let what = if count == 1 { "a background job has ended" } else { "background jobs have ended" };
    let mut text = format!("Not an error: {what}.\n");
    for line in lines(delivery.jobs().iter().filter_map(ending::of)) {
        text.push_str(&line);
        text.push('\n');
    }
    if let [job] = delivery.jobs() {
        text.push_str(&format!("See its output with `jobcli output {}`, or the tool `output`.\n", job.id.short()));
    }
    std::io::stderr().write_all(text.as_bytes())?;
    // Without this, as on a full disk, a host that is woken would be woken again at the end of each turn.
    delivery.acknowledge().await?;
    Ok(ExitCode::from(WAKE))
}

/// Returns the lines, each short enough, and how many there are beyond those that are said.
fn lines(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<_> = all.map(|line| fit(&message(&line), LINE)).collect();
    let more = all.len().saturating_sub(LINES);
    if more > 0 {
        all.truncate(LINES - 1);
        all.push(format!("{} more; `jobcli list --here` shows them", more + 1));
    }
    all
}

/// Prints what an agent should know when its session starts, goes on or was compacted.
async fn recap(jobs: &JobManager, caller: &Caller, directory: &Path) -> Result<()> {
    let project = project_of(directory);
    let unfinished = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
    let query = Query::default().with_project(Some(project.clone())).with_statuses(unfinished);
    let unfinished = jobs.list(&query).await?.jobs;
    let delivery = jobs.deliver(caller, &[]).await?;
    let others = jobs.recap(&project, caller).await?;
    let own = delivery.as_ref().map(Delivery::jobs).unwrap_or_default();
    let said = own.iter().chain(&others).filter_map(ending::of).chain(unfinished.iter().map(state)).collect::<Vec<_>>();
    if said.is_empty() {
        return Ok(());
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "Background jobs of this project (jobcli, jobmcp):")?;
    for line in lines(said.into_iter()) {
        writeln!(out, "{line}")?;
    }
    match delivery {
        Some(delivery) => Ok(delivery.acknowledge().await?),
        None => Ok(()),
    }
}

fn state(job: &Job) -> String {
    format!("{}: {}", job.label(), job.status())
}

/// Tells Claude Code not to run a command that would be started in the background of its own shell.
fn refuse_background(input: &ToolInput) {
    let command = input.command.trim();
    let is_in_background = command.ends_with('&') && !command.ends_with("&&") || command.starts_with("nohup ");
    if !input.run_in_background && !is_in_background {
        return;
    }
    let reason = "Run it as a background job instead: it survives this session, and you are woken when it ends. Call the tool \
                  `execute` of jobmcp, or run `jobcli run 'COMMAND'`, without nohup and `&`.";
    let answer = json!({ "hookSpecificOutput": {
        "hookEventName": "PreToolUse", "permissionDecision": "deny", "permissionDecisionReason": reason,
    }});
    // Where it cannot be said, the command is run.
    let _ = writeln!(std::io::stdout(), "{answer}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_lines_are_said_than_are_read() {
        let all = |count: usize| lines((0..count).map(|n| format!("{n}{}", "x".repeat(400))));
        assert_eq!(all(10).len(), 10);
        assert!(all(10).iter().all(|line| line.chars().count() <= LINE));
        assert_eq!(all(21).len(), 10);
        assert_eq!(all(21)[9], "12 more; `jobcli list --here` shows them");
    }
}

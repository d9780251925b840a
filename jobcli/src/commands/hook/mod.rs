//! Hooks of coding agents, which notify the model when jobs end.
//!
//! All hosts send the same JSON to a hook on standard input, and accept the same JSON answers on its standard output. A
//! host that continues while a hook runs is woken if the hook exits with 2, and then reads its standard error.

// In the order in which to read them:
// - `host.rs`: the conversation of a host, and whether a person takes part in it
// - `codex.rs`: messages to Codex threads

mod codex;
mod host;

use std::io::{IsTerminal, Read, Write};
use std::path::PathBuf;
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

use self::host::Host;
use super::{Result, ending};
use crate::cli::Hook;

/// The exit code by which a hook wakes a host that did not wait for it.
const WAKE: u8 = 2;
/// The longest line about a job, in characters.
const LINE: usize = 300;
/// How many lines are reported at once.
const LINES: usize = 10;
/// How long to wait for other ends after the first, so that jobs that end together wake the host once.
const TOGETHER: Duration = Duration::from_millis(250);
/// The largest event that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// The input of a hook.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    hook_event_name: String,
    session_id: String,
    cwd: PathBuf,
    tool_input: ToolInput,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToolInput {
    command: String,
    run_in_background: bool,
}

/// Answers a hook. On any error, the host continues as if there were no hook.
pub(super) async fn run(jobs: impl FnOnce() -> Result<JobManager>, arguments: Hook) -> Result {
    let Some(host) = Host::new(&arguments.host) else { return Ok(ExitCode::SUCCESS) };
    let text = said();
    if arguments.event == "end" {
        // Not run by the host: errors are recorded with the job.
        return codex::notify(&jobs()?, host, &text, &arguments).await;
    }
    Ok(answer(jobs, host, &arguments, &text).await.unwrap_or(ExitCode::SUCCESS))
}

async fn answer(jobs: impl FnOnce() -> Result<JobManager>, host: Host, arguments: &Hook, text: &str) -> Result {
    let said: Said = serde_json::from_str(text).unwrap_or_default();
    if arguments.event == "pre-tool-use" {
        refuse_background(&said.tool_input);
        return Ok(ExitCode::SUCCESS);
    }
    let project = project_of(&said.cwd);
    let Some(caller) = host.caller(&said.session_id, &project) else { return Ok(ExitCode::SUCCESS) };
    let jobs = jobs()?;
    let is_supervised = host.is_supervised();
    match arguments.event.as_str() {
        "session-start" => recap(&jobs, &caller, &said).await,
        "prompt" => news(&jobs, &caller, &said).await,
        "stop" if !is_supervised => watch(&jobs, host, &caller, Some(arguments.hold)).await,
        "stop" if !host.runs_hooks_aside() => now(&jobs, host, &caller).await,
        "stop" => watch(&jobs, host, &caller, None).await,
        // Other hosts would delay the call of the tool.
        "post-tool-use" if is_supervised && host.runs_hooks_aside() => watch(&jobs, host, &caller, None).await,
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn said() -> String {
    let mut text = String::new();
    if !std::io::stdin().is_terminal() {
        // Input that cannot be read is treated like input that cannot be parsed.
        let _ = std::io::stdin().lock().take(LARGEST).read_to_string(&mut text);
    }
    text
}

/// Wakes the caller if any of its jobs have ended.
async fn now(jobs: &JobManager, host: Host, caller: &Caller) -> Result {
    match jobs.deliver(caller, &[]).await? {
        Some(delivery) => wake(host, delivery).await,
        None => Ok(ExitCode::SUCCESS),
    }
}

/// Waits for the next end of the caller's jobs, and wakes the caller. If `hold` is given, the host is waiting: the wait
/// is at most that long, and does not include servers.
async fn watch(jobs: &JobManager, host: Host, caller: &Caller, hold: Option<Duration>) -> Result {
    let Some(_watch) = jobs.watch(caller).await? else { return Ok(ExitCode::SUCCESS) };
    let end = hold.map(|hold| Instant::now() + hold);
    loop {
        tokio::select! {
            delivery = jobs.deliver_next(caller, hold.is_none()) => match delivery? {
                Some(delivery) => drop(delivery),
                None => return Ok(ExitCode::SUCCESS),
            },
            // The session has ended: there is no one to wake.
            () = process::errors_unread() => return Ok(ExitCode::SUCCESS),
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return Ok(ExitCode::SUCCESS),
        }
        sleep(TOGETHER).await;
        // The end may have been delivered in another way meanwhile.
        if let Some(delivery) = jobs.deliver(caller, &[]).await? {
            return wake(host, delivery).await;
        }
    }
}

async fn wake(host: Host, delivery: Delivery) -> Result {
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
    let (is_aside, answer) = (host.runs_hooks_aside(), json!({ "decision": "block", "reason": text }).to_string());
    let (answer, last) = answer.split_at(answer.len() - 1);
    match is_aside {
        true => std::io::stderr().write_all(text.as_bytes())?,
        false => std::io::stdout().write_all(answer.as_bytes())?,
    }
    // If this fails, for example on a full disk, the host must not be woken, or it would be woken again at the end of
    // each turn. So the exit code and the last byte of the answer come after it: without them, the host does not wake.
    delivery.acknowledge().await?;
    if is_aside {
        return Ok(ExitCode::from(WAKE));
    }
    writeln!(std::io::stdout(), "{last}")?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the lines, each shortened, with a last line that counts those left out.
fn lines(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<_> = all.map(|line| fit(&message(&line), LINE)).collect();
    let more = all.len().saturating_sub(LINES);
    if more > 0 {
        all.truncate(LINES - 1);
        all.push(format!("{} more; `jobcli list --here` shows them", more + 1));
    }
    all
}

/// Adds to the conversation what an agent should know when its session starts, resumes or was compacted.
async fn recap(jobs: &JobManager, caller: &Caller, said: &Said) -> Result {
    let project = project_of(&said.cwd);
    let unfinished = Status::ALL.into_iter().filter(|status| !status.is_final()).collect();
    let query = Query::default().with_project(Some(project.clone())).with_statuses(unfinished);
    let unfinished = jobs.list(&query).await?.jobs;
    let delivery = jobs.deliver(caller, &[]).await?;
    let others = jobs.recap(&project, caller).await?;
    let own = delivery.as_ref().map(Delivery::jobs).unwrap_or_default();
    let lines = lines(own.iter().chain(&others).filter_map(ending::of).chain(unfinished.iter().map(state)));
    add(said, "Background jobs of this project (jobcli, jobmcp):", &lines, delivery).await
}

/// Adds to the conversation which jobs have ended since the last report.
async fn news(jobs: &JobManager, caller: &Caller, said: &Said) -> Result {
    let delivery = jobs.deliver(caller, &[]).await?;
    let lines = lines(delivery.iter().flat_map(Delivery::jobs).filter_map(ending::of));
    add(said, "Background jobs that have ended since (jobcli, jobmcp):", &lines, delivery).await
}

async fn add(said: &Said, title: &str, lines: &[String], delivery: Option<Delivery>) -> Result {
    if !lines.is_empty() {
        let context = format!("{title}\n{}\n", lines.join("\n"));
        let answer = json!({ "hookSpecificOutput": {
            "hookEventName": said.hook_event_name, "additionalContext": context,
        }});
        writeln!(std::io::stdout(), "{answer}")?;
    }
    if let Some(delivery) = delivery {
        delivery.acknowledge().await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn state(job: &Job) -> String {
    format!("{}: {}", job.label(), job.status())
}

/// Refuses a command that the host would run in the background of its own shell.
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
    // If the answer cannot be written, the command is run.
    let _ = writeln!(std::io::stdout(), "{answer}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_lines_is_limited() {
        let all = |count: usize| lines((0..count).map(|n| format!("{n}{}", "x".repeat(400))));
        assert_eq!(all(10).len(), 10);
        assert!(all(10).iter().all(|line| line.chars().count() <= LINE));
        assert_eq!(all(21).len(), 10);
        assert_eq!(all(21)[9], "12 more; `jobcli list --here` shows them");
    }
}

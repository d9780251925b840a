//! Sends a message to a Codex thread, which then takes a turn. Codex treats the message as if its user had written it,
//! so it must contain nothing that a job controls: no name, no command and no output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use jobcore::front::process::{self, Running};
use jobcore::front::{Failure, codes};
use jobcore::inbox::Delivery;
use jobcore::words::counted;
use jobcore::{Caller, Cause, Job, JobManager, Status};
use serde::Deserialize;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::host::{self, Host};
use super::{LINES, TOGETHER};
use crate::cli::Hook;
use crate::commands::Result;

/// How long Codex may take to accept a message.
const LIMIT: Duration = Duration::from_secs(20);

/// The part that matters here of the job that an `on_end` line gets.
#[derive(Debug, Deserialize)]
struct Ended {
    caller: Option<Caller>,
}

/// Queues a message about all ended jobs of the thread that submitted the given one.
pub(super) async fn notify(jobs: &JobManager, host: Host, ended: &str, arguments: &Hook) -> Result {
    let usage = |reason: String| Failure::new(codes::USAGE, reason);
    if host != Host::Codex {
        return Err(usage(format!("the host `{}` has no event `end`", arguments.host)));
    }
    let ended: Ended = serde_json::from_str(ended)
        .map_err(|error| usage(format!("standard input is not a job: {error}; set this as `callers.codex.on_end`")))?;
    let Some(caller) = ended.caller.filter(|caller| caller.host().as_str() == host.name()) else {
        return Ok(ExitCode::SUCCESS);
    };
    if !arguments.always && !is_open() {
        writeln!(std::io::stdout(), "no Codex is open on a terminal; the thread is notified when it is resumed")?;
        return Ok(ExitCode::SUCCESS);
    }
    sleep(TOGETHER).await;
    let Some(delivery) = take(jobs, &caller).await? else { return Ok(ExitCode::SUCCESS) };
    queue(&arguments.program, caller.conversation(), &sentence(delivery.jobs())).await?;
    delivery.acknowledge().await?;
    Ok(ExitCode::SUCCESS)
}

/// Takes the pending ends; nothing if they have been delivered in another way, or together with another end.
async fn take(jobs: &JobManager, caller: &Caller) -> Result<Option<Delivery>> {
    let end = Instant::now() + LIMIT;
    loop {
        let delivery = jobs.deliver(caller, &[]).await?;
        // A delivery under way at this moment may not include this end.
        if delivery.is_some() || jobs.inbox(caller).await?.is_empty() || Instant::now() >= end {
            return Ok(delivery);
        }
    }
}

/// Returns whether Codex is open on a terminal, where a person sees the effect of a message. Its background service may
/// be running without one.
fn is_open() -> bool {
    let own = home(|name| std::env::var(name).ok());
    let is_ours = |program: &Running| home(|name| program.variable(name)) == own;
    let programs = process::on_terminals("codex");
    programs.iter().any(|program| is_ours(program) && !host::was_given(program, &host::CODEX_RUNS))
}

/// Returns the directory where Codex keeps its threads, according to the variables.
fn home(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("CODEX_HOME").or_else(|| Some(set("HOME")?.join(".codex")))
}

async fn queue(program: &Path, thread: &str, message: &str) -> Result<()> {
    // In one line, since `jobcli show` prints the last line.
    let failed = |reason: String| {
        let message = format!(
            "`{} queue` cannot queue a message for the thread {thread}: {reason}; `--program` names another program",
            program.display()
        );
        Failure::new(codes::FAILED, message)
    };
    let mut command = Command::new(program);
    command.args(["queue", "--thread", thread, "--message", message]).stdin(Stdio::null()).kill_on_drop(true);
    match timeout(LIMIT, command.status()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(status.to_string())),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("it takes longer than {} s", LIMIT.as_secs()))),
    }
}

fn sentence(jobs: &[Job]) -> String {
    let what = match jobs {
        [job] => format!("background job {} {}", job.id.short(), came_to(job)),
        _ => {
            let more = jobs.len().saturating_sub(LINES);
            let mut ends: Vec<_> = jobs.iter().map(|job| format!("{} {}", job.id.short(), came_to(job))).collect();
            ends.truncate(LINES);
            ends.extend((more > 0).then(|| format!("{more} more")));
            format!("{} have ended: {}", counted(jobs.len(), "background job", "background jobs"), ends.join(", "))
        }
    };
    format!(
        "Automatic message from jobcore, not from the user: {what}. Read the output with the tool `output` or `jobcli \
         output` before you continue."
    )
}

/// Describes the end of a job without using any text from the job.
fn came_to(job: &Job) -> String {
    let Some(outcome) = job.state.outcome() else { return job.status().to_string() };
    match (job.status(), outcome.cause, outcome.exit_code, outcome.signal) {
        (Status::Completed, ..) => "completed".to_owned(),
        (Status::Killed, ..) => "was killed".to_owned(),
        (Status::TimedOut, ..) => "timed out".to_owned(),
        (Status::Failed, Cause::SpawnFailed, ..) => "could not be started".to_owned(),
        (Status::Failed, Cause::Stalled, ..) => "stalled and was stopped".to_owned(),
        (Status::Failed, _, Some(code), _) => format!("failed with exit code {code}"),
        (Status::Failed, _, None, Some(signal)) => format!("failed: ended by {signal}"),
        (status, ..) => format!("ended as {status}"),
    }
}

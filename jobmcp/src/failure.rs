//! Errors for models: what was wrong, and what to call next.

use jobcore::agent::AgentError;
use jobcore::input::NoInput;
use jobcore::{Error, JobManager, Query, escape};
use rmcp::model::{CallToolResult, ContentBlock};

use crate::text;

/// The longest error, in characters, since clients cut off longer ones. Longer errors keep this much of their end.
const LONGEST: usize = 2_000;
const END: usize = 800;

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Converts an error, with advice. If no job was found, the advice names jobs that may have been meant.
    pub(crate) async fn of(error: Error, jobs: &JobManager) -> Self {
        let advice = match &error {
            Error::NotFound { .. } => known(jobs).await,
            Error::Ambiguous { candidates, .. } => {
                let ids: Vec<_> = candidates.iter().take(8).map(ToString::to_string).collect();
                format!("It may be one of: {}.", ids.join(", "))
            }
            error => advice(error).to_owned(),
        };
        if let Error::ProgramNotFound { program, .. } = &error {
            // The whole `PATH` is long and of little use to a model.
            return Self(format!("There is no program `{program}` in the PATH of the server. {advice}"));
        }
        if let Error::InvalidSpec { field: "environment", reason } = &error {
            return Self(format!("env: {reason}."));
        }
        let cause = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let advice = if advice.is_empty() { advice } else { format!(" {advice}") };
        Self(format!("{error}{cause}.{advice}"))
    }

    /// Prefixes what was done before the failure.
    pub(crate) fn after(self, done: impl Into<String>) -> Self {
        Self(format!("{} {}", done.into(), self.0))
    }

    /// Returns the result that a client shows to its model.
    pub(crate) fn into_result(self) -> CallToolResult {
        CallToolResult::error(vec![ContentBlock::text(bounded(escape::lines(&self.0).into_owned()))])
    }
}

/// Leaves out the middle of a long text: the error comes first, and the advice last.
fn bounded(text: String) -> String {
    match text.chars().count().checked_sub(LONGEST) {
        None | Some(0) => text,
        Some(_) => text::cut(&text, LONGEST - END) + text::end(&text, END),
    }
}

async fn known(jobs: &JobManager) -> String {
    let listed = jobs.list(&Query::default().with_limit(Some(8))).await;
    let names: Vec<_> = listed.map(|listing| listing.jobs.iter().map(text::name).collect()).unwrap_or_default();
    match names.is_empty() {
        true => "There are no jobs: start one with execute.".to_owned(),
        false => format!("The newest jobs are {}; call list for more.", names.join(", ")),
    }
}

/// Returns advice on what would work.
fn advice(error: &Error) -> &'static str {
    match error {
        Error::NoInput { reason: NoInput::NeverHad, .. } => {
            "Start it with execute {\"stdin\": \"open\"}, or {\"tty\": true} for a program that wants a terminal."
        }
        Error::NoInput { .. } | Error::NotRunning { .. } => "Call output to see what it wrote.",
        Error::NoTerminal { .. } => {
            "Keys need a job that was started with execute {\"tty\": true}; send text as input."
        }
        Error::NameTaken { same_directory: true, .. } => {
            "Call status to see that job, use another name, or kill it first."
        }
        Error::NameTaken { .. } => "Use another name: that job belongs to another directory. Call status to see it.",
        Error::KeyTaken { .. } => "Use another key, or leave it out.",
        Error::Full { .. } => "Call list {\"status\": [\"running\"]} to see what runs, and kill what is not needed.",
        Error::ProgramNotFound { .. } => "Check the spelling; shell built-ins need a line in `command`.",
        Error::StillLive { .. } => "Call wait for its end, or kill to stop it.",
        Error::Unsupervised { pid: None, .. } => {
            "If the container or sandbox that it ran in no longer exists, a person can end it on record with \
             `jobcli kill --gone`."
        }
        Error::Layer(_) => match AgentError::of(error) {
            Some(AgentError::TooFast { .. }) => "Call delegate again then.",
            Some(AgentError::Git { .. }) => "Without `worktree` it runs in `cwd` itself.",
            _ => "",
        },
        Error::StragglersLeft { .. } => "Call kill {\"remove\": true} to stop and remove it.",
        Error::Forbidden { .. } => "The rules are those of `jobcli config get policy.allow` and `policy.deny`.",
        Error::NoAnswer { .. } => "It may be stopped by a signal; try again, or kill it.",
        _ => "",
    }
}

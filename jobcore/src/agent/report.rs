//! An agent run as every interface prints it: the task, the progress and the result.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{AgentRun, Digest, Failure, Format, PermissionMode, Usage, Worktree};
use crate::job::Job;
use crate::state::Status;

/// The progress of a run, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Progress {
    /// It is queued.
    Queued,
    /// It is running, and has reported nothing yet.
    Starting,
    /// It is working.
    Working,
    /// There is a result, and its process is still busy with background tasks or with ending.
    Answered,
    /// It has ended, and its last result says that it is done.
    Succeeded,
    /// It ended by itself in another way, or its answer does not follow its schema.
    Failed,
    /// It was stopped on request, whatever its output says.
    Killed,
    /// It was stopped because a time limit was reached.
    TimedOut,
    /// Its end was not observed, and there is no result.
    Lost,
}

impl Progress {
    /// Derives the progress from the status of the job and the agent's output. Only [`AgentShape`] knows whether the
    /// answer follows a schema.
    pub fn of(status: Status, format: Format, digest: &Digest) -> Self {
        match (status, digest.success) {
            (Status::Queued, _) => Self::Queued,
            (Status::Running | Status::Paused, Some(_)) => Self::Answered,
            (Status::Running | Status::Paused, None) if *digest == Digest::default() => Self::Starting,
            (Status::Running | Status::Paused, None) => Self::Working,
            (Status::Killed, _) => Self::Killed,
            (Status::TimedOut, _) => Self::TimedOut,
            (_, Some(true)) => Self::Succeeded,
            (_, Some(false)) | (Status::Failed | Status::Skipped, None) => Self::Failed,
            // Plain text has no result event: only the exit code counts.
            (Status::Completed, None) if format == Format::Text => Self::Succeeded,
            (Status::Completed, None) => Self::Failed,
            (Status::Orphaned, None) => Self::Lost,
        }
    }

    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Answered => "answered",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::TimedOut => "timed_out",
            Self::Lost => "lost",
        }
    }
}

/// An agent run, as a part of the shape of its job.
///
/// Values that are unknown or do not apply are absent, never null. Fields may be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AgentShape {
    /// The name of the agent in the settings.
    pub agent: String,
    /// The progress. A successful end of the process is neither required nor sufficient for `succeeded`.
    pub progress: Progress,
    /// What it may do without asking.
    pub permission_mode: PermissionMode,
    /// The beginning of the prompt.
    pub prompt: String,
    /// The requested effort.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effort: Option<String>,
    /// The conversation that it resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<String>,
    /// The git worktree that was created for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
    /// The figures that cover the whole conversation, including earlier runs: `cost_usd`, `usage`. Empty for a run that
    /// began its conversation.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub of_conversation: BTreeSet<String>,
    /// The digest of its output.
    #[serde(flatten)]
    pub digest: Digest,
}

impl AgentShape {
    /// Creates the shape of a run whose job has this status. `last_words` is the error on its standard error, which is
    /// used if its output contains none.
    pub fn new(run: &AgentRun, status: Status, mut digest: Digest, last_words: Option<Failure>) -> Self {
        let mut progress = Progress::of(status, run.format, &digest);
        if run.schema {
            digest.structure(run.format);
            if progress == Progress::Succeeded && digest.structured.is_none() && digest.structured_cut_bytes == 0 {
                progress = Progress::Failed;
                let message = "its answer does not follow the schema".to_owned();
                digest.error = Some(Failure { message, kind: Some("schema".to_owned()), http_status: None });
            }
        }
        if digest.error.is_none() {
            digest.error = match progress {
                Progress::Failed => Some(reason(&digest, last_words)),
                // If the model did not answer, that is why the run was still there to be stopped.
                Progress::Killed | Progress::TimedOut => digest.retry.clone().map(|retry| Failure {
                    message: format!("the model had not answered: {}", retry.message),
                    ..retry
                }),
                _ => None,
            };
        }
        digest.model = digest.model.or_else(|| run.model.clone());
        let sums = [("cost_usd", run.format.sums_up_cost()), ("usage", run.format.sums_up_usage())];
        let sums = sums.into_iter().filter(|(_, is_sum)| *is_sum && run.resumes.is_some());
        Self {
            agent: run.agent.clone(),
            progress,
            permission_mode: run.permission_mode,
            prompt: run.prompt.clone(),
            effort: run.effort.clone(),
            resumes: run.resumes.clone(),
            worktree: run.worktree.clone(),
            of_conversation: sums.map(|(figure, _)| figure.to_owned()).collect(),
            digest,
        }
    }

    /// Removes values that may be long, for a list of many runs.
    #[must_use]
    pub fn in_short(mut self) -> Self {
        (self.digest.result, self.digest.structured) = (None, None);
        self
    }
}

/// Returns why a run failed, if its output contains no error.
fn reason(digest: &Digest, last_words: Option<Failure>) -> Failure {
    let status = digest.retry.as_ref().and_then(|retry| retry.http_status);
    if let Some(words) = last_words {
        return Failure { http_status: words.http_status.or(status), ..words };
    }
    let message = match (digest.results, &digest.activity) {
        (0, Some(activity)) => format!("it ended without a result; last seen: {activity}"),
        (0, None) => "it ended without a result".to_owned(),
        _ => "it reported an error without a message".to_owned(),
    };
    Failure { message, kind: None, http_status: status }
}

/// What a single agent run used, as far as its output reports it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Spent {
    /// The run.
    pub job: Job,
    /// The name of the agent in the settings.
    pub agent: String,
    /// US dollars, by the CLI's calculation; absent if it does not calculate it.
    pub cost_usd: Option<f64>,
    /// Tokens.
    pub usage: Usage,
    /// Whether it may have been more: a part of the output was not kept, or there is no result.
    pub at_least: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(success: Option<bool>) -> Digest {
        Digest { success, session_id: Some("x".to_owned()), ..Digest::default() }
    }

    #[test]
    fn the_last_result_counts_and_a_stop_counts_more() {
        let progress = |status, success| Progress::of(status, Format::Claude, &digest(success));
        for (status, success, expected) in [
            (Status::Running, None, Progress::Working),
            (Status::Running, Some(true), Progress::Answered),
            (Status::Running, Some(false), Progress::Answered),
            (Status::Completed, Some(true), Progress::Succeeded),
            (Status::Completed, Some(false), Progress::Failed),
            (Status::Completed, None, Progress::Failed),
            (Status::Failed, Some(true), Progress::Succeeded),
            (Status::Failed, None, Progress::Failed),
            (Status::Killed, Some(true), Progress::Killed),
            (Status::TimedOut, Some(true), Progress::TimedOut),
            (Status::Orphaned, Some(true), Progress::Succeeded),
            (Status::Orphaned, None, Progress::Lost),
        ] {
            assert_eq!(progress(status, success), expected, "{status} {success:?}");
        }
        assert_eq!(Progress::of(Status::Running, Format::Claude, &Digest::default()), Progress::Starting);
        assert_eq!(Progress::of(Status::Completed, Format::Text, &Digest::default()), Progress::Succeeded);
    }

    #[test]
    fn a_failure_has_a_reason() {
        let run = AgentRun::new("claude", Format::Claude, PermissionMode::Edit, "do it");
        let reason = |status, digest, words: Option<&str>| {
            let words = words.map(|words| Failure { message: words.to_owned(), ..Failure::default() });
            AgentShape::new(&run, status, digest, words).digest.error.map(|error| (error.message, error.http_status))
        };
        let told = |message: &str, status| Some((message.to_owned(), status));
        let doing = || Digest { activity: Some("shell: make".to_owned()), ..Digest::default() };
        let retry = || Failure { message: "retry 4 after HTTP 429".to_owned(), http_status: Some(429), kind: None };
        let retrying = || Digest { retry: Some(retry()), ..doing() };
        for (status, digest, words, expected) in [
            (Status::Failed, Digest::default(), Some("no such flag"), told("no such flag", None)),
            (Status::Failed, Digest::default(), None, told("it ended without a result", None)),
            (Status::Failed, doing(), None, told("it ended without a result; last seen: shell: make", None)),
            (Status::Failed, retrying(), Some("quota"), told("quota", Some(429))),
            (Status::TimedOut, retrying(), None, told("the model had not answered: retry 4 after HTTP 429", Some(429))),
            (Status::TimedOut, doing(), None, None),
            (Status::Running, retrying(), None, None),
        ] {
            assert_eq!(reason(status, digest, words), expected, "{status} {words:?}");
        }
    }

    #[test]
    fn figures_of_a_whole_conversation_are_named() {
        let sums = |format, resumes: Option<&str>| {
            let mut run = AgentRun::new("x", format, PermissionMode::Edit, "go on");
            run.resumes = resumes.map(str::to_owned);
            AgentShape::new(&run, Status::Completed, Digest::default(), None)
                .of_conversation
                .into_iter()
                .collect::<Vec<_>>()
        };
        assert_eq!(sums(Format::Claude, Some("a")), ["cost_usd", "usage"]);
        assert_eq!(sums(Format::Codex, Some("a")), ["usage"]);
        assert!(sums(Format::Gemini, Some("a")).is_empty() && sums(Format::Claude, None).is_empty());
    }

    #[test]
    fn an_answer_that_does_not_follow_its_schema_is_a_failure() {
        let judged = |format, text: &str, structured: Option<serde_json::Value>, cut| {
            let mut run = AgentRun::new("x", format, PermissionMode::Edit, "list them");
            run.schema = true;
            let digest =
                Digest { result: Some(text.to_owned()), structured, result_cut_bytes: cut, ..digest(Some(true)) };
            let AgentShape { progress, digest, .. } = AgentShape::new(&run, Status::Completed, digest, None);
            assert_eq!(progress == Progress::Failed, digest.error.is_some());
            assert_eq!(digest.result.as_deref(), Some(text), "the text of the answer is kept");
            (progress, digest.structured, digest.structured_cut_bytes)
        };
        let list = Some(serde_json::json!([1]));
        // One CLI reports the structured answer; for the others it is parsed from the text.
        for (format, text, structured, expected) in [
            (Format::Claude, "[1]", list.clone(), (Progress::Succeeded, list.clone(), 0)),
            (Format::Claude, "[1]", None, (Progress::Failed, None, 0)),
            (Format::Codex, "[1]\n", None, (Progress::Succeeded, list, 0)),
            (Format::Codex, "Here it is: [1]", None, (Progress::Failed, None, 0)),
        ] {
            assert_eq!(judged(format, text, structured, 0), expected, "{format:?} {text}");
        }
        assert_eq!(judged(Format::Codex, "[1", None, 10), (Progress::Succeeded, None, 12), "too long to be parsed");
    }
}

//! What models read: short, and nothing that they have to compute.

use std::time::Duration;

use jobcli::ui::short_duration;
use jobcore::clock::Timestamp;
use jobcore::output::{Cursor, OutputQuery, Position, Stream, View, Viewed};
use jobcore::{Cause, Job, JobId, JobManager, JobShape, Status};

/// How much output a result has unless more is asked for, in bytes: with what stands around it, 8,000 characters at most.
pub(crate) const BUDGET: u64 = 6_000;
/// How much a call may ask for: the whole result has 40,000 characters at most.
pub(crate) const LARGEST: u64 = 36_000;
/// How much of a command is shown.
const COMMAND: usize = 120;

/// Returns what a job is called: its name and its short id.
pub(crate) fn name(job: &Job) -> String {
    match &job.spec.name {
        Some(name) => format!("`{name}` ({})", job.id.short()),
        None => job.id.short(),
    }
}

/// Returns what a job is doing, or how it ended.
pub(crate) fn state(shape: &JobShape, now: Timestamp) -> String {
    let time = |ms: Option<u64>| short_duration(Duration::from_millis(ms.unwrap_or_default()));
    let after = format!("after {}", time(shape.duration_ms));
    let by = shape.stopped_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let message = shape.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    match (shape.status, shape.exit_code, shape.signal, shape.cause) {
        (Status::Queued, ..) => {
            let waited = now.duration_since(shape.submitted_at).as_millis().try_into().ok();
            format!("queued for {}", time(waited))
        }
        (Status::Running | Status::Paused, ..) => format!("{} for {}", shape.status, time(shape.duration_ms)),
        (Status::Killed, ..) if shape.started_at.is_none() => format!("killed{by} before it started"),
        (Status::Killed, ..) => format!("killed{by} {after}"),
        (Status::Orphaned, ..) => {
            format!("orphaned {after}: nobody saw its end, so that its exit code is not known{message}")
        }
        (Status::TimedOut, ..) => format!("timed out and was stopped {after}"),
        (_, _, _, Some(Cause::SpawnFailed)) => format!("failed to start{message}"),
        (status, Some(code), ..) => format!("{status} with exit code {code} {after}"),
        (status, None, Some(signal), _) => format!("{status}: it died of {signal} {after}"),
        (status, None, None, _) => format!("{status} {after}{message}"),
    }
}

/// Returns the command of a job in one line.
pub(crate) fn command(shape: &JobShape) -> String {
    cut(&one_line(&shape.command_line()), COMMAND)
}

/// Returns a text in one line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Cuts off what is too long.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest.saturating_sub(1)).chain(['…']).collect()
}

/// Returns the end of a text.
pub(crate) fn end(text: &str, longest: usize) -> &str {
    text.char_indices().rev().take(longest).last().map_or("", |(start, _)| &text[start..])
}

/// How output is shown to a model: cleaned, the beginning and the end of it.
pub(crate) fn view(budget: u64) -> View {
    View::default().with_clean(true).with_budget(Some(budget))
}

/// Reads what follows a cursor, within the usual bound.
pub(crate) async fn read(
    jobs: &JobManager,
    id: JobId,
    from: Cursor,
    stream: Option<Stream>,
    budget: u64,
) -> jobcore::Result<(String, Viewed)> {
    let view = view(budget);
    let query = OutputQuery::from(Position::Cursor(from)).with_stream(stream);
    let viewed = jobs.view(id, &query, &view).await?;
    Ok((String::from_utf8_lossy(&viewed.text(&view, stream)).into_owned(), viewed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!((cut("äöü", 3), cut("äöüx", 3)), ("äöü".to_owned(), "äö…".to_owned()));
        assert_eq!((end("äöü", 2), end("äöü", 4), end("", 1)), ("öü", "äöü", ""));
    }
}

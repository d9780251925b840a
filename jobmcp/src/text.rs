//! The texts that models read: short, with nothing left for them to compute.

use std::time::Duration;

use jiff::SignedDuration;
use jobcore::clock::Timestamp;
pub(crate) use jobcore::escape::one_line;
use jobcore::output::{Cursor, OutputQuery, Position, Stream, View, Viewed};
use jobcore::queue::QueueReason;
use jobcore::shape::JobShape;
use jobcore::spec::{Command, Stragglers};
use jobcore::units::short_duration;
pub(crate) use jobcore::words::cut;
use jobcore::words::{counted, exit_code};
use jobcore::{Cause, Job, JobId, JobManager, Status};

/// How many bytes of output a result has by default: with the text around it, the result has at most 8,000 characters.
pub(crate) const BUDGET: u64 = 6_000;
/// How many bytes of output a call can request: the whole result has at most 40,000 characters.
pub(crate) const LARGEST: u64 = 36_000;
/// How long a job must run without output before the silence is explained.
const SILENCE_MS: u64 = 1_000;
/// How long a job must run before its run time is reported.
const WORTH_TELLING_MS: u64 = 1_000;
/// How many characters of a command are shown.
const COMMAND: usize = 120;

/// Returns the name of a job, or else its short id. Every tool accepts both.
pub(crate) fn name(job: &Job) -> String {
    match &job.spec.name {
        Some(name) => format!("`{name}`"),
        None => job.id.short(),
    }
}

/// Returns the name of a job together with its short id, since earlier jobs may have had the same name.
pub(crate) fn full_name(job: &Job) -> String {
    match &job.spec.name {
        Some(name) => format!("`{name}` ({})", job.id.short()),
        None => job.id.short(),
    }
}

/// Returns the subject of a sentence about a job.
pub(crate) fn subject(job: &Job) -> String {
    match &job.spec.name {
        Some(name) => format!("`{name}`"),
        None => format!("Job {}", job.id.short()),
    }
}

/// Formats a duration in a few characters.
pub(crate) fn short_time(time: SignedDuration) -> String {
    short_duration(Duration::try_from(time).unwrap_or_default())
}

fn millis(ms: Option<u64>) -> String {
    short_duration(Duration::from_millis(ms.unwrap_or_default()))
}

/// Returns a sentence, without its full stop, on the state of a job or how it ended. `more` is added if it is running.
pub(crate) fn sentence(job: &Job, shape: &JobShape, now: Timestamp, more: Option<&str>) -> String {
    let subject = subject(job);
    match shape.status {
        Status::Running | Status::Paused => {
            let time = shape.duration_ms.filter(|ms| *ms >= WORTH_TELLING_MS).map(|ms| millis(Some(ms)));
            let notes: Vec<_> = time.into_iter().chain(more.map(str::to_owned)).collect();
            let notes = notes.join(", ");
            let notes = if notes.is_empty() { notes } else { format!(" ({notes})") };
            format!("{subject} is {}{notes}{}", shape.status, standstill(shape, now))
        }
        Status::Queued => {
            let why = shape.queued.as_ref().map(|queued| format!(": {queued}")).unwrap_or_default();
            format!("{subject} is queued{why}")
        }
        _ => format!("{subject} {}", state(shape, now)),
    }
}

/// Returns how a job ended, without its run time.
pub(crate) fn ended(shape: &JobShape) -> String {
    described(shape, Timestamp::UNIX_EPOCH, "")
}

/// Returns the state of a job, or how it ended.
pub(crate) fn state(shape: &JobShape, now: Timestamp) -> String {
    let attempts = shape.attempt.map(|attempt| format!(" and {attempt} attempts")).unwrap_or_default();
    described(shape, now, &format!(" after {}{attempts}", millis(shape.duration_ms)))
}

fn described(shape: &JobShape, now: Timestamp, after: &str) -> String {
    let by = shape.stopped_by.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    let message = shape.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    match (shape.status, shape.exit_code, shape.signal, shape.cause) {
        (Status::Queued, ..) => {
            let waited = now.duration_since(shape.submitted_at).as_millis().try_into().ok();
            let why = shape.queued.as_ref().map(|queued| format!(": {queued}")).unwrap_or_default();
            format!("queued for {}{why}", millis(waited))
        }
        (Status::Running | Status::Paused, ..) => {
            format!("{} for {}{}", shape.status, millis(shape.duration_ms), standstill(shape, now))
        }
        (Status::Skipped, ..) => format!("skipped{message}"),
        (Status::Killed, ..) if shape.started_at.is_none() => format!("killed{by} before it started"),
        (Status::Killed, ..) => format!("killed{by}{after}"),
        (Status::Orphaned, ..) => {
            format!("orphaned{after}: its end was not observed, so its exit code is unknown{message}")
        }
        (Status::TimedOut, .., Some(Cause::Stalled)) => format!("stalled and was stopped{after}"),
        (Status::TimedOut, .., Some(Cause::NotReady)) => format!("was not ready in time and was stopped{after}"),
        (Status::TimedOut, ..) => format!("timed out and was stopped{after}"),
        (_, _, _, Some(Cause::SpawnFailed)) => format!("failed to start{message}"),
        (status, .., Some(Cause::Oom)) => format!("{status}{after}{message}"),
        (status, Some(code), ..) => format!("{status} with {}{after}", exit_code(code)),
        (status, None, Some(signal), _) => format!("{status}: ended by {signal}{after}"),
        (status, None, None, _) => format!("{status}{after}{message}"),
    }
}

/// Returns what a running job waits for and which tool to call, or for how long it has been stalled.
fn standstill(shape: &JobShape, now: Timestamp) -> String {
    match (&shape.waiting_for_input, shape.stalled_since) {
        (Some(waiting), _) => {
            let asked = waiting.last_line.as_ref().map(|line| format!(": `{}`", cut(&one_line(line), COMMAND)));
            format!(", waiting for input{}; answer with interact", asked.unwrap_or_default())
        }
        (None, Some(since)) => {
            format!(", stalled: no output and no CPU time for {}", short_time(now.duration_since(since)))
        }
        (None, None) => {
            let attempt = shape.attempt_in_words(now).map(|attempt| format!(", {attempt}")).unwrap_or_default();
            let starting = if shape.is_starting() { ", starting: not ready yet" } else { "" };
            format!("{attempt}{starting}")
        }
    }
}

/// Returns the shape of a job, with the reason why it is queued, and whether it waits for input.
pub(crate) async fn shape(jobs: &JobManager, job: &Job) -> JobShape {
    let mut shape = jobs.shape(job);
    // The call must not fail because these cannot be determined.
    shape.queued = jobs.why_queued(job).await.ok().flatten();
    shape.waiting_for_input = jobs.waiting_for_input(job).await.ok().flatten();
    shape
}

/// Returns a sentence on what a queued job waits for, if something has to end first.
pub(crate) fn when_due(shape: &JobShape) -> &'static str {
    match shape.queued.as_ref().map(|queued| &queued.reason) {
        Some(QueueReason::GroupLimit { .. } | QueueReason::StoreLimit { .. }) => " It starts when one of them ends.",
        _ => "",
    }
}

/// Returns what happened to the stragglers of a job, if there were any, and how to keep them: a model that starts a
/// server in this way would otherwise not learn that it was stopped.
pub(crate) fn stragglers(job: &Job) -> String {
    let count = job.state.outcome().map_or(0, |outcome| outcome.stragglers);
    match (count, job.spec.stragglers) {
        (0, _) => String::new(),
        (count, Stragglers::Leave) => {
            format!(" {} left in the background.", counted(count, "process was", "processes were"))
        }
        (count, _) => format!(
            " Stopped {} that it left in the background; to keep a server, run it as a job of its own or set \
             leave_stragglers.",
            counted(count, "process", "processes")
        ),
    }
}

/// Returns why a job has written nothing, if that is apparent.
pub(crate) fn silence(job: &Job, now: Timestamp) -> &'static str {
    let is_long = job.shape(now).duration_ms.is_some_and(|ms| ms >= SILENCE_MS);
    let is_silent = job.status() == Status::Running && job.output.bytes == 0 && job.output.dropped == 0;
    match &job.spec.command {
        Command::Shell(line) if is_silent && is_long && ends_in_tail(line) => {
            " It is piped into tail, which prints only at the end: run it without tail; output shows its last lines at any \
            time."
        }
        _ => "",
    }
}

/// Returns whether the last command of a line is `tail`, fed by a pipe.
fn ends_in_tail(line: &str) -> bool {
    let Some((before, last)) = line.rsplit_once('|') else { return false };
    let mut words = last.split_ascii_whitespace();
    // Not `a || tail`, and not if a command follows.
    !before.ends_with('|') && words.next() == Some("tail") && !last.contains([';', '&', '\n'])
}

/// Returns the command of a job in one line.
pub(crate) fn command(shape: &JobShape) -> String {
    cut(&one_line(&shape.command_line()), COMMAND)
}

/// Returns the end of a text.
pub(crate) fn end(text: &str, longest: usize) -> &str {
    text.char_indices().rev().take(longest).last().map_or("", |(start, _)| &text[start..])
}

/// Returns the view for models: cleaned, and only the beginning and the end if it exceeds the budget.
pub(crate) fn view(budget: u64) -> View {
    View::default().with_clean(true).with_budget(Some(budget))
}

/// Reads the output after a cursor, within a budget.
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
    fn lines_that_end_in_tail_are_recognized() {
        for line in ["make | tail", "make 2>&1 | tail -40", "(a; b) 2>&1 |tail -n 5", "a | b | tail > x"] {
            assert!(ends_in_tail(line), "{line}");
        }
        for line in
            ["tail -f x", "make || tail x", "make | tail; sleep 5", "make | tail && x", "a | tail | b", "a | tailor"]
        {
            assert!(!ends_in_tail(line), "{line}");
        }
    }

    #[test]
    fn the_end_of_a_text_is_counted_in_characters() {
        assert_eq!((end("äöü", 2), end("äöü", 4), end("", 1)), ("öü", "äöü", ""));
    }
}

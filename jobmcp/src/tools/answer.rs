//! The result of a call, and the jobs that it is about.

use std::time::Duration;

use jobcore::clock::Timestamp;
use jobcore::front::caller;
use jobcore::output::{Cursor, OutputQuery, Position, Stream};
use jobcore::shape::OutputShape;
use jobcore::wait::{Reached, Until, WaitOptions, Waited};
use jobcore::{Job, JobId, escape};
use rmcp::model::{CallToolResult, ContentBlock, MetaObject};
use serde_json::{Value, json};

use crate::excerpt::{self, Excerpt, Look};
use crate::failure::Failure;
use crate::runs::Run;
use crate::server::{Context, Server};
use crate::text;

pub(crate) type Result<T = Answer> = std::result::Result<T, Failure>;

/// The result of a call.
#[derive(Debug)]
pub(crate) struct Answer {
    text: String,
    structured: Option<Value>,
    job: Option<Value>,
}

impl Answer {
    /// Answers with a text. Control characters are escaped: a client may print the text to a terminal.
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        Self { text: escape::lines(text.as_ref()).into_owned(), structured: None, job: None }
    }

    /// Answers with fields, and with the same JSON as text for clients that read only text.
    pub(super) fn fields(fields: Value) -> Self {
        Self::text(escape::json(&fields.to_string())).with_structured(fields)
    }

    /// Adds the same as fields.
    pub(super) fn with_structured(self, structured: Value) -> Self {
        Self { structured: Some(structured), ..self }
    }

    /// Adds a line.
    pub(super) fn with_note(self, note: &str) -> Self {
        Self { text: format!("{}\n{}", self.text, escape::lines(note)), ..self }
    }

    /// Adds the job for programs, which do not read the text.
    pub(super) fn about(self, job: &Job, cursor: Option<Cursor>) -> Self {
        let shape = job.shape(Timestamp::now());
        let mut about = json!({ "job_id": shape.job_id, "status": shape.status });
        let fields = [
            ("name", json!(shape.name)),
            ("exit_code", json!(shape.exit_code)),
            ("signal", json!(shape.signal)),
            ("cursor", json!(cursor)),
        ];
        for (field, value) in fields {
            if !value.is_null() {
                about[field] = value;
            }
        }
        Self { job: Some(about), ..self }
    }

    /// Adds the progress of an agent run, if the job is one.
    pub(super) fn with_progress(mut self, run: Option<&Run<'_>>) -> Self {
        if let (Some(job), Some(run)) = (&mut self.job, run) {
            job["progress"] = run.agent.progress.as_str().into();
        }
        self
    }

    /// Returns the text.
    pub(super) fn said(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(self.text)]);
        result.structured_content = self.structured;
        let meta = self.job.map(|job| MetaObject([("jobcore/job".to_owned(), job)].into_iter().collect()));
        result.with_meta(meta)
    }
}

/// Finds the job that a model refers to, and renews its lease if it has one, since it is still needed.
pub(super) async fn find(server: &Server, reference: &str) -> Result<JobId> {
    let jobs = server.jobs();
    let id = match caller::find(jobs, reference).await {
        Ok(id) => id,
        Err(error) => return Err(Failure::of(error, jobs).await),
    };
    if let Ok(job) = jobs.job(id).await
        && job.lease_until.is_some()
        && let Err(error) = jobs.renew(id).await
    {
        tracing::debug!(%id, %error, "the lease of a job could not be renewed");
    }
    Ok(id)
}

/// Reads a job.
pub(super) async fn job(server: &Server, id: JobId) -> Result<Job> {
    told(server, server.jobs().job(id).await).await
}

/// Converts an error of the library for a model.
pub(super) async fn told<T>(server: &Server, result: jobcore::Result<T>) -> Result<T> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(Failure::of(error, server.jobs()).await),
    }
}

/// Waits at most `wait` for a job that the call started to end, and returns its current state.
pub(super) async fn started(server: &Server, id: JobId, wait: Duration, context: &Context) -> Result<Job> {
    if !wait.is_zero() {
        let ended = tokio::time::timeout(wait, server.jobs().wait_for(id));
        // Whether it ended, timed out or was cancelled, the job exists.
        let _ = server.patiently(ended, context).await;
    }
    job(server, id).await
}

/// Waits according to the options.
pub(super) async fn waited(server: &Server, ids: &[JobId], options: WaitOptions, context: &Context) -> Result<Waited> {
    let waited = match server.patiently(server.jobs().wait_until(ids, &options), context).await {
        Some(waited) => waited,
        // The call was cancelled or the server ends: answer with the current state.
        None => server.jobs().wait_until(ids, &options.with_timeout(Some(Duration::ZERO))).await,
    };
    told(server, waited).await
}

/// The condition of a wait, and its state.
pub(super) struct Condition<'a> {
    pub(super) until: &'a Until,
    pub(super) reached: &'a Reached,
    /// Whether the condition can still be met, also by stragglers of an ended job.
    pub(super) timed_out: bool,
}

impl Condition<'_> {
    /// Returns the text to append to the sentence on the job.
    pub(super) fn note(&self) -> String {
        let Self { until, reached, timed_out } = self;
        let note = reached.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        match (reached.met, timed_out) {
            _ if until.is_exit() => String::new(),
            // The cursor lets the next wait for the same condition start after this match.
            (true, _) if reached.line.is_some() => format!("; `{until}` is met at cursor {}", reached.cursor),
            (true, _) => format!("; `{until}` is met"),
            (false, false) => format!("; `{until}` can no longer be met{note}"),
            (false, true) => format!("; `{until}` is not met yet{note}"),
        }
    }
}

/// Answers with a sentence on a job and an excerpt of its output.
pub(super) async fn on_job(server: &Server, job: &Job, look: &Look, condition: Option<&Condition<'_>>) -> Result {
    let excerpt = told(server, excerpt::of(server, job, look).await).await?;
    on_excerpt(server, job, &excerpt, condition).await
}

/// Answers with a sentence on a job and the given excerpt of its output.
pub(super) async fn on_excerpt(
    server: &Server,
    job: &Job,
    excerpt: &Excerpt,
    condition: Option<&Condition<'_>>,
) -> Result {
    server.call().shows(job);
    let now = Timestamp::now();
    let shape = text::shape(server.jobs(), job).await;
    let mut text = text::sentence(job, &shape, now, excerpt.news.as_deref());
    if let Some(condition) = condition {
        text.push_str(&condition.note());
    }
    text.push('.');
    text.push_str(&text::stragglers(job));
    text.push_str(text::silence(job, now));
    if job.status().is_final() && job.output.bytes == 0 {
        text.push_str(" It wrote nothing.");
    }
    if let Some(line) = condition.and_then(|condition| condition.reached.line.as_ref())
        && !excerpt.text.contains(line.trim_end())
    {
        text.push_str(&format!("\n{}", text::cut(line, 300)));
    }
    if !excerpt.text.is_empty() {
        text.push_str(&format!("\n{}", excerpt.text));
    }
    Ok(Answer::text(text.trim_end()).about(job, Some(excerpt.cursor)))
}

/// Returns output as fields, for programs and for callers that need the streams separately.
pub(super) fn output_fields(job: &Job, shape: &OutputShape) -> Value {
    let mut fields = json!({
        "job_id": shape.job_id,
        "status": shape.status,
        "stdout": shape.stdout,
        "stderr": shape.stderr,
        "cursor": shape.cursor,
        "omitted": shape.dropped_bytes + shape.left_out.map_or(0, |left| left.bytes + left.dropped),
    });
    if let Some(left) = shape.left_out {
        fields["left_out"] = json!({ "cursor": left.cursor, "bytes": left.bytes });
        if left.dropped > 0 {
            fields["left_out"]["dropped"] = left.dropped.into();
        }
    }
    let outcome = job.state.outcome();
    if let Some(code) = outcome.and_then(|outcome| outcome.exit_code) {
        fields["exit_code"] = code.into();
    }
    if let Some(signal) = outcome.and_then(|outcome| outcome.signal) {
        fields["signal"] = json!(signal);
    }
    if let Some(count) = outcome.map(|outcome| outcome.stragglers).filter(|count| *count > 0) {
        fields["stragglers"] = count.into();
    }
    fields
}

/// Answers with output as fields.
pub(super) async fn answer_in_fields(
    server: &Server,
    job: &Job,
    from: Cursor,
    stream: Option<Stream>,
    budget: u64,
) -> Result {
    let query = OutputQuery::from(Position::Cursor(from)).with_stream(stream);
    let shape = told(server, server.jobs().view_text(job.id, &query, &text::view(budget)).await).await?;
    let fields = output_fields(job, &shape);
    Ok(Answer::fields(fields).about(job, Some(shape.cursor)))
}

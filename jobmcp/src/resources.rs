//! Resources: each job and each of its streams has a URI.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use jobcore::front::caller;
use jobcore::output::{Cursor, Stream};
use jobcore::{Error, Job, JobId, JobManager, Query};
use rmcp::RoleServer;
use rmcp::model::{
    ArgumentInfo, ErrorData, ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    ResourceUpdatedNotificationParam,
};
use rmcp::service::{Peer, SubscriptionContext};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::Server;
use crate::text::{self, LARGEST};

const SCHEME: &str = "job://";
/// How many jobs are listed at a time, and how many are offered as completions.
const PAGE: usize = 20;
const OFFERED: usize = 100;
/// The shortest time between two notifications about the same job.
const AT_MOST: Duration = Duration::from_secs(1);

/// The part of a job that a URI names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Job,
    Output(Stream),
}

/// Returns the reference to a job, its id or name, and the part that is meant.
fn parse(uri: &str) -> Option<(&str, Part)> {
    let rest = uri.strip_prefix(SCHEME)?;
    let (reference, part) = match rest.split_once('/') {
        None => (rest, Part::Job),
        Some((reference, "stdout")) => (reference, Part::Output(Stream::Stdout)),
        Some((reference, "stderr")) => (reference, Part::Output(Stream::Stderr)),
        Some(_) => return None,
    };
    (!reference.is_empty()).then_some((reference, part))
}

/// Returns whether a URI has the form of a resource's URI.
pub(crate) fn is_one(uri: &str) -> bool {
    parse(uri).is_some()
}

/// Returns the templates of URIs.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    [
        ("job://{id}", "job", "A job: what it runs, its state, how it ended", "application/json"),
        ("job://{id}/stdout", "stdout", "What a job wrote to standard output", "text/plain"),
        ("job://{id}/stderr", "stderr", "What a job wrote to standard error", "text/plain"),
    ]
    .into_iter()
    .map(|(uri, name, description, mime_type)| {
        let description = format!("{description}. The id may be short, or the name of the job.");
        ResourceTemplate::new(uri, name).with_description(description).with_mime_type(mime_type)
    })
    .collect()
}

/// Lists jobs, newest first. The cursor is the id of the last job of the previous page.
pub(crate) async fn list(server: &Server, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let before = match cursor {
        Some(cursor) => {
            let wrong = |_| ErrorData::invalid_params("the cursor was not returned by this server", None);
            Some(cursor.parse::<JobId>().map_err(wrong)?)
        }
        None => None,
    };
    let jobs = server.jobs();
    let mut ids = jobs.store().ids(&Query::default(), before, PAGE + 1).await.map_err(|error| failed(&error))?;
    let more = ids.len() > PAGE;
    ids.truncate(PAGE);
    let mut resources = Vec::new();
    for id in &ids {
        // Skip a job that has been removed meanwhile or cannot be read.
        if let Ok(job) = jobs.job(*id).await {
            resources.push(resource(jobs, &job));
        }
    }
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = ids.last().filter(|_| more).map(ToString::to_string);
    Ok(result)
}

fn resource(jobs: &JobManager, job: &Job) -> Resource {
    let shape = jobs.shape(job);
    Resource::new(format!("{SCHEME}{}", job.id), job.label())
        .with_title(text::command(&shape))
        .with_description(format!("Job {}: {}", text::name(job), shape.status))
        .with_mime_type("application/json")
}

/// Reads a job as JSON, in the same shape as in jobcli, or the cleaned beginning and end of one of its streams.
pub(crate) async fn read(server: &Server, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let (id, part) = find(server, uri).await?;
    let jobs = server.jobs();
    let contents = match part {
        Part::Job => {
            let job = jobs.job(id).await.map_err(|error| refused(uri, &error))?;
            let report = jobs.report(&job).await.map_err(|error| refused(uri, &error))?;
            let json = serde_json::to_string_pretty(&report);
            let json = json.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            ResourceContents::text(json, uri).with_mime_type("application/json")
        }
        Part::Output(stream) => {
            let read = text::read(jobs, id, Cursor(0), Some(stream), LARGEST).await;
            ResourceContents::text(read.map_err(|error| refused(uri, &error))?.0, uri)
        }
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

async fn find(server: &Server, uri: &str) -> Result<(JobId, Part), ErrorData> {
    let Some((reference, part)) = parse(uri) else {
        let named = text::cut(uri, 100);
        let reason = format!("`{named}` is not a resource; there are job://ID, job://ID/stdout and job://ID/stderr");
        return Err(not_found(reason, uri));
    };
    match caller::find(server.jobs(), reference).await {
        Ok(id) => Ok((id, part)),
        Err(error) => Err(refused(uri, &error)),
    }
}

fn refused(uri: &str, error: &Error) -> ErrorData {
    match error {
        Error::NotFound { .. } | Error::Ambiguous { .. } => not_found(error.to_string(), uri),
        error => failed(error),
    }
}

fn not_found(reason: String, uri: &str) -> ErrorData {
    ErrorData::resource_not_found(reason, Some(serde_json::json!({ "uri": text::cut(uri, 100) })))
}

fn failed(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// Returns completions for the argument of a template: names and short ids, newest first.
pub(crate) async fn complete(server: &Server, uri: &str, argument: &ArgumentInfo) -> Result<Vec<String>, ErrorData> {
    if !templates().iter().any(|template| template.uri_template == uri) || argument.name != "id" {
        return Err(ErrorData::invalid_params("there is no such template, or it has no such argument", None));
    }
    let newest = Query::default().with_limit(Some(OFFERED));
    let listing = server.jobs().list(&newest).await.map_err(|error| failed(&error))?;
    let named = listing.jobs.iter().filter_map(|job| job.spec.name.as_ref().map(ToString::to_string));
    let mut offered: Vec<String> = Vec::new();
    for word in named.chain(listing.jobs.iter().map(|job| job.id.short())) {
        if word.starts_with(&argument.value) && !offered.contains(&word) {
            offered.push(word);
        }
    }
    Ok(offered)
}

/// Notifies of changes until the client ends the subscription, or the server ends.
pub(crate) async fn listen(server: &Server, subscription: &SubscriptionContext) {
    let mut watching = JoinSet::new();
    for uri in subscription.accepted().resource_subscriptions.iter().flatten() {
        // A missing job has no changes.
        let Ok((id, _)) = find(server, uri).await else { continue };
        let (sink, uri) = (subscription.sink().clone(), uri.clone());
        watching.spawn(watch(server.jobs().clone(), id, move || {
            let (sink, uri) = (sink.clone(), uri.clone());
            async move { sink.notify_resource_updated(uri).await.is_ok() }
        }));
    }
    tokio::select! {
        () = subscription.cancelled() => {}
        () = server.closing().cancelled() => {}
    }
}

/// The subscriptions of a client before revision 2026-07-28. They end when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Mutex<HashMap<String, DropGuard>>);

/// Notifies a client of changes of a resource until it unsubscribes.
pub(crate) async fn subscribe(server: &Server, uri: String, client: Peer<RoleServer>) -> Result<(), ErrorData> {
    let (id, _) = find(server, &uri).await?;
    let enough = CancellationToken::new();
    server.subscriptions().insert(uri.clone(), enough.clone().drop_guard());
    // Does not hold the server, which holds the guard of the token.
    let watching = watch(server.jobs().clone(), id, move || {
        let (client, update) = (client.clone(), ResourceUpdatedNotificationParam::new(uri.clone()));
        async move { client.notify_resource_updated(update).await.is_ok() }
    });
    tokio::spawn(enough.run_until_cancelled_owned(watching));
    Ok(())
}

impl Subscriptions {
    fn insert(&self, uri: String, guard: DropGuard) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(uri, guard);
    }

    /// Ends a subscription, if there is one.
    pub(crate) fn remove(&self, uri: &str) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(uri);
    }
}

/// Calls `tell` whenever a job has written output or changed its status, until it ends or `tell` fails.
async fn watch<F: Future<Output = bool>>(jobs: JobManager, id: JobId, tell: impl Fn() -> F) {
    let mut last = None;
    loop {
        let Ok(job) = jobs.job(id).await else { return };
        let now = (job.status(), job.output.bytes);
        let is_news = last.replace(now).is_some_and(|last| last != now);
        if is_news && !tell().await || job.status().is_final() {
            return;
        }
        let soonest = Instant::now() + AT_MOST;
        if jobs.more_output(id, Cursor(job.output.bytes)).await.is_err() {
            return;
        }
        sleep_until(soonest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_uris_are_resources() {
        assert_eq!(parse("job://web"), Some(("web", Part::Job)));
        assert_eq!(parse("job://web/stderr"), Some(("web", Part::Output(Stream::Stderr))));
        for uri in ["", "job://", "job:///stdout", "job://web/", "job://web/stdin", "job://web/stdout/x", "file:///web"]
        {
            assert_eq!(parse(uri), None, "{uri}");
        }
    }
}

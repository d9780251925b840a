//! `events/poll`: the events since the client last asked.

use rmcp::model::ErrorData;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reading::Occurrence;
use super::refusal;
use super::subscription::Subscription;
use crate::server::Server;

/// How many occurrences are returned by default, and at most.
const USUAL: usize = 100;
const MOST: usize = 500;
/// When the client should ask again. An answer takes about a millisecond.
const AGAIN_MS: u64 = 5_000;

/// How many events are wanted at once.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bound {
    #[serde(default)]
    max_events: Option<usize>,
}

pub(super) async fn answer(server: &Server, subscription: &Subscription, bound: &Bound) -> Result<Value, ErrorData> {
    let most = match bound.max_events {
        Some(0) => return Err(ErrorData::invalid_params("maxEvents: use at least 1", None)),
        most => most.unwrap_or(USUAL).min(MOST),
    };
    let mut reading = subscription.reading(server).await?;
    let batch = reading.read(most).await.map_err(|error| refusal::failed(&error))?;
    let events: Vec<_> = batch.occurrences.into_iter().map(Occurrence::into_fields).collect();
    Ok(json!({
        "resultType": "complete",
        "events": events,
        "cursor": reading.cursor(),
        "truncated": batch.truncated,
        "hasMore": batch.more,
        "nextPollMs": AGAIN_MS,
    }))
}

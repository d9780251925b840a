//! `events/subscribe` and `events/unsubscribe`: events are posted to a URL, as long as the subscription is renewed.
//! Subscriptions are kept in memory: a client that renews one continues from its cursor, even on another server.

// In the order in which to read them:
// - `callback.rs`: the URL of a webhook, and whether it is permitted
// - `signature.rs`, `post.rs`: signing and sending a message
// - `active.rs`, `registry.rs`: one subscription and its deliveries, and all subscriptions

mod active;
mod callback;
mod post;
mod registry;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ErrorData, JsonObject};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::active::Active;
use self::callback::Callback;
use self::signature::Secret;
use super::reading::PAGE;
use super::refusal;
use super::subscription::Subscription;
use crate::server::Server;

pub(super) use self::registry::Webhooks;

/// How long a subscription lasts without renewal: by default, at least and at most.
const USUAL: Duration = Duration::from_secs(3600);
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The params of a webhook subscription besides what is wanted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Params {
    delivery: Delivery,
    #[serde(default)]
    ttl_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    #[serde(default = "webhook")]
    mode: String,
    url: String,
    #[serde(default)]
    secret: Option<String>,
}

/// The params that identify a subscription.
#[derive(Debug, Deserialize)]
pub(super) struct Key {
    name: String,
    #[serde(default)]
    arguments: Option<JsonObject>,
    delivery: Delivery,
}

fn webhook() -> String {
    "webhook".to_owned()
}

/// Answers `events/subscribe`.
pub(super) async fn subscribe(server: &Server, wanted: &Subscription, params: Params) -> Result<Value, ErrorData> {
    let webhooks = &server.events().webhooks;
    let Params { delivery, ttl_ms } = params;
    let callback = callback(webhooks, &delivery)?;
    let secret = delivery.secret.as_deref().and_then(Secret::parse).ok_or_else(|| {
        ErrorData::invalid_params("delivery.secret must be `whsec_` and 24 to 64 random bytes in base64", None)
    })?;
    let lifetime = ttl_ms.map_or(USUAL, |ttl| Duration::from_millis(ttl).clamp(SHORTEST, LONGEST));
    let mut reading = wanted.reading(server).await?;
    let id = id(server, &wanted.name, wanted.arguments.as_ref(), &callback.url);
    if let Some(renewed) = webhooks.renew(&id, &secret, lifetime) {
        return Ok(renewed);
    }
    webhooks.has_room()?;
    webhooks.verify(&id, &callback, &secret).await?;
    let first = reading.read(PAGE).await.map_err(|error| refusal::failed(&error))?;
    let place = reading.before(&first);
    let subscription = Arc::new(Active::new(id.clone(), callback, secret.clone(), place, lifetime));
    if !webhooks.admit(&id, &subscription)? {
        // Another request has created the same subscription meanwhile.
        return webhooks.renew(&id, &secret, lifetime).ok_or_else(refusal::no_such_subscription);
    }
    let mut answer = subscription.described();
    answer["truncated"] = first.truncated.into();
    let server = server.clone();
    server.work().clone().spawn(async move {
        tokio::select! {
            () = subscription.over() => {}
            () = server.closing().cancelled() => {}
            () = subscription.deliver(server.events().webhooks.post(), reading, first) => {}
        }
        // Drop it now rather than at the next access.
        server.events().webhooks.tidy();
    });
    Ok(answer)
}

/// Answers `events/unsubscribe`.
pub(super) fn unsubscribe(server: &Server, key: &Key) -> Result<Value, ErrorData> {
    let webhooks = &server.events().webhooks;
    let callback = callback(webhooks, &key.delivery)?;
    match webhooks.end(&id(server, &key.name, key.arguments.as_ref(), &callback.url)) {
        true => Ok(json!({ "resultType": "complete" })),
        false => Err(refusal::no_such_subscription()),
    }
}

fn callback(webhooks: &Webhooks, delivery: &Delivery) -> Result<Callback, ErrorData> {
    if !webhooks.are_permitted() || delivery.mode != webhook() {
        return Err(refusal::unsupported_delivery(&delivery.mode, webhooks.are_permitted()));
    }
    let wrong = |reason: String| ErrorData::invalid_params(format!("delivery.url: {reason}"), None);
    Callback::parse(&delivery.url, webhooks.permitted()).map_err(wrong)
}

/// Returns the id of a subscription: the same for the same events of the same jobs to the same URL. All clients of a
/// server are one principal, the owner of the store, but `mine` depends on the caller.
fn id(server: &Server, name: &str, arguments: Option<&JsonObject>, url: &str) -> String {
    let arguments = arguments.cloned().unwrap_or_default();
    let caller = arguments.get("mine").and_then(|_| server.call().caller()).map(ToString::to_string);
    // The fields of an object are sorted by name.
    let key = json!([url, name, arguments, caller]).to_string();
    let digest = Sha256::digest(key.as_bytes());
    format!("sub_{}", registry::hex(&digest[..16]))
}

//! `events/stream`: events as they happen, for as long as the request lasts.

use std::time::Duration;

use jobcore::Error;
use rmcp::RoleServer;
use rmcp::model::{CustomNotification, ErrorData, NotificationMetaObject, RequestId, ServerNotification};
use rmcp::service::Peer;
use serde_json::{Value, json};
use tokio::time::{Instant, interval_at};

use super::reading::{Batch, PAGE, Reading};
use super::refusal;
use super::shared::MOST_STREAMS;
use super::subscription::Subscription;
use crate::server::{Context, Server};

/// How often a client gets a heartbeat with the cursor of the stream.
const HEARTBEAT: Duration = Duration::from_secs(25);

pub(super) async fn answer(
    server: &Server,
    subscription: &Subscription,
    context: &Context,
) -> Result<Value, ErrorData> {
    let Ok(_place) = server.events().streams.try_acquire() else {
        return Err(refusal::too_many_subscriptions(MOST_STREAMS));
    };
    let mut reading = subscription.reading(server).await?;
    let first = reading.read(PAGE).await.map_err(|error| refusal::failed(&error))?;
    let client = Client { peer: context.peer.clone(), id: context.id.clone() };
    tokio::select! {
        // The client has cancelled the request, and does not read the result.
        () = context.ct.cancelled() => {}
        () = server.closing().cancelled() => {}
        () = follow(&mut reading, first, &client) => {}
    }
    let mut meta = NotificationMetaObject::new();
    meta.set_subscription_id(context.id.clone());
    Ok(json!({ "resultType": "complete", "_meta": meta }))
}

/// Notifies a client of events until it disconnects.
async fn follow(reading: &mut Reading, first: Batch, client: &Client) {
    let active =
        |reading: &Reading, batch: &Batch| json!({ "cursor": reading.before(batch), "truncated": batch.truncated });
    if !client.tell("active", active(reading, &first)).await || !client.tell_all(first).await {
        return;
    }
    let mut heartbeats = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        let is_heartbeat = tokio::select! {
            more = reading.more() => {
                if let Err(error) = more {
                    if !client.tell_error(&error).await {
                        return;
                    }
                    // Wait for the next heartbeat, since an error probably lasts.
                    heartbeats.tick().await;
                }
                false
            }
            _ = heartbeats.tick() => true,
        };
        loop {
            // On a heartbeat as well: reading records ends that were not observed, such as that of a job without a
            // supervisor.
            let batch = match reading.read(PAGE).await {
                Ok(batch) => batch,
                Err(error) if client.tell_error(&error).await => {
                    heartbeats.tick().await;
                    continue;
                }
                Err(_) => return,
            };
            let more = batch.more;
            if batch.truncated && !client.tell("active", active(reading, &batch)).await {
                return;
            }
            if !client.tell_all(batch).await {
                return;
            }
            if !more {
                break;
            }
        }
        if is_heartbeat && !client.tell("heartbeat", json!({ "cursor": reading.cursor() })).await {
            return;
        }
    }
}

/// The client of a stream.
struct Client {
    peer: Peer<RoleServer>,
    id: RequestId,
}

impl Client {
    /// Sends a notification, and returns whether the client is still connected.
    async fn tell(&self, what: &str, params: Value) -> bool {
        let mut notification = CustomNotification::new(format!("notifications/events/{what}"), Some(params));
        let mut meta = NotificationMetaObject::new();
        meta.set_subscription_id(self.id.clone());
        notification.extensions.insert(meta);
        self.peer.send_notification(ServerNotification::CustomNotification(notification)).await.is_ok()
    }

    async fn tell_all(&self, batch: Batch) -> bool {
        for occurrence in batch.occurrences {
            if !self.tell("event", occurrence.with_cursor()).await {
                return false;
            }
        }
        true
    }

    /// Notifies the client of an error that may be temporary.
    async fn tell_error(&self, error: &Error) -> bool {
        tracing::warn!(%error, "the events cannot be read");
        self.tell("error", json!({ "error": refusal::failed(error) })).await
    }
}

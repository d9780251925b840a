//! One webhook subscription and the delivery of its events: one after the other, so that only the place in the feed has
//! to be kept.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use jiff::SignedDuration;
use jobcore::clock::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::callback::Callback;
use super::post::{Failed, Message, Post};
use super::signature::Secret;
use crate::events::reading::{Batch, PAGE, Reading};

/// The delays before a message that was not accepted is sent again. After the last attempt it is given up.
const AGAIN: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// How long messages are also signed with a key that has been replaced.
const ROTATION: Duration = Duration::from_secs(300);
/// How often the feed is read if nothing happens: reading records ends that were not observed.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait after the store could not be read.
const READ_AGAIN: Duration = Duration::from_secs(25);

/// A subscription.
#[derive(Debug)]
pub(super) struct Active {
    id: String,
    callback: Callback,
    expires: watch::Sender<Instant>,
    ended: CancellationToken,
    state: Mutex<State>,
}

/// The changing state of a subscription.
#[derive(Debug)]
struct State {
    secret: Secret,
    /// The previous key, and until when it is used.
    replaced: Option<(Secret, Instant)>,
    /// The cursor up to which everything was accepted or given up.
    cursor: Value,
    delivered_at: Option<Timestamp>,
    /// Why the last message failed, and since when messages have been failing.
    failure: Option<(Failed, Timestamp)>,
}

impl Active {
    pub(super) fn new(id: String, callback: Callback, secret: Secret, cursor: Value, lifetime: Duration) -> Self {
        let state = State { secret, replaced: None, cursor, delivered_at: None, failure: None };
        let expires = watch::Sender::new(Instant::now() + lifetime);
        Self { id, callback, expires, ended: CancellationToken::new(), state: Mutex::new(state) }
    }

    pub(super) fn callback(&self) -> &Callback {
        &self.callback
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the description of the subscription for its client.
    pub(super) fn described(&self) -> Value {
        let left = self.expires.borrow().saturating_duration_since(Instant::now());
        let left = SignedDuration::try_from(left).unwrap_or_default();
        json!({
            "resultType": "complete",
            "id": self.id,
            "refreshBefore": Timestamp::now() + left,
            "cursor": self.state().cursor,
            "truncated": false,
        })
    }

    /// Extends the subscription to `lifetime` from now on, and returns its description for the client.
    pub(super) fn renew(&self, secret: &Secret, lifetime: Duration) -> Value {
        let now = Instant::now();
        self.expires.send_replace(now + lifetime);
        let status = {
            let mut state = self.state();
            if state.secret != *secret {
                let replaced = std::mem::replace(&mut state.secret, secret.clone());
                state.replaced = Some((replaced, now + ROTATION));
            }
            let mut status = json!({
                "active": true,
                "lastDeliveryAt": state.delivered_at,
                "lastError": state.failure.map(|(failed, _)| failed.as_str()),
            });
            if let Some((_, since)) = state.failure {
                status["failedSince"] = json!(since);
            }
            status
        };
        let mut described = self.described();
        described["deliveryStatus"] = status;
        described
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }

    /// Returns whether the subscription was ended, or not renewed in time.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_cancelled() || *self.expires.borrow() <= Instant::now()
    }

    /// Waits until the subscription has ended.
    pub(super) async fn over(&self) {
        let mut expires = self.expires.subscribe();
        loop {
            let time = *expires.borrow_and_update();
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = sleep_until(time) => return,
                // The time has changed.
                _ = expires.changed() => {}
            }
        }
    }

    /// Delivers events forever.
    pub(super) async fn deliver(&self, post: &Post, mut reading: Reading, first: Batch) {
        let mut batch = first;
        // The answer to the subscription has already reported a gap before the first batch.
        batch.truncated = false;
        loop {
            if batch.truncated {
                let cursor = reading.before(&batch);
                let id = format!("msg_gap_{}", cursor.as_str().unwrap_or_default());
                self.send(post, &id, &json!({ "type": "gap", "cursor": cursor })).await;
            }
            let more = batch.more;
            for occurrence in batch.occurrences {
                let event = occurrence.with_cursor();
                self.send(post, event["eventId"].as_str().unwrap_or_default(), &event).await;
                self.state().cursor = event["cursor"].clone();
            }
            self.state().cursor = reading.cursor();
            if !more && let Ok(Err(error)) = timeout(LOOK, reading.more()).await {
                tracing::warn!(%error, "the events cannot be waited for");
                sleep(READ_AGAIN).await;
            }
            batch = loop {
                match reading.read(PAGE).await {
                    Ok(batch) => break batch,
                    Err(error) => {
                        tracing::warn!(%error, "the events cannot be read");
                        sleep(READ_AGAIN).await;
                    }
                }
            };
        }
    }

    /// Sends a message until it is accepted, refused for good or given up.
    async fn send(&self, post: &Post, id: &str, body: &Value) {
        let body = body.to_string();
        let message = Message { id, subscription: &self.id, body: body.as_bytes() };
        let mut pauses = AGAIN.into_iter();
        loop {
            let keys = self.keys();
            let sent = post.send(&self.callback, &message, &keys).await.map_err(|failed| (None, failed));
            let sent = sent.and_then(|answer| answer.accepted().map_err(|(status, failed)| (Some(status), failed)));
            let now = Timestamp::now();
            let Err((status, failed)) = sent else {
                let mut state = self.state();
                (state.delivered_at, state.failure) = (Some(now), None);
                return;
            };
            {
                let mut state = self.state();
                let since = state.failure.map_or(now, |(_, since)| since);
                state.failure = Some((failed, since));
            }
            tracing::info!(subscription = self.id, reason = failed.as_str(), "an event was not accepted");
            // Not wanted or too large: this concerns only this message.
            if let Some(StatusCode::GONE | StatusCode::PAYLOAD_TOO_LARGE) = status {
                return;
            }
            let Some(pause) = pauses.next() else { return };
            sleep(pause).await;
        }
    }

    /// Returns the keys to sign a message with.
    fn keys(&self) -> Vec<Secret> {
        let mut state = self.state();
        state.replaced.take_if(|(_, until)| *until <= Instant::now());
        let replaced = state.replaced.as_ref().map(|(secret, _)| secret.clone());
        std::iter::once(state.secret.clone()).chain(replaced).collect()
    }
}

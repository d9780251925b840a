//! All webhook subscriptions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use constant_time_eq::constant_time_eq;
use rmcp::model::ErrorData;
use serde_json::{Value, json};

use super::active::Active;
use super::callback::{Callback, Permitted};
use super::post::{Failed, Message, Post};
use super::signature::Secret;
use crate::cli;
use crate::events::refusal;

/// The limit on subscriptions.
const MOST: usize = 20;

/// The webhook subscriptions, and the sender of their messages.
#[derive(Debug, Default)]
pub(in crate::events) struct Webhooks {
    permitted: Permitted,
    post: Post,
    /// The subscriptions by id.
    active: Mutex<HashMap<String, Arc<Active>>>,
    /// Held while a receiver is verified, so that they are verified one after the other.
    asking: tokio::sync::Mutex<()>,
}

impl Webhooks {
    /// Creates an empty registry. `places` lists where events can be posted.
    pub(in crate::events) fn new(places: &[cli::Webhooks]) -> Self {
        Self { permitted: Permitted::of(places), ..Self::default() }
    }

    /// Returns whether webhooks are permitted at all.
    pub(in crate::events) fn are_permitted(&self) -> bool {
        self.permitted.any()
    }

    pub(super) fn permitted(&self) -> Permitted {
        self.permitted
    }

    /// Returns the sender of messages.
    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    fn active(&self) -> MutexGuard<'_, HashMap<String, Arc<Active>>> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        // Drop those that have expired, even if their task has not noticed yet.
        active.retain(|_, subscription| !subscription.has_ended());
        active
    }

    /// Renews the subscription with this id, if there is one.
    pub(super) fn renew(&self, id: &str, secret: &Secret, lifetime: Duration) -> Option<Value> {
        Some(self.active().get(id)?.renew(secret, lifetime))
    }

    /// Returns an error if the limit is reached.
    pub(super) fn has_room(&self) -> Result<(), ErrorData> {
        room_in(&self.active())
    }

    /// Drops subscriptions that have ended.
    pub(super) fn tidy(&self) {
        drop(self.active());
    }

    /// Adds a subscription. Returns false if there already is one with its id.
    pub(super) fn admit(&self, id: &str, subscription: &Arc<Active>) -> Result<bool, ErrorData> {
        let mut active = self.active();
        if active.contains_key(id) {
            return Ok(false);
        }
        room_in(&active)?;
        active.insert(id.to_owned(), Arc::clone(subscription));
        Ok(true)
    }

    /// Returns whether a receiver has already been verified.
    fn is_known(&self, url: &str) -> bool {
        self.active().values().any(|subscription| subscription.callback().url == url)
    }

    /// Verifies that a receiver wants the events, so that events cannot be directed to an unwilling one.
    pub(super) async fn verify(&self, id: &str, callback: &Callback, secret: &Secret) -> Result<(), ErrorData> {
        let _turn = self.asking.lock().await;
        if self.is_known(&callback.url) {
            return Ok(());
        }
        let (name, challenge) = (random()?, random()?);
        let body = json!({ "type": "verification", "challenge": challenge }).to_string();
        let message = Message { id: &format!("msg_verification_{name}"), subscription: id, body: body.as_bytes() };
        let answer = match self.post.send(callback, &message, std::slice::from_ref(secret)).await {
            Ok(answer) if answer.status.is_redirection() => Err(Failed::Challenge),
            Ok(answer) => answer.accepted().map_err(|(_, failed)| failed),
            Err(failed) => Err(failed),
        };
        let answer = answer.map_err(|failed| refusal::callback(failed.as_str()))?;
        let echo = answer.body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        let echo = echo.as_ref().and_then(|echo| echo["challenge"].as_str()).unwrap_or_default();
        match constant_time_eq(echo.as_bytes(), challenge.as_bytes()) {
            true => Ok(()),
            false => Err(refusal::callback(Failed::Challenge.as_str())),
        }
    }

    /// Ends a subscription, and returns whether there was one.
    pub(super) fn end(&self, id: &str) -> bool {
        let ended = self.active().remove(id);
        ended.inspect(|subscription| subscription.end()).is_some()
    }
}

fn room_in(active: &HashMap<String, Arc<Active>>) -> Result<(), ErrorData> {
    if active.len() < MOST { Ok(()) } else { Err(refusal::too_many_subscriptions(MOST)) }
}

fn random() -> Result<String, ErrorData> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    Ok(hex(&bytes))
}

/// Returns bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

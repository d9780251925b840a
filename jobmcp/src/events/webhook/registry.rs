//! The subscriptions by webhook that there are.

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

/// How many there may be at a time.
const MOST: usize = 20;

/// The subscriptions by webhook, and what sends to them.
#[derive(Debug, Default)]
pub(in crate::events) struct Webhooks {
    permitted: Permitted,
    post: Post,
    /// By their ids.
    active: Mutex<HashMap<String, Arc<Active>>>,
    /// One receiver after the other is asked whether it wants to be one.
    asking: tokio::sync::Mutex<()>,
}

impl Webhooks {
    /// None yet, and these are the places where there may be any.
    pub(in crate::events) fn new(places: &[cli::Webhooks]) -> Self {
        Self { permitted: Permitted::of(places), ..Self::default() }
    }

    /// Returns whether anything may be posted anywhere.
    pub(in crate::events) fn are_permitted(&self) -> bool {
        self.permitted.any()
    }

    pub(super) fn permitted(&self) -> Permitted {
        self.permitted
    }

    /// Returns what sends to them.
    pub(super) fn post(&self) -> &Post {
        &self.post
    }

    fn active(&self) -> MutexGuard<'_, HashMap<String, Arc<Active>>> {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        // Those whose time has come, even if they do not know it yet.
        active.retain(|_, subscription| !subscription.is_over());
        active
    }

    /// Renews a subscription, if there is one of this id.
    pub(super) fn renew(&self, id: &str, secret: &Secret, lifetime: Duration) -> Option<Value> {
        Some(self.active().get(id)?.renew(secret, lifetime))
    }

    /// Returns an error if there is no room for another one.
    pub(super) fn has_room(&self) -> Result<(), ErrorData> {
        room_in(&self.active())
    }

    /// Forgets those whose time has come.
    pub(super) fn tidy(&self) {
        drop(self.active());
    }

    /// Takes a subscription in, if there is room and none of its id.
    pub(super) fn admit(&self, id: &str, subscription: &Arc<Active>) -> Result<bool, ErrorData> {
        let mut active = self.active();
        if active.contains_key(id) {
            return Ok(false);
        }
        room_in(&active)?;
        active.insert(id.to_owned(), Arc::clone(subscription));
        Ok(true)
    }

    /// Returns whether a receiver is one already: it need not be asked again.
    fn is_known(&self, url: &str) -> bool {
        self.active().values().any(|subscription| subscription.callback().url == url)
    }

    /// Asks a receiver whether it wants to be one, so that nobody is sent what somebody else asked for.
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

/// Returns bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

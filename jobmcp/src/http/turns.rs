//! Serializes requests with the same id in a session, since the SDK would answer only one of them.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::sync::Notify;

/// The requests being answered: their sessions and ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    taken: Mutex<HashSet<(String, String)>>,
    ended: Notify,
}

impl Turns {
    /// Waits until no other request of the session has this id.
    pub(super) async fn take(&self, session: &str, id: &str) -> Turn {
        let key = (session.to_owned(), id.to_owned());
        loop {
            // Before the check, so that an end after it is not missed.
            let ended = self.0.ended.notified();
            if self.0.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
                return Turn { turns: self.clone(), key };
            }
            ended.await;
        }
    }
}

/// A turn, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    key: (String, String),
}

impl Turn {
    /// Keeps the turn until the answer has been sent, or the client has disconnected.
    pub(super) fn until_sent(self, response: Response) -> Response {
        response.map(|body| {
            Body::new(body.map_frame(move |frame| {
                let _turn = &self;
                frame
            }))
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let shared = &self.turns.0;
        shared.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        shared.ended.notify_waiters();
    }
}

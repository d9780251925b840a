//! Events of the extension `io.modelcontextprotocol/events`, which report changes of jobs to client programs. They are
//! read from the feed of the store. Each client keeps its own place in it, so the server keeps no state for it.

// In the order in which to read them:
// - `refusal.rs`: the errors of the extension
// - `kinds.rs`, `wanted.rs`: the types of events, and which of them a subscription wants
// - `reading.rs`, `subscription.rs`: the occurrences of a subscription, from a place in the feed on
// - `shared.rs`: what all clients share
// - `poll.rs`, `stream.rs`, `webhook/`: the ways of delivery

mod kinds;
mod poll;
mod reading;
mod refusal;
mod shared;
mod stream;
mod subscription;
mod wanted;
mod webhook;

use rmcp::model::{CustomResult, ErrorData, JsonObject};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::server::{Context, Server};
use crate::text;

pub(crate) use self::shared::Shared;

/// The name of the extension in the server's capabilities.
pub(crate) const EXTENSION: &str = "io.modelcontextprotocol/events";

/// The longest part of an error about params that is shown, in characters.
const LONGEST: usize = 300;

/// A request of the extension.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Method {
    List,
    Poll,
    Stream,
    Subscribe,
    Unsubscribe,
}

impl Method {
    /// Returns the request for a method, if it is one of these.
    pub(crate) fn of(method: &str) -> Option<Self> {
        let all = [Self::List, Self::Poll, Self::Stream, Self::Subscribe, Self::Unsubscribe];
        all.into_iter().find(|known| known.as_str() == method)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::List => "events/list",
            Self::Poll => "events/poll",
            Self::Stream => "events/stream",
            Self::Subscribe => "events/subscribe",
            Self::Unsubscribe => "events/unsubscribe",
        }
    }

    fn params<T: DeserializeOwned>(self, params: Option<Value>) -> Result<T, ErrorData> {
        serde_json::from_value(params.unwrap_or_else(|| json!({}))).map_err(|error| {
            let reason = text::cut(&error.to_string(), LONGEST);
            ErrorData::invalid_params(format!("invalid params for {}: {reason}", self.as_str()), None)
        })
    }
}

/// The server's capability for the extension.
pub(crate) fn capability() -> JsonObject {
    // The types change only with the program.
    JsonObject::from_iter([("listChanged".to_owned(), false.into())])
}

/// Answers a request.
pub(crate) async fn answer(
    server: &Server,
    method: Method,
    params: Option<Value>,
    context: &Context,
) -> Result<CustomResult, ErrorData> {
    let result = match method {
        Method::List => kinds::list(&method.params(params)?, server.events().webhooks.are_permitted())?,
        Method::Poll => poll::answer(server, &method.params(params.clone())?, &method.params(params)?).await?,
        Method::Stream => stream::answer(server, &method.params(params)?, context).await?,
        Method::Subscribe => {
            webhook::subscribe(server, &method.params(params.clone())?, method.params(params)?).await?
        }
        Method::Unsubscribe => webhook::unsubscribe(server, &method.params(params)?)?,
    };
    Ok(CustomResult::new(result))
}

//! The errors of the extension.

use jobcore::Error;
use rmcp::model::{ErrorCode, ErrorData};
use serde_json::json;

use crate::text;

/// How much is shown of a word that is none of ours.
const SHOWN: usize = 100;

/// What is named is not there.
const NOT_FOUND: ErrorCode = ErrorCode(-32023);
/// There is no more of what is limited.
const RESOURCE_EXHAUSTED: ErrorCode = ErrorCode(-32025);
/// It is not offered here.
const UNSUPPORTED: ErrorCode = ErrorCode(-32026);
/// A receiver cannot be reached, or does not want to be one.
const CALLBACK_ENDPOINT: ErrorCode = ErrorCode(-32027);

pub(super) fn no_such_event(name: &str, offered: &str) -> ErrorData {
    let reason = format!("there is no event `{name}`; there are {offered}");
    ErrorData::new(NOT_FOUND, reason, Some(json!({ "kind": "event" })))
}

pub(super) fn no_such_subscription() -> ErrorData {
    let reason = "there is no such subscription: it has ended, or was made with another name, arguments or url";
    ErrorData::new(NOT_FOUND, reason, Some(json!({ "kind": "subscription" })))
}

/// Says that events are not delivered so; or, where webhooks are not permitted, not by them either.
pub(super) fn unsupported_delivery(mode: &str, are_permitted: bool) -> ErrorData {
    let reason = match are_permitted {
        true => "a subscription is delivered by webhook; use events/poll or events/stream for other ways",
        false => "this server sends to no webhooks: it was started without `--webhooks`",
    };
    let data = json!({ "feature": "deliveryMode", "value": text::cut(mode, SHOWN) });
    ErrorData::new(UNSUPPORTED, reason, Some(data))
}

pub(super) fn callback(reason: &str) -> ErrorData {
    let text = "the receiver did not answer the verification with its challenge; nothing is sent to it";
    ErrorData::new(CALLBACK_ENDPOINT, text, Some(json!({ "reason": reason })))
}

pub(super) fn too_many_subscriptions(most: usize) -> ErrorData {
    let reason = format!("there are {most} subscriptions, the most that this server has; end one");
    ErrorData::new(RESOURCE_EXHAUSTED, reason, Some(json!({ "limit": "subscriptions", "max": most })))
}

pub(super) fn wrong_arguments(reason: &str) -> ErrorData {
    ErrorData::invalid_params(format!("the arguments are not what the event takes: {reason}"), None)
}

pub(super) fn wrong_cursor() -> ErrorData {
    let reason = "the cursor is none that was returned from here; without one, what happens from now on is returned";
    ErrorData::invalid_params(reason, None)
}

pub(super) fn failed(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

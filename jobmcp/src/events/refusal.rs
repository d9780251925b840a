//! The errors of the extension.

use jobcore::Error;
use rmcp::model::{ErrorCode, ErrorData};
use serde_json::json;

use crate::text;

/// How many characters of an unknown word are shown.
const SHOWN: usize = 100;

/// The named event or subscription does not exist.
const NOT_FOUND: ErrorCode = ErrorCode(-32023);
/// A limit is reached.
const RESOURCE_EXHAUSTED: ErrorCode = ErrorCode(-32025);
/// The feature is not supported.
const UNSUPPORTED: ErrorCode = ErrorCode(-32026);
/// A receiver cannot be reached, or failed the verification.
const CALLBACK_ENDPOINT: ErrorCode = ErrorCode(-32027);

pub(super) fn no_such_event(name: &str, offered: &str) -> ErrorData {
    let reason = format!("there is no event `{name}`; there are {offered}");
    ErrorData::new(NOT_FOUND, reason, Some(json!({ "kind": "event" })))
}

pub(super) fn no_such_subscription() -> ErrorData {
    let reason = "there is no such subscription: it has ended, or was created with another name, arguments or url";
    ErrorData::new(NOT_FOUND, reason, Some(json!({ "kind": "subscription" })))
}

/// Returns the error for an unsupported way of delivery, or for webhooks on a server that does not permit them.
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
    ErrorData::invalid_params(format!("invalid arguments for the event: {reason}"), None)
}

pub(super) fn wrong_cursor() -> ErrorData {
    let reason = "the cursor was not returned by this server; leave it out to get events from now on";
    ErrorData::invalid_params(reason, None)
}

pub(super) fn failed(error: &Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

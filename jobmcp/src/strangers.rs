//! Requests that the SDK cannot parse: their method is unknown, or their params are invalid. The SDK itself reports
//! both as an unknown method.

use rmcp::model::{
    CallToolRequestParams, CancelTaskParams, CompleteRequestParams, ErrorCode, ErrorData, GetPromptRequestParams,
    GetTaskParams, InitializeRequestParams, ReadResourceRequestParams, SubscribeRequestParams,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::text;

/// The longest part of an error that is shown, in characters.
const LONGEST: usize = 300;

/// Returns the error for a request. `is_modern` means that the request names its protocol revision.
pub(crate) fn refusal(method: &str, params: Option<Value>, is_modern: bool) -> ErrorData {
    let params = params.unwrap_or_else(|| json!({}));
    let reason = match method {
        // The revision in which requests name it, 2026-07-28, removed these methods.
        "initialize" | "resources/subscribe" | "resources/unsubscribe" if is_modern => None,
        "initialize" => reason::<InitializeRequestParams>(params),
        "tools/call" => reason::<CallToolRequestParams>(params),
        "prompts/get" => reason::<GetPromptRequestParams>(params),
        "resources/read" => reason::<ReadResourceRequestParams>(params),
        "resources/subscribe" => reason::<SubscribeRequestParams>(params),
        "resources/unsubscribe" => reason::<UnsubscribeRequestParams>(params),
        "completion/complete" => reason::<CompleteRequestParams>(params),
        "tasks/get" => reason::<GetTaskParams>(params),
        "tasks/update" => reason::<UpdateTaskParams>(params),
        "tasks/cancel" => reason::<CancelTaskParams>(params),
        _ => None,
    };
    match reason {
        Some(reason) => {
            let reason = format!("invalid params for {method}: {}", text::cut(&reason, LONGEST));
            ErrorData::invalid_params(reason, None)
        }
        None => {
            let reason = format!("there is no method `{}`", text::cut(method, LONGEST));
            ErrorData::new(ErrorCode::METHOD_NOT_FOUND, reason, None)
        }
    }
}

fn reason<T: DeserializeOwned>(params: Value) -> Option<String> {
    serde_json::from_value::<T>(params).err().map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_method_reports_its_invalid_params() {
        let call = refusal("tools/call", Some(json!({ "name": "list", "arguments": "{}" })), true);
        assert!(call.code == ErrorCode::INVALID_PARAMS && call.message.contains("expected a map"), "{call:?}");
        let read = refusal("resources/read", None, true);
        assert!(read.code == ErrorCode::INVALID_PARAMS && read.message.contains("`uri`"), "{read:?}");
        let initialize = |is_modern| refusal("initialize", None, is_modern).code;
        assert_eq!(initialize(false), ErrorCode::INVALID_PARAMS);
        assert_eq!(initialize(true), ErrorCode::METHOD_NOT_FOUND);
        let unknown = refusal(&"x".repeat(1_000_000), None, false);
        assert!(unknown.code == ErrorCode::METHOD_NOT_FOUND && unknown.message.len() < 400, "{unknown:?}");
    }
}

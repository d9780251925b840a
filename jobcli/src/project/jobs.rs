//! What is read of a file, whatever its format.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What `run --spec` takes for each job.
pub(super) type Jobs = BTreeMap<String, Map<String, Value>>;

/// Says of fields that are left out which these are.
pub(super) fn note_rest(left_out: &mut Vec<String>, place: &str, rest: &BTreeMap<String, Value>) {
    left_out.extend(rest.keys().map(|field| format!("{place}.{field}")));
}

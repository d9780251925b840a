//! The result of reading a file, for all formats.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The spec of each job, as for `run --spec`.
pub(super) type Jobs = BTreeMap<String, Map<String, Value>>;

/// Notes fields that are ignored.
pub(super) fn note_rest(left_out: &mut Vec<String>, place: &str, rest: &BTreeMap<String, Value>) {
    left_out.extend(rest.keys().map(|field| format!("{place}.{field}")));
}

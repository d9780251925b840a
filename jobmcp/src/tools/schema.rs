//! Schemas of arguments, tidied: what some clients refuse or every model pays for is taken out.

use std::sync::Arc;

use rmcp::handler::server::tool::schema_for_type;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde_json::Value;

/// Returns the schema of a tool's arguments.
pub(super) fn of<T: JsonSchema + 'static>() -> Arc<JsonObject> {
    let mut schema = Value::Object((*schema_for_type::<T>()).clone());
    tidy(&mut schema);
    let Value::Object(mut schema) = schema else { return Arc::default() };
    for word in ["$schema", "title", "description"] {
        schema.remove(word);
    }
    Arc::new(schema)
}

fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A property may be called like one of these words, and is an object then.
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            // Whoever passes a negative number is told.
            if object.get("minimum") == Some(&Value::from(0)) {
                object.remove("minimum");
            }
            without_null(object);
            object.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// What is optional is left out, and never null.
fn without_null(object: &mut JsonObject) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(one)] = choices.as_slice() {
            let one = one.clone();
            object.remove("anyOf");
            object.extend(one);
        }
    }
}

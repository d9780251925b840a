//! Schemas of arguments, tidied: what some clients refuse or every model pays for is taken out. And arguments that have to
//! fit them, so that whoever is wrong is told which one, and what it takes.

use std::sync::Arc;

use rmcp::handler::server::tool::schema_for_type;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde_json::Value;

use crate::text;

/// Of a value that is wrong, so much is told.
const SHOWN: usize = 100;

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

/// Refuses arguments that are of another kind than the schema says. A whole number may be written as `5.0`, and what is
/// optional may be null. Ones that the schema does not know are left to whoever takes the others.
///
/// # Errors
/// The name of the first one that is wrong, and what it has to be.
pub(super) fn fit(schema: &JsonObject, arguments: &mut JsonObject) -> Result<(), String> {
    let is_required =
        |name: &str| schema.get("required").and_then(Value::as_array).is_some_and(|all| all.contains(&name.into()));
    for (name, value) in arguments {
        match schema.get("properties").and_then(|properties| properties.get(name)) {
            Some(schema) if !value.is_null() || is_required(name) => fit_value(name, schema, value)?,
            _ => {}
        }
    }
    Ok(())
}

fn fit_value(name: &str, schema: &Value, value: &mut Value) -> Result<(), String> {
    let choices = schema["enum"].as_array();
    let fits = match (schema["type"].as_str().unwrap_or_default(), &mut *value) {
        ("string", Value::String(_)) => choices.is_none_or(|choices| choices.contains(value)),
        ("integer", Value::Number(number)) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && (0.0..WHOLE_END).contains(number));
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                *value = (whole as u64).into();
            }
            value.is_u64()
        }
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => true,
        ("array", Value::Array(items)) => {
            return items
                .iter_mut()
                .enumerate()
                .try_for_each(|(index, item)| fit_value(&format!("{name}[{index}]"), &schema["items"], item));
        }
        ("object", Value::Object(fields)) => {
            return fields.iter_mut().try_for_each(|(field, item)| {
                fit_value(&format!("{name}.{}", text::cut(field, SHOWN)), &schema["additionalProperties"], item)
            });
        }
        _ => false,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{name}: {} is not {}.", text::cut(&value.to_string(), SHOWN), kind(schema))),
    }
}

/// The first number that no `u64` is.
const WHOLE_END: f64 = 18_446_744_073_709_551_616.0;

/// What a value has to be, in words.
fn kind(schema: &Value) -> String {
    match (schema["type"].as_str().unwrap_or_default(), schema["enum"].as_array()) {
        (_, Some(choices)) => {
            let choices: Vec<_> = choices.iter().map(Value::to_string).collect();
            format!("one of {}", choices.join(", "))
        }
        ("integer", _) => "a whole number from 0 to 2^64 - 1".to_owned(),
        ("number", _) => "a number".to_owned(),
        ("boolean", _) => "true or false".to_owned(),
        ("array", _) => "an array, such as [\"a\", \"b\"]".to_owned(),
        ("object", _) => "an object, such as {\"NAME\": \"value\"}".to_owned(),
        _ => "a string".to_owned(),
    }
}

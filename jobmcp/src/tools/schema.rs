//! Schemas of arguments, without what some clients refuse and what costs every model tokens. Arguments are checked
//! against them, so that an error names the argument and what it must be. Changes that clients make on the way, and
//! models cannot avoid, are undone: lists and numbers as JSON text, and a single value for a list of one.

use std::sync::Arc;

use rmcp::handler::server::tool::schema_for_type;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::text;

/// How many characters of an invalid value are shown.
const SHOWN: usize = 100;

/// Marks an argument that is not listed, since it is rarely needed. It is accepted anyway.
pub(super) const UNLISTED: &str = "x-unlisted";

/// Alternative names of arguments, for tools that do not have an argument with that name.
const OTHER_NAMES: [(&str, &str); 5] = [
    ("job_id", "job_ids"),
    ("job_ids", "job_id"),
    ("tail_lines", "lines"),
    ("timeout_s", "wait_s"),
    ("steps", "commands"),
];

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

/// Returns the schema as it is listed.
pub(super) fn listed(schema: &JsonObject) -> Arc<JsonObject> {
    let mut schema = schema.clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.retain(|_, property| property[UNLISTED] != true);
    }
    Arc::new(schema)
}

fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A property may have one of these names; its value is then an object.
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            if object.get("default").is_some_and(Value::is_null) {
                object.remove("default");
            }
            // A negative number is refused with an error anyway.
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

/// Removes null from types: optional values are absent, not null.
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

/// Refuses arguments of a type other than in the schema, and converts what is meant as that type: an integer may be
/// written as `5.0`, and everything but text as JSON text. Optional arguments may be null. Unknown arguments are left
/// to the deserializer.
///
/// # Errors
/// The name of the first invalid argument, and what it must be.
pub(super) fn fit(schema: &JsonObject, arguments: &mut JsonObject) -> Result<(), String> {
    rename(schema, arguments)?;
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

/// Renames arguments given by an alternative name.
fn rename(schema: &JsonObject, arguments: &mut JsonObject) -> Result<(), String> {
    let kind = |name: &str| schema.get("properties").and_then(|properties| properties.get(name));
    for (other, name) in OTHER_NAMES {
        let (None, Some(known)) = (kind(other), kind(name)) else { continue };
        let Some(mut value) = arguments.remove(other).filter(|value| !value.is_null()) else { continue };
        if other == "job_ids" {
            value = only(other, value)?;
        }
        let before = arguments.remove(name).filter(|value| !value.is_null());
        let value = match before {
            None => value,
            Some(before) if before == value => value,
            Some(mut before) if known["type"] == "array" => {
                fit_value(name, known, &mut before)?;
                fit_value(other, known, &mut value)?;
                let items = [before, value].into_iter().filter_map(|list| list.as_array().cloned());
                Value::Array(items.flatten().collect())
            }
            Some(_) => return Err(format!("{other}: it is another name for `{name}`; give one of them.")),
        };
        arguments.insert(name.to_owned(), value);
    }
    Ok(())
}

/// Returns the only element of a list.
fn only(name: &str, mut list: Value) -> Result<Value, String> {
    fit_value(name, &json!({ "type": "array", "items": { "type": "string" } }), &mut list)?;
    match list.as_array_mut().map(Vec::as_mut_slice) {
        Some([one]) => Ok(one.take()),
        _ => Err(format!("{name}: name one job; call this for each.")),
    }
}

/// Parses text as JSON if the result has the type of the schema, and turns a single value into a list of one. If the
/// schema wants text, text is kept, whatever it looks like.
fn read(schema: &Value, value: &mut Value) {
    let wanted = schema["type"].as_str().unwrap_or_default();
    if let Value::String(text) = &*value {
        let text = if wanted == "boolean" { text.to_lowercase() } else { text.clone() };
        match (wanted, serde_json::from_str(text.trim())) {
            ("array", Ok(read @ Value::Array(_)))
            | ("object", Ok(read @ Value::Object(_)))
            | ("integer" | "number", Ok(read @ Value::Number(_)))
            | ("boolean", Ok(read @ Value::Bool(_))) => *value = read,
            _ => {}
        }
    }
    match (wanted, &mut *value) {
        ("array", Value::String(_)) => *value = Value::Array(vec![value.take()]),
        ("string", Value::Array(items)) => {
            if let [one @ Value::String(_)] = items.as_mut_slice() {
                *value = one.take();
            }
        }
        _ => {}
    }
}

fn fit_value(name: &str, schema: &Value, value: &mut Value) -> Result<(), String> {
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &&Value| fit_value(name, choice, &mut value.clone()).is_ok();
        let choice = choices.iter().find(fits).or(choices.first());
        return choice.map_or(Ok(()), |choice| fit_value(name, choice, value));
    }
    if schema.get("type").is_none() {
        return Ok(());
    }
    read(schema, value);
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

/// The first number too large for `u64`.
const WHOLE_END: f64 = 18_446_744_073_709_551_616.0;

/// Describes what a value must be.
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

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    fn schema() -> JsonObject {
        let text = json!({ "type": "string" });
        let schema = json!({ "properties": {
            "command": text, "job_ids": { "type": "array", "items": text }, "env": { "type": "object", "additionalProperties": text },
            "wait_s": { "type": "number" }, "lines": { "type": "integer" }, "tty": { "type": "boolean" },
            "mode": { "type": "string", "enum": ["all", "any"] }, "rare": { "type": "string", UNLISTED: true },
            "commands": { "type": "array", "items": { "anyOf": [text, { "type": "object", "additionalProperties": true }] } },
        } });
        schema.as_object().unwrap().clone()
    }

    fn fitted(arguments: &Value) -> Result<Value, String> {
        let mut arguments = arguments.as_object().unwrap().clone();
        fit(&schema(), &mut arguments).map(|()| Value::Object(arguments))
    }

    #[test_case(&json!({ "job_ids": "[\"b\", \"c\"]" }), &json!({ "job_ids": ["b", "c"] }); "a list as text")]
    #[test_case(&json!({ "job_ids": " [\"b\"]\n" }), &json!({ "job_ids": ["b"] }); "a list as text with space around it")]
    #[test_case(&json!({ "job_ids": "b" }), &json!({ "job_ids": ["b"] }); "one for a list of one")]
    #[test_case(&json!({ "job_ids": "12345678" }), &json!({ "job_ids": ["12345678"] }); "an id that looks like a number")]
    #[test_case(&json!({ "job_ids": "1234567e8" }), &json!({ "job_ids": ["1234567e8"] }); "an id that looks like another number")]
    #[test_case(&json!({ "job_id": "b" }), &json!({ "job_ids": ["b"] }); "by the name of one")]
    #[test_case(&json!({ "job_id": ["a"], "job_ids": "[\"b\"]" }), &json!({ "job_ids": ["b", "a"] }); "by both names")]
    #[test_case(&json!({ "env": "{\"A\": \"1\"}" }), &json!({ "env": { "A": "1" } }); "an object as text")]
    #[test_case(&json!({ "wait_s": "5" }), &json!({ "wait_s": 5 }); "a number as text")]
    #[test_case(&json!({ "timeout_s": "0.5" }), &json!({ "wait_s": 0.5 }); "a number as text by another name")]
    #[test_case(&json!({ "tail_lines": "20.0" }), &json!({ "lines": 20 }); "a whole number as text")]
    #[test_case(&json!({ "tty": "true" }), &json!({ "tty": true }); "a boolean as text")]
    #[test_case(&json!({ "tty": "False" }), &json!({ "tty": false }); "a boolean as Python writes it")]
    #[test_case(&json!({ "mode": ["any"] }), &json!({ "mode": "any" }); "a list of one for one")]
    #[test_case(&json!({ "command": "[\"a\"]" }), &json!({ "command": "[\"a\"]" }); "a command that looks like a list")]
    #[test_case(&json!({ "command": "5" }), &json!({ "command": "5" }); "a command that looks like a number")]
    #[test_case(&json!({ "command": "true" }), &json!({ "command": "true" }); "a command that looks like a boolean")]
    #[test_case(&json!({ "steps": ["a", { "command": "b" }] }), &json!({ "commands": ["a", { "command": "b" }] }); "steps")]
    #[test_case(&json!({ "commands": "a" }), &json!({ "commands": ["a"] }); "one of several commands")]
    #[test_case(&json!({ "timeout_s": null, "wait_s": 1 }), &json!({ "wait_s": 1 }); "what is left out by another name")]
    fn changes_made_by_clients_are_undone(sent: &Value, meant: &Value) {
        assert_eq!(&fitted(sent).unwrap(), meant);
    }

    #[test_case(&json!({ "wait_s": "5s" }), "wait_s: \"5s\" is not a number."; "a time")]
    #[test_case(&json!({ "wait_s": "[5]" }), "wait_s: \"[5]\" is not a number."; "a list as text")]
    #[test_case(&json!({ "tty": "1" }), "tty: \"1\" is not true or false."; "a number for a boolean")]
    #[test_case(&json!({ "env": "A=1" }), "env: \"A=1\" is not an object, such as {\"NAME\": \"value\"}."; "an assignment")]
    #[test_case(&json!({ "command": ["ls", "-l"] }), "command: [\"ls\",\"-l\"] is not a string."; "words")]
    #[test_case(&json!({ "commands": [5] }), "commands[0]: 5 is not a string."; "a number for a command")]
    #[test_case(&json!({ "mode": "\"any\"" }), "mode: \"\\\"any\\\"\" is not one of \"all\", \"any\"."; "in quotes")]
    #[test_case(&json!({ "wait_s": 1, "timeout_s": 2 }), "timeout_s: it is another name for `wait_s`; give one of them."; "two")]
    fn errors_tell_what_would_work(sent: &Value, expected: &str) {
        assert_eq!(fitted(sent).unwrap_err(), expected);
    }

    #[test]
    fn a_tool_for_one_job_accepts_a_list_of_one() {
        let schema = json!({ "properties": { "job_id": { "type": "string" } } }).as_object().unwrap().clone();
        let fitted = |sent: Value| {
            let mut arguments = sent.as_object().unwrap().clone();
            fit(&schema, &mut arguments).map(|()| Value::Object(arguments))
        };
        for sent in [json!({ "job_ids": ["b"] }), json!({ "job_ids": "b" }), json!({ "job_ids": "[\"b\"]" })] {
            assert_eq!(fitted(sent).unwrap(), json!({ "job_id": "b" }));
        }
        assert_eq!(fitted(json!({ "job_ids": ["a", "b"] })).unwrap_err(), "job_ids: name one job; call this for each.");
    }

    #[test]
    fn unlisted_arguments_are_accepted() {
        assert!(listed(&schema())["properties"].get("rare").is_none());
        assert_eq!(fitted(&json!({ "rare": "x" })).unwrap(), json!({ "rare": "x" }));
    }
}

//! Changes one entry of a text, and nothing else in it: comments, order and white space are kept.
//!
//! The result is parsed again, and refused if anything else has changed its meaning.

use jsonc_parser::ParseOptions;
use jsonc_parser::cst::{CstInputValue, CstObject, CstRootNode};
use serde_json::{Map, Value};
use toml_edit::{DocumentMut, Item, Table, TableLike};

const BOM: char = '\u{feff}';

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    /// JSON with comments and trailing commas.
    Jsonc,
    Toml,
}

impl Format {
    /// Parses a text.
    pub(super) fn read(self, text: &str) -> Result<Value, String> {
        let text = text.strip_prefix(BOM).unwrap_or(text);
        if self == Self::Toml {
            return toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned());
        }
        let parsed: Option<Value> =
            jsonc_parser::parse_to_serde_value(text, &self.options()).map_err(|error| error.to_string())?;
        match parsed {
            None => Ok(Value::Object(Map::new())),
            Some(Value::Object(object)) => Ok(Value::Object(object)),
            Some(_) => Err("it is not an object".to_owned()),
        }
    }

    /// Parses a JSON text for editing.
    pub(super) fn parse(self, text: &str) -> Result<CstRootNode, String> {
        let text = if text.trim().is_empty() { "{}\n" } else { text };
        CstRootNode::parse(text, &self.options()).map_err(|error| error.to_string())
    }

    fn options(self) -> ParseOptions {
        let allows_more = self == Self::Jsonc;
        ParseOptions {
            allow_comments: allows_more,
            allow_trailing_commas: allows_more,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
            allow_bare_decimal_point_numbers: false,
            allow_non_finite_numbers: false,
            allow_extended_string_escapes: false,
        }
    }
}

/// Changes a text, keeping a byte order mark at its beginning.
pub(super) fn behind_mark(text: &str, change: impl FnOnce(&str) -> Result<String, String>) -> Result<String, String> {
    match text.strip_prefix(BOM) {
        Some(rest) => Ok(BOM.to_string() + &change(rest)?),
        None => change(text),
    }
}

/// The entry for a server in a client's configuration.
pub(super) type Entry = Vec<Field>;

/// A field of an entry.
#[derive(Debug, Clone)]
pub(super) struct Field {
    name: &'static str,
    value: Value,
    /// Whether another value is corrected. Users may have set other fields deliberately.
    is_ours: bool,
}

impl Field {
    pub(super) fn ours(name: &'static str, value: Value) -> Self {
        Self { name, value, is_ours: true }
    }

    pub(super) fn unless_there(name: &'static str, value: Value) -> Self {
        Self { name, value, is_ours: false }
    }

    /// Returns whether the field has to be written, given its current value.
    fn differs(&self, there: Option<&Value>) -> bool {
        there.is_none_or(|there| self.is_ours && *there != self.value)
    }
}

/// A place in a text: the entry `name` of the table `key`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot<'a> {
    pub(super) format: Format,
    pub(super) key: &'static str,
    pub(super) name: &'a str,
}

impl Slot<'_> {
    /// Returns the current entry.
    pub(super) fn get(&self, text: &str) -> Result<Option<Value>, String> {
        let whole = self.format.read(text)?;
        let Some(servers) = whole.get(self.key) else { return Ok(None) };
        let servers = servers.as_object().ok_or_else(|| self.no_table())?;
        Ok(servers.get(self.name).cloned())
    }

    /// Returns the text with this entry. Other fields of the server are kept, such as its environment.
    pub(super) fn put(&self, text: &str, entry: &[Field]) -> Result<String, String> {
        let there = self.get(text)?;
        if there.as_ref().is_some_and(|there| !there.is_object()) {
            return Err(format!("`{}.{}` is not a table", self.key, self.name));
        }
        let missing: Vec<_> = entry
            .iter()
            .filter(|field| field.differs(there.as_ref().and_then(|there| there.get(field.name))))
            .collect();
        if missing.is_empty() {
            return Ok(text.to_owned());
        }
        self.change(text, |text| match self.format {
            Format::Json | Format::Jsonc => self.put_json(text, &missing),
            Format::Toml => self.put_toml(text, &missing),
        })
    }

    /// Returns the text without this entry. If it was the only server, and the file has more than servers, the empty
    /// table is removed as well.
    pub(super) fn take(&self, text: &str) -> Result<String, String> {
        if self.get(text)?.is_none() {
            return Ok(text.to_owned());
        }
        self.change(text, |text| match self.format {
            Format::Json | Format::Jsonc => self.take_json(text),
            Format::Toml => self.take_toml(text),
        })
    }

    fn change(&self, text: &str, change: impl FnOnce(&str) -> Result<String, String>) -> Result<String, String> {
        let changed = behind_mark(text, change)?;
        match self.others(text)? == self.others(&changed)? {
            true => Ok(changed),
            false => Err("it cannot be changed without changing more than this entry".to_owned()),
        }
    }

    /// Returns the contents of the text without this entry.
    fn others(&self, text: &str) -> Result<Value, String> {
        let mut whole = self.format.read(text)?;
        if let Some(servers) = whole.get_mut(self.key).and_then(Value::as_object_mut) {
            servers.remove(self.name);
            if servers.is_empty()
                && let Some(whole) = whole.as_object_mut()
            {
                whole.remove(self.key);
            }
        }
        Ok(whole)
    }

    fn no_table(&self) -> String {
        format!("`{}` is not a table of servers", self.key)
    }

    fn put_json(&self, text: &str, fields: &[&Field]) -> Result<String, String> {
        let root = self.format.parse(text)?;
        let whole = root.object_value_or_create().ok_or_else(|| self.no_table())?;
        // Before all others: after them, another line would have to get a comma.
        let servers = match only(&whole, self.key)? {
            Some(prop) => prop,
            None => whole.insert(0, self.key, CstInputValue::Object(Vec::new())),
        };
        let servers = servers.object_value().ok_or_else(|| self.no_table())?;
        let input = |field: &Field| (field.name.to_owned(), input(&field.value));
        match only(&servers, self.name)?.and_then(|prop| prop.object_value()) {
            None => {
                let fields = fields.iter().map(|field| input(field)).collect();
                servers.insert(0, self.name, CstInputValue::Object(fields));
            }
            Some(entry) => {
                for field in fields {
                    let (name, value) = input(field);
                    match only(&entry, &name)? {
                        Some(prop) => prop.set_value(value),
                        None => drop(entry.append(&name, value)),
                    }
                }
            }
        }
        Ok(root.to_string())
    }

    fn take_json(&self, text: &str) -> Result<String, String> {
        let root = self.format.parse(text)?;
        let whole = root.object_value().ok_or_else(|| self.no_table())?;
        let Some(prop) = only(&whole, self.key)? else { return Ok(text.to_owned()) };
        let servers = prop.object_value().ok_or_else(|| self.no_table())?;
        if let Some(entry) = only(&servers, self.name)? {
            entry.remove();
        }
        let is_empty = !servers.children().iter().any(|child| child.is_comment() || child.as_object_prop().is_some());
        if is_empty && whole.properties().len() > 1 {
            prop.remove();
        }
        Ok(root.to_string())
    }

    fn put_toml(&self, text: &str, fields: &[&Field]) -> Result<String, String> {
        in_lf(text, |text| {
            let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
            let is_first = document.is_empty();
            let servers = document.entry(self.key).or_insert_with(|| {
                let mut table = Table::new();
                table.set_implicit(true);
                Item::Table(table)
            });
            let is_inline = servers.is_inline_table();
            let servers = servers.as_table_like_mut().ok_or_else(|| self.no_table())?;
            if !servers.contains_key(self.name) {
                let mut table = Table::new();
                if !is_first {
                    table.decor_mut().set_prefix("\n");
                }
                let item = match is_inline {
                    true => Item::Value(toml_edit::InlineTable::new().into()),
                    false => Item::Table(table),
                };
                servers.insert(self.name, item);
            }
            let entry = servers.get_mut(self.name).and_then(Item::as_table_like_mut).ok_or_else(|| self.no_table())?;
            for field in fields {
                set(entry, field);
            }
            Ok(document.to_string())
        })
    }

    fn take_toml(&self, text: &str) -> Result<String, String> {
        in_lf(text, |text| {
            let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| error.to_string())?;
            if let Some(servers) = document.get_mut(self.key).and_then(Item::as_table_like_mut) {
                servers.remove(self.name);
            }
            Ok(document.to_string())
        })
    }
}

/// Returns a property. One that is defined twice is ambiguous, and refused.
pub(super) fn only(object: &CstObject, name: &str) -> Result<Option<jsonc_parser::cst::CstObjectProp>, String> {
    let mut found = object.properties().into_iter().filter(|prop| prop.decoded_name().as_deref() == Some(name));
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(format!("`{name}` is defined twice")),
    }
}

pub(super) fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(value) => CstInputValue::Bool(*value),
        Value::Number(value) => CstInputValue::Number(value.to_string()),
        Value::String(value) => CstInputValue::String(value.clone()),
        Value::Array(values) => CstInputValue::Array(values.iter().map(input).collect()),
        Value::Object(fields) => {
            CstInputValue::Object(fields.iter().map(|(name, value)| (name.clone(), input(value))).collect())
        }
    }
}

/// Sets a field. What surrounds its old value is kept, such as a comment on the same line.
fn set(entry: &mut dyn TableLike, field: &Field) {
    let mut value = toml_value(&field.value);
    match entry.get_mut(field.name) {
        Some(Item::Value(old)) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        _ => drop(entry.insert(field.name, Item::Value(value))),
    }
}

fn toml_value(value: &Value) -> toml_edit::Value {
    match value {
        Value::Number(number) => number.as_i64().unwrap_or_default().into(),
        Value::Array(values) => toml_edit::Value::Array(values.iter().map(toml_value).collect()),
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

/// Keeps Windows line endings, which the TOML editor does not.
fn in_lf(text: &str, edit: impl FnOnce(&str) -> Result<String, String>) -> Result<String, String> {
    let is_crlf = text.contains("\r\n") && text.matches('\n').count() == text.matches("\r\n").count();
    match is_crlf {
        true => Ok(edit(&text.replace("\r\n", "\n"))?.replace('\n', "\r\n")),
        false => edit(text),
    }
}

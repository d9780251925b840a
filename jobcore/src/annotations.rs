//! Values that a layer above stores with a job, and that mean nothing to the layers that store them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Values by name, such as the facts that belong to an agent run.
///
/// They are stored as JSON in the record of the submission, beside the fields of the spec. A name must never equal that
/// of a field, now or in a later version: a name with a prefix, such as `example.com/ticket`, never does. Fields that a
/// later version wrote are read as annotations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Annotations(BTreeMap<String, serde_json::Value>);

impl Annotations {
    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether there is a value with this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the value with this name, or `None` if there is none or it has another type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.0.get(name)?).ok()
    }

    /// Sets the value with this name. A value that JSON cannot express, such as a map whose keys are not text, removes
    /// it.
    pub fn set(&mut self, name: impl Into<String>, value: &impl Serialize) {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => drop(self.0.insert(name, value)),
            Err(_) => drop(self.0.remove(&name)),
        }
    }

    /// Returns whether `others` contains all of these with the same values.
    pub(crate) fn are_in(&self, others: &Self) -> bool {
        self.0.iter().all(|(name, value)| others.0.get(name) == Some(value))
    }

    /// Returns the names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_unchanged() {
        let mut annotations = Annotations::default();
        assert!(annotations.is_empty());
        annotations.set("range", &(1, 2));
        assert_eq!(annotations.get::<(u8, u8)>("range"), Some((1, 2)));
        assert_eq!(annotations.get::<String>("range"), None, "it is not a text");
        assert_eq!(annotations.get::<u8>("other"), None);
        let mut more = annotations.clone();
        more.set("field_of_a_later_version", &true);
        assert!(annotations.are_in(&more) && !more.are_in(&annotations));
        annotations.set("range", &BTreeMap::from([((1, 2), 3)]));
        assert!(!annotations.contains("range"));
    }
}

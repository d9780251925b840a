//! What a layer above keeps with a job: values by name, which mean nothing to those that keep them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Values by name, such as what is known of a job as the run of a coding agent.
///
/// They are kept as JSON, in the record of what was submitted. Whoever writes one chooses a name that no other layer uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Annotations(BTreeMap<String, serde_json::Value>);

impl Annotations {
    /// Returns whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether there is a value of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the value of this name; nothing also if it cannot be read as one of this type: a later version may have written
    /// it.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.0.get(name)?).ok()
    }

    /// Sets the value of this name. A value that JSON has no form for, such as a map whose keys are no text, removes it.
    pub fn set(&mut self, name: impl Into<String>, value: &impl Serialize) {
        let name = name.into();
        match serde_json::to_value(value) {
            Ok(value) => drop(self.0.insert(name, value)),
            Err(_) => drop(self.0.remove(&name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_as_what_it_was() {
        let mut annotations = Annotations::default();
        assert!(annotations.is_empty());
        annotations.set("range", &(1, 2));
        assert_eq!(annotations.get::<(u8, u8)>("range"), Some((1, 2)));
        assert_eq!(annotations.get::<String>("range"), None, "it is no text");
        assert_eq!(annotations.get::<u8>("other"), None);
        annotations.set("range", &BTreeMap::from([((1, 2), 3)]));
        assert!(!annotations.contains("range"));
    }
}

//! Sections of the settings of a store that belong to higher layers and mean nothing to the store.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Settings by section, such as those for agent runs.
///
/// They stand next to the fields of the settings. A section must not have the name of a field, now or in a later
/// version: a name with a prefix, such as `example.com/deploy`, never does. Fields that a later version wrote are read
/// as sections.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sections(Table);

impl Sections {
    /// Returns whether there is a section of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Returns the section of this name, if there is one.
    ///
    /// # Errors
    /// Returns why it is not of this type.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let section = self.0.get(name).cloned();
        section.map(T::deserialize).transpose().map_err(|error| error.message().to_owned())
    }

    /// Sets the keys of a section that this value has. Other keys, such as those of a later version, stay.
    pub fn set(&mut self, name: &str, value: &impl Serialize) {
        let Ok(new) = Table::try_from(value) else { return };
        match self.0.entry(name).or_insert_with(|| Table::new().into()) {
            Value::Table(there) => there.extend(new),
            there => *there = new.into(),
        }
    }

    /// Removes the keys of a section that this value has, and the section if it had no others.
    pub fn remove(&mut self, name: &str, value: &impl Serialize) {
        let Ok(old) = Table::try_from(value) else { return };
        if let Some(Value::Table(there)) = self.0.get_mut(name) {
            there.retain(|key, _| !old.contains_key(key));
            if !there.is_empty() {
                return;
            }
        }
        self.0.remove(name);
    }

    /// Returns a number from a section, if there is one of this name and it fits.
    pub(super) fn number(&self, name: &str, key: &str) -> Option<u32> {
        self.0.get(name)?.get(key)?.as_integer()?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreSettings;

    #[test]
    fn unknown_settings_are_written_as_they_were_read() {
        let text = "at = 2026-11-21T10:00:00Z\nhalf = 0.5\nlist = [1, 'a', { b = 2026-11-21 }]\nnever = inf\n\n[later]\na.b = 1\n";
        let settings: StoreSettings = toml::from_str(text).unwrap();
        let written: Table = toml::to_string(&settings).unwrap().parse().unwrap();
        let unknown: Table = text.parse().unwrap();
        for (name, value) in &unknown {
            assert_eq!(&written[name], value, "{name}");
        }
    }
}

//! The settings of a store for agent runs.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::{BUILT_IN_GROUP, SetError, StoreSettings};

/// The group of all agent runs.
pub const AGENTS: &str = BUILT_IN_GROUP.name;

/// The settings for agent runs: the section `agents` of the settings of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AgentSettings {
    /// How many may be submitted within a minute; 0 means no limit.
    pub per_minute: u32,
    /// How deeply agents may be nested: with 1, an agent may not start another; 0 means no limit.
    pub depth: u32,
    /// Whether full permissions are allowed, [`PermissionMode::Full`](super::PermissionMode::Full).
    pub full: bool,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self { per_minute: BUILT_IN_GROUP.per_minute, depth: 1, full: false }
    }
}

impl AgentSettings {
    /// The names of the settings.
    pub const KEYS: [&str; 3] = ["agents.per_minute", "agents.depth", "agents.full"];

    /// Returns the settings of a store.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if its section cannot be read.
    pub fn of(settings: &StoreSettings) -> Result<Self> {
        settings.sections.get(AGENTS).map(Option::unwrap_or_default).map_err(|reason| Error::Unsupported {
            reason: format!("the section `{AGENTS}` of the settings of the store cannot be read: {reason}"),
        })
    }

    /// Writes these settings to those of a store.
    pub fn put(&self, settings: &mut StoreSettings) {
        match *self == Self::default() {
            true => settings.sections.remove(AGENTS, self),
            false => settings.sections.set(AGENTS, self),
        }
    }

    /// Returns all settings as pairs of a name and a value, as accepted by [`AgentSettings::set`].
    pub fn entries(&self) -> Vec<(String, String)> {
        let values = [self.per_minute.to_string(), self.depth.to_string(), self.full.to_string()];
        Self::KEYS.map(str::to_owned).into_iter().zip(values).collect()
    }

    /// Sets a setting from text.
    ///
    /// # Errors
    /// Says what is wrong, and which names or values are allowed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SetError> {
        match key {
            "agents.per_minute" => self.per_minute = SetError::number(value)?,
            "agents.depth" => self.depth = SetError::number(value)?,
            "agents.full" => {
                let invalid = |_| SetError::Invalid(format!("`{value}` is neither `true` nor `false`"));
                self.full = value.parse().map_err(invalid)?;
            }
            _ => return Err(SetError::unknown(key, &Self::KEYS)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_and_defaults_leave_no_section() {
        let mut settings = StoreSettings::default();
        assert_eq!(AgentSettings::of(&settings).unwrap(), AgentSettings::default());
        let mut agents = AgentSettings::default();
        for (key, value) in [("agents.per_minute", "2"), ("agents.depth", "3"), ("agents.full", "true")] {
            agents.set(key, value).unwrap();
            assert!(agents.set(key, "x").is_err(), "{key}");
        }
        agents.put(&mut settings);
        assert_eq!(AgentSettings::of(&settings).unwrap(), agents);
        assert_eq!(settings.group_rate(&AGENTS.parse().unwrap()), 2);
        AgentSettings::default().put(&mut settings);
        assert_eq!(settings, StoreSettings::default());
        assert!(agents.set("agents.other", "1").unwrap_err().to_string().starts_with("there is no setting"));
    }

    #[test]
    fn a_section_that_cannot_be_read_is_an_error() {
        let settings: StoreSettings = toml::from_str("[agents]\nfull = 'perhaps'\n").unwrap();
        let refused = AgentSettings::of(&settings).unwrap_err().to_string();
        assert!(refused.starts_with("the section `agents` of the settings of the store cannot be read"), "{refused}");
    }

    #[test]
    fn keys_of_a_later_version_stay() {
        let mut settings: StoreSettings = toml::from_str("[agents]\ndepth = 2\nlater = 7\n").unwrap();
        let mut agents = AgentSettings::of(&settings).unwrap();
        agents.depth = 1;
        agents.put(&mut settings);
        assert_eq!(settings, toml::from_str("[agents]\nlater = 7\n").unwrap());
        agents.full = true;
        agents.put(&mut settings);
        assert!(toml::to_string(&settings).unwrap().contains("later = 7"));
    }
}

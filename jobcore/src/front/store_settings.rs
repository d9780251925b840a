//! The settings of a store, including those for agent runs, as people get and set them.

use crate::agent::AgentSettings;
use crate::error::Result;
use crate::queue;
use crate::store::{SetError, StoreSettings};
use crate::sys::load::Readings;

/// Returns all settings as pairs of a name and a value, as accepted by [`set`]: groups come last.
///
/// # Errors
/// If the settings for agent runs cannot be read.
pub fn entries(settings: &StoreSettings) -> Result<Vec<(String, String)>> {
    let mut entries = settings.entries();
    let groups = entries.iter().position(|(key, _)| key.starts_with("groups.")).unwrap_or(entries.len());
    entries.splice(groups..groups, AgentSettings::of(settings)?.entries());
    Ok(entries)
}

/// Sets a setting from text.
///
/// # Errors
/// Says what is wrong and which names or values are allowed. Also refuses a guard that has no effect on this system.
pub fn set(settings: &mut StoreSettings, key: &str, value: &str) -> Result<(), String> {
    let set = match settings.set(key, value) {
        Err(SetError::Unknown { mut known, .. }) => {
            let mut agents = AgentSettings::of(settings).unwrap_or_default();
            match agents.set(key, value) {
                Err(SetError::Unknown { key, known: agents }) => {
                    known.extend(agents);
                    Err(SetError::Unknown { key, known })
                }
                set => set.map(|()| agents.put(settings)),
            }
        }
        set => set,
    };
    set.map_err(|error| error.to_string())?;
    match key {
        "guard" => queue::check_known(&settings.guard, &Readings::now()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displayed_settings_can_be_set() {
        let mut settings = StoreSettings::default();
        for (key, value) in [
            ("agents.per_minute", "60"),
            ("agents.depth", "2"),
            ("agents.full", "true"),
            ("groups.web.limit", "2"),
            ("policy.deny", "rm -rf"),
        ] {
            set(&mut settings, key, value).unwrap();
        }
        let mut copy = StoreSettings::default();
        for (key, value) in entries(&settings).unwrap() {
            set(&mut copy, &key, &value).unwrap();
        }
        assert_eq!(copy, settings);
        let refused = set(&mut settings, "nosuch", "1").unwrap_err();
        assert_eq!(
            refused,
            "there is no setting `nosuch`; the settings are max_running, paused, when_full, guard, keep_days, keep_jobs, keep_bytes, \
             on_end, on_end_after, on_end_timeout, policy.allow, policy.deny, policy.allow_variables, agents.per_minute, \
             agents.depth, agents.full, groups.NAME.limit, groups.NAME.paused, groups.NAME.pause_on_failure, \
             groups.NAME.on_end, resources.NAME and callers.HOST.on_end"
        );
    }
}

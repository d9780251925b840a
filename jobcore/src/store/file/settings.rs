//! The settings of a store on disk. Programs of several versions read them at the same time, because supervisors
//! outlive upgrades. An earlier version does not understand the keys of a later one, and keeps them when it changes
//! others.

use toml::{Table, Value};

use super::admission::Admission;
use super::atomic;
use super::layout::Layout;
use crate::error::{Error, Result};
use crate::store::StoreSettings;

/// The file that holds the settings of a store.
#[derive(Debug, Clone)]
pub(super) struct SettingsFile {
    layout: Layout,
}

impl SettingsFile {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone() }
    }

    /// Returns the settings of the store.
    pub(super) fn read(&self) -> Result<StoreSettings> {
        self.parse(&self.text()?)
    }

    /// Writes the settings. What a later version set is kept.
    pub(super) fn write(&self, _: &Admission, settings: &StoreSettings) -> Result<()> {
        let text = self.text()?;
        let understood = self.to_table(&self.parse(&text)?)?;
        let mut table = self.to_table(settings)?;
        keep_unknown(&self.parse(&text)?, &understood, &mut table);
        atomic::publish(&self.layout.settings(), table.to_string().as_bytes())
    }

    fn text(&self) -> Result<String> {
        let path = self.layout.settings();
        let bytes = atomic::read_bytes(&path)?.unwrap_or_default();
        String::from_utf8(bytes).map_err(|error| self.damaged(&error))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T> {
        toml::from_str(text).map_err(|error| self.damaged(&error))
    }

    fn to_table(&self, settings: &StoreSettings) -> Result<Table> {
        Table::try_from(settings).map_err(|error| self.damaged(&error))
    }

    fn damaged(&self, error: &dyn std::error::Error) -> Error {
        Error::Damaged { path: self.layout.settings(), reason: error.to_string() }
    }
}

/// Adds to `new` what is `there` but was not `understood`.
fn keep_unknown(there: &Table, understood: &Table, new: &mut Table) {
    for (key, value) in there {
        let known = understood.get(key);
        match value {
            Value::Table(there) => {
                let kept = new.entry(key).or_insert_with(|| Table::new().into());
                if let Value::Table(kept) = kept {
                    keep_unknown(there, known.and_then(Value::as_table).unwrap_or(&Table::new()), kept);
                    // The change removed all of it.
                    if kept.is_empty() && known.is_some() {
                        new.remove(key);
                    }
                }
            }
            value if known.is_none() => drop(new.entry(key).or_insert_with(|| value.clone())),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::store::JobStore;
    use crate::store::file::FileStore;
    use crate::store::tend::at_once;

    /// Changes the settings as [`crate::store::JobStore::change_settings`] does.
    pub(in crate::store::file) fn change(
        store: &FileStore,
        change: &mut (dyn for<'s> FnMut(&'s mut StoreSettings) + Send),
    ) -> Result<StoreSettings> {
        at_once(store.change_settings(change)).expect("it never waits")
    }

    #[test]
    fn keys_of_a_later_version_are_ignored_and_kept() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        let text = "max_running = 3\nlater = [1]\n[groups.db]\nlimit = 2\n[groups.web]\nlimit = 1\nlater = 7\n\
                    [policy]\nlater = true\n[new]\na.b = 1\n";
        fs::write(store.layout.settings(), text).unwrap();
        assert_eq!(store.settings.read().unwrap().max_running, 3);
        let changed = change(&store, &mut |settings| {
            settings.max_running = 4;
            settings.set("policy.deny", "rm").unwrap();
            settings.set_group("web".parse().unwrap(), 5);
            settings.set_group("db".parse().unwrap(), 0);
        });
        assert_eq!(store.settings.read().unwrap(), changed.unwrap());
        let table = || fs::read_to_string(store.layout.settings()).unwrap().parse::<Table>().unwrap();
        let expected = "later = [1]\nmax_running = 4\n[groups.web]\nlimit = 5\nlater = 7\n\
                        [policy]\ndeny = ['rm']\nlater = true\n[new]\na.b = 1\n";
        let mut written = table();
        for key in ["when_full", "keep_days", "keep_jobs", "keep_bytes"] {
            assert!(written.remove(key).is_some(), "{key}");
        }
        assert_eq!(written, expected.parse().unwrap());
        // What was removed does not come back along with what is kept.
        change(&store, &mut |settings| *settings = StoreSettings::default()).unwrap();
        let settings = store.settings.read().unwrap();
        assert!(settings.policy.is_empty() && settings.groups.values().all(|group| group.limit == 0), "{settings:?}");
        assert_eq!(table()["policy"], "later = true".parse::<Table>().unwrap().into());
    }
}

//! Property tests for the settings of a store.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use crate::agent::AgentSettings;
use crate::generate::{cases, conditions, damaged, name};
use crate::policy::Policy;
use crate::store::file::settings::tests::change;
use crate::store::{StoreSettings, WhenFull};
use crate::{FileStore, fuzzing};

fn settings() -> impl Strategy<Value = StoreSettings> {
    let pattern = || "[a-z*?/.-]{1,8}( [a-z*?-]{1,8}){0,2}".prop_map(|text| text.parse().expect("a pattern"));
    let policy = (vec(pattern(), 0..3), vec(pattern(), 0..3)).prop_map(|(allow, deny)| Policy::new(allow, deny));
    // TOML has no larger numbers.
    let large = || 0..i64::MAX as u64;
    let numbers = (any::<u32>(), any::<bool>(), any::<u32>(), 0..u64::from(u32::MAX), large());
    (numbers, policy, btree_map(name(), 1..u32::MAX, 0..3), any::<(u32, u32, bool)>(), conditions()).prop_map(
        |((max_running, refuse, keep_days, keep_jobs, keep_bytes), policy, groups, agents, guard)| {
            let mut settings =
                StoreSettings { max_running, keep_days, keep_jobs, keep_bytes, policy, guard, ..Default::default() };
            settings.when_full = if refuse { WhenFull::Refuse } else { WhenFull::Queue };
            let (per_minute, depth, full) = agents;
            let mut agents = AgentSettings::default();
            (agents.per_minute, agents.depth, agents.full) = (per_minute, depth, full);
            agents.put(&mut settings);
            groups.into_iter().for_each(|(name, limit)| settings.set_group(name, limit));
            settings
        },
    )
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn settings_are_read_as_they_were_written(expected in settings()) {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        change(&store, &mut |settings| *settings = expected.clone()).unwrap();
        prop_assert_eq!(&store.settings.read().unwrap(), &expected);
        // What others do not know of them is kept.
        change(&store, &mut |settings| settings.max_running ^= 1).unwrap();
        change(&store, &mut |settings| settings.max_running ^= 1).unwrap();
        prop_assert_eq!(store.settings.read().unwrap(), expected);
    }

    #[test]
    fn entries_of_settings_can_be_set(expected in settings()) {
        let mut set = StoreSettings::default();
        for (key, value) in expected.entries() {
            prop_assert!(set.set(&key, &value).is_ok(), "{} = {}", key, value);
        }
        let mut agents = AgentSettings::default();
        for (key, value) in AgentSettings::of(&expected).unwrap().entries() {
            prop_assert!(agents.set(&key, &value).is_ok(), "{} = {}", key, value);
        }
        agents.put(&mut set);
        prop_assert_eq!(set, expected);
    }

    /// Reading damaged settings fails, and writing leaves them as they are.
    #[test]
    fn damaged_settings_are_reported_and_not_overwritten(bytes in any_settings()) {
        fuzzing::settings(&bytes);
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path().join("store")).unwrap();
        std::fs::write(store.layout.settings(), &bytes).unwrap();
        let read = store.settings.read();
        let written = change(&store, &mut |settings| settings.max_running = 3);
        // A reader ignores an unknown number that TOML cannot hold; a writer could not keep it.
        prop_assert!(read.is_ok() || written.is_err());
        if written.is_err() {
            prop_assert_eq!(std::fs::read(store.layout.settings()).unwrap(), bytes);
        }
    }
}

fn any_settings() -> impl Strategy<Value = Vec<u8>> {
    let text = "max_running = 3\nwhen_full = \"queue\"\nkeep_days = 7\nkeep_jobs = 0\nkeep_bytes = 1\nlater = [1]\n\
                [groups.db]\nlimit = 2\n[policy]\nallow = ['a *']\ndeny = []\n[agents]\nper_minute = 1\nfull = true\n";
    prop_oneof![3 => damaged(vec![text.as_bytes().to_vec()]), 1 => vec(any::<u8>(), 0..50)]
}

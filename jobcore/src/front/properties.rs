//! Properties of any settings file.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Settings, codes};

/// The valid keys, and two invalid ones.
const KEYS: &[&str] = &[
    "shell",
    "timeout",
    "grace",
    "output_limit",
    "scrub",
    "keep",
    "allow",
    "deny",
    "unattended",
    "agent",
    "permission_mode",
    "env.A",
    "agents.claude.program",
    "agents.claude.model",
    "agents.own.args",
    "nosuch",
    "",
];

/// Values for keys.
fn value() -> impl Strategy<Value = String> {
    let known = select(
        &[
            "\"2h\"",
            "\"5s\"",
            "\"10M\"",
            "7",
            "-1",
            "0",
            "1e300",
            "9223372036854775807",
            "true",
            "[\"npm *\"]",
            "[\"a; b\"]",
            "[]",
            "[1]",
            "{}",
            "\"edit\"",
            "\"full\"",
            "\"99999999999999999999h\"",
            "\"\"",
            "2026-11-28",
            "nan",
        ][..],
    );
    prop_oneof![6 => known.prop_map(str::to_owned), 1 => "\\PC{0,20}"]
}

fn cases(cases: u32) -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { cases };
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(200))]

    /// Settings are either accepted, or refused with the place of the error.
    #[test]
    fn any_settings_are_read_or_refused(
        lines in vec((select(KEYS), value()).prop_map(|(key, value)| format!("{key} = {value}\n")), 0..5),
        noise in vec(any::<u8>(), 0..6),
        is_noisy in prop::bool::weighted(0.2),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let mut bytes = lines.concat().into_bytes();
        if is_noisy {
            bytes.extend(noise);
        }
        std::fs::write(&path, bytes).unwrap();
        if let Err(failure) = Settings::read(Some(directory.path().join("store")), Some(path.clone())) {
            let said = format!("{failure:?}");
            prop_assert!(said.contains(&format!("code: {},", codes::USAGE)), "{}", said);
            prop_assert!(said.contains(path.to_str().unwrap()), "{}", said);
        }
    }
}

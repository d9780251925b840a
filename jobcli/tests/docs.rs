//! `docs/cli.md` and `docs/settings.md` agree with the program, and `docs/design.md` names tests that exist.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)
}

/// Compares a page with its generated text, or writes it if `UPDATE_DOCS` is set.
fn is_written(name: &str, made: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(document(name), made).unwrap();
    }
    let written = std::fs::read_to_string(document(name)).unwrap();
    assert!(written == made, "docs/{name} is out of date: run `UPDATE_DOCS=1 cargo test -p jobcli`");
}

#[test]
fn the_reference_matches_the_definitions() {
    is_written("cli.md", &jobcli::reference::markdown());
}

#[test]
fn the_table_of_variables_matches_the_definitions() {
    let page = std::fs::read_to_string(document("settings.md")).unwrap();
    let (before, rest) = page.split_once("| variable | what it sets |\n| --- | --- |\n").unwrap();
    let (_, after) = rest.split_once("\n## ").unwrap();
    let rows = jobcli::reference::variables();
    is_written("settings.md", &format!("{before}| variable | what it sets |\n| --- | --- |\n{rows}\n## {after}"));
}

/// Runs jobcli in a store of its own, with a settings file.
fn jobcli(settings: &str, arguments: &[&str]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    std::fs::write(&config, settings).unwrap();
    jobcore::FileStore::open(directory.path().join("store")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobcli"));
    command.args(arguments).arg("--store").arg(directory.path().join("store")).arg("--config").arg(&config);
    command.output().unwrap()
}

/// The settings file shown on the page can be read, and has every key.
#[test]
fn the_settings_file_in_the_reference_is_valid_and_complete() {
    let page = std::fs::read_to_string(document("settings.md")).unwrap();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let listed = jobcli(example, &["list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let refused = String::from_utf8(jobcli("nosuch = 1", &["list"]).stderr).unwrap();
    let known = refused.split("expected one of ").nth(1).unwrap_or_else(|| panic!("{refused}"));
    let keys: Vec<_> = known.lines().next().unwrap().split('`').skip(1).step_by(2).collect();
    assert!(keys.len() > 15, "{refused}");
    for key in keys {
        let is_there = |line: &str| line.starts_with(&format!("{key} = ")) || line.starts_with(&format!("[{key}"));
        assert!(example.lines().any(is_there), "{key}");
    }
}

/// The page lists exactly the settings of a store, with their defaults.
#[test]
fn the_settings_of_a_store_are_listed_with_their_defaults() {
    let page = std::fs::read_to_string(document("settings.md")).unwrap();
    let table = page.split("## Of a store").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
    let refused = String::from_utf8(jobcli("", &["config", "set", "nosuch", "1"]).stderr).unwrap();
    let known =
        refused.lines().next().unwrap().split("the settings are ").nth(1).unwrap_or_else(|| panic!("{refused}"));
    let known: Vec<_> = known.split(", ").flat_map(|keys| keys.split(" and ")).collect();
    let listed: Vec<_> = rows.iter().map(|row| row.split('`').nth(1).unwrap()).collect();
    assert_eq!(listed, known);
    let defaults = String::from_utf8(jobcli("", &["config", "get"]).stdout).unwrap();
    for (key, value) in defaults.lines().map(|line| line.split_once(" = ").unwrap()) {
        let value = if value.is_empty() { "empty".to_owned() } else { format!("`{value}`") };
        assert!(rows.iter().any(|row| row.starts_with(&format!("| `{key}` | {value} |"))), "{key} = {value}");
    }
}

/// The variables that are withheld from jobs, those that are passed on, and those that are set for them.
#[test]
fn the_settings_page_names_the_variables_of_the_code() {
    use jobcore::environment::{AGENT_SESSION_VARIABLES, BASIC_VARIABLES, KEPT_VARIABLES, UNATTENDED_DEFAULTS};
    let page = std::fs::read_to_string(document("settings.md")).unwrap();
    for name in AGENT_SESSION_VARIABLES.into_iter().chain(KEPT_VARIABLES).chain(BASIC_VARIABLES) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
    for (name, value) in UNATTENDED_DEFAULTS {
        assert!(page.contains(&format!("`{name}={value}`")), "{name}");
    }
}

/// A rule without a test must say so.
#[test]
fn the_tests_that_guard_the_rules_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let page = read("docs/design.md");
    for rule in page.split("\n## ").skip(1) {
        let guards: Vec<_> = rule.split("\n- `").skip(1).map(|rest| rest.split("\n\n").next().unwrap()).collect();
        assert!(!guards.is_empty() || rule.contains("Not guarded yet: "), "{rule}");
        for (file, tests) in guards.iter().map(|guard| guard.split_once("`:").unwrap()) {
            let source = read(file);
            for test in tests.split('`').skip(1).step_by(2) {
                assert!(source.contains(&format!("fn {test}(")), "{file} has no test `{test}`");
            }
        }
    }
}

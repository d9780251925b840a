//! `docs/cli.md` says what the program says, and `docs/design.md` names tests that exist.

use std::path::Path;

#[test]
fn the_reference_is_what_the_definitions_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
    let made = jobcli::reference::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == made, "docs/cli.md is not what `UPDATE_DOCS=1 cargo test -p jobcli` writes");
}

/// The settings file that the page shows is one that is understood.
#[test]
fn the_settings_file_in_the_reference_is_understood() {
    let page = jobcli::reference::markdown();
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    std::fs::write(&config, example).unwrap();
    jobcore::FileStore::open(directory.path().join("store")).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_jobcli"))
        .args(["list", "--store"])
        .arg(directory.path().join("store"))
        .arg("--config")
        .arg(&config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A rule that has no test admits it.
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

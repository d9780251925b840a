//! Tests against the output of real tools: `samples/digest`, which also documents how it was recorded.

use std::path::{Path, PathBuf};

use super::*;

pub(super) const BUDGET: usize = 1500;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/digest")
}

/// Returns the samples with their names, in order.
pub(super) fn samples() -> Vec<(String, String)> {
    let paths = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|kind| kind == "txt")).collect();
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn read(name: &str, text: &str) -> Option<Failures> {
    if name.starts_with("junit-") { junit_xml(text) } else { digest(text) }
}

#[test]
fn the_golden_file_pins_the_digests() {
    let mut rendered = String::new();
    for (name, text) in samples() {
        let digest = read(&name, &text);
        assert_eq!(digest.is_none(), name.ends_with("-passed"), "{name}: {digest:#?}");
        if let Some(digest) = digest {
            rendered += &format!("=== {name}\n{}\n", digest.render(BUDGET));
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/digests.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &rendered).unwrap();
    }
    assert_eq!(rendered, std::fs::read_to_string(&path).unwrap());
}

#[test]
fn each_tool_has_a_sample_of_a_run_that_passed() {
    let passed = samples().iter().filter(|(name, _)| name.ends_with("-passed")).count();
    assert!(passed >= 10, "{passed}");
}

#[test]
fn failures_of_one_run_are_not_hidden_by_other_runs() {
    let all = samples();
    let sample = |name: &str| all.iter().find(|(known, _)| known == name).unwrap().1.as_str();
    for (failed, passed, counts) in [
        ("pytest", "pytest-passed", "failed, "),
        ("jest", "jest-passed", "failed, "),
        ("vitest", "vitest-passed", "failed, "),
        ("cargo-test", "cargo-test-passed", " failed, "),
        ("nextest", "nextest-passed", " failed"),
        ("ctest", "ctest-passed", " failed"),
    ] {
        let (failed, passed) = (sample(failed), sample(passed));
        for text in [format!("{failed}\n{passed}"), format!("{passed}\n{failed}")] {
            let digest = digest(&text).unwrap();
            assert!(
                digest.counts.contains(counts) && !digest.counts.starts_with('0'),
                "{}: {}",
                digest.tool,
                digest.counts
            );
        }
    }
}

#[test]
fn output_of_unknown_tools_has_no_digest() {
    for text in
        ["", "\n\n", "error: something\n", "hello\nworld", "FAILED\n", "Error: no\n    at x (y.js:1:2)\n", "E   x"]
    {
        assert_eq!(digest(text), None, "{text}");
        assert_eq!(junit_xml(text), None, "{text}");
    }
}

#[test]
fn items_without_room_are_counted() {
    let (_, text) = samples().into_iter().find(|(name, _)| name == "tsc-40-errors").unwrap();
    let digest = digest(&text).unwrap();
    assert_eq!((digest.total, digest.items.len()), (41, 41));
    let rendered = digest.render(200);
    assert!(rendered.len() <= 200, "{}", rendered.len());
    let shown = rendered.lines().filter(|line| line.contains(" TS")).count();
    assert!(shown > 0 && rendered.ends_with(&format!("… {} more", 41 - shown)), "{rendered}");
    let many: String = (0..1000).map(|n| format!("a.c:{n}:1: error: {}\n", "x".repeat(5000))).collect();
    let digest = super::digest(&many).unwrap();
    assert_eq!((digest.total, digest.items.len()), (1000, 100));
    assert_eq!(digest.items[0].message.chars().count(), 300);
}

#[test]
fn other_tools_that_failed_are_named() {
    let (_, text) = samples().into_iter().find(|(name, _)| name == "npm-tsc-jest").unwrap();
    let digest = digest(&text).unwrap();
    assert_eq!((digest.tool, digest.also), ("jest", vec!["tsc: 5 errors in 2 files".to_owned()]));
}

/// The format of testify, and older formats of rustc and pytest.
#[test]
fn other_forms_are_read_too() {
    let go = "--- FAIL: TestSum (0.00s)\n    sum_test.go:10: \n        \tError Trace:\t/x/sum_test.go:10\n        \tError:      \tNot equal: \n\
              \x20       \t            \texpected: 3\n        \t            \tactual  : 4\n        \tTest:       \tTestSum\nFAIL\nFAIL\tx\t0.1s\n";
    let cargo = "test tests::x ... FAILED\n\nfailures:\n\n---- tests::x stdout ----\nthread 'tests::x' panicked at 'no', \
                 src/lib.rs:3:5\n\nfailures:\n    tests::x\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n";
    for (text, expected) in [
        (
            go,
            "go test: 1 failed; packages: 1 failed, 0 ok\n  TestSum (sum_test.go:10): Error: Not equal: expected: 3, actual : 4",
        ),
        (cargo, "cargo test: 1 failed, 0 passed\n  tests::x (src/lib.rs:3:5): no"),
    ] {
        assert_eq!(digest(text).unwrap().render(BUDGET), expected);
    }
}

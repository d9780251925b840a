//! What some tests need of the machine. Where it is missing they are skipped, but never in CI.

use std::path::PathBuf;

/// Returns the path of a program that is needed; nothing if the test is to be skipped.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("there is no `{name}`"));
    }
    found
}

/// Returns whether this is root, which some tests must be.
pub(crate) fn root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("this is not root");
    }
    is_root
}

#[expect(clippy::print_stderr, reason = "whoever looks at the tests' output is to see what was not tested")]
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}, and CI must test all");
    eprintln!("skipped: {reason}");
}

//! What some tests need from the machine. If it is missing they are skipped, but never in CI.

use std::path::PathBuf;

use crate::support::{Ran, TestEnv};

/// Returns the path of a program that is needed; `None` if the test is to be skipped.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skip(&format!("there is no `{name}`"));
    }
    found
}

/// Returns the path of a coding agent's program, which a variable `JOBCORE_TEST_` plus its name may give; `None` if the
/// test is to be skipped. These programs are so large that even CI has them only on request.
pub(crate) fn agent(name: &str) -> Option<PathBuf> {
    let variable = format!("JOBCORE_TEST_{}", name.to_uppercase());
    let found = std::env::var_os(&variable).map(PathBuf::from).or_else(|| find(name));
    if found.is_none() {
        say_skipped(&format!("there is no `{name}`, and `{variable}` names none"));
    }
    found
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.is_file())
}

/// Returns the words that run a program in a pid and a mount namespace of its own; `None` if that is not permitted.
pub(crate) fn namespaces() -> Option<&'static [&'static str]> {
    // `unshare` waits for the program, and kills it when it is killed itself.
    const ROOT: &[&str] = &["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    const USER: &[&str] = &["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc"];
    program("unshare")?;
    let works = |words: &&&[&str]| {
        let tried = std::process::Command::new(words[0]).args(&words[1..]).arg("true").output();
        tried.is_ok_and(|output| output.status.success())
    };
    let found = [ROOT, USER].iter().find(works).copied();
    if found.is_none() {
        skip("namespaces cannot be made");
    }
    found
}

/// Returns whether this is the first pid namespace of the machine, from which all processes can be seen.
pub(crate) fn first_namespace() -> bool {
    let is_first = std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]");
    if !is_first {
        say_skipped("this is a container, from which not all processes can be seen");
    }
    is_first
}

/// Returns whether the test runs as root, which some tests need.
pub(crate) fn root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        skip("this is not root");
    }
    is_root
}

/// Returns whether npm is installed and packages can be had from its registry.
pub(crate) fn npm_registry(env: &TestEnv) -> bool {
    if program("npm").is_none() {
        return false;
    }
    let mut ping = env.command("npm");
    ping.args(["ping", "--fetch-retries=1", "--fetch-timeout=10000"]);
    let ran = Ran::of(ping);
    if ran.code != Some(0) {
        skip(&format!("the registry of npm cannot be reached: {ran}"));
    }
    ran.code == Some(0)
}

pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}, but CI must run all tests");
    say_skipped(reason);
}

#[expect(clippy::print_stderr, reason = "the output of the tests must show what was not tested")]
pub(crate) fn say_skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

//! The public interface as recorded in `public-api.txt`: each item has one path, and the root is short.

use std::collections::BTreeMap;

const RECORDED: &str = include_str!("../public-api.txt");

/// Names that different items have in different modules.
const SHARED_NAMES: &[&str] = &["Follow", "JobManager", "Pattern"];

/// Returns the path of an item that belongs to a module, and not to a type or a trait.
fn path(line: &str) -> Option<&str> {
    let item = line.strip_prefix("#[non_exhaustive] ").unwrap_or(line);
    let item = item.strip_prefix("pub ")?;
    let (kind, rest) = item.split_once(' ')?;
    if !["const", "enum", "fn", "macro", "static", "struct", "trait", "type", "use"].contains(&kind) {
        return None;
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    let path = rest[..end].trim_end_matches(':').strip_prefix("jobcore::")?;
    let is_member = path.rsplit("::").skip(1).any(|module| module.starts_with(char::is_uppercase));
    (!is_member).then_some(path)
}

fn paths() -> Vec<&'static str> {
    let paths: Vec<_> = RECORDED.lines().filter_map(path).collect();
    assert!(paths.len() > 150, "{} items", paths.len());
    paths
}

#[test]
fn no_item_is_public_at_two_paths() {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for path in paths() {
        found.entry(path.rsplit("::").next().unwrap()).or_default().push(path);
    }
    found.retain(|name, paths| paths.len() > 1 && !SHARED_NAMES.contains(name));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_root_has_what_most_programs_need() {
    let root: Vec<_> = paths().into_iter().filter(|path| !path.contains("::")).collect();
    assert!(root.len() <= 22, "{} items: {root:?}", root.len());
}

#[test]
fn only_intended_types_of_other_crates_are_public() {
    for unwanted in ["anstream::", "anstyle::", "nix::", "regex::", "rustix::", "tokio::", "toml::", "uuid::"] {
        let found: Vec<_> = RECORDED.lines().filter(|line| line.contains(unwanted)).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn paths_are_found_in_lines() {
    for (line, expected) in [
        ("#[non_exhaustive] pub struct jobcore::spec::Given(_)", Some("spec::Given")),
        ("pub trait jobcore::runner::Runner: core::marker::Send", Some("runner::Runner")),
        ("pub type jobcore::Result<T, E> = core::result::Result<T, E>", Some("Result")),
        ("pub macro jobcore::store_conformance!", Some("store_conformance")),
        ("pub fn jobcore::words::cut(&str, usize) -> alloc::string::String", Some("words::cut")),
        ("pub fn jobcore::Job::label(&self) -> alloc::string::String", None),
        ("pub const jobcore::Status::ALL: [Self; 8]", None),
        ("pub jobcore::Cause::Exited", None),
        ("impl jobcore::Job", None),
    ] {
        assert_eq!(path(line), expected, "{line}");
    }
}

//! Imports go one way: each module knows those below it, and none beside it or above.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the ground up. Those of one line do not know each other.
const LAYERS: &[&[&str]] = &[
    &["annotations", "clock", "escape", "parse_error", "words"],
    &["id", "key", "name", "signal", "units"],
    &["state"],
    &["error"],
    &["output", "sys"],
    &["environment", "queue", "until"],
    &["control", "spec"],
    &["job", "life"],
    &["policy", "record"],
    &["program", "store"],
    &["agent", "supervisor"],
    &["runner", "shape"],
    &["manager"],
    &["blocking", "doctor"],
    &["front"],
];

/// What is there for tests may know everything.
const FOR_TESTS: &[&str] = &["fuzzing", "generate", "testing"];

/// Files and folders of modules that are there for tests.
const TEST_FILES: &[&str] = &["conformance", "fake", "invariants", "model", "properties", "tests"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if TEST_FILES.contains(&stem) {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the code of a file without its comments and its modules of tests, which are the last things in it.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let inline = text.match_indices("#[cfg(test)]\n").find(|(at, _)| {
        let next = text[*at..].lines().nth(1).unwrap_or_default();
        next.contains("mod ") && next.ends_with('{')
    });
    text[..inline.map_or(text.len(), |(at, _)| at)]
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the first words after `crate::`, also those of a list in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut items = String::new();
        for c in list.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            match depth {
                0 => break,
                1 => items.push(c),
                _ => {}
            }
        }
        found.extend(items.split(',').map(word).filter(|word| !word.is_empty()));
    }
    found
}

#[test]
fn imports_go_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    let mut upward = Vec::new();
    for file in files {
        let file = file.strip_prefix(&root).unwrap();
        let module = file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" || FOR_TESTS.contains(&module) {
            continue;
        }
        let own = layer(module).unwrap_or_else(|| panic!("no layer has the module `{module}`: give it a place"));
        for import in imports(&code(&root.join(file))) {
            // A name of the root may be that of anything: only what knows all may use it.
            let is_of_root = own + 1 == LAYERS.len() && layer(&import).is_none();
            if import != module && !is_of_root && layer(&import).is_none_or(|other| other >= own) {
                upward.push(format!("{} -> {import}", file.display()));
            }
        }
    }
    upward.sort();
    assert!(upward.is_empty(), "not below what imports it:\n{}", upward.join("\n"));
}

#[test]
fn what_a_file_imports_is_found() {
    let code = "use crate::error::Result;\nuse crate::{\n  id::{A, B},\n  spec,\n};\nfn f() { crate::sys::look() }";
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), ["error", "id", "spec", "sys"]);
}

//! How the texts that users and models see are written: the documents, all help texts in `cli.md`, and the answers of
//! `jobmcp`.

use std::path::{Path, PathBuf};

use regex::Regex;

/// Expressions that must not occur outside of code.
const REFUSED: &[&str] = &[
    // Programs and jobs are not persons.
    "whoever",
    "nobody",
    "somebody",
    "he",
    "his",
    "him",
    // Not idiomatic English.
    "is so",
    "so many lines",
    "as good as none",
    "anew",
    "can not",
    "no longer more",
    // Numbers must agree.
    "1 processes",
    "1 jobs",
    "1 lines",
    "1 files",
];

fn texts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let of = |directory: &str, kind: &str| {
        let files = std::fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == kind)).collect::<Vec<_>>()
    };
    let mut texts = [of("docs", "md"), of("tests/e2e/snapshots", "snap"), vec![root.join("README.md")]].concat();
    texts.sort();
    texts
}

#[test]
fn texts_have_no_expression_that_reads_as_translated() {
    let refused = Regex::new(&format!(r"(?i)\b(?:{})\b", REFUSED.join("|"))).unwrap();
    let code = Regex::new(r"`[^`]*`").unwrap();
    let mut found = Vec::new();
    for path in texts() {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut is_code = false;
        for (number, line) in text.lines().enumerate() {
            is_code ^= line.starts_with("```");
            // Help texts are in code blocks.
            if is_code && !path.ends_with("cli.md") {
                continue;
            }
            if let Some(expression) = refused.find(&code.replace_all(line, "")) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, expression.as_str()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Programs and jobs are no persons in comments either.
#[test]
fn no_comment_speaks_of_a_program_as_of_a_person() {
    let refused = Regex::new(r"(?i)\b(?:whoever|somebody|he|his|him|anew)\b").unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for path in ["jobcore", "jobcli", "jobmcp", "tests", "examples"].iter().flat_map(|room| sources(&root.join(room))) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let comment = line.trim_start().strip_prefix("//");
            if let Some(expression) = comment.and_then(|comment| refused.find(comment)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, expression.as_str()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
    found
}

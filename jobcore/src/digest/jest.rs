//! Jest and Vitest.

use super::found::{Detail, Failures, Items};
use super::lines::{Counts, Lazy, after, is_own, joined, regex};

static JEST_FILE: Lazy = regex!(r"^(FAIL|PASS) (?:.* )?(\S+\.\w+)(?: \([\d.]+ m?s\))?$");
static JEST_SUMMARY: Lazy = regex!(r"^(Test Suites|Tests): +(.+)$");
static JEST_FRAME: Lazy = regex!(r"^\s+at (?:.* \()?([^()\s]+:\d+:\d+)\)?$");
static CODE: Lazy = regex!(r"^\s*>?\s*\d* ?\|");
/// The expected and received values of a Jest assertion.
static DIFFERENCE: Lazy = regex!(r"^\s*(?:(?:Expected|Received)\b.*: |[-+] )");
static DIFFERENCE_HEAD: Lazy = regex!(r"^\s*[-+] (?:Expected|Received)\b");
static VITEST_SUMMARY: Lazy = regex!(r"^\s+(Test Files|Tests)  +(\d.*)$");
static VITEST_FRAME: Lazy = regex!(r"^ ❯ (?:.+ )?(\S+:\d+:\d+)$");

pub(super) fn read_jest(lines: &[&str]) -> Option<Failures> {
    let mut items = Items::default();
    let mut failed_file = None;
    for (at, line) in lines.iter().enumerate() {
        if let Some(file) = JEST_FILE.captures(line) {
            failed_file = (&file[1] == "FAIL").then_some(file.get(2)).flatten().map(|file| file.as_str());
        }
        let (Some(test), Some(file)) = (line.strip_prefix("  ● "), failed_file) else { continue };
        if test == "Console" || test.ends_with("Warning:") {
            continue;
        }
        let rest = after(lines, at).iter().copied().take_while(|line| line.is_empty() || line.starts_with("    "));
        let block: Vec<&str> = rest.collect();
        let frame = block.iter().filter_map(|line| JEST_FRAME.captures(line)).filter_map(|frame| frame.get(1));
        let place = frame.map(|place| place.as_str()).find(|place| is_own(place)).unwrap_or(file);
        let message = jest_message(&block);
        if test == "Test suite failed to run" {
            items.push_error(Some(place), None, format!("{test}: {message}"));
        } else {
            items.push_test(test, Detail { place: Some(place.to_owned()), message });
        }
    }
    Failures::new("jest", counts(lines, &JEST_SUMMARY, "Test Suites"), items)
}

fn jest_message(block: &[&str]) -> String {
    let is_text = |line: &&str| !CODE.is_match(line) && !JEST_FRAME.is_match(line);
    let text: Vec<&str> = block.iter().copied().take_while(is_text).skip_while(|line| line.is_empty()).collect();
    let first = text.iter().take_while(|line| !line.is_empty()).map(|line| line.split(" // ").next().unwrap_or(line));
    let is_difference = |line: &&&str| DIFFERENCE.is_match(line) && !DIFFERENCE_HEAD.is_match(line);
    let rest =
        text.iter().skip_while(|line| !line.is_empty()).filter(is_difference).map(|line| line.trim_end_matches(','));
    joined(first.chain(rest))
}

pub(super) fn read_vitest(lines: &[&str]) -> Option<Failures> {
    let mut items = Items::default();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = line.trim_start().strip_prefix("FAIL  ") else { continue };
        // Tests that failed in the same way are listed together.
        let rest = after(lines, at).iter().copied().skip_while(|line| line.trim_start().starts_with("FAIL  "));
        let block: Vec<&str> = rest.take_while(|line| !line.starts_with('⎯')).collect();
        let text = block.iter().copied().take_while(|line| !line.is_empty() && !VITEST_FRAME.is_match(line));
        let message = joined(text);
        let frame = block.iter().filter_map(|line| VITEST_FRAME.captures(line)).filter_map(|frame| frame.get(1));
        let place = frame.map(|place| place.as_str()).find(|place| is_own(place));
        match name.split_once(" > ") {
            Some((file, test)) => {
                let place = Some(place.unwrap_or(file).to_owned());
                items.push_test(test, Detail { place, message });
            }
            None => items.push_error(place.or_else(|| name.split(" [").next()), None, message),
        }
    }
    Failures::new("vitest", counts(lines, &VITEST_SUMMARY, "Test Files"), items)
}

/// Returns how many tests failed and, if files can fail as a whole, how many files.
fn counts(lines: &[&str], summary: &Lazy, of_files: &str) -> String {
    let (mut files, mut tests) = (Counts::default(), Counts::default());
    for found in lines.iter().filter_map(|line| summary.captures(line)) {
        let counts = found[2].replace(" | ", ", ");
        if &found[1] == of_files { files.add(&counts) } else { tests.add(&counts) }
    }
    match (tests.is_empty(), files.is_empty()) {
        (true, true) => "failed".to_owned(),
        (true, false) => format!("files: {files}"),
        (false, true) => tests.to_string(),
        (false, false) => format!("{tests}; files: {files}"),
    }
}

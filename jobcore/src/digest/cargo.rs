//! cargo, rustc, clippy, and the runners of Rust tests: libtest and nextest.

use std::collections::{HashMap, HashSet};

use super::found::{Detail, Failures, Items};
use super::lines::{Lazy, after, joined, regex};
use crate::words::counted;

static ERROR: Lazy = regex!(r"^error(?:\[([\w:]+)\])?: (.+)$");
static SHORT_ERROR: Lazy = regex!(r"^(\S+\.rs:\d+:\d+): error(?:\[([\w:]+)\])?: (.+)$");
static PLACE: Lazy = regex!(r"^\s*--> (.+:\d+:\d+)$");
/// The label beside the carets under the code.
static LABEL: Lazy = regex!(r"^\s*\| [^^]*\^+ (.+)$");
static SYMBOL: Lazy = regex!(r"undefined (?:symbol: |reference to )\S+");
static CARGO: Lazy = regex!(r"^ {3,}(?:Compiling|Checking|Finished|Running) |^error: could not compile |^Caused by:$");
/// Messages that only repeat that something failed.
static ONLY_SUMS_UP: Lazy = regex!(
    r"^(?:could not compile|aborting due to|(?:doc)?test failed, to rerun|test run failed|build failed|\d+ targets? failed)"
);
static PANIC: Lazy = regex!(r"^\s*thread '(.+)' (?:\(\d+\) )?panicked at (?:'(.*)', )?(.+:\d+:\d+):?$");
static NO_PANIC: Lazy = regex!(r"^\s*note: (test did not panic as expected) at (.+:\d+:\d+)$");
static BLOCK: Lazy = regex!(r"^---- (.+) std(?:out|err) ----$");
static RESULT: Lazy = regex!(r"^test result: \w+\. (\d+) passed; (\d+) failed;");
static NEXTEST: Lazy =
    regex!(r"^ +(?:TRY \d+ )?(?:FAIL|ABORT|TIMEOUT|LEAK-FAIL|SIG[A-Z]+) \[[^\]]*\] +(?:\( *\d+/\d+\) +)?(\S+ .+)$");
static NEXTEST_SUMMARY: Lazy = regex!(r"^ +Summary \[.*\] .*\brun: (.+)$");

#[derive(Debug, Default)]
struct Tests<'a> {
    /// The test whose output is being read.
    current: Option<&'a str>,
    details: HashMap<&'a str, Detail>,
    passed: u64,
    failed: u64,
    /// The failing tests of nextest, which names each of them twice, and its summary.
    of_nextest: Vec<&'a str>,
    seen: HashSet<&'a str>,
    summary: Option<&'a str>,
    is_summed_up: bool,
}

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let (mut errors, mut tests, mut panics) = (Items::default(), Items::default(), Items::default());
    let is_cargo = lines.iter().any(|line| CARGO.is_match(line));
    let mut run = Tests::default();
    let mut is_list = false;
    for (at, line) in lines.iter().enumerate() {
        if is_list && let Some(name) = line.strip_prefix("    ") {
            tests.push_test(name, run.details.remove(name).unwrap_or_default());
            continue;
        }
        is_list = *line == "failures:";
        if is_list {
            run.current = None;
        } else if let Some(block) = BLOCK.captures(line) {
            run.current = block.get(1).map(|name| name.as_str());
        } else if let Some(result) = RESULT.captures(line) {
            let number = |group: usize| result[group].parse().unwrap_or(0_u64);
            run.passed = run.passed.saturating_add(number(1));
            run.failed = run.failed.saturating_add(number(2));
            run.current = None;
            run.details.clear();
        } else if let Some(failed) = NEXTEST.captures(line).and_then(|failed| failed.get(1)) {
            run.current = Some(failed.as_str());
            if run.seen.insert(failed.as_str()) {
                run.of_nextest.push(failed.as_str());
            }
        } else if let Some(summary) = NEXTEST_SUMMARY.captures(line) {
            // Of several runs, only the failures are counted.
            run.summary = summary.get(1).map(|summary| summary.as_str()).filter(|_| !run.is_summed_up);
            run.is_summed_up = true;
        } else if let Some(panic) = PANIC.captures(line) {
            let message = panic.get(2).map_or_else(|| message(after(lines, at)), |old| old.as_str().to_owned());
            // The name of a documentation test includes its place.
            let place = Some(panic[3].to_owned()).filter(|place| !place.contains("/rustdoctest"));
            panics.push_error(place.as_deref(), None, message.clone());
            let thread = panic.get(1).map(|name| name.as_str());
            if let Some(test) = run.current.or(thread) {
                let known = run.details.entry(test).or_default();
                if known.place.is_none() {
                    *known = Detail { place, message };
                }
            }
        } else if let Some(test) = run.current {
            if let Some(detail) = without_panic(line, after(lines, at)) {
                run.details.entry(test).or_insert(detail);
            }
        } else {
            error(line, after(lines, at), is_cargo, &mut errors);
        }
    }
    for name in &run.of_nextest {
        tests.push_test(name, run.details.remove(name).unwrap_or_default());
    }
    if tests.len() > 0 {
        let (tool, counts) = match run.summary {
            Some(summary) => ("cargo nextest", summary.to_owned()),
            None if run.of_nextest.is_empty() => {
                ("cargo test", format!("{} failed, {} passed", run.failed.max(tests.len() as u64), run.passed))
            }
            None => ("cargo nextest", format!("{} failed", tests.len())),
        };
        return Failures::new(tool, counts, tests);
    }
    if errors.len() == 0 && lines.iter().any(|line| line.starts_with("     Running `")) {
        let counts = counted(panics.len() as u64, "panic", "panics");
        return Failures::new("cargo run", counts, panics);
    }
    let counts = errors.errors();
    Failures::new(if is_cargo { "cargo" } else { "rustc" }, counts, errors)
}

/// Returns the message of a panic, which begins these lines.
fn message(lines: &[&str]) -> String {
    let ends = |line: &&&str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("note: ") && !["stack backtrace:", "FAILED"].contains(&line)
    };
    joined(lines.iter().take_while(ends).copied())
}

/// Returns how a test failed without a panic.
fn without_panic(line: &str, rest: &[&str]) -> Option<Detail> {
    if let Some(no_panic) = NO_PANIC.captures(line) {
        return Some(Detail { place: Some(no_panic[2].to_owned()), message: no_panic[1].to_owned() });
    }
    if line.trim_start().starts_with("Error: ") {
        return Some(Detail { place: None, message: line.to_owned() });
    }
    let error = ERROR.captures(line).filter(|error| error.get(1).is_some())?;
    Some(Detail { place: place(rest).map(str::to_owned), message: error[2].to_owned() })
}

fn place<'a>(rest: &[&'a str]) -> Option<&'a str> {
    let block = rest.iter().take(4).take_while(|line| !line.is_empty());
    block.filter_map(|line| PLACE.captures(line)).find_map(|place| place.get(1)).map(|place| place.as_str())
}

/// Adds the error that begins at a line, if it is one of rustc or of cargo.
fn error(line: &str, rest: &[&str], is_cargo: bool, errors: &mut Items) {
    if let Some(short) = SHORT_ERROR.captures(line) {
        return errors.push_error(Some(&short[1]), short.get(2).map(|code| code.as_str()), &short[3]);
    }
    let Some(error) = ERROR.captures(line) else { return };
    let (code, message) = (error.get(1).map(|code| code.as_str()), &error[2]);
    let place = place(rest);
    let block = || rest.iter().take_while(|line| !line.is_empty());
    let causes: Vec<&str> = rest
        .chunks(3)
        .map_while(|lines| match lines {
            ["", "Caused by:", cause] => Some(cause.trim()),
            _ => None,
        })
        .collect();
    if ONLY_SUMS_UP.is_match(message) && causes.is_empty()
        || code.is_none() && place.is_none() && causes.is_empty() && !is_cargo
    {
        return;
    }
    let label = block().filter_map(|line| LABEL.captures(line)).map(|label| label[1].to_owned());
    let label = label.filter(|label| !label.starts_with("help: ") && !message.contains(label.as_str())).take(1);
    let symbols = block().filter_map(|line| SYMBOL.find(line)).map(|symbol| symbol.as_str().to_owned()).take(3);
    let details = label.chain(symbols).chain(causes.into_iter().map(str::to_owned));
    errors.push_error(place, code, std::iter::once(message.to_owned()).chain(details).collect::<Vec<_>>().join(": "));
}

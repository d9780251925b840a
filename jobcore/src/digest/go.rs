//! go test, go build and go vet.

use std::collections::{HashMap, HashSet};

use super::found::{Detail, Failures, Items};
use super::lines::{Lazy, after, is_own, joined, regex};

static ERROR: Lazy = regex!(r"^(?:vet: )?(\S+\.go:\d+:\d+): (.+)$");
static RUNS: Lazy = regex!(r"^=== (?:RUN|NAME|CONT) +(\S+)$");
static ENDED: Lazy = regex!(r"^ *--- (FAIL|PASS|SKIP): (\S+) \(");
static LOG: Lazy = regex!(r"^ {4,}(\S+\.go:\d+):(?: (.*))?$");
static PANIC: Lazy = regex!(r"^(?:panic|fatal error): (.+?)(?: \[recovered.*\])?$");
static FRAME: Lazy = regex!(r"^\t(\S+\.go:\d+)(?: \+0x[0-9a-f]+)?$");

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let (mut items, mut failed, mut details) = (Items::default(), Vec::new(), HashMap::<&str, Detail>::new());
    let (mut of_panic, mut current, mut packages) = (None, None, [0_u64; 2]);
    for (at, line) in lines.iter().enumerate() {
        if let Some(runs) = RUNS.captures(line) {
            current = runs.get(1).map(|name| name.as_str());
        } else if let Some(ended) = ENDED.captures(line) {
            let name = ended.get(2).map(|name| name.as_str());
            current = name.filter(|_| &ended[1] == "FAIL");
            failed.extend(current);
        } else if let Some(log) = LOG.captures(line) {
            let Some(detail) = current.map(|name| details.entry(name).or_default()) else { continue };
            if detail.place.is_none() {
                let first = log.get(2).map_or("", |text| text.as_str());
                let is_continued = |line: &&&str| line.starts_with("        ") && !LOG.is_match(line);
                let rest = after(lines, at).iter().take_while(is_continued).copied().filter(is_told);
                *detail =
                    Detail { place: Some(log[1].to_owned()), message: joined(std::iter::once(first).chain(rest)) };
            }
        } else if let Some(panic) = PANIC.captures(line) {
            let frames =
                after(lines, at).iter().filter_map(|line| FRAME.captures(line)).map(|frame| frame[1].to_owned());
            let detail =
                Detail { place: { frames }.find(|place| is_own(place)), message: format!("panic: {}", &panic[1]) };
            match current {
                Some(name)
                    if !failed.contains(&name) || details.get(name).is_none_or(|known| known.place.is_none()) =>
                {
                    details.insert(name, detail);
                }
                _ => of_panic = of_panic.or(Some(detail)),
            }
        } else if let Some(error) = ERROR.captures(line) {
            items.push_error(Some(&error[1]), None, &error[2]);
        } else if line.starts_with("FAIL\t") {
            packages[0] += 1;
        } else if line.starts_with("ok  \t") {
            packages[1] += 1;
        }
    }
    // A panic ends a verbose run before the test is reported as failed.
    if let Some(name) = current.filter(|name| !failed.contains(name) && details.contains_key(name)) {
        failed.push(name);
    }
    // A test fails if one of its subtests does.
    let parents: HashSet<&str> = failed.iter().filter_map(|name| Some(name.rsplit_once('/')?.0)).collect();
    let tests: Vec<&str> =
        failed.into_iter().filter(|name| details.contains_key(name) || !parents.contains(name)).collect();
    let counts = match (tests.len(), packages) {
        (0, [0, 0]) => items.errors(),
        (0, [failed, ok]) => format!("{}; packages: {failed} failed, {ok} ok", items.errors()),
        (tests, [failed, ok]) => format!("{tests} failed; packages: {failed} failed, {ok} ok"),
    };
    let tool = if tests.is_empty() && packages == [0, 0] { "go" } else { "go test" };
    tests.into_iter().for_each(|name| items.push_test(name, details.remove(name).unwrap_or_default()));
    if let Some(Detail { place, message }) = of_panic.filter(|_| packages != [0, 0]) {
        items.push_error(place.as_deref(), None, message);
    }
    Failures::new(tool, counts, items)
}

/// Returns whether a line of a message says more than the name and the place of the test.
fn is_told(line: &&str) -> bool {
    !["Error Trace:", "Test:"].iter().any(|label| line.trim_start().starts_with(label))
}

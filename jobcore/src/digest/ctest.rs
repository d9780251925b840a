//! CTest.

use std::collections::HashMap;

use super::causes::is_cause;
use super::found::{Detail, Failures, Items};
use super::lines::{Lazy, regex};

static SUMMARY: Lazy = regex!(r"^\d+% tests passed, (\d+) tests? failed out of (\d+)$");
static ENDED: Lazy = regex!(r"^ *\d+/\d+ Test +#(\d+): ");
static STARTS: Lazy = regex!(r"^ +Start +\d+: ");
static FAILED: Lazy = regex!(r"^\s+(\d+) - (.+?) \(([^()]+)\)(?: .*)?$");

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let (mut outputs, mut current, mut counts, mut items) =
        (HashMap::new(), None, None::<(u64, u64)>, Items::default());
    for line in lines {
        if let Some(ended) = ENDED.captures(line) {
            current = ended.get(1).map(|number| number.as_str());
        } else if let Some(summary) = SUMMARY.captures(line) {
            let number = |index: usize| summary[index].parse::<u64>().unwrap_or(0);
            let (failed, all) = counts.unwrap_or_default();
            (current, counts) = (None, Some((number(1).saturating_add(failed), number(2).saturating_add(all))));
        } else if counts.is_some()
            && let Some(failed) = FAILED.captures(line)
        {
            let said: Option<&&str> = outputs.get(&failed[1]);
            let said = said.map(|line| format!(": {line}")).unwrap_or_default();
            items.push_test(&failed[2], Detail { place: None, message: format!("{}{said}", &failed[3]) });
        } else if let Some(number) = current.filter(|_| !line.is_empty() && !STARTS.is_match(line)) {
            // The first line that looks like a cause, or else the first line.
            let said = outputs.entry(number).or_insert(*line);
            if !is_cause(said) {
                *said = if is_cause(line) { line } else { *said };
            }
        }
    }
    let (failed, all) = counts?;
    Failures::new("ctest", format!("{failed} of {all} failed"), items)
}

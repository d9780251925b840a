//! ESLint in its default format.

use super::found::{Failures, Items};
use super::lines::{Lazy, regex};

static PROBLEM: Lazy = regex!(r"^ +(\d+:\d+) +error +(.+?)(?:  +(\S+))?$");
static SUMMARY: Lazy = regex!(r"^✖ \d+ problems? \((.+)\)$");

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let (mut items, mut file, mut counts) = (Items::default(), None, None);
    for line in lines {
        if let Some(problem) = PROBLEM.captures(line) {
            let Some(file) = file else { continue };
            let code = problem.get(3).map(|rule| rule.as_str());
            items.push_error(Some(&format!("{file}:{}", &problem[1])), code, &problem[2]);
        } else if let Some(summary) = SUMMARY.captures(line) {
            counts = Some(summary[1].to_owned());
        } else if line.starts_with(|c: char| !c.is_whitespace()) {
            file = Some(line);
        } else if line.is_empty() {
            file = None;
        }
    }
    Failures::new("eslint", counts?, items)
}

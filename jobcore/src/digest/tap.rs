//! The Test Anything Protocol, and prove, which reads it and prints only what is not part of it.

use super::found::{Detail, Failures, Items};
use super::lines::{Lazy, after, joined, regex};

static PLAN: Lazy = regex!(r"^(?:TAP version \d+|1\.\.\d+)");
static POINT: Lazy = regex!(r"^ *(not )?ok\b(?: \d+)?(?: -)? *(.*)$");
static ALLOWED: Lazy = regex!(r"(?i)# *(?:todo|skip)\b");
/// How Test::More reports a failure.
static FAILED_TEST: Lazy = regex!(r"^ *# +Failed test(?: '(.*)')?(?: at (.+) line (\d+)\.)?$");
static AT_LINE: Lazy = regex!(r"^ *# +at (.+) line (\d+)\.$");
static VALUE: Lazy = regex!(r"^ *# +(\w+: .*)$");
/// The lines of a YAML diagnosis that describe the failure.
static PLACE: Lazy = regex!(r#"^ *(?:location|at): *['"]?([^'"]+:\d+)['"]?$"#);
static MESSAGE: Lazy = regex!(r#"^ *(?:error|message): *(\|-?$|>-?$|.+)$"#);
static PROVED: Lazy = regex!(r"^Failed (\d+/\d+ subtests)");

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let mut items = Items::default();
    if lines.contains(&"Result: FAIL") {
        for (at, line) in lines.iter().enumerate() {
            if let Some(failed) = FAILED_TEST.captures(line) {
                let name = failed.get(1).map_or("(without a name)", |name| name.as_str());
                let rest = after(lines, at).iter().copied().take_while(|line| !FAILED_TEST.is_match(line));
                let block: Vec<&str> = std::iter::once(*line).chain(rest).collect();
                items.push_test(name, test_more(&block));
            }
        }
        let counts: Vec<_> = lines.iter().filter_map(|line| PROVED.captures(line)).collect();
        let counts = counts.first().map_or_else(|| "failed".to_owned(), |counts| format!("{} failed", &counts[1]));
        return Failures::new("prove", counts, items);
    }
    if !lines.iter().any(|line| PLAN.is_match(line)) {
        return None;
    }
    let mut passed = 0_u64;
    for (at, line) in lines.iter().enumerate() {
        let Some(point) = POINT.captures(line) else { continue };
        if point.get(1).is_none() || ALLOWED.is_match(&point[2]) {
            passed += 1;
            continue;
        }
        let name = if point[2].is_empty() { "(without a name)" } else { &point[2] };
        let block: Vec<&str> = after(lines, at).iter().copied().take_while(|line| !POINT.is_match(line)).collect();
        if !block.iter().any(|line| line.contains("'subtestsFailed'")) {
            items.push_test(
                name,
                if block.iter().any(|line| line.trim() == "---") { yaml(&block) } else { test_more(&block) },
            );
        }
    }
    let counts = format!("{} failed, {passed} passed", items.len());
    Failures::new("TAP", counts, items)
}

fn test_more(block: &[&str]) -> Detail {
    let of = |place: &Lazy, file: usize| {
        let found = block.iter().find_map(|line| place.captures(line).filter(|found| found.get(file).is_some()))?;
        Some(format!("{}:{}", &found[file], &found[file + 1]))
    };
    let values = block.iter().filter_map(|line| VALUE.captures(line)).filter_map(|value| value.get(1));
    Detail {
        place: of(&FAILED_TEST, 2).or_else(|| of(&AT_LINE, 1)),
        message: joined(values.map(|value| value.as_str())),
    }
}

fn yaml(block: &[&str]) -> Detail {
    let place = block.iter().find_map(|line| Some(PLACE.captures(line)?[1].to_owned()));
    let message = block.iter().enumerate().find_map(|(at, line)| {
        let value = MESSAGE.captures(line)?.get(1)?.as_str();
        if !value.starts_with(['|', '>']) {
            return Some(value.trim_matches(['\'', '"']).to_owned());
        }
        let indent = |line: &str| line.len() - line.trim_start().len();
        let is_inside = |inner: &&&str| inner.is_empty() || indent(inner) > indent(line);
        Some(joined(block[at + 1..].iter().take_while(is_inside).copied()))
    });
    Detail { place, message: message.unwrap_or_default() }
}

//! pytest: sections with a traceback, and the short summary.

use std::collections::{HashMap, VecDeque};

use super::found::{Detail, Failures, Items};
use super::lines::{Counts, Lazy, is_own, joined, regex};
use crate::words::counted;

static BANNER: Lazy = regex!(r"^=+ (.+?) =+$");
static COUNTS: Lazy = regex!(r"^=* ?(\d+ [a-z]+(?:, \d+ [a-z]+)*) in \d[\d.]*s\b");
static SECTION: Lazy = regex!(r"^_+ (ERROR (?:at (?:setup|teardown) of|collecting) )?(.*[^_ ].*?) _+$");
static PLACE: Lazy = regex!(r"^([^\s:][^:]*:\d+):(?: in .+| [\w.]+)?$");
static FILE: Lazy = regex!(r#"^\s*File "(.+)", line (\d+)"#);
static FAILED: Lazy = regex!(r"^(FAILED|ERROR) (.+?)(?: - (.*))?$");

/// The key of a failure section: whether it is an error, and the name of the test or file.
type Key = (bool, String);

#[derive(Debug, Default)]
struct Section<'a> {
    own: Option<&'a str>,
    other: Option<&'a str>,
    /// The lines of the last exception.
    exception: Vec<&'a str>,
    goes_on: bool,
}

impl<'a> Section<'a> {
    fn push(&mut self, line: &'a str) {
        let exception = line.strip_prefix("E").filter(|rest| rest.is_empty() || rest.starts_with("   "));
        if let Some(exception) = exception {
            if !self.goes_on {
                self.exception.clear();
            }
            self.exception.push(exception);
        } else if let Some(place) = PLACE.captures(line).and_then(|place| place.get(1)) {
            let is_own = is_own(place.as_str()) && !place.as_str().starts_with(['/', '.', '<']);
            *(if is_own { &mut self.own } else { &mut self.other }) = Some(place.as_str());
        }
        self.goes_on = exception.is_some();
    }

    fn detail(&self) -> Detail {
        let file = self.exception.first().and_then(|line| FILE.captures(line));
        if let Some(file) = file {
            let message = self.exception.last().copied().unwrap_or_default().to_owned();
            return Detail { place: Some(format!("{}:{}", &file[1], &file[2])), message };
        }
        let is_told = |line: &&&str| !line.contains("Use -v to get more") && !line.contains("Full diff:");
        let message = joined(self.exception.iter().take_while(is_told).copied());
        Detail { place: self.own.or(self.other).map(str::to_owned), message }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Other,
    Failed,
    Summary,
}

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let (mut part, mut counts) = (Part::Other, Counts::default());
    // With `--tb=line`, failures have no sections: their lines must not be added to the last section of an error.
    let mut is_in_section = false;
    let mut sections: Vec<(Key, Section<'_>)> = Vec::new();
    let mut failed: Vec<(bool, &str, &str)> = Vec::new();
    for line in lines {
        if let Some(found) = COUNTS.captures(line).and_then(|found| found.get(1)) {
            part = Part::Other;
            counts.add(found.as_str());
        } else if let Some(banner) = BANNER.captures(line) {
            is_in_section = false;
            part = match &banner[1] {
                "ERRORS" | "FAILURES" => Part::Failed,
                "short test summary info" => Part::Summary,
                _ => Part::Other,
            };
        } else if part == Part::Summary {
            if let Some(found) = FAILED.captures(line) {
                let group = |at: usize| found.get(at).map_or("", |group| group.as_str());
                failed.push((group(1) == "ERROR", group(2), group(3)));
            }
        } else if part == Part::Failed {
            if let Some(section) = SECTION.captures(line) {
                is_in_section = true;
                sections.push(((section.get(1).is_some(), section[2].to_owned()), Section::default()));
            } else if let Some((_, section)) = sections.last_mut().filter(|_| is_in_section) {
                section.push(line);
            }
        }
    }
    let mut items = Items::default();
    if failed.is_empty() {
        sections.iter().for_each(|((_, name), section)| items.push_test(name, section.detail()));
    }
    let mut details: HashMap<Key, VecDeque<Detail>> = HashMap::new();
    for (key, section) in sections {
        details.entry(key).or_default().push_back(section.detail());
    }
    for (is_error, id, message) in failed {
        let (file, test) = id.split_once("::").unwrap_or((id, id));
        let test = test.replace("::", ".");
        let of_section = details.get_mut(&(is_error, test.clone())).and_then(VecDeque::pop_front);
        let mut detail = of_section.unwrap_or_default();
        if detail.message.is_empty() {
            message.clone_into(&mut detail.message);
        }
        items.push_test(&test, Detail { place: detail.place.or_else(|| Some(file.to_owned())), ..detail });
    }
    let counts = match counts.is_empty() {
        true => counted(items.len() as u64, "failure", "failures"),
        false => counts.to_string(),
    };
    Failures::new("pytest", counts, items)
}

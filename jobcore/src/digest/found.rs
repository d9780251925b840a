//! The failures that are found in the output of a tool: bounded, one line per item, and how they are printed.

use std::collections::HashSet;
use std::fmt;

use super::lines::one_line;
use crate::words::{counted, cut};

/// How many items are kept. All are counted.
const MOST_ITEMS: usize = 100;
/// The maximum length of a name, a place, a summary or a message, in characters.
const LONGEST_NAME: usize = 160;
const LONGEST_MESSAGE: usize = 300;

/// The failures that the output of a tool reports.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failures {
    /// The tool, such as `cargo test`.
    pub tool: &'static str,
    /// How many failed and how many did not, in the tool's own words if it reports it: `2 failed, 31 passed`.
    pub counts: String,
    /// The first failures in the tool's order: at most 100, each shorter than 1,000 characters.
    pub items: Vec<Item>,
    /// How many failures were found, including those that are not among the items.
    pub total: usize,
    /// Other tools that failed in the same output, with their counts: `tsc: 40 errors in 6 files`.
    pub also: Vec<String>,
}

/// One failing test, or one error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Item {
    /// The name of the test that failed.
    pub test: Option<String>,
    /// The code of the error or the violated rule, such as `E0308`.
    pub code: Option<String>,
    /// Where it failed: `file`, `file:line` or `file:line:column`.
    pub place: Option<String>,
    /// The message in one line; empty if there is none.
    pub message: String,
}

impl Failures {
    /// Creates a digest of the items that a reader found, if it found any.
    pub(super) fn new(tool: &'static str, counts: impl Into<String>, items: Items) -> Option<Self> {
        let total = items.seen.len();
        let counts = cut(&one_line(&counts.into()), LONGEST_NAME);
        (total > 0).then_some(Self { tool, counts, items: items.kept, total, also: Vec::new() })
    }

    /// Returns the tool and its counts.
    pub(super) fn heading(&self) -> String {
        format!("{}: {}", self.tool, self.counts)
    }

    /// Returns the digest as text of at most `budget` bytes, without a final line break: the tool and its counts, the
    /// other tools, as many items as fit, and the number of items left out.
    pub fn render(&self, budget: usize) -> String {
        let also = self.also.iter().map(|other| format!("\nalso {other}"));
        let mut text = self.heading() + &also.collect::<String>();
        let left_out = |shown: usize| format!("\n  … {} more", self.total - shown);
        let mut shown = 0;
        for item in &self.items {
            let reserve = if shown + 1 < self.total { left_out(shown + 1).len() } else { 0 };
            let room = budget.saturating_sub(text.len() + reserve);
            let line = format!("\n  {item}");
            if line.len() <= room {
                text += &line;
            } else if shown == 0 && room > 40 {
                text += within(line, room).as_str();
            } else {
                break;
            }
            shown += 1;
        }
        if shown < self.total {
            text += &left_out(shown);
        }
        within(text, budget)
    }
}

/// Cuts a text to this many bytes.
fn within(mut text: String, room: usize) -> String {
    const CUT: &str = "…";
    if text.len() > room {
        text.truncate(text.floor_char_boundary(room.saturating_sub(CUT.len())));
        if room >= CUT.len() {
            text += CUT;
        }
    }
    text
}

impl fmt::Display for Item {
    /// Writes `test (place): message` for a test, and `place code: message` for anything else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = match (&self.test, &self.place, &self.code) {
            (Some(test), Some(place), _) => format!("{test} ({place})"),
            (None, Some(place), Some(code)) => format!("{place} {code}"),
            (Some(one), None, _) | (None, Some(one), None) | (None, None, Some(one)) => one.clone(),
            (None, None, None) => return f.write_str(&self.message),
        };
        f.write_str(&head)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// The items that a reader finds, without repetitions: a header that is included twice has the same errors twice.
#[derive(Debug, Default)]
pub(super) struct Items {
    kept: Vec<Item>,
    seen: HashSet<Item>,
    files: HashSet<String>,
}

impl Items {
    pub(super) fn push(&mut self, item: Item) {
        let name = |text: String| Some(cut(&one_line(&text), LONGEST_NAME)).filter(|text| !text.is_empty());
        let item = Item {
            test: item.test.and_then(name),
            code: item.code.and_then(name),
            place: item.place.and_then(name),
            message: cut(&one_line(&item.message), LONGEST_MESSAGE),
        };
        if !self.seen.insert(item.clone()) {
            return;
        }
        if let Some(place) = &item.place {
            self.files.insert(place.split(':').next().unwrap_or_default().to_owned());
        }
        if self.kept.len() < MOST_ITEMS {
            self.kept.push(item);
        }
    }

    /// Adds a failing test with its details.
    pub(super) fn push_test(&mut self, test: &str, detail: Detail) {
        self.push(Item { test: Some(test.to_owned()), place: detail.place, message: detail.message, code: None });
    }

    /// Adds an error at a place.
    pub(super) fn push_error(&mut self, place: Option<&str>, code: Option<&str>, message: impl Into<String>) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.push(Item { test: None, code: owned(code), place: owned(place), message: message.into() });
    }

    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// Returns the number of errors, and the number of files if there are several.
    pub(super) fn errors(&self) -> String {
        let errors = counted(self.len() as u64, "error", "errors");
        if self.files.len() > 1 { format!("{errors} in {} files", self.files.len()) } else { errors }
    }
}

/// Where a test failed, and its message.
#[derive(Debug, Clone, Default)]
pub(super) struct Detail {
    pub(super) place: Option<String>,
    pub(super) message: String,
}

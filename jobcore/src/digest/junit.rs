//! JUnit XML reports, which many test runners write to a file.

use std::borrow::Cow;

use super::found::{Detail, Failures, Items};
use super::lines::{Lazy, bounded, is_own, joined, regex};

static PLACE: Lazy = regex!(r"(?:^|[\s(])((?:[\w.@+~-]*/)*[\w.@+-]+\.[A-Za-z]\w*:\d+(?::\d+)?)");
static OF_A_LIBRARY: Lazy = regex!(r"\b(?:org\.junit|junit\.framework|java\.base|jdk\.internal|org\.testng)\b");
/// How much of a text is read.
const LONGEST: usize = 16 * 1024;

/// Returns the digest of a JUnit XML report, if a test in it failed. A truncated report is read as far as it goes.
pub fn junit_xml(text: &str) -> Option<Failures> {
    let mut items = Items::default();
    let (mut test, mut failure): (Option<Test>, Option<Failure<'_>>) = (None, None);
    let (mut failed, mut passed) = (0_u64, 0_u64);
    for part in Parts(text) {
        match part {
            Part::Text(text) => {
                if let Some(failure) = &mut failure
                    && failure.text.len() < LONGEST
                {
                    failure.text += &text[..text.floor_char_boundary(LONGEST)];
                }
            }
            Part::Tag(tag) => match tag.name() {
                "testcase" => {
                    test = Some(Test::new(&tag));
                    passed += u64::from(tag.closes_itself());
                }
                "skipped" => test = None,
                "/testcase" => passed += u64::from(test.take().is_some()),
                "failure" | "error" => {
                    failure = Some(Failure { tag, text: String::new() });
                    if tag.closes_itself() {
                        failed += report(test.take(), failure.take(), &mut items);
                    }
                }
                "/failure" | "/error" => failed += report(test.take(), failure.take(), &mut items),
                _ => {}
            },
        }
    }
    Failures::new("JUnit report", format!("{failed} failed, {passed} passed"), items)
}

/// Adds the failure of a test, and returns how many tests it made fail.
fn report(test: Option<Test>, failure: Option<Failure<'_>>, items: &mut Items) -> u64 {
    let (Some(test), Some(failure)) = (test, failure) else { return 0 };
    items.push_test(&test.name, Detail { place: test.place.or_else(|| failure.place()), message: failure.message() });
    1
}

#[derive(Debug)]
struct Test {
    name: String,
    place: Option<String>,
}

impl Test {
    fn new(tag: &Tag<'_>) -> Self {
        let (name, class) = (tag.attribute("name").unwrap_or_default(), tag.attribute("classname").unwrap_or_default());
        let between = if class.contains('/') { " > " } else { "." };
        let is_whole = class.is_empty() || name.starts_with(&*class);
        let place = match (tag.attribute("file"), tag.attribute("line")) {
            (Some(file), Some(line)) => Some(format!("{file}:{line}")),
            (file, _) => file.map(Cow::into_owned),
        };
        Self { name: if is_whole { name.into_owned() } else { format!("{class}{between}{name}") }, place }
    }
}

#[derive(Debug)]
struct Failure<'a> {
    tag: Tag<'a>,
    text: String,
}

impl Failure<'_> {
    fn place(&self) -> Option<String> {
        let lines = self.text.lines().map(bounded).filter(|line| !OF_A_LIBRARY.is_match(line));
        let places = lines.filter_map(|line| Some(PLACE.captures(line)?[1].to_owned()));
        { places }.find(|place| is_own(place))
    }

    fn message(&self) -> String {
        let attribute = |name| self.tag.attribute(name).filter(|text| !text.trim().is_empty());
        match attribute("message") {
            Some(message) => joined(message.lines().map(bounded)),
            None if self.text.trim().is_empty() => attribute("type").unwrap_or_default().into_owned(),
            None => {
                let text = self.text.lines().map(bounded).skip_while(|line| line.is_empty());
                joined(text.take_while(|line| !line.trim_start().starts_with("at ")))
            }
        }
    }
}

/// A start tag or an end tag, without its brackets.
#[derive(Debug, Clone, Copy)]
struct Tag<'a>(&'a str);

impl<'a> Tag<'a> {
    /// The name of the element, preceded by a `/` if this is its end.
    fn name(self) -> &'a str {
        self.0.split(|c: char| c.is_whitespace()).next().unwrap_or_default().trim_end_matches('/')
    }

    fn closes_itself(self) -> bool {
        self.0.ends_with('/')
    }

    fn attribute(self, wanted: &str) -> Option<Cow<'a, str>> {
        let mut rest = &self.0[self.name().len()..];
        loop {
            let (name, after) = rest.split_once('=')?;
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, after) = after[1..].split_once(quote)?;
            if name.trim() == wanted {
                return Some(unescaped(&value[..value.floor_char_boundary(LONGEST)]));
            }
            rest = after;
        }
    }
}

#[derive(Debug)]
enum Part<'a> {
    Tag(Tag<'a>),
    Text(Cow<'a, str>),
}

/// The tags and texts of the rest of a document. Comments and declarations are skipped; an unterminated part ends the
/// document.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = Part<'a>;

    fn next(&mut self) -> Option<Part<'a>> {
        loop {
            if let Some(data) = self.0.strip_prefix("<![CDATA[") {
                let (data, rest) = data.split_once("]]>").unwrap_or((data, ""));
                self.0 = rest;
                return Some(Part::Text(data.into()));
            } else if let Some(comment) = self.0.strip_prefix("<!--") {
                self.0 = comment.split_once("-->")?.1;
            } else if let Some(tag) = self.0.strip_prefix('<') {
                let mut quote = None;
                let end = tag.bytes().position(|byte| {
                    match (quote, byte) {
                        (None, b'"' | b'\'') => quote = Some(byte),
                        (Some(open), _) if open == byte => quote = None,
                        _ => {}
                    }
                    quote.is_none() && byte == b'>'
                })?;
                self.0 = &tag[end + 1..];
                if !tag.starts_with(['!', '?']) {
                    return Some(Part::Tag(Tag(&tag[..end])));
                }
            } else if self.0.is_empty() {
                return None;
            } else {
                let (text, rest) = self.0.split_at(self.0.find('<').unwrap_or(self.0.len()));
                self.0 = rest;
                return Some(Part::Text(unescaped(text)));
            }
        }
    }
}

/// Replaces character references and entities.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut pieces = text.split('&');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let entity = piece.split_once(';').and_then(|(name, rest)| Some((character(name)?, rest)));
        match entity {
            Some((c, rest)) => {
                plain.push(c);
                plain += rest;
            }
            None => {
                plain.push('&');
                plain += piece;
            }
        }
    }
    plain.into()
}

fn character(name: &str) -> Option<char> {
    let number = |text: &str, radix| u32::from_str_radix(text, radix).ok().and_then(char::from_u32);
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => match name.strip_prefix("#x") {
            Some(hex) => number(hex, 16),
            None => number(name.strip_prefix('#')?, 10),
        },
    }
}

//! Looking for lines in many of them at once.

use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};

/// A pattern that matches within one of many lines exactly where the pattern that it was made of matches in that line alone.
///
/// A search of a whole block costs a fraction of one for each line, most of all for a pattern that has to have some literal.
#[derive(Debug)]
pub(super) struct BlockSearch(Regex);

impl BlockSearch {
    /// Returns the search for a pattern; nothing if there is none for it, so that each line has to be looked at.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let hir = ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
        Regex::new(&within_line(&hir)?.to_string()).ok().map(Self)
    }

    /// Returns how many bytes the lines have that come before the first that matches. Each of the lines has its end.
    pub(super) fn before_match(&self, lines: &[u8]) -> usize {
        match self.0.find(lines) {
            // Behind the last line there is none.
            Some(found) if found.start() < lines.len() => {
                memchr::memrchr(b'\n', &lines[..found.start()]).map_or(0, |end| end + 1)
            }
            _ => lines.len(),
        }
    }
}

/// Returns what matches within a line as `hir` does in the line alone: nothing in it matches a line break, and the borders of
/// the text are those of the line.
fn within_line(hir: &Hir) -> Option<Hir> {
    let all = |subs: &[Hir]| subs.iter().map(within_line).collect::<Option<Vec<_>>>();
    Some(match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start) => Hir::look(Look::StartLF),
        HirKind::Look(Look::End) => Hir::look(Look::EndLF),
        // Between a carriage return and a line break is the end of a line alone, and none of one among others.
        HirKind::Look(Look::StartCRLF | Look::EndCRLF) => return None,
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(within_line(&repetition.sub)?);
            Hir::repetition(Repetition { sub, ..repetition.clone() })
        }
        HirKind::Capture(Capture { sub, .. }) => within_line(sub)?,
        HirKind::Concat(subs) => Hir::concat(all(subs)?),
        HirKind::Alternation(subs) => Hir::alternation(all(subs)?),
    })
}

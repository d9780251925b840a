//! Searching many lines at once.

use regex::bytes::Regex;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Capture, Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition,
};

/// A pattern that matches in a block of many lines exactly where the original pattern matches in each line alone.
///
/// Searching a whole block costs a fraction of searching line by line, especially for a pattern that requires some
/// literal.
#[derive(Debug)]
pub(super) struct BlockSearch(Regex);

impl BlockSearch {
    /// Returns the search for a pattern, or `None` if there is none, so that each line has to be searched.
    pub(super) fn new(pattern: &str) -> Option<Self> {
        let hir = ParserBuilder::new().utf8(false).build().parse(pattern).ok()?;
        Regex::new(&within_line(&hir)?.to_string()).ok().map(Self)
    }

    /// Returns the total size of the lines before the first that matches, in bytes. Each of the lines ends with a line
    /// break.
    pub(super) fn before_match(&self, lines: &[u8]) -> usize {
        match self.0.find(lines) {
            // There is no line after the last line break.
            Some(found) if found.start() < lines.len() => {
                memchr::memrchr(b'\n', &lines[..found.start()]).map_or(0, |end| end + 1)
            }
            _ => lines.len(),
        }
    }
}

/// Returns a pattern that matches within a block as `hir` does in a line alone: nothing in it matches a line break, and
/// the start and end of the text become those of a line.
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
        // Between a carriage return and a line break, these match in a single line but not in a block of lines.
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

//! Compilers of C and C++, linkers, make and CMake.

use super::found::{Failures, Items};
use super::lines::{Lazy, after, joined, regex};

/// Only for files of C and related languages: other tools use the same form.
static COMPILER: Lazy = regex!(concat!(
    r"^(\S[^:]*\.(?:c|h|cc|hh|cpp|hpp|cxx|hxx|c\+\+|h\+\+|C|H|m|mm|cu|cuh|inl|ipp|tcc|inc|s|S|f|f90):\d+(?::\d+)?)",
    r": (?:fatal )?error: (.+)$"
));
static DRIVER: Lazy =
    regex!(r"^(?:\S*(?:gcc|g\+\+|clang|clang\+\+)(?:-\d+)?|cc|c\+\+|cc1|cc1plus): (?:fatal )?error: (.+)$");
static UNDEFINED: Lazy = regex!(
    r"^(?:\S*\bld(?:\.\w+)?: )?(\S.*?):(?:\([^()]*\):)? ((?:undefined reference to|multiple definition of) .+)$"
);
static LINKER: Lazy = regex!(r"^\S*\b(?:ld|lld|mold)(?:\.\w+)?: (?:error: (.+)|(cannot find .+))$");
static REFERENCE: Lazy = regex!(r"^>>> referenced by (\S+)");
/// Other errors of make only repeat that the tool it ran has failed.
static MAKE: Lazy = regex!(r"^(?:\S*make(?:\[\d+\])?|(\S+:\d+)): \*\*\* (.+?)\.? +Stop\.$");
static CMAKE: Lazy = regex!(r"^CMake Error(?: at (\S+:\d+))?(?: \(.*\))?:(?: (.+))?$");

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let (mut items, mut tool) = (Items::default(), None);
    for (at, line) in lines.iter().enumerate() {
        let found = if let Some(error) = COMPILER.captures(line) {
            items.push_error(Some(&error[1]), None, &error[2]);
            "gcc/clang"
        } else if let Some(error) = DRIVER.captures(line) {
            if error[1].starts_with("linker command failed") {
                continue;
            }
            items.push_error(None, None, &error[1]);
            "gcc/clang"
        } else if let Some(error) = UNDEFINED.captures(line) {
            items.push_error(Some(&error[1]), None, &error[2]);
            "linker"
        } else if let Some(error) = LINKER.captures(line) {
            let next = after(lines, at).first().and_then(|next| REFERENCE.captures(next));
            let message = error.get(1).or_else(|| error.get(2)).map_or("", |message| message.as_str());
            items.push_error(next.as_ref().map(|next| &next[1]), None, message);
            "linker"
        } else if let Some(error) = MAKE.captures(line) {
            items.push_error(error.get(1).map(|place| place.as_str()), None, &error[2]);
            "make"
        } else if let Some(error) = CMAKE.captures(line) {
            let rest = after(lines, at).iter().copied().skip_while(|line| line.is_empty());
            let first = error.get(2).map_or("", |message| message.as_str());
            let paragraph = rest.take_while(|line| line.starts_with("  ")).map(str::trim).collect::<Vec<_>>().join(" ");
            items.push_error(error.get(1).map(|place| place.as_str()), None, joined([first, &paragraph]));
            "cmake"
        } else {
            continue;
        };
        tool.get_or_insert(found);
    }
    Failures::new(tool?, items.errors(), items)
}

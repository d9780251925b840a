//! Digests of the output of well-known tools that failed: the failing tests and errors, one line each.
//!
//! Pure functions over text without escape sequences. Each takes time linear in the length of the text, whatever it
//! contains.

// In the order in which to read them:
// - `found.rs`: the failures that are found, and how they are printed
// - `lines.rs`: helpers of all readers
// - `cargo.rs`, `pytest.rs`, `jest.rs`, `go.rs`, `tap.rs`, `ctest.rs`: tools that run tests
// - `tsc.rs`, `eslint.rs`, `cc.rs`: compilers and linters
// - `junit.rs`: report files
// - `causes.rs`: a fallback for all other tools
// - `tests.rs`, `properties.rs`: output of real tools, and properties of any text

mod cargo;
mod causes;
mod cc;
mod ctest;
mod eslint;
mod found;
mod go;
mod jest;
mod junit;
mod lines;
#[cfg(test)]
mod properties;
mod pytest;
mod tap;
#[cfg(test)]
mod tests;
mod tsc;

pub use causes::causes;
pub use found::{Failures, Item};
pub use junit::junit_xml;

/// A reader for the output of a family of tools, and strings one of which the output contains if such a tool failed.
type Reader = (&'static [&'static str], fn(&[&str]) -> Option<Failures>);

/// Test runners come first, because their output may contain that of compilers.
const READERS: [Reader; 10] = [
    (&["error", "panicked at", "FAIL"], cargo::read),
    (&["= ERRORS =", "= FAILURES =", "= short test summary info ="], pytest::read),
    (&["  ● "], jest::read_jest),
    (&["FAIL  "], jest::read_vitest),
    (&[".go:", "--- FAIL: "], go::read),
    (&["% tests passed, "], ctest::read),
    (&["not ok", "Result: FAIL"], tap::read),
    (&["error TS"], tsc::read),
    (&["✖ "], eslint::read),
    (&["error: ", "CMake Error", "undefined reference to", "multiple definition of", "cannot find ", "*** "], cc::read),
];

/// Returns the digest of cleaned output if it comes from a known tool and reports failures. If several tools failed,
/// this is the digest of the first in the order of the readers, and names the others with their counts.
pub fn digest(text: &str) -> Option<Failures> {
    let readers = READERS.iter().filter(|(signs, _)| signs.iter().any(|sign| text.contains(sign)));
    let lines: Vec<&str> = text.lines().map(lines::bounded).collect();
    let mut found = readers.filter_map(|(_, read)| read(&lines));
    let mut digest = found.next()?;
    digest.also = found.map(|other| other.heading()).collect();
    Some(digest)
}

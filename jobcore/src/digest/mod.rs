//! What the output of well-known tools says about why they failed: the failing tests and errors, each in one line.
//!
//! Pure functions over text that was cleaned of escape sequences. Each takes time linear in its length, whatever it holds.

// In the order in which to read them:
// - `found.rs`: what is found, and how it is printed
// - `lines.rs`: what the readers have in common
// - `cargo.rs`, `pytest.rs`, `jest.rs`, `go.rs`, `tap.rs`, `ctest.rs`: tools that run tests
// - `tsc.rs`, `eslint.rs`, `cc.rs`: tools that only read code
// - `junit.rs`: reports on disk
// - `causes.rs`: what is left for all other tools
// - `tests.rs`, `properties.rs`: what real tools printed, and what holds for any text

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

/// A reader of the output of a family of tools, with what that holds in any case if something failed.
type Reader = (&'static [&'static str], fn(&[&str]) -> Option<Failures>);

/// Those of tools that run tests come first, since what they print may hold what compilers print.
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

/// Returns the digest of cleaned output if it is that of a known tool and tells what failed. If several tools failed, it is the
/// digest of the first in the order of the readers, which names the others with their counts.
pub fn digest(text: &str) -> Option<Failures> {
    let readers = READERS.iter().filter(|(signs, _)| signs.iter().any(|sign| text.contains(sign)));
    let lines: Vec<&str> = text.lines().map(lines::bounded).collect();
    let mut found = readers.filter_map(|(_, read)| read(&lines));
    let mut digest = found.next()?;
    digest.also = found.map(|other| other.heading()).collect();
    Some(digest)
}

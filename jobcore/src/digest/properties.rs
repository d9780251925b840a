//! Properties of any text: nothing panics, what is read is bounded, and printed text fits its budget.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::tests::samples;
use super::*;
use crate::generate::{cases, damaged, repeated};

/// Words that readers look for, and words that nest or repeat.
const WORDS: &[&str] = &[
    "error[E0308]: a\n",
    " --> a.rs:1:2\n",
    "error: ",
    "failures:\n",
    "    tests::a\n",
    "---- a stdout ----\n",
    "thread 'a' panicked at a.rs:1:2:\n",
    "test result: FAILED. 1 passed; 99999999999999999999 failed;\n",
    "        FAIL [   0.1s] a b\n",
    "\nCaused by:\n  a\n",
    "= FAILURES =\n",
    "_ a _\n",
    "E   a\n",
    "a.py:1: in b\n",
    "= short test summary info =\n",
    "FAILED a::b - c\n",
    "= 1 failed in 1s =\n",
    "FAIL a.js\n",
    "  ● a › b\n",
    "    at a.js:1:2\n",
    " FAIL  a.js > b\n",
    " ❯ a.js:1:2\n",
    "=== RUN   A/b\n",
    "    --- FAIL: A/b (0.0s)\n",
    "        a.go:1: b\n",
    "panic: a\n",
    "\tb.go:1 +0x1\n",
    "FAIL\ta\n",
    "a.go:1:2: b\n",
    "1..9\n",
    "not ok 1 - a\n",
    "  ---\n",
    "  error: |-\n",
    "# Failed test 'a'\n",
    "Result: FAIL\n",
    "0% tests passed, 1 tests failed out of 1\n",
    "\t 1 - a (Failed)\n",
    "1/1 Test #1: a\n",
    "a.ts(1,2): error TS1: b\n",
    "  b\n",
    "a.js\n",
    "  1:2  error  b  c\n",
    "✖ 1 problem (1 error)\n",
    "a.c:1:2: error: b\n",
    "ld: a.o: undefined reference to `b'\n",
    "make: *** a.  Stop.\n",
    "CMake Error at a:1 (b):\n",
    "\n",
    " ",
    "a",
    "ä",
    "/",
    "\u{1b}[",
    "<testcase name='a'>",
    "<failure message=\"b",
    "\">",
    "</failure>",
    "</testcase>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "&amp;",
    "<",
    "&",
];

fn check(text: &str, budget: usize) {
    for digest in [digest(text), junit_xml(text)].into_iter().flatten() {
        let rendered = digest.render(budget);
        assert!(rendered.len() <= budget, "{} of {budget}: {rendered}", rendered.len());
        assert!(!digest.items.is_empty() && digest.items.len() <= 100 && digest.items.len() <= digest.total);
        let whole = digest.render(usize::MAX);
        assert!(whole.starts_with(digest.tool));
        let lines = 1 + digest.also.len() + digest.items.len() + usize::from(digest.total > digest.items.len());
        assert_eq!(whole.lines().count(), lines, "each item is one line: {whole:?}");
        assert!(whole.lines().all(|line| line.chars().count() < 1000 && !line.contains(char::is_control)), "{whole:?}");
    }
    let found = causes(text, budget % 20, budget);
    assert!(found.iter().map(|line| line.len() + 1).sum::<usize>() <= budget);
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_text_is_read(text in any::<String>(), budget in 0..3000_usize) {
        check(&text, budget);
    }

    #[test]
    fn damaged_output_is_read(
        bytes in damaged(samples().into_iter().map(|(_, text)| text.into_bytes()).collect()),
        budget in 0..3000_usize,
    ) {
        check(&String::from_utf8_lossy(&bytes), budget);
    }

    #[test]
    fn repeated_text_is_read(text in repeated(WORDS, 60), budget in 0..3000_usize) {
        check(&text, budget);
    }
}

/// A reader that scans all the remaining text for each line would take minutes.
#[test]
fn any_repeated_word_is_read_quickly() {
    for word in WORDS {
        let text = word.repeat((1 << 16) / word.len());
        let started = Instant::now();
        check(&text, 1500);
        assert!(started.elapsed() < Duration::from_secs(20), "{word:?}: {:?}", started.elapsed());
    }
}

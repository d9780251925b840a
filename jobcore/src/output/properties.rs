//! Properties of output, whatever was written.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Cursor;
use super::clean::Cleaner;
use crate::fuzzing;
use crate::generate::{cases, damaged, repeated};

/// The parts that terminal output is made of.
pub(super) const PARTS: [&[u8]; 30] = [
    b"a",
    b"xyz",
    b"\n",
    b"\x1b",
    b"[",
    b"]",
    b"?",
    b";",
    b"1",
    b"25",
    b"99999",
    b"A",
    b"C",
    b"D",
    b"G",
    b"H",
    b"J",
    b"K",
    b"P",
    b"X",
    b"@",
    b"m",
    b"\r",
    b"\x08",
    b"\x07",
    b"\x1b\\",
    b"\xc3\xa9",
    b"\xe6\x97\xa5",
    b"\xf0\x9f\x98",
    b"\xff",
];

fn terminal() -> impl Strategy<Value = Vec<u8>> {
    vec(select(&PARTS[..]), 0..80).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_cursor_is_a_number_and_is_displayed_unchanged(number in any::<u64>(), text in any::<String>()) {
        prop_assert_eq!(Cursor(number).to_string().parse(), Ok(Cursor(number)));
        fuzzing::words(text.as_bytes());
    }

    #[test]
    fn words_of_all_kinds_are_parsed_or_refused(
        text in damaged(["01a1fdae-f732-79d8-863c-36d74826f0c8", "SIGTERM", "port:3000", "file:/tmp/x", "C-M-x", "3G",
            "output:ready on .*", "M-M-M-M-x", "job:over"].map(|word| word.as_bytes().to_vec()).into()),
    ) {
        fuzzing::words(&text);
    }

    #[test]
    fn lines_equal_what_was_written(size in any::<u8>(), longest in any::<u8>(), text in terminal()) {
        fuzzing::lines(&[&[size, longest][..], &text].concat());
    }

    #[test]
    fn a_log_of_any_segments_and_rows_is_read_within_bounds(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::log(&bytes);
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_key_of_any_length_is_parsed_or_refused(words in repeated(&["M-", "C-", "x", "^", "Up", "Space"], 100_000)) {
        fuzzing::words(words.as_bytes());
    }

    #[test]
    fn any_pattern_is_searched_for_or_refused(
        // In a debug build, deeper nesting overflows the parser's share of a test's stack.
        pattern in repeated(&["(", ")", "a", "\\w", "{1000}", "{9}", "*", "+", "|", "[", "]", "^", "(?i)", "\\pL", "."], 40),
        text in terminal(),
    ) {
        fuzzing::grep(&[pattern.as_bytes(), b"\n", &text].concat());
    }
}

proptest! {
    #![proptest_config(cases(400))]

    /// With patterns for which line borders, line breaks and bytes that are not text make a difference.
    #[test]
    fn matching_lines_are_found_among_others(
        parts in vec(select(&[
            "a", "xyz", "a*", ".", "(?s:.)", "^", "$", "\\A", "\\z", "(?m:^)", "(?m:$)", "(?mR:$)", "(?R:$)", "\\b", "\\B", "\\s", "\\s+",
            "\\W*", "[^a]", "[^a]*", "\\n", "(a|\\n)", "(?-u:\\xff)", "(?-u:[^a])", "(?-u:\\b)", "\\r", "é", "(?i:A)", "|", "x?",
        ][..]), 0..5),
        text in terminal(),
    ) {
        fuzzing::grep(&[parts.concat().as_bytes(), b"\n", &text].concat());
    }
}

/// The CPU time of this thread, whatever else the machine does.
fn computed() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    std::time::Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Sequences that each change the whole line must not take quadratic time.
#[test]
fn cleaning_takes_linear_time() {
    const CHANGES: [&str; 10] =
        ["\x1b[@", "\x1b[999@", "\x1b[P", "\x1b[1K", "\x1b[X", "\x1b[9X", "\r", "\x08", "\x1b[9Gx", "\x1b[C"];
    for change in CHANGES {
        let line = format!("{}\r", "é".repeat(20_000));
        let bytes = [line, change.repeat(200_000 / change.len())].concat().into_bytes();
        let (mut cleaner, mut rest) = (Cleaner::default(), bytes.as_slice());
        let before = computed();
        while !rest.is_empty() {
            let drawn = cleaner.draw(rest, super::shown::LONGEST);
            rest = &rest[drawn..];
            if drawn == 0 || cleaner.is_left() {
                cleaner.take();
            }
        }
        let took = computed() - before;
        // Some hundredths of a second in a debug build; quadratic time would be minutes.
        assert!(took.as_secs() < 10, "{} takes {took:?}", change.escape_default());
    }
}

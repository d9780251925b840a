//! Property tests for the lines of a client.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::lines;

/// Parts from which messages are composed.
const PARTS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"jsonrpc\":\"2.0\"",
    "\"id\":",
    "\"method\":",
    "\"params\":",
    "\"result\":{}",
    "\"error\":{}",
    "7",
    "-1",
    "1.5",
    "1e999",
    "18446744073709551616",
    "null",
    "true",
    "\"x\"",
    "\"ping\"",
    "\"initialize\"",
    "\"tools/call\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\u{feff}",
    " ",
    "\r",
    "\"",
    "\\",
    "日",
    "\"id\":1,",
    "{\"a\":",
    "[[[[[[[[",
];

fn cases(cases: u32) -> ProptestConfig {
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { ProptestConfig::default().cases } else { cases };
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn any_line_is_passed_on_or_answered(parts in vec(select(PARTS), 0..20)) {
        lines::check(parts.concat().as_bytes());
    }

    #[test]
    fn any_message_is_passed_on_or_answered(
        id in select(&["", "\"id\":7,", "\"id\":\"x\",", "\"id\":null,", "\"id\":{},", "\"id\":7,\"id\":8,"][..]),
        method in select(&["", "\"method\":\"ping\",", "\"method\":7,", "\"method\":\"tools/list\","][..]),
        params in select(&["", "\"params\":{},", "\"params\":[],", "\"params\":{\"_meta\":7},", "\"params\":7,"][..]),
        rest in select(&["", "\"result\":{},", "\"error\":{\"code\":1,\"message\":\"x\"},"][..]),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let line = format!("{{{id}{method}{params}{rest}\"jsonrpc\":\"2.0\"}}");
        let end = if is_cut { cut.index(line.len() + 1) } else { line.len() };
        lines::check(&line.as_bytes()[..end]);
    }

    #[test]
    fn any_bytes_are_passed_on_or_answered(bytes in vec(any::<u8>(), 0..100)) {
        lines::check(&bytes);
    }
}

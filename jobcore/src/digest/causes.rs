//! Lines that look like the cause of a failure, for unknown tools.

use std::collections::{HashSet, VecDeque};

use super::lines::{Lazy, bounded, regex};
use crate::words::cut;

/// The maximum length of a line, in characters.
const LONGEST: usize = 300;

static ERROR: Lazy = regex!(concat!(
    // Lines that use a word for it: `error:`, `TypeError:`, `error[E0308]`, `ERROR`, `fatal:`.
    r"(?:\b|[A-Za-z])(?:[Ee]rror|[Ee]xception)(?: [A-Z]+\d+)?(?:\[[\w:-]+\])?(?::|\s*$)",
    r"|\b(?:[Ff]atal|FATAL|[Pp]anic)\b:?\s",
    r"|\b(?:ERROR|FAIL|FAILED|FAILURE|CRITICAL|not ok)\b",
    r"|\bpanicked at\b|\bTraceback \(|\b[Aa]ssert(?:ion)?\b.*\b(?:failed|fail)\b|\bAssertionError\b|\b[Uu]nhandled\b",
    r"|\b[Ee]xception in thread\b|^E {3}|✗|✖|\bERR!",
    r"|\*\*\* |\bundefined reference\b|\bundefined symbol\b|\bcannot find -l",
    r"|\b[Nn]o such file\b|\bcommand not found\b|: not found\b|\b[Pp]ermission denied\b|\bNo space left\b",
    r"|\b[Cc]onnection refused\b|\b[Oo]ut of memory\b|\bSegmentation fault\b|\bcore dumped\b|^\s*(?:Killed|Aborted)\b",
    r"|\b[Cc]an(?:no|')t (?:open|find|read|write|load|resolve|connect|access|create)\b",
    r"|\b(?:[Ff]ailed|[Uu]nable) to\b|\bexit(?:ed with)? (?:code|status):? [1-9]",
));

/// Matching lines that are not causes, because they say that there were none.
static NONE: Lazy =
    regex!(r"(?i)\b(?:0|no|without|zero) (?:errors?|exceptions?|fail\w*)\b|\b(?:errors?|fail\w*)[:=] ?0\b");

pub(super) fn is_cause(line: &str) -> bool {
    ERROR.is_match(line) && !NONE.is_match(line)
}

/// Returns the lines of cleaned output that look like the cause of a failure: as many of those nearest to its end as
/// fit into `budget` bytes, including line breaks, in their order and without repetitions. The last `shown` lines of
/// the output are skipped, because they are shown anyway. A line that was cut ends with `…`.
pub fn causes(text: &str, shown: usize, budget: usize) -> Vec<String> {
    let (mut causes, mut seen, mut room) = (VecDeque::new(), HashSet::new(), budget);
    for line in text.lines().rev().skip(shown).map(bounded).filter(|line| is_cause(line)) {
        if !seen.insert(line) {
            continue;
        }
        let line = cut(line, LONGEST);
        let Some(left) = room.checked_sub(line.len() + 1) else { break };
        room = left;
        causes.push_front(line);
    }
    causes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_look_like_a_cause_are_found() {
        let lines = [
            "error: could not compile",
            "main.c:3: error: expected ';'",
            "error[E0308]: mismatched types",
            "src/a.ts(3,7): error TS2322: no",
            "Error: Cannot find module 'x'",
            "TypeError: x is not a function",
            "json.decoder.JSONDecodeError: Expecting value",
            "java.lang.NullPointerException",
            "java.lang.IllegalStateException: no",
            "Exception in thread \"main\" x",
            "2026-01-01 12:00:00 ERROR worker died",
            "npm ERR! missing script",
            "FAILED tests/test_a.py::test_x",
            "FAIL src/a.test.js",
            "not ok 2 - adds",
            "thread 'main' panicked at src/main.rs:3:5:",
            "panic: runtime error",
            "Traceback (most recent call last):",
            "fatal: not a git repository",
            "FATAL could not start",
            "main.c:(.text+0x2c): undefined reference to `f'",
            "a.out: a.c:5: main: Assertion `x == 4' failed.",
            "assertion `left == right` failed",
            "E   assert 1 == 2",
            "cat: x: No such file or directory",
            "sh: 1: foo: not found",
            "bash: foo: command not found",
            "Segmentation fault (core dumped)",
            "Killed",
            "make: *** [Makefile:3: all] Error 1",
            "connect: Connection refused",
            "failed to solve: process \"/bin/sh\" did not complete",
            "Process exited with code 2",
        ];
        assert_eq!(lines.iter().filter(|line| !is_cause(line)).collect::<Vec<_>>(), Vec::<&&str>::new());
    }

    #[test]
    fn lines_that_only_contain_the_word_are_not_causes() {
        let lines = [
            "",
            "0 errors",
            "Found 0 errors. Watching for file changes.",
            "no errors",
            "errors: 0",
            "ERRORS=0",
            "Tests run: 5, Failures: 0, ERROR: 0, no failures",
            "gcc -c error_handling.c -o error_handling.o",
            "test error_is_shown ... ok",
            "Compiling thiserror v2.0.0",
            "src/errors/mod.rs",
            "warning: unused variable",
            "-Werror -Wall",
            "exit code 0",
            "exited with code 0",
            "asserts are on",
            "Killed-time statistics are off by default in failover",
        ];
        let mistaken: Vec<_> = lines.iter().filter(|line| is_cause(line)).collect();
        assert_eq!(mistaken, [lines.last().unwrap()], "the last line is mistaken because of a short word");
    }

    #[test]
    fn causes_nearest_to_the_end_take_precedence() {
        let text = "error: a\nfine\nerror: b\nerror: b\nerror: c\nfine\nerror: d\nlast\n";
        assert_eq!(causes(text, 0, 1000), ["error: a", "error: b", "error: c", "error: d"]);
        assert_eq!(causes(text, 2, 1000), ["error: a", "error: b", "error: c"]);
        assert_eq!(causes(text, 2, 18), ["error: b", "error: c"]);
        assert_eq!(causes(text, 2, 17), ["error: c"]);
        assert_eq!(causes(text, 99, 1000), Vec::<String>::new());
        let long = format!("error: {}", "x".repeat(1 << 20));
        assert_eq!(causes(&long, 0, 1000)[0].chars().count(), LONGEST);
    }
}

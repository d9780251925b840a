//! The shell policy on arbitrary lines.

use proptest::prelude::*;

use crate::fuzzing;
use crate::generate::{cases, damaged, repeated};

/// The parts that shell lines are made of.
const WORDS: &[&str] = &[
    "ls ",
    "rm -rf x",
    "npm test",
    "x=1 ",
    "$x",
    "${x}",
    "${x:-",
    "}",
    "$(",
    "`",
    "\\",
    "\\`",
    ")",
    "(",
    "((",
    "))",
    "$((",
    "[[ ",
    " ]]",
    "{ ",
    "; }",
    "if ",
    "; then ",
    "; fi",
    "while ",
    "; do ",
    "; done",
    "case x in ",
    "x) ",
    ";; esac",
    "for i in ",
    "f() ",
    "<<E\n",
    "\nE\n",
    "<<-E\n",
    "<<< ",
    "> ",
    "2>&1 ",
    "&> ",
    "| ",
    "|& ",
    "&& ",
    "|| ",
    "& ",
    "; ",
    "\n",
    "'",
    "\"",
    "$'",
    "\\x24",
    "eval ",
    "sh -c '",
    "env -S '",
    "xargs ",
    "sudo ",
    "find . -exec ",
    " \\;",
    "!",
    "#",
    "~",
    "*",
    "\u{202e}",
    "\0",
    "time ",
    "coproc ",
    "select ",
    "function ",
    "a[",
    "]=",
    "+=",
    "<(",
    ">(",
    "@(",
    "\r",
    "日",
];

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn any_words_are_judged(line in repeated(WORDS, 8)) {
        fuzzing::policy(line.as_bytes());
    }

    #[test]
    fn damaged_lines_are_judged(
        line in damaged([
            "npm run build && for f in *.rs; do rustfmt \"$f\" || exit 1; done",
            "if [ -e x ]; then env A=1 sh -c 'rm -rf \"$0\"' y; else cat <<E | grep -v \"$(date)\"\na\nE\nfi",
            "x=`echo \\`date\\``; case $x in a|b) true;; *) false;; esac 2>&1 >/dev/null &",
        ].map(|line| line.as_bytes().to_vec()).into()),
    ) {
        fuzzing::policy(&line);
    }
}

proptest! {
    #![proptest_config(cases(16))]

    /// However deeply they are nested, they are judged without a stack overflow and in bounded time.
    #[test]
    fn nested_words_are_judged(line in repeated(WORDS, 3000)) {
        fuzzing::policy(line.as_bytes());
    }
}

//! The first command of a shell line: a typing error in it is reported before the job fails because of it.
//!
//! Everything that only the shell can know is left to it: quoted words, variables, assignments, functions.

use std::ffi::OsStr;
use std::path::Path;

use super::find;
use crate::error::Error;
use crate::spec::{Command, JobSpec, shell_words};

/// The shells whose language is known here.
const SHELLS: [&str; 4] = ["bash", "sh", "dash", "ash"];

/// The builtins and reserved words of these shells (bash and dash).
const OWN_COMMANDS: [&str; 78] = [
    ".",
    ":",
    "alias",
    "bg",
    "bind",
    "break",
    "builtin",
    "caller",
    "case",
    "cd",
    "chdir",
    "command",
    "compgen",
    "complete",
    "compopt",
    "continue",
    "coproc",
    "declare",
    "dirs",
    "disown",
    "do",
    "done",
    "echo",
    "elif",
    "else",
    "enable",
    "esac",
    "eval",
    "exec",
    "exit",
    "export",
    "false",
    "fc",
    "fg",
    "fi",
    "for",
    "function",
    "getopts",
    "hash",
    "help",
    "history",
    "if",
    "in",
    "jobs",
    "kill",
    "let",
    "local",
    "logout",
    "mapfile",
    "popd",
    "printf",
    "pushd",
    "pwd",
    "read",
    "readarray",
    "readonly",
    "return",
    "select",
    "set",
    "shift",
    "shopt",
    "source",
    "suspend",
    "test",
    "then",
    "time",
    "times",
    "trap",
    "true",
    "type",
    "typeset",
    "ulimit",
    "umask",
    "unalias",
    "unset",
    "until",
    "wait",
    "while",
];

/// The first command of a line, if it is a plain word and not one of the shell's own commands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FirstCommand<'s> {
    word: &'s str,
    is_whole_line: bool,
}

impl FirstCommand<'_> {
    /// Returns whether the line consists of this word alone, and the word is not a path.
    pub(super) fn is_a_word(&self) -> bool {
        self.is_whole_line && !self.word.contains('/')
    }

    /// Returns the reason if there is no such program.
    pub(super) fn lookup(&self, spec: &JobSpec) -> Option<Error> {
        // A shell without `PATH` uses a default of its own.
        spec.environment.get("PATH")?;
        find(OsStr::new(self.word), &spec.cwd, &spec.environment).err()
    }
}

/// Returns the first command of a line if it has to be found as a program.
pub(super) fn first_command(spec: &JobSpec) -> Option<FirstCommand<'_>> {
    let Command::Shell(line) = &spec.command else { return None };
    let shell = shell_words(spec.shell.as_deref().unwrap_or("bash")).ok()?;
    // Startup files, which options may select, can define functions; the environment can pass on others.
    let [program] = shell.as_slice() else { return None };
    let is_known = SHELLS.iter().any(|known| Path::new(program).file_name() == Some(OsStr::new(known)));
    let defines = spec.environment.get("BASH_ENV").is_some_and(|file| !file.is_empty());
    let first = first_word(line)?;
    let is_function = spec.environment.get(format!("BASH_FUNC_{}%%", first.word)).is_some();
    (is_known && !defines && !is_function).then_some(first)
}

fn first_word(line: &str) -> Option<FirstCommand<'_>> {
    let line = line.trim();
    let end = line.find(|c: char| c.is_ascii_whitespace() || ";|&<>".contains(c)).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    let is_redirection = word.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with(['<', '>']);
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+@:,".contains(c);
    let is_left_to_the_shell = word.is_empty()
        || is_redirection
        || !word.chars().all(is_plain)
        || OWN_COMMANDS.binary_search(&word).is_ok()
        // A function: `name () { ... }`.
        || rest.trim_start().starts_with('(');
    (!is_left_to_the_shell).then_some(FirstCommand { word, is_whole_line: rest.is_empty() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shells_own_commands_can_be_searched() {
        assert!(OWN_COMMANDS.is_sorted());
    }

    #[test]
    fn only_a_plain_word_is_looked_up() {
        let word = |line| first_word(line).map(|first| (first.word, first.is_whole_line));
        for (line, expected) in [
            ("mkae", Some(("mkae", true))),
            ("  mkae \n", Some(("mkae", true))),
            ("mkae -j4", Some(("mkae", false))),
            ("mkae;ls", Some(("mkae", false))),
            ("mkae|cat", Some(("mkae", false))),
            ("mkae>x", Some(("mkae", false))),
            ("mkae && ls", Some(("mkae", false))),
            ("./x/y z", Some(("./x/y", false))),
            ("g++ x.cc", Some(("g++", false))),
        ] {
            assert_eq!(word(line), expected, "{line}");
        }
        for line in [
            "",
            "cd x",
            ":",
            ". ./env",
            "A=1 mkae",
            "$x",
            "\"my prog\"",
            "my\\ prog",
            "~/bin/x",
            "$(mkae)",
            "(mkae)",
            "{ mkae; }",
            "! mkae",
            "[ -e x ]",
            "[[ -e x ]]",
            "mkae() { ls; }; mkae",
            "mkae () { ls; }",
            "function mkae { ls; }",
            "if mkae; then ls; fi",
            "# mkae",
            "> file",
            "2>file mkae",
            "*.sh",
        ] {
            assert_eq!(word(line), None, "{line}");
        }
    }

    #[test]
    fn functions_defined_elsewhere_are_left_to_the_shell() {
        let spec = |name: &str| {
            let environment = [("PATH", "/nowhere"), (name, "() { :; }")].into_iter().collect();
            JobSpec::shell("mkae x").environment(environment).build().unwrap()
        };
        let is_missing = |spec: &JobSpec| first_command(spec).and_then(|first| first.lookup(spec)).is_some();
        assert!(is_missing(&spec("OTHER")));
        assert!(!is_missing(&spec("BASH_FUNC_mkae%%")));
        assert!(!is_missing(&spec("BASH_ENV")));
        assert!(!is_missing(&JobSpec { shell: Some("/usr/bin/fish".into()), ..spec("OTHER") }));
        assert!(!is_missing(&JobSpec::shell("mkae x").build().unwrap()), "there is no `PATH`");
    }
}

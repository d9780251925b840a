//! Commands that run other commands: which ones, as far as their own words tell.

use rable::{Node, NodeKind};

use super::base_name;
use super::commands::{Found, Word};

/// How to read the words before the command that a wrapper runs.
struct Wrapper {
    names: &'static [&'static str],
    /// Letters of options without a value.
    flags: &'static str,
    /// Letters of options with one.
    values: &'static str,
    /// Long options without a value, or with one behind `=`.
    long_flags: &'static [&'static str],
    /// Long options with a value, behind `=` or as the next word.
    long_values: &'static [&'static str],
    /// How many words stand between the options and the command.
    operands: usize,
    /// Whether `NAME=VALUE` may stand before the command.
    assigns: bool,
}

const NONE: Wrapper =
    Wrapper { names: &[], flags: "", values: "", long_flags: &[], long_values: &[], operands: 0, assigns: false };

const WRAPPERS: [Wrapper; 13] = [
    Wrapper { names: &["nohup", "builtin", "busybox"], ..NONE },
    Wrapper { names: &["exec"], flags: "cl", values: "a", ..NONE },
    Wrapper { names: &["command"], flags: "pvV", ..NONE },
    Wrapper { names: &["nice"], values: "n", long_values: &["adjustment"], ..NONE },
    Wrapper {
        names: &["ionice"],
        flags: "t",
        values: "cn",
        long_flags: &["ignore"],
        long_values: &["class", "classdata"],
        ..NONE
    },
    Wrapper {
        names: &["timeout"],
        flags: "fpv",
        values: "ks",
        long_flags: &["foreground", "preserve-status", "verbose"],
        long_values: &["kill-after", "signal"],
        operands: 1,
        ..NONE
    },
    Wrapper { names: &["setsid"], flags: "cfw", long_flags: &["ctty", "fork", "wait"], ..NONE },
    Wrapper { names: &["stdbuf"], values: "ioe", long_values: &["input", "output", "error"], ..NONE },
    Wrapper {
        names: &["time"],
        flags: "apqvV",
        values: "fo",
        long_flags: &["append", "portability", "quiet", "verbose"],
        long_values: &["format", "output"],
        ..NONE
    },
    Wrapper {
        names: &["env"],
        flags: "0iv",
        values: "uC",
        long_flags: &["ignore-environment", "null", "debug"],
        long_values: &["unset", "chdir"],
        assigns: true,
        ..NONE
    },
    Wrapper {
        names: &["sudo"],
        flags: "AbEHknPSis",
        values: "CDgpRrTtUu",
        long_flags: &["non-interactive", "preserve-env", "set-home", "login", "shell"],
        long_values: &["user", "group", "chdir"],
        assigns: true,
        ..NONE
    },
    Wrapper { names: &["doas"], flags: "Ln", values: "uC", ..NONE },
    Wrapper {
        names: &["xargs"],
        flags: "0oprtx",
        values: "adEILnPs",
        long_flags: &["null", "no-run-if-empty", "verbose", "interactive", "exit", "open-tty", "replace"],
        long_values: &["arg-file", "delimiter", "max-args", "max-procs", "max-lines", "max-chars"],
        ..NONE
    },
];

/// Programs that take a shell line with `-c`.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ash", "zsh", "ksh"];
/// Commands of the shell that set the variables that they name.
const DECLARATIONS: [&str; 5] = ["export", "declare", "typeset", "local", "readonly"];

type Result<T = ()> = std::result::Result<T, String>;

fn unreadable(name: &str, reason: &str) -> String {
    format!("it cannot be judged what `{name}` runs: {reason}")
}

/// Takes down what a command runs beside itself.
pub(super) fn look_into(words: &[Word], redirects: &[Node], found: &mut Found) -> Result {
    let Some((program, arguments)) = words.split_first().filter(|(program, _)| program.is_literal) else {
        return Ok(());
    };
    let name = base_name(&program.text);
    if SHELLS.contains(&name) {
        return shell(name, arguments, redirects, found);
    }
    if DECLARATIONS.contains(&name) {
        arguments.iter().filter(|word| word.text.contains('=')).for_each(|word| found.assignment(&word.text));
    }
    match name {
        "eval" => {
            let arguments = arguments.strip_prefix(&[literal("--")][..]).unwrap_or(arguments);
            found.line(&literal_line(name, arguments)?)
        }
        "trap" => {
            let arguments = arguments.strip_prefix(&[literal("--")][..]).unwrap_or(arguments);
            match arguments {
                // With one word, it is a signal that is reset; with options, they are printed.
                [line, _, ..] if !line.is_literal || !line.text.starts_with('-') => {
                    found.line(&literal_line(name, std::slice::from_ref(line))?)
                }
                _ => Ok(()),
            }
        }
        "find" => find(arguments, found),
        _ => match WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) {
            Some(wrapper) => wrapped(name, wrapper, arguments, redirects, found),
            None => Ok(()),
        },
    }
}

fn literal(text: &str) -> Word {
    Word { text: text.to_owned(), is_literal: true }
}

/// Returns words as the line that a shell makes of them.
fn literal_line(name: &str, words: &[Word]) -> Result<String> {
    if words.iter().any(|word| !word.is_literal) {
        return Err(unreadable(name, "its line is known only when it runs"));
    }
    Ok(words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "))
}

/// A shell runs the line behind `-c`, or else a script, or else what it reads.
fn shell(name: &str, arguments: &[Word], redirects: &[Node], found: &mut Found) -> Result {
    let mut is_line = false;
    let mut rest = arguments.iter();
    let operand = loop {
        let Some(word) = rest.next() else { break None };
        let text = word.text.as_str();
        if !word.is_literal && !is_line {
            return Err(unreadable(name, "its options are known only when it runs"));
        }
        if matches!(text, "--" | "-") {
            break rest.next();
        }
        if !word.is_literal || !text.starts_with(['-', '+']) {
            break Some(word);
        }
        if !text.starts_with("--") {
            is_line |= text.starts_with('-') && text.contains('c');
        }
        let takes_value = if text.starts_with("--") {
            matches!(text, "--rcfile" | "--init-file")
        } else {
            text.ends_with(['o', 'O'])
        };
        if takes_value {
            rest.next();
        }
    };
    match operand {
        Some(line) if is_line => found.line(&literal_line(name, std::slice::from_ref(line))?),
        Some(_) => Ok(()),
        None if is_line => Err(unreadable(name, "there is no line")),
        None => {
            for redirect in redirects {
                match &redirect.kind {
                    NodeKind::HereDoc { content, quoted, .. } if *quoted || !content.contains(['$', '`', '\\']) => {
                        found.line(content)?;
                    }
                    NodeKind::HereDoc { .. } => {
                        return Err(unreadable(name, "its here-document is known only when it runs"));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
    }
}

/// Runs a command for what it finds, each up to `;` or `+`.
fn find(arguments: &[Word], found: &mut Found) -> Result {
    let mut rest = arguments;
    while let Some(start) =
        rest.iter().position(|word| matches!(word.text.as_str(), "-exec" | "-execdir" | "-ok" | "-okdir"))
    {
        rest = &rest[start + 1..];
        let end = rest.iter().enumerate().position(|(position, word)| {
            word.text == ";" || (word.text == "+" && position > 0 && rest[position - 1].text == "{}")
        });
        let Some(end) = end else { return Err(unreadable("find", "its command has no end")) };
        found.simple(rest[..end].to_vec(), &[])?;
        rest = &rest[end + 1..];
    }
    Ok(())
}

fn wrapped(name: &str, wrapper: &Wrapper, arguments: &[Word], redirects: &[Node], found: &mut Found) -> Result {
    let command = command_of(name, wrapper, arguments, found)?;
    if name == "command" && arguments.iter().any(|word| matches!(word.text.as_str(), "-v" | "-V")) {
        return Ok(());
    }
    // What is read becomes arguments: it must not be what the command at the end of all wrappers is.
    if name == "xargs"
        && let Some(reader) = last_wrapper(command)
    {
        return Err(unreadable(&reader, "it takes its command from what `xargs` reads"));
    }
    found.simple(command.to_vec(), redirects)
}

/// Returns the wrapper, or the shell, to which words could be appended as its command.
fn last_wrapper(command: &[Word]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let name = base_name(&program.text);
    if SHELLS.contains(&name) {
        return (!arguments.iter().any(|word| !word.text.starts_with('-'))).then(|| name.to_owned());
    }
    if name == "eval" {
        return Some(name.to_owned());
    }
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name))?;
    match command_of(name, wrapper, arguments, &mut Found::default()) {
        Ok([]) | Err(_) => Some(name.to_owned()),
        Ok(inner) => last_wrapper(inner),
    }
}

/// Returns the command that a wrapper runs, which may be none.
fn command_of<'a>(name: &str, wrapper: &Wrapper, arguments: &'a [Word], found: &mut Found) -> Result<&'a [Word]> {
    let mut rest = arguments;
    while let Some((word, after)) = rest.split_first() {
        let text = word.text.as_str();
        if !text.starts_with('-') || (text == "-" && name != "env") {
            break;
        }
        rest = after;
        if text == "--" {
            break;
        }
        let unknown = || unreadable(name, &format!("its option `{text}` is not known"));
        if !word.is_literal {
            return Err(unknown());
        }
        let takes_next = if let Some(long) = text.strip_prefix("--") {
            let (option, value) = long.split_once('=').map_or((long, None), |(option, value)| (option, Some(value)));
            let takes_value = wrapper.long_values.contains(&option);
            if !takes_value && !wrapper.long_flags.contains(&option) {
                return Err(unknown());
            }
            takes_value && value.is_none()
        } else {
            let letters = &text[1..];
            let is_number = name == "nice" && letters.bytes().all(|byte| byte.is_ascii_digit());
            let value = letters.find(|letter| !wrapper.flags.contains(letter));
            match value {
                None => false,
                Some(_) if is_number => false,
                Some(position) if letters[position..].starts_with(|letter| wrapper.values.contains(letter)) => {
                    position + 1 == letters.len()
                }
                Some(_) => return Err(unknown()),
            }
        };
        if takes_next {
            rest = rest.split_first().map_or(&[], |(_, rest)| rest);
        }
    }
    rest = rest.get(wrapper.operands..).unwrap_or_default();
    while wrapper.assigns
        && let Some((word, after)) = rest.split_first()
        && word.text.contains('=')
    {
        found.assignment(&word.text);
        rest = after;
    }
    Ok(rest)
}

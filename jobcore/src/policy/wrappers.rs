//! Commands that run other commands: which ones, as far as their own words show.

use super::builtins;
use super::found::Found;
use super::shells::{self, Options};
use super::words::{Result, Value, Word, base_name, is_input, literal_line, unreadable};

/// How to read the words before the command that a wrapper runs.
struct Wrapper {
    names: &'static [&'static str],
    /// Single-letter options without a value.
    flags: &'static str,
    /// Single-letter options with a value.
    values: &'static str,
    /// Long options without a value, or with an optional value after `=`.
    long_flags: &'static [&'static str],
    /// Long options with a value, after `=` or as the next word.
    long_values: &'static [&'static str],
    /// How many words there are between the options and the command.
    operands: usize,
    /// Whether `NAME=VALUE` may precede the command.
    assigns: bool,
}

const NONE: Wrapper =
    Wrapper { names: &[], flags: "", values: "", long_flags: &[], long_values: &[], operands: 0, assigns: false };

const WRAPPERS: [Wrapper; 13] = [
    Wrapper { names: &["nohup", "builtin", "busybox"], ..NONE },
    Wrapper { names: &["exec"], flags: "cl", values: "a", ..NONE },
    Wrapper { names: &["command"], flags: "p", ..NONE },
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
        // The keyword of bash accepts whatever may precede any command.
        assigns: true,
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

/// Records what a command runs and sets in addition to itself.
pub(super) fn look_into(words: &[Word], found: &mut Found) -> Result {
    let Some((program, arguments)) = words.split_first().filter(|(program, _)| program.is_literal) else {
        return Ok(());
    };
    let name = base_name(&program.text);
    if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) {
        return wrapped(name, wrapper, arguments, found);
    }
    match name {
        "find" => find(arguments, found),
        _ if builtins::is_declaration(name) => builtins::declaration(name, arguments, found),
        _ if builtins::look_into(name, arguments, found)? => Ok(()),
        _ => shell(name, arguments, found),
    }
}

/// Handles a shell, which runs the line after `-c`, or else a script, or else its input.
fn shell(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    let dialect = match shells::dialect(name) {
        Ok(None) => return Ok(()),
        Ok(Some(dialect)) => dialect,
        // Such a shell is an ordinary program as long as it runs a script.
        Err(_) if arguments.first().is_some_and(|word| word.is_literal && !word.text.starts_with(['-', '+'])) => {
            return Ok(());
        }
        Err(reason) => return Err(reason),
    };
    let known: Vec<_> = arguments.iter().map_while(|word| word.is_literal.then_some(word.text.as_str())).collect();
    let options = Options::read(&known)?;
    let operand = arguments.get(options.used);
    if options.is_line {
        let Some(line) = operand else { return Err(unreadable(name, "there is no line")) };
        return found.line(&literal_line(name, std::slice::from_ref(line))?, dialect);
    }
    match operand {
        Some(word) if !word.is_literal => Err(unreadable(name, "its options are known only when it runs")),
        Some(script) if !options.is_input && !is_input(&script.text) => Ok(()),
        _ => {
            found.reads_commands(name, dialect);
            Ok(())
        }
    }
}

/// Handles `find`, which runs commands on what it finds, each up to `;` or `+`.
fn find(arguments: &[Word], found: &mut Found) -> Result {
    const ACTIONS: [&str; 4] = ["-exec", "-execdir", "-ok", "-okdir"];
    let is_end = |word: &Word| word.could_be(";") || word.could_be("+");
    let mut rest = arguments;
    while let Some(start) = rest.iter().position(|word| ACTIONS.iter().any(|action| word.could_be(action))) {
        let action = &rest[start];
        rest = &rest[start + 1..];
        if !action.is_literal {
            // As long as no command has an end, there is no command.
            if action.splits || rest.iter().any(is_end) {
                return Err(unreadable("find", "its arguments are known only when it runs; put them into quotes"));
            }
            continue;
        }
        let end = rest.iter().enumerate().position(|(position, word)| {
            word.text == ";" || (word.text == "+" && position > 0 && rest[position - 1].text == "{}")
        });
        let Some(end) = end else { return Err(unreadable("find", "its command has no end")) };
        found.simple(rest[..end].iter().map(|word| replaced(word, "{}")).collect())?;
        rest = &rest[end + 1..];
    }
    Ok(())
}

/// Returns a word with a mark in it as one whose value is not known.
fn replaced(word: &Word, mark: &str) -> Word {
    if word.text.contains(mark) { word.replaced() } else { word.clone() }
}

fn wrapped(name: &str, wrapper: &Wrapper, arguments: &[Word], found: &mut Found) -> Result {
    if name == "command"
        && arguments.first().is_some_and(|word| ["-v", "-V", "-pv", "-pV"].contains(&word.text.as_str()))
    {
        // It prints what a command is.
        return Ok(());
    }
    let Inner { command, mark, assigned } = Inner::of(name, wrapper, arguments)?;
    for (variable, value) in assigned {
        found.set(variable, value);
    }
    if name != "xargs" {
        return found.simple(command.to_vec());
    }
    if let Some(mark) = mark {
        return found.simple(command.iter().map(|word| replaced(word, &mark)).collect());
    }
    // Input becomes arguments: it must not become the command at the end of a chain of wrappers.
    if let Some(reader) = last_wrapper(command) {
        return Err(unreadable(&reader, "it takes its command from what `xargs` reads"));
    }
    found.simple(command.to_vec())
}

/// Returns the wrapper or the shell that would take appended words as its command.
fn last_wrapper(command: &[Word]) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let name = base_name(&program.text);
    if !matches!(shells::dialect(name), Ok(None)) {
        let known: Vec<_> = arguments.iter().map(|word| word.text.as_str()).collect();
        let has_operand = Options::read(&known).is_ok_and(|options| options.used < known.len());
        return (!has_operand).then(|| name.to_owned());
    }
    if name == "find" || name == "eval" {
        return Some(name.to_owned());
    }
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name))?;
    match Inner::of(name, wrapper, arguments) {
        Ok(Inner { command: [], .. }) | Err(_) => Some(name.to_owned()),
        Ok(Inner { command, .. }) => last_wrapper(command),
    }
}

/// The command that a wrapper runs.
struct Inner<'w> {
    /// The command, which may be empty.
    command: &'w [Word],
    /// The mark that `xargs` replaces in it.
    mark: Option<String>,
    /// The variables that are set for it.
    assigned: Vec<(&'w str, Value)>,
}

impl<'w> Inner<'w> {
    fn of(name: &str, wrapper: &Wrapper, arguments: &'w [Word]) -> Result<Self> {
        let mut mark = None;
        let mut rest = arguments;
        while let Some((word, after)) = rest.split_first() {
            if !word.could_be_option() || (word.text == "-" && name != "env") {
                break;
            }
            let text = word.text.as_str();
            let unknown = || unreadable(name, &format!("its option `{text}` is not known"));
            if !word.is_literal {
                // An unknown program is refused as such.
                if word.start.is_empty() {
                    break;
                }
                return Err(unknown());
            }
            rest = after;
            if text == "--" {
                break;
            }
            let (option, value) = if let Some(long) = text.strip_prefix("--") {
                let (option, value) =
                    long.split_once('=').map_or((long, None), |(option, value)| (option, Some(value)));
                let takes_value = wrapper.long_values.contains(&option);
                if !takes_value && !wrapper.long_flags.contains(&option) {
                    return Err(unknown());
                }
                if takes_value && value.is_none() { (option, take(&mut rest)) } else { (option, value) }
            } else {
                let letters = &text[1..];
                let is_number = name == "nice" && letters.bytes().all(|byte| byte.is_ascii_digit());
                match letters.find(|letter| !wrapper.flags.contains(letter)) {
                    None => ("", None),
                    Some(_) if is_number => ("", None),
                    Some(position) if letters[position..].starts_with(|letter| wrapper.values.contains(letter)) => {
                        let (option, attached) = letters[position..].split_at(1);
                        (option, if attached.is_empty() { take(&mut rest) } else { Some(attached) })
                    }
                    Some(_) => return Err(unknown()),
                }
            };
            if name == "xargs" && (option == "replace" || option == "I") {
                mark = Some(value.filter(|value| !value.is_empty()).unwrap_or("{}").to_owned());
            }
            if rest.len() < after.len() && !after[0].is_literal {
                return Err(unreadable(name, &format!("what follows its option `{text}` is known only when it runs")));
            }
        }
        for _ in 0..wrapper.operands {
            if let Some((word, after)) = rest.split_first() {
                if !word.is_literal {
                    return Err(unreadable(name, &format!("`{}` is known only when it runs", word.text)));
                }
                rest = after;
            }
        }
        let mut assigned = Vec::new();
        while wrapper.assigns
            && let Some((word, after)) = rest.split_first()
            && let Some((variable, _)) = word.start.split_once('=')
        {
            if word.splits {
                return Err(unreadable(name, &format!("`{}` can become several words; put it into quotes", word.text)));
            }
            assigned.push((variable, word.value_after_equals()));
            rest = after;
        }
        Ok(Self { command: rest, mark, assigned })
    }
}

/// Takes the next word as the value of an option.
fn take<'w>(rest: &mut &'w [Word]) -> Option<&'w str> {
    let (word, after) = rest.split_first()?;
    *rest = after;
    Some(&word.text)
}

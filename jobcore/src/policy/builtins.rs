//! Builtin commands of the shell that run, set or evaluate their arguments.

use super::found::Found;
use super::parse::evaluate;
use super::shells::Options;
use super::variables::is_name;
use super::words::{Result, Value, Word, is_input, literal_line, unjudged, unreadable};

/// Builtins that set the variables that they name.
const DECLARATIONS: [&str; 5] = ["export", "declare", "typeset", "local", "readonly"];

/// Returns whether this is a builtin that sets the variables that it names.
pub(super) fn is_declaration(name: &str) -> bool {
    DECLARATIONS.contains(&name)
}

/// Options of `shopt` that do not change how lines are parsed.
const SHOPT: [&str; 8] =
    ["dotglob", "failglob", "globstar", "inherit_errexit", "lastpipe", "nocaseglob", "nocasematch", "nullglob"];

/// Records what a builtin runs and sets. Returns whether this is a builtin.
pub(super) fn look_into(name: &str, arguments: &[Word], found: &mut Found) -> Result<bool> {
    match name {
        "eval" => {
            let line = literal_line(name, after_dashes(arguments))?;
            found.line(&line, found.dialect)?;
        }
        "trap" => trap(arguments, found)?,
        // Their effects do not show in the line, or apply to words that come later.
        "bind" | "compgen" | "complete" | "compopt" | "fc" | "history" => {
            return Err(unreadable(name, "it can run commands that do not show in its words"));
        }
        "alias" => refuse_words(name, arguments, |word| !word.is_literal || word.text.contains('='))?,
        "hash" => refuse_words(name, arguments, |word| word.could_be_option() && word.text != "-r")?,
        "enable" => refuse_words(name, arguments, |word| word.could_be_option() && word.text != "-n")?,
        "jobs" => refuse_words(name, arguments, |word| word.could_be_option() && word.text.contains(['x', '$', '`']))?,
        "set" => set(arguments)?,
        "shopt" => refuse_words(name, arguments, |word| {
            !word.is_literal
                || !(word.text.starts_with('-') && word.text != "-o" || SHOPT.contains(&word.text.as_str()))
        })?,
        "." | "source" => {
            if let Some(file) = after_dashes(arguments).first() {
                if !file.is_literal && file.text.contains("<(") {
                    return Err(unreadable(name, "the text that it reads is known only when it runs"));
                }
                if !file.is_literal || is_input(&file.text) {
                    found.reads_commands(name, found.dialect);
                }
            }
        }
        "let" => {
            for word in arguments {
                evaluate(&literal_line(name, std::slice::from_ref(word))?, found)?;
            }
        }
        "test" | "[" => test(name, arguments, found)?,
        "read" => {
            let names = names(name, arguments, "adinNptu", found)?;
            if names == 0 {
                found.fill("REPLY", Value::Unknown);
            }
        }
        "mapfile" | "readarray" => {
            refuse_words(name, arguments, |word| word.text.starts_with('-') && word.text.contains('C'))?;
            names(name, arguments, "cdnOsu", found)?;
        }
        "getopts" => {
            refuse_words(name, arguments, |word| word.splits)?;
            if let [_, variable, ..] = arguments {
                set_named(name, variable, found)?;
            }
            found.fill("OPTARG", Value::Unknown);
        }
        "printf" => printf(name, arguments, found)?,
        "wait" => wait(name, arguments, found)?,
        "unset" => refuse_words(name, arguments, |word| {
            !word.is_literal || !(is_name(&word.text) || ["-v", "-f", "-n", "--"].contains(&word.text.as_str()))
        })?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn after_dashes(arguments: &[Word]) -> &[Word] {
    match arguments {
        [first, rest @ ..] if first.text == "--" => rest,
        _ => arguments,
    }
}

/// Refuses a command that has such a word.
fn refuse_words(name: &str, arguments: &[Word], is_refused: impl Fn(&Word) -> bool) -> Result {
    match arguments.iter().find(|word| is_refused(word)) {
        Some(word) => Err(unjudged(format_args!("the effect of `{}` on `{name}` is not known", word.text))),
        None => Ok(()),
    }
}

/// Handles `set`, whose options must not change how the shell parses lines.
fn set(arguments: &[Word]) -> Result {
    let known: Vec<_> = arguments.iter().map_while(|word| word.is_literal.then_some(word.text.as_str())).collect();
    let options = Options::read(&known)?;
    let is_ended = options.used > 0 && ["-", "--"].contains(&known[options.used - 1]);
    match arguments.get(options.used) {
        Some(word) if !is_ended && word.could_be_option() => Err(unjudged(format_args!(
            "the effect of `{}` on `set` is not known; write `set -- {}`",
            word.text, word.text
        ))),
        _ if options.is_line || options.is_input => Err(unjudged("`set` with this option is not known")),
        _ => Ok(()),
    }
}

fn trap(arguments: &[Word], found: &mut Found) -> Result {
    refuse_words("trap", arguments, |word| word.splits)?;
    match after_dashes(arguments) {
        // A single word is a signal to reset; with options, traps are printed.
        [line, _, ..] if !line.is_literal || !line.text.starts_with('-') => {
            found.line(&literal_line("trap", std::slice::from_ref(line))?, found.dialect)
        }
        _ => Ok(()),
    }
}

/// Records variables that are set by name, as with `export` and `declare`.
pub(super) fn declaration(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    let mut is_integer = false;
    for word in arguments {
        let refuse = || Err(unjudged(format_args!("it is not known which variable `{} {}` sets", name, word.text)));
        if word.start.starts_with(['-', '+']) {
            // With `-n`, a name refers to another variable, except for `export`.
            if !word.is_literal || (word.text.contains('n') && name != "export") {
                return refuse();
            }
            is_integer |= word.text.contains('i');
            continue;
        }
        let variable = word.start.split('=').next().unwrap_or_default();
        let has_value = word.start.contains('=');
        let variable = variable.strip_suffix('+').unwrap_or(variable);
        if word.splits || !is_name(variable) || (!has_value && !word.is_literal) {
            return refuse();
        }
        if has_value {
            found.set(variable, word.value_after_equals());
        }
        if is_integer {
            found.evaluates(variable, Value::Number);
        }
    }
    Ok(())
}

/// Records a variable that is named by a word.
fn set_named(name: &str, word: &Word, found: &mut Found) -> Result {
    if !word.is_literal || !is_name(&word.text) {
        return Err(unjudged(format_args!("it is not known which variable `{name} {}` sets", word.text)));
    }
    found.set(&word.text, Value::Unknown);
    Ok(())
}

/// Records the variables that are named after options, and returns how many there are. `values` lists the options with
/// values.
fn names(name: &str, arguments: &[Word], values: &str, found: &mut Found) -> Result<usize> {
    let mut rest = arguments.iter();
    let mut count = 0;
    while let Some(word) = rest.next() {
        let Some(letters) = word.text.strip_prefix('-').filter(|_| word.is_literal && count == 0) else {
            set_named(name, word, found)?;
            count += 1;
            continue;
        };
        let Some(position) = letters.find(|letter| values.contains(letter)) else { continue };
        let (option, attached) = letters[position..].split_at(1);
        let value = if attached.is_empty() { rest.next().cloned() } else { Some(Word::literal(attached)) };
        if option == "a"
            && let Some(variable) = value
        {
            set_named(name, &variable, found)?;
            count += 1;
        } else if value.is_some_and(|value| value.splits) {
            return Err(unjudged(format_args!("the options of `{name}` are not known")));
        }
    }
    Ok(count)
}

/// Handles `wait`, whose option `-p` sets a variable.
fn wait(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match single_variable(word) {
            Some(variable) => found.evaluates(variable, Value::Plain),
            None if word.value == Value::Number => {}
            None if !word.is_literal && word.could_be_option() => {
                return Err(unjudged(format_args!("the effect of `{}` on `{name}` is not known", word.text)));
            }
            None if word.text == "-p" => set_named(name, rest.next().unwrap_or(word), found)?,
            None if word.text.starts_with('-') && word.text.contains('p') => set_named(name, word, found)?,
            None => {}
        }
    }
    Ok(())
}

/// Returns the variable if a word consists only of its value.
fn single_variable(word: &Word) -> Option<&str> {
    let text = word.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&word.text);
    text.strip_prefix('$').filter(|variable| is_name(variable) && !word.is_literal)
}

/// Handles `printf`, whose option `-v`, which may be repeated, sets a variable.
fn printf(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    let mut rest = arguments;
    while let [first, after @ ..] = rest {
        rest = after;
        let Some(attached) = first.text.strip_prefix("-v").filter(|_| first.is_literal) else {
            // `-vNAME` ends like a name, `-vNAME[...]` with a bracket.
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let could_end = first.end.chars().all(is_of_name) || first.end.ends_with(']');
            let could_be =
                first.splits || ("-v".starts_with(&first.start) || first.start.starts_with("-v")) && could_end;
            if !first.is_literal && could_be && (first.splits || !after.is_empty()) {
                let text = &first.text;
                return Err(unjudged(format_args!(
                    "it is not known whether `{text}` is the format of `{name}`; write `{name} -- ...`"
                )));
            }
            break;
        };
        if !attached.is_empty() {
            set_named(name, &Word::literal(attached), found)?;
        } else if let [variable, after @ ..] = rest {
            rest = after;
            set_named(name, variable, found)?;
        }
    }
    Ok(())
}

/// Handles `test`, whose operator `-v` evaluates a subscript.
fn test(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    const BINARY: [&str; 22] = [
        "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-ef", "-nt", "-ot", "-a", "-o", "]", ")",
        "(", "\\<", "\\>", "=~",
    ];
    for (position, word) in arguments.iter().enumerate() {
        let refuse = || {
            Err(unjudged(format_args!("the effect of `{}` on `{name}` is not known; put it into quotes", word.text)))
        };
        if word.splits {
            // A single variable, whose value is known to be harmless.
            match single_variable(word) {
                Some(variable) => found.evaluates(variable, Value::Plain),
                None => return refuse(),
            }
        }
        let Some(next) = arguments.get(position + 1) else { continue };
        let is_operand = !(next.is_literal && BINARY.contains(&next.text.as_str()));
        let could_ask = !word.splits && (word.could_be("-v") || word.could_be("-R"));
        if could_ask && is_operand && !(next.is_literal && is_name(&next.text)) {
            return refuse();
        }
    }
    Ok(())
}

//! Commands of the shell itself that run, set or evaluate what their words say.

use super::found::Found;
use super::parse::evaluate;
use super::shells::Options;
use super::variables::is_name;
use super::words::{Result, Value, Word, is_input, literal_line, unjudged, unreadable};

/// Commands of the shell that set the variables that they name.
const DECLARATIONS: [&str; 5] = ["export", "declare", "typeset", "local", "readonly"];

/// Returns whether this is a command of the shell that sets the variables it names.
pub(super) fn is_declaration(name: &str) -> bool {
    DECLARATIONS.contains(&name)
}

/// Options of `shopt` by which lines are read as before.
const SHOPT: [&str; 8] =
    ["dotglob", "failglob", "globstar", "inherit_errexit", "lastpipe", "nocaseglob", "nocasematch", "nullglob"];

/// Takes down what a command of the shell runs and sets. Returns whether it is one.
pub(super) fn look_into(name: &str, arguments: &[Word], found: &mut Found) -> Result<bool> {
    match name {
        "eval" => {
            let line = literal_line(name, after_dashes(arguments))?;
            found.line(&line, found.dialect)?;
        }
        "trap" => trap(arguments, found)?,
        // What they do is in no word of the line, or is done to words of it that come later.
        "bind" | "compgen" | "complete" | "compopt" | "fc" | "history" => {
            return Err(unreadable(name, "it can run what its words do not show"));
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
                    return Err(unreadable(name, "the text that it reads is known only then"));
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

/// Refuses a command with such a word.
fn refuse_words(name: &str, arguments: &[Word], is_refused: impl Fn(&Word) -> bool) -> Result {
    match arguments.iter().find(|word| is_refused(word)) {
        Some(word) => Err(unjudged(format_args!("what `{name}` does with `{}`", word.text))),
        None => Ok(()),
    }
}

/// Sets options of the shell, by which it must not read lines in another way, and parameters.
fn set(arguments: &[Word]) -> Result {
    let known: Vec<_> = arguments.iter().map_while(|word| word.is_literal.then_some(word.text.as_str())).collect();
    let options = Options::read(&known)?;
    let is_ended = options.used > 0 && ["-", "--"].contains(&known[options.used - 1]);
    match arguments.get(options.used) {
        Some(word) if !is_ended && word.could_be_option() => {
            Err(unjudged(format_args!("what `set` does with `{}`; write `set -- {}`", word.text, word.text)))
        }
        _ if options.is_line || options.is_input => Err(unjudged("an option of `set`")),
        _ => Ok(()),
    }
}

fn trap(arguments: &[Word], found: &mut Found) -> Result {
    refuse_words("trap", arguments, |word| word.splits)?;
    match after_dashes(arguments) {
        // With one word, it is a signal that is reset; with options, they are printed.
        [line, _, ..] if !line.is_literal || !line.text.starts_with('-') => {
            found.line(&literal_line("trap", std::slice::from_ref(line))?, found.dialect)
        }
        _ => Ok(()),
    }
}

/// Takes down variables that are set by name, as `export` and `declare` do.
pub(super) fn declaration(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    let mut is_integer = false;
    for word in arguments {
        let refuse = || Err(unjudged(format_args!("which variable `{} {}` sets", name, word.text)));
        if word.start.starts_with(['-', '+']) {
            // With `-n` a name stands for another, as with `export` it does not.
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

/// Takes down a variable that is named by a word.
fn set_named(name: &str, word: &Word, found: &mut Found) -> Result {
    if !word.is_literal || !is_name(&word.text) {
        return Err(unjudged(format_args!("which variable `{name} {}` sets", word.text)));
    }
    found.set(&word.text, Value::Unknown);
    Ok(())
}

/// Takes down the variables that are named behind options, of which these letters have values, and returns how many.
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
            return Err(unjudged(format_args!("the options of `{name}`")));
        }
    }
    Ok(count)
}

/// Waits for processes; `-p` sets a variable.
fn wait(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        match single_variable(word) {
            Some(variable) => found.evaluates(variable, Value::Plain),
            None if word.value == Value::Number => {}
            None if !word.is_literal && word.could_be_option() => {
                return Err(unjudged(format_args!("what `{name}` does with `{}`", word.text)));
            }
            None if word.text == "-p" => set_named(name, rest.next().unwrap_or(word), found)?,
            None if word.text.starts_with('-') && word.text.contains('p') => set_named(name, word, found)?,
            None => {}
        }
    }
    Ok(())
}

/// Returns the variable whose value is all that a word is.
fn single_variable(word: &Word) -> Option<&str> {
    let text = word.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(&word.text);
    text.strip_prefix('$').filter(|variable| is_name(variable) && !word.is_literal)
}

/// With `-v`, which may be repeated, it sets a variable.
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
                    "whether `{text}` is the format of `{name}`; write `{name} -- ...`"
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

/// With `-v` it evaluates a subscript.
fn test(name: &str, arguments: &[Word], found: &mut Found) -> Result {
    const BINARY: [&str; 22] = [
        "=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-ef", "-nt", "-ot", "-a", "-o", "]", ")",
        "(", "\\<", "\\>", "=~",
    ];
    for (position, word) in arguments.iter().enumerate() {
        let refuse = || Err(unjudged(format_args!("what `{name}` does with `{}`; put it into quotes", word.text)));
        if word.splits {
            // One variable alone, of which all is known to be harmless.
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

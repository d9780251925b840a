//! Arithmetic: numbers, names and operators.
//!
//! A shell evaluates the values of names in it as arithmetic again, and subscripts in that can run commands. Therefore
//! the values must be numbers, and nothing else is accepted.

use super::super::found::Found;
use super::super::words::{Result, Value, unjudged};
use super::Reader;

const OPERATORS: &str = "+-*/%<>=!&|^~?:,() \t\n";
/// Operators that set the name before them.
const SETTING: [&str; 12] = ["++", "--", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "^=", "|="];

impl Reader<'_> {
    /// Reads up to the matching closing parenthesis, and returns the text before it.
    pub(super) fn balanced(&mut self, has_parts: bool) -> Result<String> {
        let mut inner = String::new();
        let mut open = 0;
        loop {
            let Some(c) = self.peek() else { return Err(self.unexpected()) };
            let c = if c == '\n' { self.raw()? } else { c };
            self.at += usize::from(c != '\n');
            match c {
                ')' if open == 0 => return Ok(inner),
                ')' => open -= 1,
                '(' if inner.ends_with(['$', '<', '>']) => return Err(unexpected_in(c)),
                '(' => open += 1,
                '#' if !inner.ends_with(|c: char| c.is_ascii_alphanumeric() || "${".contains(c)) => {
                    return Err(unexpected_in(c));
                }
                ';' if !has_parts => return Err(unexpected_in(c)),
                '\'' | '"' | '\\' | '`' => return Err(unexpected_in(c)),
                _ => {}
            }
            inner.push(c);
        }
    }
}

fn unexpected_in(c: char) -> String {
    unjudged(format_args!("`{c}` in arithmetic; put a blank between `(` and `(` of a nested list"))
}

/// Records what arithmetic evaluates and sets.
pub(crate) fn evaluate(expression: &str, found: &mut Found) -> Result {
    let mut rest = expression;
    let (mut is_stepped, mut is_behind_operand) = (false, false);
    while let Some(c) = rest.chars().next() {
        let was_stepped = std::mem::take(&mut is_stepped);
        let length = |is_part: fn(char) -> bool, text: &str| text.find(|c| !is_part(c)).unwrap_or(text.len());
        let is_operand = c.is_ascii_alphanumeric() || "_$(".contains(c);
        if is_operand && is_behind_operand {
            return Err(unjudged("arithmetic without an operator; put a blank between `(` and `(` of a nested list"));
        }
        if c.is_ascii_digit() {
            rest = &rest[length(|c| c.is_ascii_alphanumeric() || "#@_".contains(c), rest)..];
        } else if c.is_ascii_alphabetic() || c == '_' {
            let (name, behind) = rest.split_at(length(|c| c.is_ascii_alphanumeric() || c == '_', rest));
            rest = behind.trim_start();
            if rest.starts_with('[') {
                return Err(unjudged("a subscript in arithmetic"));
            }
            found.evaluates(name, Value::Number);
            let is_equal = rest.starts_with('=') && !rest.starts_with("==");
            if was_stepped || is_equal || SETTING.iter().any(|operator| rest.starts_with(operator)) {
                found.set(name, Value::Number);
            }
        } else if let Some(parameter) = rest.strip_prefix('$') {
            rest = expanded(parameter, found)?;
        } else if OPERATORS.contains(c) {
            let step = rest.starts_with("++") || rest.starts_with("--");
            is_stepped = step || (was_stepped && c.is_whitespace());
            rest = &rest[if step { 2 } else { c.len_utf8() }..];
            is_behind_operand = (is_behind_operand && (step || c.is_whitespace())) || c == ')';
            continue;
        } else {
            return Err(unjudged(format_args!("`{}` in arithmetic", c.escape_debug())));
        }
        is_behind_operand = true;
    }
    Ok(())
}

/// Reads a parameter after its `$`, and returns the rest.
fn expanded<'t>(parameter: &'t str, found: &mut Found) -> Result<&'t str> {
    let refuse = || Err(unjudged("arithmetic with a value that is known only when it runs"));
    if let Some(rest) = parameter.strip_prefix(['#', '?', '$', '!']) {
        return Ok(rest);
    }
    let (inner, is_braced) = parameter.strip_prefix('{').map_or((parameter, false), |inner| (inner, true));
    let (inner, is_length) = match inner.strip_prefix('#') {
        Some(inner) if is_braced => (inner, true),
        _ => (inner, false),
    };
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return refuse();
    }
    if !is_length {
        found.evaluates(name, Value::Number);
    }
    match is_braced {
        false => Ok(rest),
        true => rest.strip_prefix('}').map_or_else(refuse, Ok),
    }
}

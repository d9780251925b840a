//! Finds all simple commands of a line, wherever they hide.
//!
//! The parser leaves some texts as they are (here-documents, the words of `${x:-...}`, arithmetic). They are looked through
//! for substitutions, each of which goes through the parser again. Whatever is not understood is an error, never ignored.

use std::fmt;

use rable::{Node, NodeKind};

use super::wrappers;

/// More substitutions than this in one line are refused: the parser's time grows with the cube of their nesting.
const MAX_SUBSTITUTIONS: usize = 100;
/// More parentheses than this are refused: they cost stack.
const MAX_PARENTHESES: usize = 1000;
/// So many lines may be within each other, `sh -c` in `eval` and so on.
const MAX_LINES: usize = 10;
/// So many places are tried as the end of a substitution.
const MAX_ENDS: usize = 50;
/// For a line of the greatest length, whose tree is deep. Only what is used of it costs anything.
const STACK: usize = 256 << 20;

/// What a line or a command would run, as far as words tell.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// All simple commands, those that others run included.
    pub(super) commands: Vec<Simple>,
    /// All variables that are set.
    pub(super) variables: Vec<String>,
    /// How many lines the one that is looked at is in.
    depth: usize,
}

/// A simple command: a program, or something of the shell, and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Simple {
    pub(super) words: Vec<Word>,
}

/// A word, without its quotes if its value is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// The value, or else what is written.
    pub(super) text: String,
    /// Whether the value is known before it runs.
    pub(super) is_literal: bool,
}

impl fmt::Display for Simple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.words.iter().map(|word| word.text.as_str()).collect();
        f.write_str(&words.join(" "))
    }
}

type Result<T = ()> = std::result::Result<T, String>;

/// Returns what a shell line would run.
pub(super) fn of_line(line: &str) -> Result<Found> {
    on_large_stack(|| {
        let mut found = Found::default();
        found.line(line)?;
        Ok(found)
    })
}

/// Returns what a program with these arguments would run.
pub(super) fn of_argv(argv: &[String]) -> Result<Found> {
    on_large_stack(|| {
        let mut found = Found::default();
        let words = argv.iter().map(|word| Word { text: word.clone(), is_literal: true }).collect();
        found.simple(words, &[])?;
        Ok(found)
    })
}

/// The parser and its tree are recursive, and a line of 128 KiB can be deeper than the stack of a thread of a runtime is.
fn on_large_stack(find: impl FnOnce() -> Result<Found> + Send) -> Result<Found> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, find).map_err(|error| format!("it cannot be judged: {error}"))?;
        thread.join().unwrap_or_else(|_| Err("it cannot be judged: the shell parser failed".to_owned()))
    })
}

fn parse(line: &str) -> Result<Vec<Node>> {
    let substitutions = ["$(", "<(", ">(", "${", "`"].iter().map(|opening| line.matches(opening).count());
    if substitutions.sum::<usize>() > MAX_SUBSTITUTIONS || line.matches('(').count() > MAX_PARENTHESES {
        return Err("it has too many substitutions or parentheses to be judged".to_owned());
    }
    rable::parse(line, false).map_err(|error| format!("it cannot be judged: {error}"))
}

/// Returns the one word behind `:` in a line that was made to have just this.
fn single_word(line: &str) -> Result<Node> {
    let not_one = || "it cannot be judged: a substitution is not understood".to_owned();
    let mut nodes = parse(line)?;
    let node = nodes.pop().filter(|_| nodes.is_empty()).ok_or_else(not_one)?;
    match node.kind {
        NodeKind::Command { assignments, mut words, redirects }
            if assignments.is_empty() && redirects.is_empty() && words.len() == 2 =>
        {
            words.pop().ok_or_else(not_one)
        }
        _ => Err(not_one()),
    }
}

impl Found {
    /// Looks through a shell line.
    pub(super) fn line(&mut self, line: &str) -> Result {
        if self.depth == MAX_LINES {
            return Err("it has too many lines within lines to be judged".to_owned());
        }
        self.depth += 1;
        for node in parse(line)? {
            self.node(&node)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn nodes<'a>(&mut self, nodes: impl IntoIterator<Item = &'a Node>) -> Result {
        nodes.into_iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Result {
        match &node.kind {
            NodeKind::Word { .. } => self.word(node).map(drop),
            NodeKind::Command { assignments, words, redirects } => {
                for assignment in assignments {
                    let word = self.word(assignment)?;
                    self.assignment(&word.text);
                }
                self.nodes(redirects)?;
                let words = words.iter().map(|word| self.word(word)).collect::<Result<Vec<_>>>()?;
                self.simple(words, redirects)
            }
            NodeKind::Pipeline { commands, .. } => self.nodes(commands),
            NodeKind::List { items } => self.nodes(items.iter().map(|item| &item.command)),
            NodeKind::If { condition, then_body, else_body, redirects } => {
                self.nodes([condition.as_ref(), then_body])?;
                self.nodes(else_body.as_deref())?;
                self.nodes(redirects)
            }
            NodeKind::While { condition, body, redirects } | NodeKind::Until { condition, body, redirects } => {
                self.nodes([condition.as_ref(), body])?;
                self.nodes(redirects)
            }
            NodeKind::For { var, words, body, redirects } | NodeKind::Select { var, words, body, redirects } => {
                self.variables.push(var.clone());
                self.nodes(words.iter().flatten())?;
                self.node(body)?;
                self.nodes(redirects)
            }
            NodeKind::ForArith { init, cond, incr, body, redirects } => {
                [init, cond, incr].into_iter().try_for_each(|text| self.text(text))?;
                self.node(body)?;
                self.nodes(redirects)
            }
            NodeKind::Case { word, patterns, redirects } => {
                self.node(word)?;
                for case in patterns {
                    self.nodes(&case.patterns)?;
                    self.nodes(&case.body)?;
                }
                self.nodes(redirects)
            }
            NodeKind::Function { body, .. } => self.node(body),
            NodeKind::Subshell { body, redirects }
            | NodeKind::BraceGroup { body, redirects }
            | NodeKind::ConditionalExpr { body, redirects } => {
                self.node(body)?;
                self.nodes(redirects)
            }
            NodeKind::Coproc { command, .. }
            | NodeKind::CommandSubstitution { command, .. }
            | NodeKind::ProcessSubstitution { command, .. } => self.node(command),
            NodeKind::Negation { pipeline } | NodeKind::Time { pipeline, .. } => self.node(pipeline),
            NodeKind::Redirect { target, .. } => self.node(target),
            NodeKind::HereDoc { content, quoted, .. } => {
                if *quoted {
                    return Ok(());
                }
                self.text(content)
            }
            NodeKind::ParamExpansion { param, op, arg } | NodeKind::ParamIndirect { param, op, arg } => {
                // `${ command; }` runs a command, and `@P` runs what is in a value.
                let is_known = param.chars().next().is_some_and(|c| !c.is_whitespace() && c != '|' && c != '(');
                let op = op.as_deref().unwrap_or_default();
                if !is_known || op.contains("@P") || (op == "@" && arg.as_deref() == Some("P")) || param.contains("@P")
                {
                    return Err(format!("it cannot be judged: `${{{param}{op}...}}` may run anything"));
                }
                self.unparsed(param)?;
                self.unparsed(op)?;
                self.unparsed(arg.as_deref().unwrap_or_default())
            }
            NodeKind::ParamLength { param } => self.unparsed(param),
            NodeKind::LocaleString { content, .. } => self.node(&single_word(&format!(": {content}"))?),
            NodeKind::BraceExpansion { content } | NodeKind::CondTerm { value: content, .. } => self.unparsed(content),
            NodeKind::ArithmeticCommand { raw_content, redirects, .. } => {
                check_balance(raw_content)?;
                self.text(raw_content)?;
                self.nodes(redirects)
            }
            NodeKind::ArithDeprecated { expression } => self.text(expression),
            NodeKind::UnaryTest { operand, .. } | NodeKind::CondNot { operand } => self.node(operand),
            NodeKind::CondParen { inner } => self.node(inner),
            NodeKind::BinaryTest { left, right, .. }
            | NodeKind::CondAnd { left, right }
            | NodeKind::CondOr { left, right } => self.nodes([left.as_ref(), right]),
            NodeKind::Array { elements } => self.nodes(elements),
            NodeKind::WordLiteral { .. }
            | NodeKind::AnsiCQuote { .. }
            | NodeKind::Empty
            | NodeKind::Comment { .. }
            // Whoever meets arithmetic looks through the text that it was made from.
            | NodeKind::ArithmeticExpansion { .. }
            | NodeKind::ArithNumber { .. }
            | NodeKind::ArithVar { .. }
            | NodeKind::ArithBinaryOp { .. }
            | NodeKind::ArithUnaryOp { .. }
            | NodeKind::ArithPreIncr { .. }
            | NodeKind::ArithPostIncr { .. }
            | NodeKind::ArithPreDecr { .. }
            | NodeKind::ArithPostDecr { .. }
            | NodeKind::ArithAssign { .. }
            | NodeKind::ArithTernary { .. }
            | NodeKind::ArithComma { .. }
            | NodeKind::ArithSubscript { .. }
            | NodeKind::ArithEmpty
            | NodeKind::ArithEscape { .. }
            | NodeKind::ArithConcat { .. } => Ok(()),
        }
    }

    /// Takes down a simple command and those that it runs.
    pub(super) fn simple(&mut self, words: Vec<Word>, redirects: &[Node]) -> Result {
        if words.is_empty() {
            return Ok(());
        }
        wrappers::look_into(&words, redirects, self)?;
        self.commands.push(Simple { words });
        Ok(())
    }

    /// Takes down the variable of `NAME=VALUE`, `NAME+=VALUE` or `NAME[...]=VALUE`.
    pub(super) fn assignment(&mut self, text: &str) {
        // Where the value is not known, the quotes are still there.
        let name = text.split(['=', '+', '[']).next().unwrap_or_default();
        self.variables.push(name.replace(['"', '\'', '\\'], ""));
    }

    /// Returns a word without its quotes, and takes down what it runs.
    fn word(&mut self, node: &Node) -> Result<Word> {
        let NodeKind::Word { value, parts, .. } = &node.kind else {
            return Err("it cannot be judged: something stands where a word should".to_owned());
        };
        let mut reader = WordReader::default();
        for part in parts {
            match &part.kind {
                NodeKind::WordLiteral { value } => reader.read(value)?,
                NodeKind::AnsiCQuote { decoded, .. } if !reader.is_double_quoted => reader.text.push_str(decoded),
                NodeKind::ArithmeticExpansion { .. } => {
                    reader.is_dynamic = true;
                    self.text(value)?;
                }
                _ => {
                    reader.is_dynamic = true;
                    self.node(part)?;
                }
            }
        }
        let text = if reader.is_dynamic { value.clone() } else { reader.text };
        Ok(Word { text, is_literal: !reader.is_dynamic })
    }

    /// Looks through a text that the parser left as it is, in which processes may be substituted too.
    fn unparsed(&mut self, text: &str) -> Result {
        if text.contains("<(") || text.contains(">(") {
            return Err("it cannot be judged: a process substitution within an expansion".to_owned());
        }
        self.text(text)
    }

    /// Looks through a text in which the shell expands as it does between double quotes.
    fn text(&mut self, text: &str) -> Result {
        let mut rest = text;
        while let Some(position) = rest.find(['\\', '$', '`']) {
            rest = &rest[position..];
            let mut skip = 1;
            if let Some(escaped) = rest.strip_prefix('\\') {
                skip += escaped.chars().next().map_or(0, char::len_utf8);
            } else if rest.starts_with("$((") {
                let (part, length) = substitution(rest)?;
                skip = length;
                if matches!(part.kind, NodeKind::ArithmeticExpansion { .. }) {
                    // Arithmetic has no commands but in substitutions of its own, which come next.
                    check_balance(&rest[3..length - 2])?;
                    skip = 3;
                }
                self.node(&part)?;
            } else if rest.starts_with("$(") || rest.starts_with("${") || rest.starts_with('`') {
                let (part, length) = substitution(rest)?;
                self.node(&part)?;
                skip = length;
            }
            rest = &rest[skip..];
        }
        Ok(())
    }
}

/// Refuses what looks like arithmetic to the parser, and is a subshell to a shell: `$((a); (b))`.
fn check_balance(arithmetic: &str) -> Result {
    let mut open = 0_usize;
    for c in arithmetic.chars() {
        open = match c {
            '(' => open + 1,
            ')' => open.checked_sub(1).ok_or("it cannot be judged: put a blank between `(` and `(` of subshells")?,
            _ => open,
        };
    }
    Ok(())
}

/// Parses the substitution with which a text begins, and returns it with its length: the first that makes sense, since a
/// closing character that is quoted, or in a comment, leaves it open.
fn substitution(text: &str) -> Result<(Node, usize)> {
    let (closing, opening) = match text.as_bytes() {
        [b'$', b'(', ..] => (')', 2),
        [b'$', ..] => ('}', 2),
        _ => ('`', 1),
    };
    for (position, _) in text[opening..].match_indices(closing).take(MAX_ENDS) {
        let length = opening + position + 1;
        let Ok(word) = single_word(&format!(": \"{}\"", &text[..length])) else { continue };
        let NodeKind::Word { parts, .. } = word.kind else { continue };
        let is_quote = |node: &Node| matches!(&node.kind, NodeKind::WordLiteral { value } if value == "\"");
        if let Ok([before, part, after]) = <[Node; 3]>::try_from(parts)
            && is_quote(&before)
            && is_quote(&after)
            && !matches!(part.kind, NodeKind::WordLiteral { .. })
        {
            return Ok((part, length));
        }
    }
    Err("it cannot be judged: a substitution is not understood".to_owned())
}

/// Takes the quotes off a word, of which the parser gives the parts that it does not expand one by one.
#[derive(Debug, Default)]
struct WordReader {
    text: String,
    is_dynamic: bool,
    is_double_quoted: bool,
}

impl WordReader {
    fn read(&mut self, part: &str) -> Result {
        let mut chars = part.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            match c {
                '"' => self.is_double_quoted = !self.is_double_quoted,
                '\\' => match next {
                    Some('\n') => drop(chars.next()),
                    Some(quoted) if !self.is_double_quoted || "$`\"\\".contains(quoted) => {
                        self.text.push(quoted);
                        chars.next();
                    }
                    _ => self.text.push('\\'),
                },
                '`' => return Err("it cannot be judged: a backtick is not understood".to_owned()),
                '$' if next.is_some_and(|c| "([{".contains(c)) => {
                    return Err(format!("it cannot be judged: `{part}` is not understood"));
                }
                '$' => {
                    self.is_dynamic |= next.is_some_and(|c| !c.is_whitespace() && c != '"');
                    self.text.push('$');
                }
                _ if self.is_double_quoted => self.text.push(c),
                '\'' => {
                    let quoted: String = chars.by_ref().take_while(|c| *c != '\'').collect();
                    self.text.push_str(&quoted);
                }
                '<' | '>' if next == Some('(') => {
                    return Err("it cannot be judged: a process substitution is not understood".to_owned());
                }
                '{' if next == Some('}') => self.text.push('{'),
                '~' | '*' | '?' | '[' | '{' | '(' => {
                    // `[` alone is a command, and a `~` within a word is itself, but behind `=` and `:`.
                    let is_itself = (c == '[' && next.is_none() && self.text.is_empty())
                        || (c == '~' && !self.text.is_empty() && !self.text.ends_with([':', '=']));
                    self.is_dynamic |= !is_itself;
                    self.text.push(c);
                }
                _ => self.text.push(c),
            }
        }
        Ok(())
    }
}

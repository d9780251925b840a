//! Templates for a line about a job: text with keys of the job's public shape in braces.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserializer, Error as _, Visitor, value};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Value;

use crate::escape;
use crate::parse_error::ParseError;
use crate::shape::JobShape;

/// A template for a line about a job, such as `{short_id} {status} {labels.branch}`.
///
/// Braces enclose a key of the public shape of a job, [`JobShape`]; a dot selects a value within it. `{command}` is the
/// command line, even for a job that was given as a program and its arguments. A missing value is an empty text;
/// numbers, lists and objects are written as in JSON. `{{` and `}}` are braces, `\t` is a tab and `\n` a line break.
/// Control characters in values are escaped, so that no job can control the terminal.
///
/// ```
/// use jobcore::template::Template;
///
/// let template: Template = r"{name}\t{exit_code}".parse()?;
/// assert!("{colour}".parse::<Template>().unwrap_err().to_string().contains("`exit_code`"));
/// # Ok::<(), jobcore::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value { key: String, within: Vec<String> },
}

impl Template {
    /// Returns the text about a job.
    pub fn render(&self, job: &JobShape) -> String {
        let shape = serde_json::to_value(job).unwrap_or_default();
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Value { key, within } if key == "command" && within.is_empty() => {
                    text.push_str(&escape::one_line(&job.command_line()));
                }
                Part::Value { key, within } => {
                    let value = within.iter().try_fold(&shape[key], |value, key| value.get(key));
                    text.push_str(&escape::one_line(&written(value.unwrap_or(&Value::Null))));
                }
            }
        }
        text
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl FromStr for Template {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (mut parts, mut plain) = (Vec::new(), String::new());
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let next = rest.clone().next();
            match (c, next) {
                ('{', Some('{')) | ('}', Some('}')) => {
                    plain.push(c);
                    rest.next();
                }
                ('\\', Some('t' | 'n' | '\\')) => {
                    plain.push(match rest.next() {
                        Some('t') => '\t',
                        Some('n') => '\n',
                        _ => '\\',
                    });
                }
                ('{', _) => {
                    let Some((name, behind)) = rest.as_str().split_once('}') else {
                        return Err(ParseError::new(format!("`{{{}` has no closing brace", rest.as_str())));
                    };
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                    parts.push(value_of(name)?);
                    rest = behind.chars();
                }
                ('}', _) => return Err(ParseError::new("a `}` without a `{` before it; write `}}` for a brace")),
                _ => plain.push(c),
            }
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Ok(Self(parts))
    }
}

fn value_of(name: &str) -> Result<Part, ParseError> {
    let mut keys = name.trim().split('.').map(str::to_owned);
    let key = keys.next().unwrap_or_default();
    let known = keys_of_shape();
    if known.contains(&key.as_str()) {
        return Ok(Part::Value { key, within: keys.collect() });
    }
    let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
    Err(ParseError::new(format!("a job has no `{key}`; its keys are {}", known.join(", "))))
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => {
                    let text = text.replace('{', "{{").replace('}', "}}").replace('\\', r"\\");
                    f.write_str(&text.replace('\t', r"\t").replace('\n', r"\n"))?;
                }
                Part::Value { key, within } => {
                    write!(f, "{{{}}}", [std::slice::from_ref(key), within].concat().join("."))?;
                }
            }
        }
        Ok(())
    }
}

/// Returns the keys of the shape of a job, in order.
fn keys_of_shape() -> &'static [&'static str] {
    let mut keys: &[&str] = &[];
    // `Keys` records the names of the fields and then fails.
    let _ = JobShape::deserialize(Keys(&mut keys));
    keys
}

/// A deserializer that records the field names of a structure.
struct Keys<'k>(&'k mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = value::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, value::Error> {
        *self.0 = fields;
        Err(value::Error::custom("only the names of the fields are wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
        Err(value::Error::custom("not a structure"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SystemRandom, Timestamp};
    use crate::id::JobId;
    use crate::record::{Evidence, Submission};
    use crate::spec::{JobSpec, JobSpecBuilder};
    use crate::sys::world;

    fn render(template: &str, spec: JobSpecBuilder) -> String {
        let now = Timestamp::UNIX_EPOCH;
        let id = JobId::mint(now, &SystemRandom).unwrap();
        let submission = Submission::new(id, now, spec.build().unwrap(), "/bin/sh".into(), world::capture().unwrap());
        let (job, _) = Evidence::new(submission).judge(now).unwrap();
        template.parse::<Template>().unwrap().render(&job.shape(now))
    }

    #[test]
    fn keys_stand_for_their_values() {
        let spec = || JobSpec::command(["echo", "a b"]).cwd("/").label("branch", "main").name("web".parse().unwrap());
        for (template, expected) in [
            ("", ""),
            ("{name}: {status}", "web: queued"),
            ("{ name }", "web"),
            ("{labels.branch}|{labels.other}|{exit_code}|{name.x}", "main|||"),
            (r"{submitted_at}\t{output_bytes}\n", "1970-01-01T00:00:00Z\t0\n"),
            (r"{{name}} \x \\t", r"{name} \x \t"),
            ("{argv} {labels}", r#"["echo","a b"] {"branch":"main"}"#),
            ("{command}", "echo 'a b'"),
        ] {
            assert_eq!(render(template, spec()), expected, "{template}");
            let template: Template = template.parse().unwrap();
            assert_eq!(template.to_string().parse(), Ok(template));
        }
    }

    #[test]
    fn no_job_controls_the_terminal() {
        assert_eq!(render("{command}", JobSpec::shell("a\n\x1b[31mb").cwd("/")), "a⏎\\u{1b}[31mb");
        let labelled = JobSpec::shell("a").cwd("/").label("l", "\u{202e}x");
        assert!(!render("{labels} {labels.l}", labelled).contains('\u{202e}'));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_known_ones() {
        for (template, reason) in [
            ("{colour}", "a job has no `colour`; its keys are `job_id`, `short_id`, `name`, `status`"),
            ("{}", "a job has no ``"),
            ("{name", "no closing brace"),
            ("name}", "without a `{`"),
        ] {
            let error = template.parse::<Template>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}

//! Conditions that make a job ready: those that can be waited for from outside, and those that the supervisor checks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Until, Url};
use crate::parse_error::ParseError;

const FORMS: &str =
    "write `port:3000`, `port:HOST:PORT`, `http://HOST:PORT/PATH`, `output:RE`, `file:PATH` or `cmd:LINE`";

/// A condition that makes a job ready: `port:3000`, `port:HOST:PORT`, `http://HOST/PATH`, `output:RE`, `file:PATH` or
/// `cmd:LINE`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Condition {
    /// A condition that can be waited for as well: a line of its output, a port of its own, a file.
    Until(Until),
    /// Some process accepts connections there, whichever it is.
    Address {
        /// The name or the address of the host.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// A GET request is answered with a status from 200 to 399.
    Http(Url),
    /// This line exits with 0 when it is run by the shell of the job, in its directory and its environment.
    Command(String),
}

impl Condition {
    /// Returns whether the job's output alone decides whether it is met.
    pub(crate) fn is_output(&self) -> bool {
        matches!(self, Self::Until(Until::Output(_)))
    }
}

impl FromStr for Condition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let wrong = |reason: &str| ParseError::new(format!("`{text}`: {reason}"));
        match kind {
            "cmd" if rest.trim().is_empty() || rest.contains('\0') => {
                Err(wrong("write a line for a shell, such as `cmd:pg_isready`"))
            }
            "cmd" => Ok(Self::Command(rest.to_owned())),
            "http" => Url::parse(rest.strip_prefix("http:").unwrap_or(rest)).map(Self::Http).map_err(|why| wrong(&why)),
            "https" => {
                Err(wrong("TLS is not supported; use `cmd:curl --fail --silent --output /dev/null https://HOST/`"))
            }
            "port" if rest.contains(':') => match rest.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
                Some((host, Ok(port))) if port > 0 && is_host(host) => {
                    Ok(Self::Address { host: host.to_owned(), port })
                }
                _ => Err(wrong("write it as `port:localhost:3000` or `port:[::1]:3000`")),
            },
            "port" | "output" | "file" => text.parse().map(Self::Until),
            _ => Err(wrong(FORMS)),
        }
    }
}

/// Returns whether a text can be a host name or an address. An IPv6 address must be in brackets.
pub(super) fn is_host(text: &str) -> bool {
    let is_name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !text.is_empty() && is_name(text),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Until(until) => until.fmt(f),
            Self::Address { host, port } => write!(f, "port:{host}:{port}"),
            Self::Http(url) => url.fmt(f),
            Self::Command(line) => write!(f, "cmd:{line}"),
        }
    }
}

/// Compares the written forms: patterns have no other identity.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl TryFrom<String> for Condition {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_written_as_it_was_read() {
        for text in [
            "port:3000",
            "port:localhost:3000",
            "port:[::1]:3000",
            "http://localhost:3000/health?deep=1",
            "http://[::1]/",
            "output:ready|listening",
            "file:out/done",
            "cmd:test -e a && curl -f http://b:1/",
        ] {
            let condition = text.parse::<Condition>().unwrap();
            assert_eq!(condition.to_string(), text);
            assert_eq!(serde_json::from_value::<Condition>(serde_json::json!(text)).unwrap(), condition);
        }
        assert_eq!("http:http://a".parse::<Condition>().unwrap().to_string(), "http://a/");
    }

    #[test]
    fn an_invalid_condition_is_refused_with_a_valid_form() {
        for (wrong, reason) in [
            ("", "write `port:3000`"),
            ("exit", "write `port:3000`"),
            ("ready", "write `port:3000`"),
            ("quiet:5s", "write `port:3000`"),
            ("port:0", "from 1 to 65535"),
            ("port:a b:80", "port:localhost:3000"),
            ("port:::1:80", "port:localhost:3000"),
            ("port:a:0", "port:localhost:3000"),
            ("https://a", "TLS is not supported"),
            ("http:", "http://localhost:3000/"),
            ("http://", "http://localhost:3000/"),
            ("http://a/ b", "http://localhost:3000/"),
            ("http://u@a/", "http://localhost:3000/"),
            ("output:a(b", "a(b"),
            ("cmd: ", "a line for a shell"),
            ("file:", "write `exit`"),
        ] {
            let refused = wrong.parse::<Condition>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("`{wrong}`: ")) && refused.contains(reason), "{refused}");
        }
    }
}

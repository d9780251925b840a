//! Conditions that can be waited for, with one grammar for every interface.

// In the order in which to read them:
// - `condition.rs`, `url.rs`: conditions that make a job ready

mod condition;
mod url;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::output::Pattern;
use crate::parse_error::ParseError;

pub use condition::Condition;
pub use url::Url;

/// A condition to wait for: `exit`, `ready`, `output:RE`, `quiet:5s`, `port:3000` or `file:PATH`.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Until {
    /// The job has ended.
    #[default]
    Exit,
    /// The job is ready, by the conditions of its spec.
    Ready,
    /// A line of its output, cleaned of terminal control sequences, matches this. An unfinished line counts when
    /// nothing follows for a tenth of a second: a prompt.
    Output(Pattern),
    /// It has written nothing for this long.
    Quiet(Duration),
    /// One of its processes listens on this TCP port. A port of another process does not count if `/proc` shows its
    /// owner.
    Port(u16),
    /// This file exists; a relative path is resolved against the job's working directory.
    File(PathBuf),
}

impl Until {
    /// Returns whether this is the end of the job.
    pub fn is_exit(&self) -> bool {
        matches!(self, Self::Exit)
    }
}

impl FromStr for Until {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let wrong = |reason: &str| ParseError::new(format!("`{text}`: {reason}"));
        match kind {
            "exit" if rest.is_empty() => Ok(Self::Exit),
            "ready" if rest.is_empty() => Ok(Self::Ready),
            "output" if rest.is_empty() => Err(wrong("write what to wait for, such as `output:listening on`")),
            "output" => rest.parse().map(Self::Output).map_err(|error: ParseError| wrong(&error.to_string())),
            "quiet" => match humantime::parse_duration(rest) {
                Ok(time) => Ok(Self::Quiet(time)),
                Err(error) => Err(wrong(&format!("{error}; write for example `quiet:5s`"))),
            },
            "port" => match rest.parse() {
                Ok(0) | Err(_) => Err(wrong("a port is a number from 1 to 65535")),
                Ok(port) => Ok(Self::Port(port)),
            },
            "file" if !rest.is_empty() && !rest.contains('\0') => Ok(Self::File(rest.into())),
            _ => Err(wrong("write `exit`, `ready`, `output:RE`, `quiet:5s`, `port:3000` or `file:PATH`")),
        }
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit => f.write_str("exit"),
            Self::Ready => f.write_str("ready"),
            Self::Output(pattern) => write!(f, "output:{pattern}"),
            Self::Quiet(time) => write!(f, "quiet:{}", humantime::format_duration(*time)),
            Self::Port(port) => write!(f, "port:{port}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_written_as_it_was_read() {
        for text in
            ["exit", "ready", "output:a: b|c", "quiet:5s", "quiet:1m 30s", "port:3000", "file:out/done", "file:/a:b"]
        {
            assert_eq!(text.parse::<Until>().map(|until| until.to_string()), Ok(text.to_owned()));
        }
        for wrong in [
            "",
            "end",
            "exit:0",
            "ready:1",
            "output:",
            "output:a(b",
            "quiet:",
            "quiet:5",
            "port:",
            "port:0",
            "port:70000",
            "file:",
        ] {
            let refused = wrong.parse::<Until>().unwrap_err().to_string();
            assert!(refused.starts_with(&format!("`{wrong}`: ")), "{refused}");
        }
    }
}

//! The caller that submitted a job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::parse_error::ParseError;

/// The longest id of a conversation, in bytes. It may be the path of a directory.
const LONGEST: usize = 1024;

/// The conversation, thread or program that submitted a job, as far as its host identifies it. The end of the job is
/// delivered to it once, see [`JobManager::deliver`](crate::JobManager::deliver).
///
/// As text it is `HOST:CONVERSATION`, such as `codex:019a5c2f-…`. It is not a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Caller {
    host: Name,
    conversation: String,
}

impl Caller {
    /// Identifies a conversation of a host. The id has 1 to 1,024 bytes and no control characters.
    ///
    /// # Errors
    /// If the id does not meet these rules.
    pub fn new(host: Name, conversation: impl Into<String>) -> Result<Self, ParseError> {
        let conversation = conversation.into();
        if !(1..=LONGEST).contains(&conversation.len()) || conversation.chars().any(char::is_control) {
            let reason = format!(
                "the id of a conversation of `{host}` must have 1 to {LONGEST} bytes and no control characters"
            );
            return Err(ParseError::new(reason));
        }
        Ok(Self { host, conversation })
    }

    /// Returns the program that hosts the conversation, such as `claude-code`.
    pub fn host(&self) -> &Name {
        &self.host
    }

    /// Returns the host's id of the conversation, or the working directory if the host gives none.
    pub fn conversation(&self) -> &str {
        &self.conversation
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.conversation)
    }
}

impl FromStr for Caller {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (host, conversation) = text
            .split_once(':')
            .ok_or_else(|| ParseError::new(format!("`{text}` is not a caller: use `HOST:CONVERSATION`")))?;
        Self::new(host.parse()?, conversation)
    }
}

impl TryFrom<String> for Caller {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Caller> for String {
    fn from(caller: Caller) -> Self {
        caller.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_read_back_from_its_text() {
        for text in ["codex:019a", "claude-code:0f3c-11", "cursor:/home/me/a b:c"] {
            assert_eq!(text.parse::<Caller>().unwrap().to_string(), text);
        }
        for text in ["", "codex", "codex:", ":1", "a b:1", "codex:a\nb", &format!("codex:{}", "x".repeat(1025))] {
            assert!(text.parse::<Caller>().is_err(), "{text}");
        }
    }
}

//! Names that people give.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parse_error::ParseError;

/// A name that people give to a job or a group: 1 to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or a
/// digit, and not the full id of a job. The name of a job must not look like a part of an id either: see
/// [`JobSpec::validate`].
///
/// [`JobSpec::validate`]: crate::JobSpec::validate
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if uuid::Uuid::try_parse(text).is_ok() {
            return Err(ParseError::new(format!("`{text}` has the form of an id, and cannot be a name")));
        }
        if begins && text.len() <= 64 && text.bytes().all(is_inner) {
            return Ok(Self(text.to_owned()));
        }
        let reason = format!(
            "`{text}` is not a name: use 1 to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"
        );
        Err(ParseError::new(reason))
    }
}

impl TryFrom<String> for Name {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path_an_option_or_an_id() {
        let id = "01a1fdae-f732-79d8-863c-36d74826f0c8";
        for name in ["", ".", "..", "-a", "a/b", "a b", "a@b", "é", "a\n", id, &id.replace('-', ""), &"x".repeat(65)] {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
        for name in ["a", "7", "web-1.2_x", "deadbeef", &"x".repeat(64)] {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }
}

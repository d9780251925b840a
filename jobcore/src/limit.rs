//! Limits on what runs at the same time: the resources that jobs take, and the limit that is reached.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::parse_error::ParseError;

/// The name of something that is limited in amount, such as `gpu`, `port:3000` or `lock:db`: 1 to 48 letters, digits,
/// `.`, `_`, `:` and `-`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resource(String);

impl Resource {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Resource {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= 48 && text.bytes().all(is_inner) {
            return Ok(Self(text.to_owned()));
        }
        let reason = format!(
            "`{text}` cannot be the name of a resource: use 1 to 48 letters, digits, `.`, `_`, `:` and `-`, beginning with a \
             letter or a digit"
        );
        Err(ParseError::new(reason))
    }
}

impl TryFrom<String> for Resource {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Resource> for String {
    fn from(resource: Resource) -> Self {
        resource.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is limited.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LimitOn {
    /// The slots of the store.
    Store,
    /// The slots of a group.
    Group(Name),
    /// A resource.
    Resource(Resource),
}

/// A limit that keeps a job from being started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReachedLimit {
    /// What is limited.
    pub on: LimitOn,
    /// How much of it the job needs.
    pub needed: u32,
    /// How much is in use.
    pub in_use: u64,
    /// How much of it there is.
    pub limit: u32,
}

impl ReachedLimit {
    /// Records that a job needs more of something than is free.
    pub(crate) fn new(on: LimitOn, needed: u32, in_use: u64, limit: u32) -> Self {
        Self { on, needed, in_use, limit }
    }
}

impl fmt::Display for ReachedLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, needed, in_use, limit } = self;
        match on {
            LimitOn::Store => write!(f, "{in_use} of {limit} slots are taken by running or queued jobs"),
            LimitOn::Group(group) => {
                write!(f, "{in_use} of {limit} slots of group {group} are taken by running or queued jobs")
            }
            LimitOn::Resource(resource) => {
                write!(
                    f,
                    "{needed} of resource {resource} needed, and {in_use} of {limit} are taken by running or queued jobs"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_resources_have_no_separator_in_them() {
        for name in ["gpu", "port:3000", "lock:db", "mem.gb", "a", &"x".repeat(48)] {
            assert_eq!(name.parse::<Resource>().unwrap().as_str(), name);
        }
        for name in ["", ":x", "a=1", "a,b", "a/b", "a b", "é", &"x".repeat(49)] {
            assert!(name.parse::<Resource>().is_err(), "{name}");
        }
    }
}

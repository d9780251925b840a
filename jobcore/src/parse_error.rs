//! The error of every `FromStr` of this library.

/// Why a text could not be parsed: the error of every `FromStr` of this library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(String);

impl ParseError {
    /// Creates an error. The reason names the text, what is wrong with it, and what would be right.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl From<ParseError> for String {
    fn from(error: ParseError) -> Self {
        error.0
    }
}

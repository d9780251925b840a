//! The output formats.

use serde::{Deserialize, Serialize};

use crate::output::Stream;

/// The format in which an agent writes to its standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// `claude -p --output-format stream-json --verbose`, or `json`.
    Claude,
    /// `codex exec --json`.
    Codex,
    /// `gemini -o stream-json`, or `json`.
    Gemini,
    /// `opencode run --format json`.
    Opencode,
    /// Plain text of any program. A format name of a later version is read as text.
    #[default]
    #[serde(other)]
    Text,
}

impl Format {
    /// Returns whether the reported cost covers the whole session, including the time before it was resumed.
    pub(crate) fn sums_up_cost(self) -> bool {
        self == Self::Claude
    }

    /// Returns whether the reported tokens cover the whole session.
    pub(crate) fn sums_up_usage(self) -> bool {
        matches!(self, Self::Claude | Self::Codex)
    }

    /// Returns the stream that a reader needs, or `None` if it needs both because the CLI reports some things only on
    /// standard error.
    pub fn stream(self) -> Option<Stream> {
        (self != Self::Gemini).then_some(Stream::Stdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_of_a_later_version_is_read_as_text() {
        let format = |name: &str| serde_json::from_str::<Format>(name).unwrap();
        assert_eq!(
            [format("\"claude\""), format("\"text\""), format("\"next\"")],
            [Format::Claude, Format::Text, Format::Text]
        );
        assert_eq!(serde_json::to_string(&Format::Opencode).unwrap(), "\"opencode\"");
    }
}

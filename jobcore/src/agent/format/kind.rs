//! Which formats there are.

use serde::{Deserialize, Serialize};

use crate::output::Stream;

/// How an agent writes what it does on its standard output.
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
    /// Plain text, of any program. What a later version calls another format is read as text.
    #[default]
    #[serde(other)]
    Text,
}

impl Format {
    /// Returns whether the cost that is told is that of the whole session, with what it had cost before it was resumed.
    pub(crate) fn sums_up_cost(self) -> bool {
        self == Self::Claude
    }

    /// Returns whether the tokens that are told are those of the whole session.
    pub(crate) fn sums_up_usage(self) -> bool {
        matches!(self, Self::Claude | Self::Codex)
    }

    /// Returns the stream that a reader needs; `None` if that is both, since the CLI reports some things on standard error
    /// only.
    pub fn stream(self) -> Option<Stream> {
        (self != Self::Gemini).then_some(Stream::Stdout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_of_a_later_version_is_text() {
        let format = |name: &str| serde_json::from_str::<Format>(name).unwrap();
        assert_eq!(
            [format("\"claude\""), format("\"text\""), format("\"next\"")],
            [Format::Claude, Format::Text, Format::Text]
        );
        assert_eq!(serde_json::to_string(&Format::Opencode).unwrap(), "\"opencode\"");
    }
}

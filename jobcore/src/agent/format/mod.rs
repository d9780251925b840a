//! What agents print: one file a CLI.

use serde::{Deserialize, Serialize};

/// Whose words a run is told in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Claude Code, `--output-format json` or `stream-json`.
    Claude,
    /// Codex, `--json`.
    Codex,
    /// Gemini CLI, `-o json` or `stream-json`.
    Gemini,
    /// opencode, `--format json`.
    Opencode,
    /// Plain text, which is the result; so is whatever a later version of this library knows better.
    #[default]
    #[serde(other)]
    Text,
}

//! How agents are started: one file a CLI, with all that is known of its command line.

// In the order in which to read them:
// - `cli.rs`: what there is to know of a CLI
// - `claude.rs`, `codex.rs`, `gemini.rs`, `opencode.rs`: the CLIs
// - `declared.rs`: agents that a settings file declares
// - `tests.rs`: what is asked, and the command line that it becomes

mod claude;
mod cli;
mod codex;
mod declared;
mod gemini;
mod opencode;
#[cfg(test)]
mod tests;

use cli::{is_uuid, mentions, no_way_for};

pub(super) use cli::{Adapter, Invocation, Place};
pub(super) use declared::Declared;

/// All CLIs that have a file here.
pub(super) const ADAPTERS: [&Adapter; 4] = [&claude::ADAPTER, &codex::ADAPTER, &gemini::ADAPTER, &opencode::ADAPTER];

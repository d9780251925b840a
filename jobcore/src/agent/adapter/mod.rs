//! How agents are started: one file per CLI, with everything that is known of its command line.

// In the order in which to read them:
// - `cli.rs`: the description of a CLI
// - `claude.rs`, `codex.rs`, `gemini.rs`, `opencode.rs`: the CLIs
// - `declared.rs`: agents that are declared in a settings file
// - `tests.rs`: delegations and the command lines that they become

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

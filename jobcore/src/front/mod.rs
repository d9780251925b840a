//! Shared parts of this repository's front ends: settings, descriptions of agent runs, and failures with hints and exit
//! codes.
//!
//! This is the only part of the library that reads the environment, the home directory or the terminal by itself, and
//! the only one that prints, which is why it is a separate feature. It does not parse command lines, and is not part of
//! the stable interface.

// In the order in which to read them:
// - `settings.rs`, `store_settings.rs`: flags, environment, file and defaults
// - `delegation.rs`, `agents.rs`: requests for agent runs, and their descriptions
// - `failure.rs`: hints and exit codes
// - `report.rs`, `text.rs`, `notify.rs`: printing, and notifications by the terminal
// - `moment.rs`, `restart.rs`: times and restart rules as people write them
// - `stats.rs`: what jobs did over a time
// - `caller.rs`: the caller, and its project
// - `process.rs`: kernel services for front ends
// - `skill.md`: a skill that teaches agents when and how to use jobs
// - `properties.rs`: properties of any settings file

pub mod agents;
pub mod caller;
mod delegation;
mod failure;
pub mod moment;
mod notify;
pub mod process;
#[cfg(test)]
mod properties;
pub mod report;
mod restart;
pub mod settings;
pub mod stats;
pub mod store_settings;
pub mod text;

/// A skill that teaches a coding agent when and how to use jobs: a file `SKILL.md`, <https://agentskills.io>. Plugins ship it.
pub const SKILL: &str = include_str!("skill.md");

pub use delegation::Asked;
pub use failure::{Failure, Failures, codes};
pub use notify::Notify;
pub use restart::{Backoff, ExitCodes, Restarting};
pub use settings::Settings;

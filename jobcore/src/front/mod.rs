//! What this repository's front ends share: settings, the wording of runs of agents, and failures with hints and exit codes.
//!
//! This is the only part of the library that reads the environment, the home directory or the terminal by itself, and the
//! only one that prints; hence the feature. It knows no parser of command lines, and is not part of the stable interface.

// In the order in which to read them:
// - `settings.rs`, `store_settings.rs`: flags, environment, file and defaults
// - `delegation.rs`, `agents.rs`: runs of agents, as they are asked for and in words
// - `failure.rs`: hints and exit codes
// - `report.rs`, `text.rs`, `notify.rs`: what is printed, and what a terminal is sent
// - `moment.rs`, `restart.rs`: moments, and restarts of a command, as people write them
// - `caller.rs`: who calls, and for which project
// - `process.rs`: what a front end asks of the kernel
// - `skill.md`: what teaches an agent when and how to use jobs
// - `properties.rs`: what holds for any settings file

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
pub mod store_settings;
pub mod text;

/// A skill that teaches a coding agent when and how to use jobs: a file `SKILL.md`, <https://agentskills.io>. Plugins ship it.
pub const SKILL: &str = include_str!("skill.md");

pub use delegation::Asked;
pub use failure::{Failure, Failures, codes};
pub use notify::Notify;
pub use restart::{Backoff, ExitCodes, Restarting};
pub use settings::Settings;

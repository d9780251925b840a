//! What this repository's front ends share: settings, the wording of runs of agents, and failures with hints and exit codes.
//!
//! This is the only part of the library that reads the environment, the home directory or the terminal by itself, and the
//! only one that prints; hence the feature. It knows no parser of command lines, and is not part of the stable interface.

pub mod agents;
mod delegation;
mod failure;
pub mod limits;
#[cfg(test)]
mod properties;
pub mod report;
pub mod settings;
pub mod store_settings;
pub mod text;

pub use delegation::Asked;
pub use failure::{Failure, Failures, codes};
pub use settings::Settings;

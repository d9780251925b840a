//! How agents are started: one file a CLI, with all that is known of its command line.

mod claude;
mod codex;
mod declared;
mod gemini;
mod opencode;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(super) use declared::Declared;

use super::{Delegation, Format};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::signal::Signal;

/// All CLIs that have a file here.
pub(super) const ADAPTERS: [&Adapter; 4] = [&claude::ADAPTER, &codex::ADAPTER, &gemini::ADAPTER, &opencode::ADAPTER];

/// What is known of a CLI.
#[derive(Debug)]
pub(super) struct Adapter {
    /// The name of the agent, and of its program.
    pub(super) name: &'static str,
    /// What it is called in sentences.
    pub(super) title: &'static str,
    /// How people get it.
    pub(super) install: &'static str,
    /// Whose words it prints.
    pub(super) format: Format,
    /// At which signal it cleans up, if that is not SIGTERM.
    pub(super) stop_signal: Option<Signal>,
    /// Returns whether this may be the id of a conversation.
    pub(super) is_session: fn(&str) -> bool,
    /// Whether a conversation goes on only in the directory where it was.
    pub(super) stays_where_it_was: bool,
    /// Translates what it is asked.
    pub(super) invocation: fn(&Delegation) -> Result<Invocation>,
    /// Says why it would fail at once, as far as that can be known without asking it. In doubt it would not.
    pub(super) obstacle: fn(&Place<'_>) -> Option<String>,
}

/// A command line, without its program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Invocation {
    /// What has to come first, before the arguments that the settings add.
    pub(super) first: Vec<String>,
    /// What follows them.
    pub(super) arguments: Vec<String>,
    /// What it reads; absent if the prompt is an argument.
    pub(super) input: Option<String>,
    /// What it finds in its environment.
    pub(super) environment: Vec<(&'static str, String)>,
}

/// Where an agent is to run.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) asked: &'a Delegation,
    pub(super) environment: &'a Environment,
    /// Whether the settings add arguments, by which it may be logged in.
    pub(super) has_own_arguments: bool,
    pub(super) is_root: bool,
}

impl Place<'_> {
    /// Returns whether a variable is set and not empty.
    fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Returns the directory that a variable names, or else one in the home directory.
    fn directory(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let named = self.environment.get(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        named.or_else(|| Some(Path::new(self.environment.get("HOME")?).join(in_home)))
    }
}

/// Returns whether one of these words is in a file.
fn mentions(path: &Path, words: &[&str]) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| words.iter().any(|word| text.contains(word)))
}

/// Returns whether a text is a UUID, as most conversations are called.
fn is_uuid(text: &str) -> bool {
    // In no other form than that in which the CLIs write it.
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// Refuses what a CLI has no way for, and says what would work.
fn no_way_for(field: &'static str, is_asked: bool, reason: &str) -> Result<()> {
    if is_asked { Err(Error::InvalidSpec { field, reason: reason.to_owned() }) } else { Ok(()) }
}

//! The description of a CLI, and what several of them have in common.

use std::path::{Path, PathBuf};

use crate::agent::{Delegation, Format};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::signal::Signal;

/// The description of a CLI.
#[derive(Debug)]
pub(in crate::agent) struct Adapter {
    /// The name of the agent, and of its program.
    pub(in crate::agent) name: &'static str,
    /// Its name in sentences.
    pub(in crate::agent) title: &'static str,
    /// The command that installs it.
    pub(in crate::agent) install: &'static str,
    /// The format of its output.
    pub(in crate::agent) format: Format,
    /// The signal on which it cleans up, if that is not SIGTERM.
    pub(in crate::agent) stop_signal: Option<Signal>,
    /// Returns whether a text can be the id of a conversation.
    pub(in crate::agent) is_session: fn(&str) -> bool,
    /// Whether a conversation can be resumed only in its original directory.
    pub(in crate::agent) stays_where_it_was: bool,
    /// Translates a delegation into a command line.
    pub(in crate::agent) invocation: fn(&Delegation) -> Result<Invocation>,
    /// Returns why it would fail at once, as far as that is known without running it. If in doubt, returns `None`.
    pub(in crate::agent) obstacle: fn(&Place<'_>) -> Option<String>,
}

/// A command line, without its program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::agent) struct Invocation {
    /// The words that come first, before the arguments that the settings add.
    pub(in crate::agent) first: Vec<String>,
    /// The arguments that follow them.
    pub(in crate::agent) arguments: Vec<String>,
    /// Its standard input, unless the prompt is an argument.
    pub(in crate::agent) input: Option<String>,
    /// Additional environment variables.
    pub(in crate::agent) environment: Vec<(&'static str, String)>,
}

/// The setting in which an agent is to run.
#[derive(Debug)]
pub(in crate::agent) struct Place<'a> {
    pub(in crate::agent) asked: &'a Delegation,
    pub(in crate::agent) environment: &'a Environment,
    /// Whether the settings add arguments, which may log it in.
    pub(in crate::agent) has_own_arguments: bool,
    pub(in crate::agent) is_root: bool,
}

impl Place<'_> {
    /// Returns whether a variable is set and not empty.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Returns the directory that a variable names, or else one in the home directory.
    pub(super) fn directory(&self, variable: &str, in_home: &str) -> Option<PathBuf> {
        let named = self.environment.get(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
        named.or_else(|| Some(Path::new(self.environment.get("HOME")?).join(in_home)))
    }
}

/// Returns whether a file contains one of these words.
pub(super) fn mentions(path: &Path, words: &[&str]) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| words.iter().any(|word| text.contains(word)))
}

/// Returns whether a text is a UUID, the form of most ids of conversations.
pub(super) fn is_uuid(text: &str) -> bool {
    // Only in the form that the CLIs write.
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

/// Refuses a request that a CLI does not support, and says what would work.
pub(super) fn no_way_for(field: &'static str, is_asked: bool, reason: &str) -> Result<()> {
    if is_asked { Err(Error::InvalidSpec { field, reason: reason.to_owned() }) } else { Ok(()) }
}

//! What to run: set once, at submit, and never changed. The parts of a [`JobSpec`].

// In the order in which to read them:
// - `job_spec.rs`: the spec
// - `builder.rs`: building a spec
// - `restart.rs`: whether its command is restarted
// - `adoption.rs`: adopting a process that is already running
// - `tests.rs`: specs of every kind

mod adoption;
pub(crate) mod builder;
pub(crate) mod job_spec;
mod restart;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::parse_error::ParseError;
use crate::sys;
use crate::words::quoted;

pub use crate::annotations::Annotations;
pub use crate::job_limits::{Cpus, IoPriority, Limits};
pub use crate::sys::outlet::Outlet;
pub use crate::sys::pty::TerminalSize;
pub use adoption::Adoption;
pub(crate) use builder::JobSpecBuilder;
pub(crate) use job_spec::{HOOK_SHELL, JobSpec};
pub use restart::{Restart, RestartWhen};

/// How many bytes of a job's output are kept by default.
pub const DEFAULT_OUTPUT_LIMIT: u64 = 10 * 1024 * 1024;
/// How long a job may take to end when asked to before it is killed, unless the spec or the stop sets another time.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(5);
/// The longest timeout and grace period: ten years. Longer ones are taken for mistakes.
pub const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The maximum number of bytes that can be given to a command to read.
pub const MAX_GIVEN: usize = 64 * 1024 * 1024;

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Command {
    /// A line for a shell.
    Shell(String),
    /// A program and its arguments, verbatim.
    Argv(Vec<String>),
}

impl Command {
    /// Returns the command as one line that could be typed.
    pub fn line(&self) -> Cow<'_, str> {
        match self {
            Self::Shell(line) => line.into(),
            Self::Argv(argv) => argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ").into(),
        }
    }
}

/// What the command reads as its standard input.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stdin {
    /// Nothing: a read returns end of file at once, so that prompts fail fast.
    #[default]
    Closed,
    /// This file, from its beginning.
    File(PathBuf),
    /// The input that is sent to it while it runs, until it is closed.
    Open,
    /// Bytes that were given with the spec, [`JobSpecBuilder::given`]. The store keeps them for as long as the job.
    Given,
}

/// What to do with processes that outlive the main process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stragglers {
    /// They are stopped like the job itself: asked to end, then killed.
    #[default]
    Stop,
    /// They are left running; the job has ended, and its supervisor records their output until they exit.
    Leave,
}

/// What happens to a job that is not ready in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotReady {
    /// It is stopped, with a cause of its own.
    #[default]
    Stop,
    /// It continues, and may become ready later. An event records that it was not ready in time.
    Continue,
}

impl NotReady {
    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Continue => "continue",
        }
    }

    fn is_stop(&self) -> bool {
        *self == Self::Stop
    }
}

impl std::str::FromStr for NotReady {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rules = [Self::Stop, Self::Continue];
        let wrong = || ParseError::new(format!("`{text}`: write `stop` or `continue`"));
        rules.into_iter().find(|rule| rule.as_str() == text).ok_or_else(wrong)
    }
}

/// Bytes for a command to read. They are private and never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given(pub(crate) Vec<u8>);

impl Given {
    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Opens an anonymous file that holds them.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn open(&self) -> io::Result<OwnedFd> {
        sys::file::in_memory(&self.0)
    }
}

impl From<Vec<u8>> for Given {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({} bytes)", self.0.len())
    }
}

/// Splits a shell into words as a POSIX shell would: its program and its options.
///
/// # Errors
/// Says what is wrong with it: it contains no word, or an unterminated quote.
pub fn shell_words(shell: &str) -> Result<Vec<String>, String> {
    let words = shlex::split(shell).ok_or_else(|| format!("`{shell}` has an unterminated quote or backslash"))?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err("there is no program in it; name one, such as `bash -o pipefail`".to_owned()),
    }
}

fn millis(duration: Duration) -> u64 {
    // A duration that is not zero must not become zero, which has another meaning.
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

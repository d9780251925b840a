//! Arguments shared by several tools, and their bounds.

use std::path::PathBuf;
use std::time::Duration;

use jobcore::output::{Grep, Pattern, Stream};
use jobcore::wait::Until;
use jobcore::{Name, ParseError};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::failure::Failure;
use crate::server::Server;

type Result<T> = std::result::Result<T, Failure>;

/// The longest that a call blocks: clients give up after 60 seconds, and not all of them cancel the call.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(50);

/// The longest timeout of a job: a year. Longer ones are probably mistakes.
pub(super) const LONGEST_TIMEOUT: Duration = Duration::from_secs(366 * 24 * 3600);
/// The longest path that the kernel accepts, in bytes.
const LONGEST_PATH: usize = 4_096;

/// Parses the name of a job or a group, if given.
pub(super) fn name(field: &str, text: Option<String>) -> Result<Option<Name>> {
    text.map(|text| text.parse().map_err(|reason| Failure::new(format!("{field}: {reason}.")))).transpose()
}

/// Returns the default directory of jobs, to which relative directories in calls refer.
pub(super) fn current_dir(server: &Server) -> jobcore::Result<PathBuf> {
    match &server.background().working_dir {
        Some(directory) => Ok(directory.clone()),
        None => std::env::current_dir().map_err(|error| jobcore::Error::BadCwd {
            path: ".".into(),
            reason: format!("the server's own directory cannot be used ({error}); give `cwd` as an absolute path"),
        }),
    }
}

/// Refuses a directory whose path is too long for the kernel.
pub(super) fn short_enough(cwd: Option<&PathBuf>) -> Result<()> {
    match cwd.is_some_and(|cwd| cwd.as_os_str().len() > LONGEST_PATH) {
        true => Err(Failure::new(format!("cwd: a path has at most {LONGEST_PATH} bytes."))),
        false => Ok(()),
    }
}

/// Parses the timeout of a job, if given.
pub(super) fn timeout(server: &Server, timeout_s: Option<f64>) -> Result<Option<Duration>> {
    let longest = server.background().job_timeout.unwrap_or(LONGEST_TIMEOUT);
    timeout_s.map(|timeout| seconds("timeout_s", Some(timeout), Duration::ZERO, longest)).transpose()
}

/// How many jobs a call can name: the result has a few characters for each.
pub(super) const MOST_JOBS: usize = 500;

/// Refuses a list of jobs whose result would be too long.
pub(super) fn few(references: &[String]) -> Result<()> {
    match references.len() {
        0..=MOST_JOBS => Ok(()),
        count => Err(Failure::new(format!("job_ids: {count} are too many; name at most {MOST_JOBS} in one call."))),
    }
}

/// Parses which lines to show, if given.
pub(super) fn grep(pattern: Option<&str>, context: Option<u64>) -> Result<Option<Grep>> {
    let Some(pattern) = pattern else { return Ok(None) };
    let wrong = |error: ParseError| Failure::new(format!("grep: {}.", error.to_string().trim_end_matches('.')));
    let pattern: Pattern = pattern.parse().map_err(wrong)?;
    let context = context.unwrap_or_default();
    Ok(Some(Grep::new(pattern).with_context(context, context)))
}

/// How many last lines of output are asked for, if any are.
pub(super) fn lines(lines: Option<u64>) -> Result<Option<u64>> {
    match lines {
        Some(lines) if !(1..=1000).contains(&lines) => {
            Err(Failure::new(format!("lines: {lines} is not between 1 and 1000.")))
        }
        lines => Ok(lines),
    }
}

/// Parses the condition to wait for, if given.
pub(super) fn until(text: Option<&str>) -> Result<Option<Until>> {
    text.map(|text| text.parse().map_err(|reason| Failure::new(format!("until: {reason}.")))).transpose()
}

/// Parses a label, `NAME` or `NAME=VALUE`.
pub(super) fn label(text: Option<&String>) -> Vec<(String, String)> {
    let label = text.map(|label| label.split_once('=').unwrap_or((label, "")));
    label.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect()
}

/// Checks a number of seconds, and returns the default if none is given.
pub(super) fn seconds(field: &str, value: Option<f64>, default: Duration, longest: Duration) -> Result<Duration> {
    let Some(value) = value else { return Ok(default) };
    let longest_s = longest.as_secs();
    match Duration::try_from_secs_f64(value) {
        Ok(time) if time <= longest => Ok(time),
        _ => Err(Failure::new(format!("{field}: {value} is not between 0 and {longest_s} seconds."))),
    }
}

// No doc comment: it would become part of every tool with this argument.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Which {
    #[default]
    Both,
    Stdout,
    Stderr,
}

impl Which {
    pub(super) fn stream(self) -> Option<Stream> {
        match self {
            Self::Both => None,
            Self::Stdout => Some(Stream::Stdout),
            Self::Stderr => Some(Stream::Stderr),
        }
    }
}

// No doc comment, as above.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

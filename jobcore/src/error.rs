//! What can go wrong, divided by what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::id::JobId;
use crate::limit::ReachedLimit;
use crate::name::Name;
use crate::state::Status;
use crate::words::counted;

/// The result of an operation of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, and on what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The job cannot be run as described; nothing was started and nothing is left behind.
    #[error("{field}: {reason}")]
    InvalidSpec {
        /// Which part of the spec is wrong.
        field: &'static str,
        /// Why, and what would be right.
        reason: String,
    },
    /// The program does not exist; nothing was started.
    #[error("no program `{program}` in `PATH`, which is `{path}`")]
    ProgramNotFound {
        /// The first word of the command.
        program: String,
        /// The `PATH` that was searched.
        path: String,
    },
    /// The file exists but cannot be executed; nothing was started.
    #[error("`{}` cannot be executed: {reason}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The working directory cannot be used; nothing was started.
    #[error("working directory `{}`: {reason}", path.display())]
    BadCwd {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// No job matches this reference.
    #[error("no job matches `{reference}`")]
    NotFound {
        /// The reference.
        reference: String,
    },
    /// The reference matches several jobs.
    #[error("`{reference}` matches {} jobs", candidates.len())]
    Ambiguous {
        /// The reference.
        reference: String,
        /// All jobs that match.
        candidates: Vec<JobId>,
    },
    /// The job has not ended, and the operation needs it to have ended.
    #[error("job {} is still {status}", id.short())]
    StillLive {
        /// The job.
        id: JobId,
        /// What the job is doing.
        status: Status,
    },
    /// The job has ended, but some of its processes were left running, and its supervisor stays with them.
    #[error("job {} has ended, but some of its processes are still running", id.short())]
    StragglersLeft {
        /// The job.
        id: JobId,
    },
    /// The job has ended, and the operation needs it to be running.
    #[error("job {} is not running: it is {status}", id.short())]
    NotRunning {
        /// The job.
        id: JobId,
        /// How it ended.
        status: Status,
    },
    /// The job takes no input.
    #[error("job {} takes no input: {reason}", id.short())]
    NoInput {
        /// The job.
        id: JobId,
        /// Why not.
        reason: NoInput,
    },
    /// The job has no terminal, and the operation needs one.
    #[error("job {} has no terminal", id.short())]
    NoTerminal {
        /// The job.
        id: JobId,
    },
    /// As far as this process can see, the job has not ended, but its supervisor was killed, and this process cannot
    /// start another: it is in a sandbox, or in another pid namespace than the job.
    #[error("job {} has lost its supervisor{}", id.short(), whereabouts(*pid))]
    Unsupervised {
        /// The job.
        id: JobId,
        /// The main process of the command, if it is visible.
        pid: Option<i32>,
    },
    /// The job's supervisor is alive but did not answer in time (it may be stopped by a signal).
    #[error("the supervisor of job {} did not answer", id.short())]
    NoAnswer {
        /// The job.
        id: JobId,
    },
    /// The supervisor or runner of the job refused the request.
    #[error("job {}: {reason}", id.short())]
    Refused {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// A record of this job cannot be read. Other jobs are not affected; the record is left as it is.
    #[error("damaged record `{}`: {reason}", path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot be used in its present state.
    #[error("store `{}` refused: {reason}", path.display())]
    StoreRefused {
        /// The store's directory.
        path: PathBuf,
        /// Why, and what would help.
        reason: String,
    },
    /// An unfinished job has this name.
    #[error(
        "the name `{name}` is taken by job {}, which has been {status} in `{}` for {}",
        id.short(), cwd.display(), humantime::format_duration(*age)
    )]
    NameTaken {
        /// The name.
        name: Name,
        /// The job that has it.
        id: JobId,
        /// What that job is doing.
        status: Status,
        /// The directory that it runs in.
        cwd: PathBuf,
        /// How long it has been doing that, in whole seconds.
        age: Duration,
        /// Whether the new job was to run in the same directory. If not, the other job may belong to another project
        /// and should not simply be stopped.
        same_directory: bool,
    },
    /// The key belongs to a job with another command or directory.
    #[error("the key `{key}` belongs to job {}, which has another command or another directory", id.short())]
    KeyTaken {
        /// The key.
        key: String,
        /// The job that has it.
        id: JobId,
    },
    /// The limit of running jobs is reached, and the settings of the store refuse further ones. Nothing is left behind.
    #[error("{0}")]
    Full(ReachedLimit),
    /// Too many jobs of a group were submitted within a minute. Nothing is left behind.
    #[error(
        "{} of group {group} {} submitted within a minute; try again in {} s",
        counted(*limit, "job", "jobs"),
        if *limit == 1 { "was" } else { "were" },
        retry_after.as_secs().max(1)
    )]
    TooFast {
        /// The group.
        group: Name,
        /// How many are allowed in a minute.
        limit: u32,
        /// When the next one is allowed.
        retry_after: Duration,
    },
    /// A policy does not permit this command. Nothing was started and nothing is left behind.
    #[error("`{command}` is not permitted: {reason}")]
    Forbidden {
        /// The simple command that was refused, or the whole line if it cannot be parsed.
        command: String,
        /// Which rule refuses it, and what would be permitted.
        reason: String,
    },
    /// These parts do not work together.
    #[error("{reason}")]
    Unsupported {
        /// Which parts, and why.
        reason: String,
    },
    /// An error of a layer above jobs, which could not do what it was asked to do or refused to.
    #[error(transparent)]
    Layer(Box<dyn std::error::Error + Send + Sync>),
    /// A system call failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Why a job takes no input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoInput {
    /// It was submitted without an input, or with a file as its input.
    #[error("it was submitted without an input")]
    NeverHad,
    /// Its input was closed on request.
    #[error("its input has been closed")]
    Ended,
    /// No process of the job reads it any longer.
    #[error("it no longer reads its input")]
    Closed,
}

impl Error {
    pub(crate) fn not_found(id: JobId) -> Self {
        Self::NotFound { reference: id.to_string() }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Returns whether this process or the system ran out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOMEM`),
    /// which says nothing about the object of the operation.
    pub(crate) fn lacks_resources(&self) -> bool {
        use nix::libc::{EMFILE, ENFILE, ENOMEM};
        matches!(self, Self::Io { source, .. } if source.raw_os_error().is_some_and(|e| [EMFILE, ENFILE, ENOMEM].contains(&e)))
    }

    /// Returns whether the store has no room left (`ENOSPC`, `EDQUOT`).
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

fn whereabouts(pid: Option<i32>) -> String {
    match pid {
        Some(pid) => format!("; its command is still running as process {pid}"),
        None => ", and its main process cannot be seen from here".to_owned(),
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Adds the action and the path to an I/O error.
pub(crate) trait IoContext<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> IoContext<T> for Result<T, E> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|error| Error::io(action, path)(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::str::FromStr;

    use super::*;
    use crate::agent::PermissionMode;
    use crate::id::IdPrefix;
    use crate::signal::Signal;
    use crate::until::Until;
    use crate::{JobId, key, output, policy, query};

    /// Converts errors as wrappers of all kinds of errors do, such as anyhow.
    fn parse<T>(text: &str) -> std::result::Result<T, Box<dyn Error + Send + Sync + 'static>>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        Ok(text.parse()?)
    }

    #[test]
    fn a_parse_error_can_be_boxed_and_quotes_the_text() {
        fn reason<T: FromStr<Err: Error + Send + Sync + 'static>>() -> String {
            match parse::<T>("(?") {
                Ok(_) => panic!("it was parsed as a {}", std::any::type_name::<T>()),
                Err(error) => error.to_string(),
            }
        }
        let reasons = [
            reason::<crate::Caller>(),
            reason::<JobId>(),
            reason::<IdPrefix>(),
            reason::<Name>(),
            reason::<Signal>(),
            reason::<Status>(),
            reason::<Until>(),
            reason::<crate::ready::Condition>(),
            reason::<crate::spec::NotReady>(),
            reason::<crate::spec::RestartWhen>(),
            reason::<crate::spec::Cpus>(),
            reason::<crate::spec::IoPriority>(),
            reason::<PermissionMode>(),
            reason::<key::Key>(),
            reason::<output::Cursor>(),
            reason::<output::Pattern>(),
            reason::<policy::Pattern>(),
            reason::<query::NamePattern>(),
            reason::<query::SortKey>(),
            reason::<crate::queue::Resource>(),
            reason::<crate::queue::AfterWhen>(),
            reason::<crate::queue::Missed>(),
            reason::<crate::queue::LoadCondition>(),
        ];
        for reason in &reasons {
            assert!(reason.contains("(?"), "{reason}");
        }
    }

    /// Every `FromStr` of the crate is in the list above.
    #[test]
    fn every_type_that_is_parsed_has_the_same_error() {
        let mut found = 0;
        let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap().flatten() {
                if entry.path().is_dir() {
                    directories.push(entry.path());
                    continue;
                }
                for line in std::fs::read_to_string(entry.path()).unwrap().lines() {
                    if let Some(kind) = line.trim().strip_prefix("type Err = ") {
                        assert_eq!(kind, "ParseError;", "{}", entry.path().display());
                        found += 1;
                    }
                }
            }
        }
        assert_eq!(
            found, 28,
            "the types above, patterns of variables, templates (which accept any text), and types of front ends"
        );
    }
}

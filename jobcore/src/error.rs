//! What can go wrong, by what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::id::JobId;
use crate::limit::ReachedLimit;
use crate::name::Name;
use crate::state::Status;
use crate::words::counted;

/// The result of what this library does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and to what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The job as described cannot be run; nothing was started and nothing is left behind.
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
    /// The file is there but cannot be executed; nothing was started.
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
    /// No job is known by this text.
    #[error("no job matches `{reference}`")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// The short id means several jobs.
    #[error("`{reference}` matches {} jobs", candidates.len())]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// All jobs that it may mean.
        candidates: Vec<JobId>,
    },
    /// The job is not over, and what was asked needs it to be.
    #[error("job {} is still {status}", id.short())]
    StillLive {
        /// The job.
        id: JobId,
        /// What it is doing.
        status: Status,
    },
    /// The job is over, but processes of it were left, and its supervisor is still with them.
    #[error("job {} has ended, but some of its processes are still running", id.short())]
    StragglersLeft {
        /// The job.
        id: JobId,
    },
    /// The job is over, and what was asked needs it to run.
    #[error("job {} is not running: it is {status}", id.short())]
    NotRunning {
        /// The job.
        id: JobId,
        /// How it ended.
        status: Status,
    },
    /// Nothing can be sent to the job.
    #[error("job {} takes no input: {reason}", id.short())]
    NoInput {
        /// The job.
        id: JobId,
        /// Why not.
        reason: NoInput,
    },
    /// The job has no terminal, and what was asked needs one.
    #[error("job {} has no terminal", id.short())]
    NoTerminal {
        /// The job.
        id: JobId,
    },
    /// The job has not ended, as far as can be seen from here, but its supervisor was killed and no other can be put in
    /// charge by this process: it is in a sandbox, or in another pid namespace than the job.
    #[error("job {} has lost its supervisor{}", id.short(), whereabouts(*pid))]
    Unsupervised {
        /// The job.
        id: JobId,
        /// The command's main process, if it can be seen.
        pid: Option<i32>,
    },
    /// The job's supervisor lives but did not answer in time (it may be stopped by a signal).
    #[error("the supervisor of job {} did not answer", id.short())]
    NoAnswer {
        /// The job.
        id: JobId,
    },
    /// What was asked was refused by whoever runs the job.
    #[error("job {}: {reason}", id.short())]
    Refused {
        /// The job.
        id: JobId,
        /// Why.
        reason: String,
    },
    /// A record of this job cannot be read. Other jobs are not concerned; the record is left as it is.
    #[error("damaged record `{}`: {reason}", path.display())]
    Damaged {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The store cannot be used as it is.
    #[error("store `{}` refused: {reason}", path.display())]
    StoreRefused {
        /// The store's directory.
        path: PathBuf,
        /// Why, and what would help.
        reason: String,
    },
    /// A job that has not ended has this name.
    #[error(
        "the name `{name}` is that of job {}, which has been {status} in `{}` for {}",
        id.short(), cwd.display(), humantime::format_duration(*age)
    )]
    NameTaken {
        /// The name.
        name: Name,
        /// The job that has it.
        id: JobId,
        /// What that job is doing.
        status: Status,
        /// The directory in which it does.
        cwd: PathBuf,
        /// For how long, in whole seconds.
        age: Duration,
        /// Whether the new job was to run in the same directory: else the other may be somebody else's, and no reason to stop
        /// it.
        same_directory: bool,
    },
    /// The key is that of a job that runs something else.
    #[error("the key `{key}` is that of job {}, which runs another command or in another directory", id.short())]
    KeyTaken {
        /// The key.
        key: String,
        /// The job that has it.
        id: JobId,
    },
    /// As many jobs run as may, and the store's settings say that no more are taken. Nothing is left behind.
    #[error("{0}")]
    Full(ReachedLimit),
    /// As many jobs of a group were submitted within a minute as may be. Nothing is left behind.
    #[error(
        "{} of group {group} {} submitted within a minute; try again in {} s",
        counted(*limit, "job", "jobs"),
        if *limit == 1 { "was" } else { "were" },
        retry_after.as_secs().max(1)
    )]
    TooFast {
        /// The group.
        group: Name,
        /// How many may be.
        limit: u32,
        /// When there is room for one again.
        retry_after: Duration,
    },
    /// A policy does not permit this command. Nothing was started and nothing is left behind.
    #[error("`{command}` is not permitted: {reason}")]
    Forbidden {
        /// The simple command that was refused, or the whole line if it cannot be judged.
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
    /// A layer above jobs could not do what it was asked, or refused to: what this holds is an error of that layer.
    #[error(transparent)]
    Layer(Box<dyn std::error::Error + Send + Sync>),
    /// An operation of the system failed.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Why nothing can be sent to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoInput {
    /// It was submitted with nothing, or with a file, to read.
    #[error("it was started without one")]
    NeverHad,
    /// Somebody ended it.
    #[error("its input has been closed")]
    Ended,
    /// No process of the job reads it any more.
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

    /// Returns whether this process or the system had too little of something (`EMFILE`, `ENFILE`, `ENOMEM`), which says
    /// nothing of what was to be done.
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
        Some(pid) => format!("; its command still runs as process {pid}"),
        None => ", and its main process cannot be seen from here".to_owned(),
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// Gives every io error the action and the path it lacks.
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

    /// As whatever wraps errors of all kinds does, such as anyhow.
    fn parse<T>(text: &str) -> std::result::Result<T, Box<dyn Error + Send + Sync + 'static>>
    where
        T: FromStr<Err: Error + Send + Sync + 'static>,
    {
        Ok(text.parse()?)
    }

    #[test]
    fn what_is_wrong_with_a_text_is_an_error_that_can_be_passed_on() {
        fn reason<T: FromStr<Err: Error + Send + Sync + 'static>>() -> String {
            match parse::<T>("(?") {
                Ok(_) => panic!("it was taken for a {}", std::any::type_name::<T>()),
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

    /// The list above is whole.
    #[test]
    fn every_text_that_is_parsed_has_such_an_error() {
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
            "those that the test above names, patterns of variables and templates, which hardly a text is not, and those of front ends"
        );
    }
}

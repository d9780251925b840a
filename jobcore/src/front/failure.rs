//! Failures, with their messages, hints and exit codes.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};

use super::text::message;
use crate::Error;
use crate::agent::AgentError;
use crate::error::NoInput;
use crate::limit::LimitOn;

/// The exit codes of verbs that do not return a job's exit code. `docs/cli.md` has the table.
pub mod codes {
    /// The operation failed.
    pub const FAILED: u8 = 1;
    /// The command line or its values are wrong.
    pub const USAGE: u8 = 2;
    /// There is no such job.
    pub const NO_SUCH_JOB: u8 = 3;
    /// The operation is refused in the present state.
    pub const REFUSED: u8 = 4;
    /// The time limit for waiting has passed; the same code as for timeout(1).
    pub const WAITED_ENOUGH: u8 = 124;
    /// jobcli itself failed in a verb that would have returned the job's exit code.
    pub const OWN_FAILURE: u8 = 125;
    /// Ctrl-C ended the waiting.
    pub const DETACHED: u8 = 130;
}

/// A failure to report to a person.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
    hint: Option<String>,
    is_closed_pipe: bool,
}

impl Failure {
    /// Creates a failure from an exit code and a message.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, is_closed_pipe: false }
    }

    /// Adds a hint that helps.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Prints it and returns the exit code. It is not a failure if the reader closed the pipe.
    pub fn report(&self, passes_code: bool) -> ExitCode {
        if self.is_closed_pipe {
            return ExitCode::SUCCESS;
        }
        self.print();
        ExitCode::from(if passes_code { codes::OWN_FAILURE } else { self.code })
    }

    /// Returns whether the only failure is that the reader closed the pipe.
    pub fn is_closed_pipe(&self) -> bool {
        self.is_closed_pipe
    }

    fn print(&self) {
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
        let mut stderr = anstream::stderr().lock();
        // If this cannot be printed, there is no way to report that.
        let _ = writeln!(stderr, "{red}error{red:#}: {}", message(&self.message));
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "{cyan}hint{cyan:#}: {}", message(hint));
        }
    }
}

/// The message, without the hint.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The failures of a command that does several things. Each failure is printed at once, and the rest is still done.
#[derive(Debug, Default)]
pub struct Failures {
    code: Option<u8>,
}

impl Failures {
    /// Prints a failure, and keeps the exit code of the first one.
    pub fn add(&mut self, failure: impl Into<Failure>) {
        let failure = failure.into();
        if failure.is_closed_pipe {
            return;
        }
        failure.print();
        self.code.get_or_insert(failure.code);
    }

    /// Returns the exit code of the first failure, if there was one.
    pub fn code(&self) -> Option<u8> {
        self.code
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        let (code, hint) = advice(&error);
        Self { code, message: format!("{error}{source}"), hint, is_closed_pipe: false }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let is_closed_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { code: codes::FAILED, message: format!("cannot print: {error}"), hint: None, is_closed_pipe }
    }
}

/// Returns the exit code for an error, and a hint.
fn advice(error: &Error) -> (u8, Option<String>) {
    let hint = |text: &str| Some(text.to_owned());
    match error {
        Error::NotFound { .. } => (codes::NO_SUCH_JOB, hint("run `jobcli list --all` to see all jobs")),
        Error::Ambiguous { candidates, .. } => {
            let ids: Vec<_> = candidates.iter().take(8).map(|id| format!("{} ({id})", id.tail())).collect();
            (codes::NO_SUCH_JOB, Some(format!("it may be {}", ids.join(", "))))
        }
        Error::StillLive { id, .. } | Error::StragglersLeft { id } => {
            (codes::REFUSED, Some(format!("run `jobcli kill {0}` first, or `jobcli rm --kill {0}`", id.short())))
        }
        Error::Unsupervised { pid: Some(pid), .. } => {
            let text = format!(
                "no other supervisor can be started from here, for example in a sandbox; `kill {pid}` ends \
                 the main process"
            );
            (codes::REFUSED, Some(text))
        }
        Error::Unsupervised { id, pid: None } => {
            let text = format!(
                "use the container or sandbox that it was submitted in, or the host; if that no longer exists, \
                 `jobcli kill --gone {}` ends the job on record",
                id.short()
            );
            (codes::REFUSED, Some(text))
        }
        Error::NoAnswer { .. } => (codes::FAILED, hint("it may be stopped by a signal: `ps` would show state T")),
        Error::Damaged { .. } => (codes::FAILED, hint("`jobcli rm` removes the job; other jobs are not affected")),
        Error::ProgramNotFound { .. } => {
            let text = "check the spelling; aliases of your shell are not known here, and a shell's own commands need \
                a line for a shell: one argument";
            (codes::FAILED, hint(text))
        }
        Error::InvalidSpec { .. } => (codes::USAGE, None),
        Error::NotExecutable { .. } | Error::BadCwd { .. } => (codes::FAILED, None),
        Error::Full(reached) => {
            let of_group = match &reached.on {
                LimitOn::Group(group) => format!(" --group {group}"),
                _ => String::new(),
            };
            let list = format!("jobcli list --status running{of_group}");
            (
                codes::REFUSED,
                Some(format!("see them with `{list}`; `jobcli config set when_full queue` lets jobs wait")),
            )
        }
        Error::Forbidden { .. } => (
            codes::REFUSED,
            hint("see the rules with `jobcli config get policy.allow` and `policy.deny`; more in docs/policy.md"),
        ),
        // The message is enough.
        Error::TooFast { .. } => (codes::REFUSED, None),
        Error::Layer(_) => match AgentError::of(error) {
            Some(AgentError::Refused { .. } | AgentError::TooFast { .. } | AgentError::WouldLose { .. }) => {
                (codes::REFUSED, None)
            }
            _ => (codes::FAILED, None),
        },
        Error::NameTaken { id, same_directory: true, .. } => {
            (codes::REFUSED, Some(format!("use another name, or run `jobcli kill {}` first", id.short())))
        }
        Error::NameTaken { id, .. } => {
            let text = format!(
                "use another name: that job belongs to another directory; `jobcli show {}` shows it",
                id.short()
            );
            (codes::REFUSED, Some(text))
        }
        Error::KeyTaken { id, .. } => {
            (codes::REFUSED, Some(format!("use another key; `jobcli show {}` shows what it runs", id.short())))
        }
        Error::NoInput { reason: NoInput::NeverHad, .. } => {
            (codes::REFUSED, hint("submit it with `--stdin open` or `--tty` to send input to it"))
        }
        Error::NoTerminal { .. } => (
            codes::REFUSED,
            hint(
                "submit it with `--tty`; without a terminal, `jobcli send` sends text and \
                 `jobcli kill --signal INT` interrupts",
            ),
        ),
        Error::NoInput { .. } | Error::NotRunning { .. } | Error::Refused { .. } | Error::StoreRefused { .. } => {
            (codes::REFUSED, None)
        }
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::FileTooLarge => (
            codes::FAILED,
            hint("the limit of file size (`ulimit -f`) is smaller than the records of a job; nothing was started"),
        ),
        error if error.is_full() => (codes::FAILED, hint("the store has no room left; nothing was started")),
        _ => (codes::FAILED, None),
    }
}

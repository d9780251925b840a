//! How a job ended, and why.

use serde::{Deserialize, Serialize};

use super::{Status, Survivor};
use crate::clock::Timestamp;
use crate::signal::Signal;

/// Why a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The main process exited by itself.
    Exited,
    /// The main process was killed by a signal that was not requested through jobcore.
    Signalled,
    /// The kernel killed the main process because memory ran out, according to the kernel's own counters.
    Oom,
    /// The command could not be started; `message` has the reason.
    SpawnFailed,
    /// It was stopped on request while it was alive.
    Stopped,
    /// Its timeout expired.
    TimedOut,
    /// It was inactive for as long as its spec allows.
    Stalled,
    /// It was not ready in time, and its spec says to stop it then.
    NotReady,
    /// Its supervisor died, and then the command ended unobserved.
    SupervisorLost,
    /// The machine was restarted while it ran.
    Rebooted,
    /// It was stopped before it started.
    NeverStarted,
    /// A job that it was to be started after ended in another way; `message` names that job.
    Skipped,
}

impl Cause {
    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exited => "exited",
            Self::Signalled => "signalled",
            Self::Oom => "oom",
            Self::SpawnFailed => "spawn_failed",
            Self::Stopped => "stopped",
            Self::TimedOut => "timed_out",
            Self::Stalled => "stalled",
            Self::NotReady => "not_ready",
            Self::SupervisorLost => "supervisor_lost",
            Self::Rebooted => "rebooted",
            Self::NeverStarted => "never_started",
            Self::Skipped => "skipped",
        }
    }
}

/// How a job ended, as far as it was observed. Values that are unknown are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Why it ended.
    pub cause: Cause,
    /// When the main process ended or, if that was not observed, when it was found out.
    pub ended_at: Timestamp,
    /// The exit code of the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed the main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Whether the kernel reports that the main process dumped core.
    #[serde(default, skip_serializing_if = "is_false")]
    pub core_dumped: bool,
    /// Who requested the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// CPU time, user and system, of the main process and all its descendants that ended before this was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Peak resident memory of the largest single process of the job (`ru_maxrss`, getrusage(2)), not of their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// How many processes of the job outlived the main process.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub stragglers: u32,
    /// Processes that could not be stopped, and why: empty after every complete stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<Survivor>,
    /// How many bytes the job had written when this was recorded.
    #[serde(default)]
    pub output_bytes: u64,
    /// How many of them were not kept, because of the output limit or a full disk.
    #[serde(default)]
    pub dropped_bytes: u64,
    /// How long it was paused, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero_u64")]
    pub paused_ms: u64,
    /// More about the end, in words, such as why it could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Outcome {
    /// Creates an outcome of which only the cause and the time are known.
    pub fn new(cause: Cause, ended_at: Timestamp) -> Self {
        Self {
            cause,
            ended_at,
            exit_code: None,
            signal: None,
            core_dumped: false,
            stopped_by: None,
            cpu_ms: None,
            peak_rss_bytes: None,
            stragglers: 0,
            survivors: Vec::new(),
            output_bytes: 0,
            dropped_bytes: 0,
            paused_ms: 0,
            message: None,
        }
    }

    /// Returns the status that this outcome amounts to.
    pub fn status(&self) -> Status {
        match self.cause {
            Cause::Exited if self.exit_code == Some(0) => Status::Completed,
            Cause::Exited | Cause::Signalled | Cause::Oom | Cause::SpawnFailed => Status::Failed,
            Cause::Stopped | Cause::NeverStarted => Status::Killed,
            Cause::TimedOut | Cause::Stalled | Cause::NotReady => Status::TimedOut,
            Cause::SupervisorLost | Cause::Rebooted => Status::Orphaned,
            Cause::Skipped => Status::Skipped,
        }
    }

    /// Returns the exit status as a shell would report it: the code, or 128 plus the number of the signal, or `None` if
    /// it is unknown. It is 0 only for a completed job: a job that was stopped or timed out but exited with 0 gets 143,
    /// the status for SIGTERM.
    pub fn shell_code(&self) -> Option<i32> {
        let code = self.exit_code.or_else(|| self.signal.map(|signal| 128 + signal.number()));
        let looks_completed = code == Some(0) && self.status() != Status::Completed;
        if looks_completed { Some(128 + Signal::TERM.number()) } else { code }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero_u32(value: &u32) -> bool {
    *value == 0
}

fn is_zero_u64(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cause: Cause) -> Outcome {
        Outcome::new(cause, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn only_exit_code_zero_is_completed() {
        let with_code = |code| Outcome { exit_code: code, ..outcome(Cause::Exited) };
        assert_eq!(with_code(Some(0)).status(), Status::Completed);
        assert_eq!(with_code(Some(1)).status(), Status::Failed);
        assert_eq!(with_code(None).status(), Status::Failed);
        let stopped = Outcome { exit_code: Some(0), ..outcome(Cause::Stopped) };
        assert_eq!(stopped.status(), Status::Killed, "whatever code it exits with");
    }

    #[test]
    fn only_a_completed_job_has_shell_code_zero() {
        for (cause, exit_code, signal, expected) in [
            (Cause::Exited, Some(0), None, Some(0)),
            (Cause::Exited, Some(3), None, Some(3)),
            (Cause::Signalled, None, Some(Signal::KILL), Some(137)),
            (Cause::Stopped, Some(0), None, Some(143)),
            (Cause::Stopped, Some(3), None, Some(3)),
            (Cause::Stopped, None, Some(Signal::INT), Some(130)),
            (Cause::TimedOut, Some(0), None, Some(143)),
            (Cause::SupervisorLost, Some(0), None, Some(143)),
            (Cause::NeverStarted, None, None, None),
        ] {
            let outcome = Outcome { exit_code, signal, ..outcome(cause) };
            assert_eq!(outcome.shell_code(), expected, "{cause:?} {exit_code:?} {signal:?}");
        }
    }
}

//! What a job is doing, how it ended, and the one function that decides which step may follow which.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::parse_error::ParseError;
use crate::signal::Signal;

/// Where a job is in its life. Each variant holds only what is true then.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// On record, and not started yet.
    Queued,
    /// The command runs, or its supervisor is about to start it.
    Running(Run),
    /// The command runs but was stopped by a signal (`SIGSTOP`), until somebody lets it go on.
    Paused(Run),
    /// Over, for good.
    Ended(End),
}

/// A run that is going on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// When the command was started; absent for the moment in which the supervisor comes up.
    pub started_at: Option<Timestamp>,
    /// Whether a living supervisor watches it. Without one, nobody will see its end.
    pub supervised: bool,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct End {
    /// When the command had been started; absent if it never was.
    pub started_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Outcome,
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Somebody took charge of it and starts the command; the time is known once it runs.
    Started(Option<Timestamp>),
    /// Its main process was stopped by a signal.
    Paused,
    /// Its supervisor died and the command lives on.
    SupervisorLost,
    /// It is over.
    Ended(Outcome),
}

/// A step that no job can take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a job that is {from} cannot take the step {event:?}")]
pub struct IllegalTransition {
    /// The status before.
    pub from: Status,
    /// The step.
    pub event: Box<Event>,
}

impl State {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// [`IllegalTransition`] if no job in this state can take that step; nothing follows an end.
    pub fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
        match (self, event) {
            (Self::Queued, Event::Started(started_at)) => Ok(Self::Running(Run { started_at, supervised: true })),
            (Self::Running(run), Event::Paused) => Ok(Self::Paused(run)),
            (Self::Running(run), Event::SupervisorLost) => Ok(Self::Running(Run { supervised: false, ..run })),
            (Self::Queued, Event::Ended(outcome)) => Ok(Self::Ended(End { started_at: None, outcome })),
            (Self::Running(run) | Self::Paused(run), Event::Ended(outcome)) => {
                Ok(Self::Ended(End { started_at: run.started_at, outcome }))
            }
            (from, event) => Err(IllegalTransition { from: from.status(), event: Box::new(event) }),
        }
    }

    /// Returns the one word for this state.
    pub fn status(&self) -> Status {
        match self {
            Self::Queued => Status::Queued,
            Self::Running(_) => Status::Running,
            Self::Paused(_) => Status::Paused,
            Self::Ended(end) => end.outcome.status(),
        }
    }

    /// Returns how the job ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Ended(end) => Some(&end.outcome),
            Self::Queued | Self::Running(_) | Self::Paused(_) => None,
        }
    }

    /// Returns when the command was started, if it was.
    pub fn started_at(&self) -> Option<Timestamp> {
        match self {
            Self::Queued => None,
            Self::Running(run) | Self::Paused(run) => run.started_at,
            Self::Ended(end) => end.started_at,
        }
    }
}

/// The word for a job's state, the same in every interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Not started yet.
    Queued,
    /// Runs.
    Running,
    /// Stopped by a signal, and can go on.
    Paused,
    /// Ended with exit code 0.
    Completed,
    /// Ended with another exit code, by a signal that nobody asked for, or could not start.
    Failed,
    /// Ended because somebody asked for it through jobcore.
    Killed,
    /// Ended because its time was up.
    TimedOut,
    /// Nobody saw its end.
    Orphaned,
}

impl Status {
    /// All of them, in the order of a job's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Killed,
        Self::TimedOut,
        Self::Orphaned,
    ];

    /// Returns whether the job is over.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Paused => false,
            Self::Completed | Self::Failed | Self::Killed | Self::TimedOut | Self::Orphaned => true,
        }
    }

    /// Returns the word, as serialized.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::TimedOut => "timed_out",
            Self::Orphaned => "orphaned",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            ParseError::new(format!("`{text}` is no status; there are {known}"))
        })
    }
}

/// Why a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// The main process exited by itself.
    Exited,
    /// The main process died of a signal that nobody asked for through jobcore.
    Signalled,
    /// The main process was killed by the kernel because memory ran out, by the kernel's own account.
    Oom,
    /// The command could not be started; `message` has the reason.
    SpawnFailed,
    /// Somebody asked for its end, and it was alive then.
    Stopped,
    /// Its timeout expired.
    TimedOut,
    /// Its supervisor died, and then the command, unseen.
    SupervisorLost,
    /// The machine was restarted while it ran.
    Rebooted,
    /// It was stopped before it started.
    NeverStarted,
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
            Self::SupervisorLost => "supervisor_lost",
            Self::Rebooted => "rebooted",
            Self::NeverStarted => "never_started",
        }
    }
}

/// How a job ended: the whole truth, as far as anybody saw it. What is not known is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Why it ended.
    pub cause: Cause,
    /// When the main process ended (or, if nobody saw it, when that was found out).
    pub ended_at: Timestamp,
    /// What the main process exited with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that the main process died of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// Whether the kernel says that the main process dumped core.
    #[serde(default, skip_serializing_if = "is_false")]
    pub core_dumped: bool,
    /// Who asked for the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<String>,
    /// CPU time, user and system, of the main process and all its descendants that ended before the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Peak resident memory of the largest single process of the job (`ru_maxrss`, getrusage(2)), not of their sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// How many processes of the job were still there when the main process had ended.
    #[serde(default, skip_serializing_if = "is_zero_u32")]
    pub stragglers: u32,
    /// What could not be stopped, and why: empty after every stop that was proven.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub survivors: Vec<Survivor>,
    /// How many bytes the job had written when the record was made.
    #[serde(default)]
    pub output_bytes: u64,
    /// How many of them were not kept, because of the output limit or a full disk.
    #[serde(default)]
    pub dropped_bytes: u64,
    /// What there is to say in words, such as why it could not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Outcome {
    /// Returns an outcome of which nothing is known but its cause and time.
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
            message: None,
        }
    }

    /// Returns the status that this outcome amounts to.
    pub fn status(&self) -> Status {
        match self.cause {
            Cause::Exited if self.exit_code == Some(0) => Status::Completed,
            Cause::Exited | Cause::Signalled | Cause::Oom | Cause::SpawnFailed => Status::Failed,
            Cause::Stopped | Cause::NeverStarted => Status::Killed,
            Cause::TimedOut => Status::TimedOut,
            Cause::SupervisorLost | Cause::Rebooted => Status::Orphaned,
        }
    }

    /// Returns what a shell would call the exit status: the code, or 128 and the signal's number; nothing if it is not
    /// known. It is 0 only for a job that is completed: one that was stopped, or whose time was up, and that exited with 0
    /// nevertheless, has that of SIGTERM, 143.
    pub fn shell_code(&self) -> Option<i32> {
        let code = self.exit_code.or_else(|| self.signal.map(|signal| 128 + signal.number()));
        let looks_completed = code == Some(0) && self.status() != Status::Completed;
        if looks_completed { Some(128 + Signal::TERM.number()) } else { code }
    }
}

/// A process that outlived a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Survivor {
    /// Its process id.
    pub pid: i32,
    /// The name that the kernel has for it (`comm`).
    pub name: String,
    /// Why it could not be stopped.
    pub reason: String,
}

impl Survivor {
    /// Names a process that could not be stopped.
    pub fn new(pid: i32, name: String, reason: String) -> Self {
        Self { pid, name, reason }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero_u32(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(cause: Cause) -> Outcome {
        Outcome::new(cause, Timestamp::UNIX_EPOCH)
    }

    fn run() -> Run {
        Run { started_at: Some(Timestamp::UNIX_EPOCH), supervised: true }
    }

    fn states() -> Vec<State> {
        vec![
            State::Queued,
            State::Running(run()),
            State::Paused(run()),
            State::Ended(End { started_at: None, outcome: outcome(Cause::NeverStarted) }),
        ]
    }

    #[test]
    fn every_pair_of_state_and_event_is_decided() {
        use Status::{Killed, Paused, Queued, Running};
        let events =
            [Event::Started(None), Event::Paused, Event::SupervisorLost, Event::Ended(outcome(Cause::Stopped))];
        let allowed: Vec<_> = states()
            .into_iter()
            .flat_map(|state| events.iter().map(move |event| (state.status(), state.clone().apply(event.clone()))))
            .filter_map(|(from, after)| after.ok().map(|after| (from, after.status())))
            .collect();
        let expected = [
            (Queued, Running),
            (Queued, Killed),
            (Running, Paused),
            (Running, Running),
            (Running, Killed),
            (Paused, Killed),
        ];
        assert_eq!(allowed, expected);
    }

    #[test]
    fn nothing_follows_an_end() {
        let ended = State::Ended(End { started_at: None, outcome: outcome(Cause::Exited) });
        let error = ended.apply(Event::Started(None)).unwrap_err();
        assert_eq!(error.to_string(), "a job that is failed cannot take the step Started(None)");
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
    fn only_a_completed_job_passes_on_zero() {
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

    #[test]
    fn words_are_the_serialized_ones() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.as_str().parse(), Ok(status));
        }
    }
}

//! The states of a job, and the one function that decides which step may follow which state.

use super::{End, Outcome, Run, Status};
use crate::clock::Timestamp;

/// The state of a job. Each variant holds only what applies in that state.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// On record, and not started yet.
    Queued,
    /// The command is running, or its supervisor is about to start it.
    Running(Run),
    /// The command was stopped by a signal (`SIGSTOP`) and can be continued.
    Paused(Run),
    /// Ended, for good.
    Ended(End),
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    /// A holder took charge of it and starts the command; the time is known once the command runs.
    Started(Option<Timestamp>),
    /// Its main process was stopped by a signal.
    Paused,
    /// Its supervisor died and the command is still running.
    SupervisorLost,
    /// It ended.
    Ended(Outcome),
}

/// A step that is not possible in the present state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a job that is {from} cannot take the step {event:?}")]
pub(crate) struct IllegalTransition {
    /// The status before.
    from: Status,
    /// The step.
    event: Box<Event>,
}

impl State {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// [`IllegalTransition`] if a job in this state cannot take that step; no step is possible after the end.
    pub(crate) fn apply(self, event: Event) -> Result<Self, IllegalTransition> {
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

    /// Returns the status that corresponds to this state.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Cause;

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
}

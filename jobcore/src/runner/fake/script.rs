//! What a scripted job does.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::output::Stream;
use crate::signal::Signal;
use crate::spec::JobSpec;
use crate::testing::ManualClock;

/// What a job does: one step after another, and then its end. Without any step, it exits with 0 at once.
///
/// It dies of signals as processes do, unless it [ignores](Script::ignores) or [answers](Script::answers) them.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Script {
    pub(super) steps: VecDeque<Step>,
    pub(super) end: End,
    /// The reaction to a signal: none, or another script.
    pub(super) traps: Vec<(Signal, Option<Script>)>,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Write(Stream, Vec<u8>),
    Do(Effect),
    BeReady,
    Take(Duration),
    WaitFor(Gate),
}

#[derive(Clone)]
pub(super) struct Effect(pub(super) Arc<dyn Fn(&JobSpec) + Send + Sync>);

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Effect")
    }
}

#[derive(Debug, Clone)]
pub(super) enum End {
    Exit(i32),
    Die(Signal),
    Stay,
    CannotStart(String),
}

impl Default for End {
    fn default() -> Self {
        Self::Exit(0)
    }
}

impl Script {
    /// Returns the script of a job that exits with 0 at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the script of a job whose program cannot be executed: it ends as [`Cause::SpawnFailed`](crate::state::Cause::SpawnFailed) with this
    /// reason.
    pub fn cannot_start(reason: impl Into<String>) -> Self {
        Self { end: End::CannotStart(reason.into()), ..Self::default() }
    }

    /// Writes to standard output.
    pub fn stdout(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Write(Stream::Stdout, bytes.as_ref().to_vec()))
    }

    /// Writes to standard error.
    pub fn stderr(self, bytes: impl AsRef<[u8]>) -> Self {
        self.step(Step::Write(Stream::Stderr, bytes.as_ref().to_vec()))
    }

    /// Has an effect that the command would have, such as writing a file. It should not block.
    pub fn does(self, what: impl Fn(&JobSpec) + Send + Sync + 'static) -> Self {
        self.step(Step::Do(Effect(Arc::new(what))))
    }

    /// Becomes ready here, whatever the conditions of its spec are: nothing is checked or probed.
    pub fn is_ready(self) -> Self {
        self.step(Step::BeReady)
    }

    /// Takes this much time on the clock.
    pub fn takes(self, time: Duration) -> Self {
        self.step(Step::Take(time))
    }

    /// Waits until the gate is open.
    pub fn waits_for(self, gate: &Gate) -> Self {
        self.step(Step::WaitFor(gate.clone()))
    }

    /// Ends with this exit code.
    pub fn exits(self, code: i32) -> Self {
        Self { end: End::Exit(code), ..self }
    }

    /// Dies of this signal, without a sender.
    pub fn dies_of(self, signal: Signal) -> Self {
        Self { end: End::Die(signal), ..self }
    }

    /// Does not end on its own: it stays until it is stopped.
    pub fn stays(self) -> Self {
        Self { end: End::Stay, ..self }
    }

    /// Ignores a signal. A job that ignores `SIGTERM` is killed after the grace; `SIGKILL` cannot be ignored.
    pub fn ignores(mut self, signal: Signal) -> Self {
        self.traps.push((signal, None));
        self
    }

    /// Switches to another script when it gets this signal.
    pub fn answers(mut self, signal: Signal, script: Script) -> Self {
        self.traps.push((signal, Some(script)));
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push_back(step);
        self
    }
}

/// Holds jobs until a test lets them continue. Clones are the same gate; once open, it stays open.
#[derive(Debug, Clone)]
pub struct Gate {
    clock: ManualClock,
    opened_at: Arc<watch::Sender<Option<Timestamp>>>,
}

impl Gate {
    /// Returns a gate that is closed.
    pub fn new(clock: &ManualClock) -> Self {
        Self { clock: clock.clone(), opened_at: Arc::new(watch::Sender::new(None)) }
    }

    /// Lets all waiting jobs continue, and those that come later.
    pub fn open(&self) {
        self.opened_at.send_modify(|at| *at = at.or(Some(self.clock.now())));
    }

    /// Returns when the gate is open, and since when it has been.
    pub(super) async fn opened(&self) -> Timestamp {
        let mut opened_at = self.opened_at.subscribe();
        match opened_at.wait_for(Option::is_some).await.map(|at| *at) {
            Ok(Some(at)) => at,
            // The sender belongs to this gate, so it still exists.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}

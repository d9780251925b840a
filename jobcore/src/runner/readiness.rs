//! Whether a job within this program is ready: a supervisor uses a separate process for probes, this uses a thread.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::clock::Timestamp;
use crate::output::{Cursor, OutputChunk, Piece, Stream};
use crate::record::Submission;
use crate::supervisor::ready::outputs::Outputs;
use crate::supervisor::ready::probes::Probes;
use crate::sys::process::ProcessId;

/// What must still happen before a job is ready.
#[derive(Debug)]
pub(super) struct Readiness {
    outputs: Outputs,
    tried: Tried,
}

/// The state of the probes.
#[derive(Debug)]
enum Tried {
    /// They run at this time, at the next look.
    At(Instant, Box<Probes>),
    Now(JoinHandle<(Probes, Option<Duration>)>),
    /// All conditions are met.
    Done,
}

impl Readiness {
    /// Begins to look; `None` if the spec has no conditions.
    pub(super) fn of(submission: &Submission, main: ProcessId) -> Option<Self> {
        let probes = Probes::of(submission, main, false);
        let tried = probes.map_or(Tried::Done, |probes| Tried::At(Instant::now(), Box::new(probes)));
        let spec = &submission.spec;
        (!spec.ready.is_empty()).then(|| Self { outputs: Outputs::of(spec), tried })
    }

    /// Notes what was just written; the output is `end` bytes long with it.
    pub(super) fn written(&mut self, stream: Stream, at: Timestamp, bytes: &[u8], end: u64) {
        if self.outputs.have_come() {
            return;
        }
        let offset = end.saturating_sub(bytes.len() as u64);
        let piece = Piece::Data { offset, stream, at, bytes: bytes.to_vec() };
        let (cursor, pieces) = (Cursor(end), vec![piece]);
        self.outputs.feed(&OutputChunk { pieces, cursor, end: cursor, more: false, cut: false }, Instant::now());
    }

    /// Returns when to look even if nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        let tried_at = match &self.tried {
            Tried::At(at, _) => Some(*at),
            Tried::Now(_) | Tried::Done => None,
        };
        self.outputs.due().into_iter().chain(tried_at).min()
    }

    /// Checks what is due, and returns whether all conditions are met.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        self.outputs.look(now);
        self.tried = match std::mem::replace(&mut self.tried, Tried::Done) {
            Tried::At(at, mut probes) if at <= now => Tried::Now(tokio::task::spawn_blocking(move || {
                let next = probes.look();
                (*probes, next)
            })),
            tried => tried,
        };
        self.outputs.have_come() && matches!(self.tried, Tried::Done)
    }

    /// Returns when the running probes have a result. Cancel safe.
    pub(super) async fn tried(&mut self) {
        let Tried::Now(trying) = &mut self.tried else { return std::future::pending().await };
        self.tried = match trying.await {
            Ok((probes, Some(after))) => Tried::At(Instant::now() + after, Box::new(probes)),
            Ok((_, None)) => Tried::Done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down, and with it the watcher of the job.
            Err(_) => return std::future::pending().await,
        };
    }
}

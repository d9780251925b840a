//! Whether a job is ready as its spec defines it: checked without any waiter, and only until it is.

// In the order in which to read them:
// - `outputs.rs`: conditions on the output
// - `probes.rs`, `prober.rs`: conditions that are probed, and the process that does so

pub(crate) mod outputs;
pub(crate) mod prober;
pub(crate) mod probes;

use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::tree::Family;
use super::watched::Watched;
use crate::output::{self, Cursor, OutputQuery, Position};
use crate::spec::JobSpec;
use crate::store::file::Records;
use crate::store::file::log::FileLog;
use crate::sys::child;
use outputs::Outputs;
use prober::Prober;

/// What must still happen before a job is ready.
#[derive(Debug)]
pub(super) struct Readiness {
    outputs: Outputs,
    /// How far the output was read.
    cursor: Cursor,
    prober: Prober,
}

impl Readiness {
    /// Begins to look; `None` if the spec has no conditions. Output before `from` is ignored.
    pub(super) fn of(spec: &JobSpec, from: Cursor) -> Option<Self> {
        let is_tried = spec.ready.iter().any(|condition| !condition.is_output());
        let prober = if is_tried { Prober::Due(Instant::now()) } else { Prober::Done };
        (!spec.ready.is_empty()).then(|| Self { outputs: Outputs::of(spec), cursor: from, prober })
    }

    /// Returns what becomes readable when a probe has a result.
    pub(super) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.prober.as_fd()
    }

    /// Returns when to look even if nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        self.outputs.due().into_iter().chain(self.prober.due()).min()
    }

    /// Collects the result of the probes.
    pub(super) fn collect(&mut self) {
        self.prober.collect(Instant::now());
    }

    /// Stops probing until the next look.
    pub(super) fn stop(&mut self) {
        self.prober.stop(Instant::now());
    }

    /// Checks what takes no time, has the rest probed, and returns whether all conditions are met.
    pub(super) fn look(&mut self, records: &Records, watched: &mut Watched) -> bool {
        let (now, written) = (Instant::now(), watched.log.size().bytes);
        if !self.outputs.have_come() && written > self.cursor.0 {
            let log = FileLog::new(records.job.clone());
            let query = |cursor| OutputQuery::from(Position::Cursor(cursor));
            while let Ok(chunk) = output::read(&log, written, &query(self.cursor)) {
                self.cursor = chunk.cursor;
                self.outputs.feed(&chunk, now);
                if !chunk.more {
                    break;
                }
            }
        }
        self.outputs.look(now);
        let started = self.prober.start_if_due(&records.layout, records.id, now);
        match &mut watched.family {
            Family::Own { apart, .. } if started.is_some() => *apart = started,
            Family::Own { .. } => {}
            // Its only own children are those started here.
            Family::Adopted { .. } => drop(child::reap_any()),
        }
        self.outputs.have_come() && matches!(self.prober, Prober::Done)
    }
}

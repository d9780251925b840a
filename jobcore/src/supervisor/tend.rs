//! What a supervisor does for the store besides its own job.

use super::launch::start;
use super::on_end;
use super::sleeper;
use crate::id::JobId;
use crate::store::file::layout::Layout;
use crate::store::file::{FileStore, Left, Records};
use crate::store::{JobClaim, JobStore, tend};
use crate::sys::own;

/// Releases the slot of the job unless something is left to do for it, starts what is due now, and starts supervisors
/// for jobs that lost theirs. What cannot be done from here is left to the next user of the store.
pub(super) fn tend(records: &Records, is_done: bool) {
    tend_for(&records.layout, is_done.then_some(records.id));
}

/// Starts what is due now, `due` first, and does for the store what all its users do.
pub(super) fn tend_all(layout: &Layout, due: Option<Box<dyn JobClaim>>) {
    if let (Some(claim), Ok(program)) = (due, own::program()) {
        let _ = start(&program, claim);
    }
    tend_for(layout, None);
    let next = tend::at_once(async { FileStore::checked(layout).next_start().await.ok().flatten() }).flatten();
    sleeper::ensure_for(layout, next);
}

/// Does the same, and releases the slot of a job for which nothing is left to do.
fn tend_for(layout: &Layout, done: Option<JobId>) {
    let store = FileStore::checked(layout);
    let Ok(program) = own::program() else { return };
    let start = |claim| std::future::ready(start(&program, claim).map(drop));
    let run_hooks = |id| {
        if let Err(error) = on_end::start(&program, layout, id) {
            tracing::debug!(%id, %error, "the end hooks of a job could not be run");
        }
    };
    tend::at_once(async {
        let Some(id) = done else { return tend::tend(&store, start, run_hooks).await };
        match store.leave(id).await {
            Ok(Left { next, has_others, has_hooks, next_start }) => {
                if has_hooks {
                    run_hooks(id);
                }
                sleeper::ensure_for(layout, next_start);
                match (next, has_others) {
                    // Nothing waits, and no other supervisor can have been killed.
                    (None, false) => {}
                    (None, true) => tend::adopt(&store, start, run_hooks).await,
                    (Some(claim), _) => {
                        let _ = start(claim).await;
                        tend::tend(&store, start, run_hooks).await;
                    }
                }
            }
            Err(_) => tend::tend(&store, start, run_hooks).await,
        }
    });
}

/// A job that makes a store larger also keeps it from growing forever. Failures are left to the next one.
pub(super) fn prune(records: &Records) {
    let _ = FileStore::checked(&records.layout).prune_if_due();
}

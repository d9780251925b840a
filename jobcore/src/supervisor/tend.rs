//! What a supervisor does for the store beside its own job.

use super::launch::start;
use super::on_end;
use crate::store::file::{FileStore, Left, Records};
use crate::store::tend;
use crate::sys::own;

/// Gives the slot of the job back unless something is left to do for the job, starts what is due now, and puts supervisors in
/// charge of jobs that lost theirs. What cannot be done from here is left to whoever uses the store next.
pub(super) fn tend(records: &Records, is_done: bool) {
    let store = FileStore::checked(&records.layout);
    let Ok(program) = own::program() else { return };
    let start = |claim| std::future::ready(start(&program, claim).map(drop));
    let run_hooks = |id| {
        if let Err(error) = on_end::start(&program, &records.layout, id) {
            tracing::debug!(%id, %error, "what is due at the end of a job could not be run");
        }
    };
    tend::at_once(async {
        if !is_done {
            return tend::tend(&store, start, run_hooks).await;
        }
        match store.leave(records.id).await {
            Ok(Left { next, has_others, has_hooks }) => {
                if has_hooks {
                    run_hooks(records.id);
                }
                match (next, has_others) {
                    // Nothing waits, and nobody else can have been killed.
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

/// Whoever makes a store larger sees to it that it does not grow for ever. What fails is tried by the next.
pub(super) fn prune(records: &Records) {
    let _ = FileStore::checked(&records.layout).prune_if_due();
}

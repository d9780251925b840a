//! What a supervisor does for the store beside its own job.

use super::launch::start;
use crate::store::file::{FileStore, Records};
use crate::store::tend;
use crate::sys::own;

/// Opens the store. One that somebody deleted is not made again.
fn open_store(records: &Records) -> Option<FileStore> {
    let root = &records.layout.root;
    root.exists().then(|| FileStore::open(root).ok())?
}

/// Gives the slot of the job back, starts what is due now, and puts supervisors in charge of jobs that lost theirs. What cannot
/// be done from here is left to whoever uses the store next.
pub(super) fn tend(records: &Records) {
    let Some(store) = open_store(records) else { return };
    let Ok(program) = own::program() else { return };
    let start = |claim| std::future::ready(start(&program, claim).map(drop));
    tend::at_once(async {
        if let Ok(Some(claim)) = store.leave(records.id).await {
            let _ = start(claim).await;
        }
        tend::tend(&store, start).await;
    });
}

/// Whoever makes a store larger sees to it that it does not grow for ever. What fails is tried by the next.
pub(super) fn prune(records: &Records) {
    let _ = open_store(records).map(|store| store.prune_if_due());
}

//! What a supervisor does for the store beside its own job.

use std::path::Path;

use crate::store::file::{FileStore, Records};
use crate::store::tend;

/// Opens the store. One that somebody deleted is not made again.
fn open_store(records: &Records) -> Option<FileStore> {
    let root = &records.layout.root;
    root.exists().then(|| FileStore::open(root).ok())?
}

/// Puts supervisors in charge of jobs that lost theirs, and starts what is due now that a slot is free. What cannot be
/// done from here is left to whoever uses the store next.
pub(super) fn tend(records: &Records) {
    let Some(store) = open_store(records) else { return };
    let start = |claim| std::future::ready(super::start(Path::new("/proc/self/exe"), claim).map(drop));
    tend::at_once(tend::tend(&store, start));
}

/// Whoever makes a store larger sees to it that it does not grow for ever. What fails is tried by the next.
pub(super) fn sweep(records: &Records) {
    let _ = open_store(records).map(|store| store.prune_if_due());
}

//! What a supervisor does for the store beside its own job.

use std::os::fd::AsFd;
use std::path::Path;

use crate::store::file::{FileStore, Records};

/// Opens the store. One that somebody deleted is not made again.
fn open_store(records: &Records) -> Option<FileStore> {
    let root = &records.layout.root;
    root.exists().then(|| FileStore::open(root).ok())?
}

/// Puts supervisors in charge of jobs that lost theirs, and starts what is due now that a slot is free. What cannot be
/// done from here is left to whoever uses the store next.
pub(super) fn tend(records: &Records) {
    let Some(store) = open_store(records) else { return };
    let start =
        |next: &Records| super::start(Path::new("/proc/self/exe"), store.root(), next.id, next.lock.as_fd()).is_ok();
    for id in store.find_unattended().unwrap_or_default() {
        if let Ok(Some(next)) = store.claim_unattended(id) {
            start(&next);
        }
    }
    while let Ok(Some(next)) = store.due() {
        if !start(&next) {
            return;
        }
    }
}

/// Whoever makes a store larger sees to it that it does not grow for ever. What fails is tried by the next.
pub(super) fn sweep(records: &Records) {
    let _ = open_store(records).map(|store| store.sweep_if_due());
}

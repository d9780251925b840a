//! The process that sleeps until a job is due: one per store, and only while a job is due later. While a job waits for
//! the machine to be less busy, it checks every few seconds.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::tend;
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::store::JobStore;
use crate::store::file::FileStore;
use crate::store::file::layout::Layout;
use crate::store::file::sleeper::Sleeper;
use crate::store::file::supervisors::{HANDOVER_VERSION, MARKER, NAME, SLEEPER, environment};
use crate::store::tend::at_once;
use crate::sys::spawn::{self, Source};
use crate::sys::watch::Watch;
use crate::sys::{alarm, own};

/// Makes sure that a process will be awake at this time. Returns its id if this started it.
pub(crate) fn ensure(program: &Path, layout: &Layout, at: Timestamp) -> Result<Option<i32>> {
    if Sleeper::open(layout)?.is_awake_at(at)? {
        return Ok(None);
    }
    let root = layout.root.as_os_str().as_bytes();
    let words = [NAME.as_bytes(), MARKER.as_bytes(), HANDOVER_VERSION.as_bytes(), root, SLEEPER.as_bytes()];
    let arguments: Vec<_> = words.into_iter().map(<[u8]>::to_vec).collect();
    let streams = [Source::ReadWrite("/dev/null".as_ref()), Source::Same, Source::Same];
    let started = spawn::session_leader(program, &arguments, &environment(), streams);
    started.map(Some).context("start the process that waits for delayed jobs from", program)
}

/// Runs as that process.
pub(super) fn run(layout: &Layout) -> Result<()> {
    let sleeper = Sleeper::open(layout)?;
    if !sleeper.take()? {
        return Ok(());
    }
    let watch = Watch::new().and_then(|watch| watch.file(&sleeper.path).map(|()| watch));
    let watch = watch.context("watch", &sleeper.path)?;
    let store = FileStore::checked(layout);
    let mut due = None;
    while due.is_none()
        && let Some(at) = store.sleep_until(&sleeper)?
    {
        // Discard notices of earlier writes, including this process's own.
        while watch.has_word().context("read from", &sleeper.path)? {}
        alarm::wait_until(at, watch.as_fd());
        if Timestamp::now() >= at {
            match at_once(store.next_due()) {
                Some(Ok(claim)) => due = claim,
                Some(Err(_)) | None => break,
            }
        }
    }
    // The processes it starts are its children. It ends instead of sleeping again, so that another process sleeps next
    // and they get a parent that reaps them.
    drop(sleeper);
    tend::tend_all(layout, due);
    Ok(())
}

/// Makes sure that a process will be awake when the next job is due, if one is due later.
pub(super) fn ensure_for(layout: &Layout, next: Option<Timestamp>) {
    let Some(at) = next else { return };
    let program = own::program().context("find", "this program".as_ref());
    if let Err(error) = program.and_then(|program| ensure(&program, layout, at)) {
        tracing::debug!(%error, "the process that starts delayed jobs could not be started");
    }
}

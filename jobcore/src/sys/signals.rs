//! Signals that this thread blocks, sigprocmask(2).

use std::io;

#[cfg(feature = "front")]
use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, SigmaskHow};

/// Blocks all signals that can be blocked.
pub(crate) fn block_all() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Calls `spawn` with no signal blocked, because a child would inherit the mask, and then restores the mask.
pub(crate) fn lend_none<T>(spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let spawned = spawn();
    blocked.thread_set_mask()?;
    spawned
}

/// Blocks the signals that would kill a process when a file exceeds its size limit or a pipe has no reader, so that the
/// write fails instead.
#[cfg(feature = "front")]
pub(crate) fn block_those_of_writes() {
    // If they cannot be blocked, their default action stays.
    let _ = SigSet::from_iter([Signal::SIGXFSZ, Signal::SIGPIPE]).thread_block();
}

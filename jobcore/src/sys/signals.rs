//! Signals that are kept from this thread, sigprocmask(2).

use std::io;

#[cfg(feature = "front")]
use nix::sys::signal::Signal;
use nix::sys::signal::{SigSet, SigmaskHow};

/// Blocks all signals that can be blocked.
pub(crate) fn block_all() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Calls `spawn` with no signal blocked, which what is started would inherit, and blocks again what was.
pub(crate) fn lend_none<T>(spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let spawned = spawn();
    blocked.thread_set_mask()?;
    spawned
}

/// Blocks the signals by which a process dies that makes a file larger than its limit, or writes to a pipe that nobody reads, so
/// that the write fails instead.
#[cfg(feature = "front")]
pub(crate) fn block_those_of_writes() {
    // Where they cannot be blocked, it is as without this.
    let _ = SigSet::from_iter([Signal::SIGXFSZ, Signal::SIGPIPE]).thread_block();
}

//! Signals that are kept from this thread, sigprocmask(2).

use std::io;

use nix::sys::signal::SigSet;
#[cfg(feature = "front")]
use nix::sys::signal::Signal;

/// Blocks all signals that can be blocked.
pub(crate) fn block_all() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Blocks the signals by which a process dies that makes a file larger than its limit, or writes to a pipe that nobody reads, so
/// that the write fails instead.
#[cfg(feature = "front")]
pub(crate) fn block_those_of_writes() {
    // Where they cannot be blocked, it is as without this.
    let _ = SigSet::from_iter([Signal::SIGXFSZ, Signal::SIGPIPE]).thread_block();
}

//! Signals that are kept from this thread, sigprocmask(2).

use std::io;

use nix::sys::signal::SigSet;

/// Blocks all signals that can be blocked.
pub(crate) fn block_all() -> io::Result<()> {
    Ok(SigSet::all().thread_block()?)
}

/// Blocks the signal by which a process dies that makes a file larger than its limit, so that the write fails instead.
#[cfg(feature = "front")]
pub(crate) fn block_file_size() {
    // Where it cannot be blocked, it is as without this.
    let _ = SigSet::from_iter([nix::sys::signal::Signal::SIGXFSZ]).thread_block();
}

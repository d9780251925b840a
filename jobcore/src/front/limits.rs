//! Limits of the process that would end it without a word.

use nix::sys::signal::{SigSet, Signal};

/// Makes the limit of file size (`ulimit -f`) an error of the write that exceeds it, and not the death of this program.
///
/// To be called before there are other threads, which would have to do the same. Jobs and other children are started with
/// no signal blocked: to them the limit is what it always was.
pub fn survive_file_size() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // Where it cannot be blocked, it is as without this.
    let _ = signals.thread_block();
}

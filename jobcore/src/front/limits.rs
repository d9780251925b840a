//! Limits of the process that would end it without a word.

use std::process::ExitCode;
use std::thread;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, Signal};

/// What the parser of a command line and a tool call need of the stack, with room to spare; the usual limit is 8 MiB.
const STACK: usize = 2 * 1024 * 1024;

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

/// Runs the program on a stack that is large enough, whatever the limit (`ulimit -s`).
///
/// The limit holds for the main thread only. To jobs and other children it is what it always was.
pub fn with_enough_stack(program: impl FnOnce() -> ExitCode + Send) -> ExitCode {
    let is_enough = getrlimit(Resource::RLIMIT_STACK).is_ok_and(|(soft, _)| soft >= STACK as u64);
    if is_enough {
        return program();
    }
    thread::scope(|scope| match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, program) {
        Ok(running) => running.join().unwrap_or(ExitCode::FAILURE),
        Err(error) => {
            let message = format!("too little stack (`ulimit -s`), and no thread can be started: {error}");
            super::Failure::new(super::codes::FAILED, message).report(false)
        }
    })
}

//! Reaping, and adding up what it tells: how the main process ended, and what all of them used.

use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::WaitOptions;

use crate::clock::Timestamp;
use crate::life::Exit;
use crate::signal::Signal;
use crate::sys::process;

/// Reaps all children that are over, and returns how the main process ended if it was among them.
pub(super) fn reap(main: i32) -> Option<Exit> {
    let mut exit = None;
    // Every child of a supervisor is its job's: waiting for any takes no status away from anybody.
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == main {
            exit = Some(Exit {
                code: status.exit_status(),
                signal: status.terminating_signal().map(Signal::from_number),
                is_out_of_memory: false,
                core_dumped: status.signaled() && nix::libc::WCOREDUMP(status.as_raw()),
                at: Timestamp::now(),
            });
        }
    }
    exit
}

/// Returns CPU time in milliseconds, and the peak memory of the largest process in bytes, of all children that were
/// reaped and of their children that they reaped, getrusage(2).
pub(super) fn usage() -> (Option<u64>, Option<u64>) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return (None, None) };
    use nix::sys::time::TimeValLike;
    let millis = |time: nix::sys::time::TimeVal| time.num_milliseconds();
    let cpu = millis(usage.user_time()) + millis(usage.system_time());
    (cpu.try_into().ok(), u64::try_from(usage.max_rss()).ok().map(|rss| rss * process::RSS_UNIT))
}

//! The children of this process: notices of their ends, reaping them, and what they used.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitOptions};

/// How many bytes one unit of `ru_maxrss` is, getrusage(2): Linux counts in kibibytes, macOS in bytes.
const RSS_UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };

/// Notices of the ends of children, signalfd(2): readable when one has ended. The process must block all signals.
#[derive(Debug)]
pub(crate) struct Ends(SignalFd);

impl Ends {
    pub(crate) fn watch() -> io::Result<Self> {
        let mask = SigSet::from_iter([Signal::SIGCHLD]);
        Ok(Self(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Discards pending notices; it becomes readable again when the next child ends.
    pub(crate) fn clear(&self) {
        // The signal is pending once, however many children have ended.
        let _ = self.0.read_signal();
    }
}

impl AsFd for Ends {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns whether this process has no child at all, waitid(2).
pub(crate) fn has_none() -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(rustix::process::waitid(WaitId::All, look), Err(rustix::io::Errno::CHILD))
}

/// Reaps any one child that has ended, and returns it and how it ended; `None` if there is none.
pub(crate) fn reap_any() -> Option<(i32, ExitStatus)> {
    let (pid, status) = rustix::process::wait(WaitOptions::NOHANG).ok()??;
    Some((pid.as_raw_nonzero().get(), ExitStatus::from_raw(status.as_raw())))
}

/// Waits for the end of a child and reaps it.
pub(crate) fn reap(pid: i32) {
    let pid = Pid::from_raw(pid).map(WaitId::Pid);
    let _ = pid.map(|pid| rustix::process::waitid(pid, WaitIdOptions::EXITED));
}

/// Reaps a child when it ends, in a task of the current tokio runtime. Call it before anything else can have reaped the
/// child.
pub(crate) fn reap_when_ended(pid: i32) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return };
    tokio::spawn(async move {
        let Ok(process) = super::ready::readable(process) else { return };
        let _ = process.readable().await;
        let _ = rustix::process::waitid(WaitId::PidFd(process.as_fd()), WaitIdOptions::EXITED);
    });
}

/// Returns CPU time in milliseconds, and the peak memory of the largest process in bytes, of all reaped children and of
/// the children that they reaped, getrusage(2).
pub(crate) fn usage() -> (Option<u64>, Option<u64>) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return (None, None) };
    let millis = |time: TimeVal| time.num_milliseconds();
    let cpu = millis(usage.user_time()) + millis(usage.system_time());
    (cpu.try_into().ok(), u64::try_from(usage.max_rss()).ok().map(|rss| rss * RSS_UNIT))
}

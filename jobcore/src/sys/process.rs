//! The identity of a process, so that no other is taken for it: looking at it, waiting for its end, and signalling only
//! it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use serde::{Deserialize, Serialize};

use super::stat::Stat;
use super::{boot, namespace};
use crate::error::{IoContext, Result};
use crate::signal::Signal;

/// The identity of a process, so that a later process with the same number is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessId {
    /// The boot of the kernel, `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The pid namespace in which the number is valid, by its inode number.
    pub pid_namespace: u64,
    /// The process number.
    pub pid: i32,
    /// When the process started, in clock ticks since boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub start_time: u64,
}

impl ProcessId {
    /// Returns the identity of this program.
    ///
    /// # Errors
    /// If `/proc` does not show it.
    pub fn of_this_program() -> Result<Self> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        identify(own).context("look at", "/proc/self".as_ref())
    }

    /// Returns the identity of the process that has this number now.
    ///
    /// # Errors
    /// If there is no such process, or `/proc` does not show it.
    pub fn of(pid: i32) -> Result<Self> {
        identify(pid).context("look at", Path::new(&format!("/proc/{pid}")))
    }
}

/// What can be seen of a command's main process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// It is alive under this number.
    Alive(i32),
    /// It is alive under this number, and stopped by a signal.
    Paused(i32),
    /// It has ended, and other processes of the job are left.
    Stragglers,
    /// It has ended, and no other process visibly belongs to the job.
    Gone,
    /// The pid namespace that it ran in has ended, and with it all of its processes.
    NamespaceEnded,
    /// The machine has been restarted since.
    Rebooted,
    /// This process cannot know: it sees other processes than the submitter did.
    Unknown,
}

/// Returns the identity of a living process.
pub(crate) fn identify(pid: i32) -> io::Result<ProcessId> {
    if boot::id().is_empty() {
        return Err(io::Error::other("the id of this boot cannot be read"));
    }
    let stat = Stat::read(pid).ok_or(io::ErrorKind::NotFound)?;
    Ok(ProcessId {
        boot_id: boot::id().to_owned(),
        pid_namespace: namespace::own_pid(),
        pid,
        start_time: stat.start_time,
    })
}

/// Returns whether the number of `process` is valid here: same boot, same pid namespace.
pub(crate) fn is_comparable(process: &ProcessId) -> bool {
    process.boot_id == boot::id() && process.pid_namespace == namespace::own_pid()
}

/// Returns what is visible of a process from here.
pub(crate) fn look(process: &ProcessId) -> Seen {
    if boot::id().is_empty() {
        return Seen::Unknown;
    }
    if process.boot_id != boot::id() {
        return Seen::Rebooted;
    }
    if process.pid_namespace != namespace::own_pid() {
        return Seen::Unknown;
    }
    match Stat::read(process.pid) {
        Some(stat) if stat.start_time == process.start_time && !stat.is_dead() => match stat.state {
            b'T' => Seen::Paused(process.pid),
            _ => Seen::Alive(process.pid),
        },
        // A failed look does not show that it has ended.
        None if !matches!(Path::new(&format!("/proc/{}", process.pid)).try_exists(), Ok(false)) => Seen::Unknown,
        _ => Seen::Gone,
    }
}

/// Opens a process so that its end can be waited for; `None` if it has ended or was never visible from here.
///
/// The start time is checked again after opening, so that the opened process is the right one.
pub(crate) fn open(process: &ProcessId) -> Option<OwnedFd> {
    if !is_comparable(process) {
        return None;
    }
    let fd = rustix::process::pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
    matches!(look(process), Seen::Alive(_) | Seen::Paused(_)).then_some(fd)
}

/// Returns how a process that is not a child of this one ended, as wait(2) would report it: through its pidfd, or while
/// it is an unreaped zombie. `None` if the kernel does not report it.
#[cfg(target_os = "linux")]
pub(crate) fn exit_status(process: &ProcessId, fd: &OwnedFd) -> Option<ExitStatus> {
    use std::os::fd::AsRawFd;

    use nix::libc;
    // SAFETY: a struct of plain integers, for which all zeroes are a valid value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the kernel writes at most the size encoded in the request number, which is that of this struct; kernels
    // before 6.15 (6.13 for the call itself) leave the mask unset or refuse the call. The descriptor is open.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if result == 0 && info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0 {
        return Some(ExitStatus::from_raw(info.exit_code));
    }
    // A zombie still has it, in field 52 of its stat.
    let stat = Stat::read(process.pid).filter(|stat| stat.start_time == process.start_time && stat.is_dead());
    stat.and_then(|stat| stat.exit_status).map(ExitStatus::from_raw)
}

/// Returns `None`: this system does not report the end of a process to others than its parent.
#[cfg(not(target_os = "linux"))]
pub(crate) fn exit_status(_: &ProcessId, _: &OwnedFd) -> Option<ExitStatus> {
    None
}

/// Checks that ends can be waited for and signals sent to exactly one process: a system call filter may refuse what the
/// kernel supports.
pub(crate) fn check_open() -> io::Result<()> {
    rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    Ok(())
}

/// Returns whether no process has this number, even if those of other users are hidden.
pub(super) fn is_free(pid: i32) -> bool {
    Pid::from_raw(pid).is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH))
}

/// Checks that this process may signal another, kill(2).
pub(crate) fn may_signal(pid: i32) -> io::Result<()> {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    Ok(rustix::process::test_kill_process(pid)?)
}

/// Sends a signal to exactly the process that `stat` describes. It is no error if that has ended.
pub(crate) fn signal(stat: &Stat, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(stat.pid) else { return Ok(()) };
    let gone = |error: Errno| if error == Errno::SRCH { Ok(()) } else { Err(error.into()) };
    let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(error) => return gone(error),
    };
    if Stat::read(stat.pid).is_none_or(|now| now.start_time != stat.start_time) {
        return Ok(());
    }
    rustix::process::pidfd_send_signal(fd, named(signal)?).or_else(gone)
}

/// Sends a signal to exactly this process.
///
/// # Errors
/// Also if the process has ended.
pub(crate) fn signal_one(process: &ProcessId, signal: Signal) -> io::Result<()> {
    let fd = open(process).ok_or(Errno::SRCH)?;
    Ok(rustix::process::pidfd_send_signal(fd, named(signal)?)?)
}

/// Sends a signal to the process group that a process leads.
pub(crate) fn signal_group(leader: i32, signal: Signal) -> io::Result<()> {
    let group = Pid::from_raw(leader).ok_or(Errno::INVAL)?;
    Ok(rustix::process::kill_process_group(group, named(signal)?)?)
}

/// Sends a signal to the process group that a process leads, and continues the group so that even a stopped one obeys.
pub(crate) fn signal_group_even_stopped(leader: i32, signal: Signal) -> io::Result<()> {
    let sent = signal_group(leader, signal);
    let _ = signal_group(leader, Signal::CONT);
    sent
}

fn named(signal: Signal) -> io::Result<rustix::process::Signal> {
    Ok(rustix::process::Signal::from_named_raw(signal.number()).ok_or(Errno::INVAL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_number_is_not_the_process() {
        let own = i32::try_from(std::process::id()).unwrap();
        let me = identify(own).unwrap();
        assert_eq!(look(&me), Seen::Alive(own));
        assert!(open(&me).is_some());
        let earlier = ProcessId { start_time: me.start_time - 1, ..me.clone() };
        assert_eq!(look(&earlier), Seen::Gone);
        assert!(open(&earlier).is_none());
        let elsewhere = ProcessId { pid_namespace: 1, ..me };
        assert_eq!(look(&elsewhere), Seen::Unknown);
        assert_eq!(look(&ProcessId { boot_id: "other".into(), ..elsewhere }), Seen::Rebooted);
    }
}

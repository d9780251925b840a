//! Who a process is, so that no other is taken for it: looking at it, waiting for its end, and signals to it alone.

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

/// Who a process is, so that a later process with its number is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessId {
    /// The boot of the kernel, `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The pid namespace in which the number counts, by its inode number.
    pub pid_namespace: u64,
    /// The number.
    pub pid: i32,
    /// When the process started, in clock ticks since boot: field 22 of `/proc/PID/stat`, proc_pid_stat(5).
    pub start_time: u64,
}

impl ProcessId {
    /// Returns who this program is.
    ///
    /// # Errors
    /// If `/proc` does not say.
    pub fn of_this_program() -> Result<Self> {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        identify(own).context("look at", "/proc/self".as_ref())
    }

    /// Returns who has this number now.
    ///
    /// # Errors
    /// If nobody has, or `/proc` does not say.
    pub fn of(pid: i32) -> Result<Self> {
        identify(pid).context("look at", Path::new(&format!("/proc/{pid}")))
    }
}

/// What can be seen of a command's main process from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen {
    /// It runs, under this number.
    Alive(i32),
    /// It is there, stopped by a signal.
    Paused(i32),
    /// It is gone, and other processes of the job are there.
    Stragglers,
    /// It is gone, and so is all that can be seen to belong to the job.
    Gone,
    /// The pid namespace that it ran in has ended, and all processes in it with that.
    NamespaceEnded,
    /// The machine has been restarted since.
    Rebooted,
    /// This process cannot tell: it sees other processes than the submitter did.
    Unknown,
}

/// Returns who a living process is.
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

/// Returns whether the number of `process` means something here: same boot, same pid namespace.
pub(crate) fn is_comparable(process: &ProcessId) -> bool {
    process.boot_id == boot::id() && process.pid_namespace == namespace::own_pid()
}

/// Returns what can be seen of a process from here.
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
        // Not to have been able to look is not to have seen that it is gone.
        None if !matches!(Path::new(&format!("/proc/{}", process.pid)).try_exists(), Ok(false)) => Seen::Unknown,
        _ => Seen::Gone,
    }
}

/// Opens a process so that its end can be waited for; nothing if it is gone or never was seen from here.
///
/// The start time is looked at again after the open, so that what is open is who was meant.
pub(crate) fn open(process: &ProcessId) -> Option<OwnedFd> {
    if !is_comparable(process) {
        return None;
    }
    let fd = rustix::process::pidfd_open(Pid::from_raw(process.pid)?, PidfdFlags::empty()).ok()?;
    matches!(look(process), Seen::Alive(_) | Seen::Paused(_)).then_some(fd)
}

/// Returns how a process ended that is no child of this one, as wait(2) would tell it: by its pidfd, or while nobody has
/// reaped it. Nothing where the kernel does not say.
#[cfg(target_os = "linux")]
pub(crate) fn exit_status(process: &ProcessId, fd: &OwnedFd) -> Option<ExitStatus> {
    use std::os::fd::AsRawFd;

    use nix::libc;
    // SAFETY: a struct of plain numbers, for which all zeroes are a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the kernel writes at most the size that the request number tells it, which is that of this struct; kernels
    // before 6.15, and 6.13 for the call itself, refuse or leave the mask unset. The descriptor is open.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if result == 0 && info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0 {
        return Some(ExitStatus::from_raw(info.exit_code));
    }
    // The zombie has it, field 52 of its stat.
    let stat = Stat::read(process.pid).filter(|stat| stat.start_time == process.start_time && stat.is_dead());
    stat.and_then(|stat| stat.exit_status).map(ExitStatus::from_raw)
}

/// Returns nothing: this system does not tell strangers how a process ended.
#[cfg(not(target_os = "linux"))]
pub(crate) fn exit_status(_: &ProcessId, _: &OwnedFd) -> Option<ExitStatus> {
    None
}

/// Returns whether ends can be waited for, and signals be sent to exactly one process: a filter of system calls may refuse
/// what the kernel has.
pub(crate) fn check_open() -> io::Result<()> {
    rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    Ok(())
}

/// Returns whether no process has this number, also where those of other users are hidden.
pub(super) fn is_free(pid: i32) -> bool {
    Pid::from_raw(pid).is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(Errno::SRCH))
}

/// Checks that this process may send signals to another, kill(2).
pub(crate) fn may_signal(pid: i32) -> io::Result<()> {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    Ok(rustix::process::test_kill_process(pid)?)
}

/// Sends a signal to exactly the process that `stat` described; gone is no error.
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
/// If it is gone, too.
pub(crate) fn signal_one(process: &ProcessId, signal: Signal) -> io::Result<()> {
    let fd = open(process).ok_or(Errno::SRCH)?;
    Ok(rustix::process::pidfd_send_signal(fd, named(signal)?)?)
}

/// Sends a signal to the process group that a process leads.
pub(crate) fn signal_group(leader: i32, signal: Signal) -> io::Result<()> {
    let group = Pid::from_raw(leader).ok_or(Errno::INVAL)?;
    Ok(rustix::process::kill_process_group(group, named(signal)?)?)
}

/// Sends a signal to the process group that a process leads, which may be stopped and shall obey all the same.
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

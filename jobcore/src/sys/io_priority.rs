//! The priority of I/O, ioprio_set(2).

use std::io;

#[cfg(target_os = "linux")]
use nix::libc;
use nix::libc::c_int;

use crate::job_limits::IoPriority;

/// `IOPRIO_WHO_PROCESS`: one process, or rather the thread with that number.
const PROCESS: c_int = 1;
/// `IOPRIO_CLASS_SHIFT`: the class occupies the bits above the level.
const CLASS: c_int = 13;

/// The request to the kernel.
#[derive(Clone, Copy)]
enum Call {
    Get,
    Set(c_int),
}

/// Sets the I/O priority of a process; 0 is this process.
///
/// # Errors
/// If it may not have this priority, or has ended.
pub(super) fn set(pid: i32, priority: IoPriority) -> io::Result<()> {
    let value = match priority {
        IoPriority::BestEffort(level) => (2 << CLASS) | c_int::from(level),
        IoPriority::Idle => 3 << CLASS,
    };
    call(pid, Call::Set(value)).map(drop)
}

/// Calls `within` while this process has this I/O priority.
///
/// # Errors
/// As [`set`].
pub(super) fn lend<T>(priority: IoPriority, within: impl FnOnce() -> T) -> io::Result<T> {
    let own = call(0, Call::Get)?;
    set(0, priority)?;
    let done = within();
    let _ = call(0, Call::Set(own));
    Ok(done)
}

/// Neither rustix nor nix has the calls.
#[cfg(target_os = "linux")]
fn call(pid: i32, call: Call) -> io::Result<c_int> {
    let (number, value) = match call {
        Call::Get => (libc::SYS_ioprio_get, 0),
        Call::Set(value) => (libc::SYS_ioprio_set, value),
    };
    // SAFETY: both calls take numbers, and touch no memory.
    let result = unsafe { libc::syscall(number, PROCESS, pid, value) };
    c_int::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}

/// Not available on other systems.
#[cfg(not(target_os = "linux"))]
fn call(_: i32, _: Call) -> io::Result<c_int> {
    Err(io::ErrorKind::Unsupported.into())
}

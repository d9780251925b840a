//! Which CPUs a process may run on, sched_setaffinity(2).

use std::io;

use rustix::process::Pid;
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::file;
use crate::job_limits::Cpus;

/// Returns the CPUs that are online on this machine, if known.
pub(super) fn online() -> Option<Cpus> {
    file::read_text("/sys/devices/system/cpu/online").ok()?.trim().parse().ok()
}

/// Restricts a process, or this one, to these CPUs. The kernel silently leaves out those that the process may not use,
/// cpuset(7), so the missing CPUs are returned.
///
/// # Errors
/// If the process may use none of them, or has ended.
#[cfg(target_os = "linux")]
pub(super) fn confine(process: Option<Pid>, cpus: &Cpus) -> io::Result<Option<Cpus>> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(cpu.into()));
    sched_setaffinity(process, &set)?;
    let given = sched_getaffinity(process)?;
    Ok(cpus.without(|cpu| given.is_set(cpu.into())))
}

/// Calls `within` while this process runs only on these CPUs, or returns the CPUs that it may not use, if any.
///
/// # Errors
/// As [`confine`].
#[cfg(target_os = "linux")]
pub(super) fn lend<T>(cpus: &Cpus, within: impl FnOnce() -> T) -> io::Result<Result<T, Cpus>> {
    let own = sched_getaffinity(None)?;
    let confined = confine(None, cpus);
    let done = confined.map(|missing| missing.map_or_else(|| Ok(within()), Err));
    // These were its own CPUs, so it may use them again.
    let _ = sched_setaffinity(None, &own);
    done
}

/// Not available on other systems.
#[cfg(not(target_os = "linux"))]
pub(super) fn confine(_: Option<Pid>, _: &Cpus) -> io::Result<Option<Cpus>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not available on other systems.
#[cfg(not(target_os = "linux"))]
pub(super) fn lend<T>(_: &Cpus, _: impl FnOnce() -> T) -> io::Result<Result<T, Cpus>> {
    Err(io::ErrorKind::Unsupported.into())
}

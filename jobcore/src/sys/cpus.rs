//! On which CPUs a process may run, sched_setaffinity(2).

use std::io;

use rustix::process::Pid;
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::file;
use crate::job_limits::Cpus;

/// Returns the CPUs that this machine has in use, if it says.
pub(super) fn online() -> Option<Cpus> {
    file::read_text("/sys/devices/system/cpu/online").ok()?.trim().parse().ok()
}

/// Lets a process, or this one, run on these CPUs only. The kernel leaves out what the process may not have, cpuset(7), and so
/// the CPUs that are missing are returned then.
///
/// # Errors
/// If the process may have none of them, or is gone.
#[cfg(target_os = "linux")]
pub(super) fn confine(process: Option<Pid>, cpus: &Cpus) -> io::Result<Option<Cpus>> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(cpu.into()));
    sched_setaffinity(process, &set)?;
    let given = sched_getaffinity(process)?;
    Ok(cpus.without(|cpu| given.is_set(cpu.into())))
}

/// Calls `within` while this process runs on these CPUs only, and returns the CPUs that it could not have instead, if any.
///
/// # Errors
/// As [`confine`].
#[cfg(target_os = "linux")]
pub(super) fn lend<T>(cpus: &Cpus, within: impl FnOnce() -> T) -> io::Result<Result<T, Cpus>> {
    let own = sched_getaffinity(None)?;
    let confined = confine(None, cpus);
    let done = confined.map(|missing| missing.map_or_else(|| Ok(within()), Err));
    // It was given these, and may have them again.
    let _ = sched_setaffinity(None, &own);
    done
}

/// No other system has it.
#[cfg(not(target_os = "linux"))]
pub(super) fn confine(_: Option<Pid>, _: &Cpus) -> io::Result<Option<Cpus>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No other system has it.
#[cfg(not(target_os = "linux"))]
pub(super) fn lend<T>(_: &Cpus, _: impl FnOnce() -> T) -> io::Result<Result<T, Cpus>> {
    Err(io::ErrorKind::Unsupported.into())
}

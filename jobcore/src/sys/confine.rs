//! Applying a job's limits to its command.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, getpriority_process, getrlimit, setpriority_process};

use super::{cpus, io_priority, limits};
use crate::error::{Error, Result};
use crate::job_limits::{Cpus, Limits};

/// A limit of getrlimit(2): its name in a spec, its name in `ulimit` and limits.conf(5), the resource, and the amount.
type Amount = (&'static str, &'static str, Resource, u64);

fn amounts(limits: &Limits) -> impl Iterator<Item = Amount> {
    let amounts = [
        ("memory", "data", Resource::Data, limits.memory),
        ("processes", "nproc", Resource::Nproc, limits.processes),
        ("open_files", "nofile", Resource::Nofile, limits.open_files),
        ("core", "core", Resource::Core, limits.core),
    ];
    amounts.into_iter().filter_map(|(field, name, resource, amount)| Some((field, name, resource, amount?)))
}

/// Refuses limits that this process could not give to any command.
///
/// # Errors
/// [`Error::InvalidSpec`], naming the limit.
pub(crate) fn check(limits: &Limits) -> Result<()> {
    if let Some(nice) = limits.nice.filter(|nice| !may_have_niceness(*nice)) {
        return Err(refused(
            "nice",
            format!("{nice} is lower than that of this program, and this user may not lower it"),
        ));
    }
    if let Some(cpus) = &limits.cpus
        && let Some(online) = cpus::online()
        && let Some(missing) = cpus.without(|cpu| online.contains(cpu))
    {
        return Err(refused("cpus", format!("there is no CPU {missing}; this machine has {online}")));
    }
    check_amounts(limits)
}

/// Refuses more than the hard limits, which would apply anyway.
fn check_amounts(limits: &Limits) -> Result<()> {
    for (field, name, resource, amount) in amounts(limits) {
        if let Some(hard) = getrlimit(resource).maximum.filter(|hard| *hard < amount) {
            return Err(refused(field, format!("{amount} is more than the hard limit `{name}`, {hard}")));
        }
    }
    Ok(())
}

/// Returns whether this process may have this niceness. A lower one than its own needs privileges or a permissive
/// `RLIMIT_NICE`.
fn may_have_niceness(nice: i32) -> bool {
    getpriority_process(None).is_ok_and(|own| own <= nice) || may_go_down_to(nice)
}

#[cfg(target_os = "linux")]
fn may_go_down_to(nice: i32) -> bool {
    use rustix::thread::{CapabilitySet, capabilities};

    let permitted = getrlimit(Resource::Nice).current;
    permitted.is_none_or(|most| i64::from(20 - nice) <= most.try_into().unwrap_or(i64::MAX))
        || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_NICE))
}

#[cfg(not(target_os = "linux"))]
fn may_go_down_to(_: i32) -> bool {
    rustix::process::geteuid().is_root()
}

/// Calls `within` while this process has the limits and, in addition, these soft limits. The niceness stays.
///
/// # Errors
/// [`Error::InvalidSpec`], naming the limit that cannot be applied.
pub(super) fn lend<T>(limits: &Limits, soft: &BTreeMap<String, u64>, within: impl FnOnce() -> T) -> Result<T> {
    check_amounts(limits)?;
    if let Some(nice) = limits.nice {
        setpriority_process(None, nice).map_err(|error| not_given("nice", nice, error))?;
    }
    let mut soft = soft.clone();
    soft.extend(amounts(limits).map(|(_, name, _, amount)| (name.to_owned(), amount)));
    let with_soft = || limits::lend(&soft, within);
    let with_priority = || match limits.io {
        Some(io) => io_priority::lend(io, with_soft).map_err(|error| not_given("io", io, error)),
        None => Ok(with_soft()),
    };
    match &limits.cpus {
        Some(cpus) => {
            let lent = cpus::lend(cpus, with_priority).map_err(|error| not_given("cpus", cpus, error))?;
            lent.map_err(|missing| without(&missing))?
        }
        None => with_priority(),
    }
}

/// Makes the limits hard for a command that was started with them as soft limits.
#[cfg(target_os = "linux")]
pub(crate) fn make_hard(pid: i32, limits: &Limits) {
    use rustix::process::{Rlimit, prlimit};

    let Some(process) = Pid::from_raw(pid) else { return };
    for (_, _, resource, amount) in amounts(limits) {
        // A process that cannot be limited has ended, or acts as another, privileged user by now.
        let _ = prlimit(Some(process), resource, Rlimit { current: Some(amount), maximum: Some(amount) });
    }
}

/// Other systems cannot do that to another process.
#[cfg(not(target_os = "linux"))]
pub(crate) fn make_hard(_: i32, _: &Limits) {}

/// Applies the limits to a process that was just started without them.
///
/// # Errors
/// [`Error::InvalidSpec`], naming the limit that cannot be applied.
pub(crate) fn give(pid: i32, limits: &Limits) -> Result<()> {
    // Without a number it has ended: there is nothing to limit.
    let Some(process) = Pid::from_raw(pid) else { return Ok(()) };
    make_hard(pid, limits);
    if let Some(nice) = limits.nice {
        let given = setpriority_process(Some(process), nice).map_err(io::Error::from);
        unless_gone(given).map_err(|error| not_given("nice", nice, error))?;
    }
    if let Some(io) = limits.io {
        unless_gone(io_priority::set(pid, io)).map_err(|error| not_given("io", io, error))?;
    }
    if let Some(cpus) = &limits.cpus {
        let missing =
            unless_gone(cpus::confine(Some(process), cpus)).map_err(|error| not_given("cpus", cpus, error))?;
        missing.map_or(Ok(()), |missing| Err(without(&missing)))?;
    }
    Ok(())
}

/// Ignores that the process has ended.
fn unless_gone<T: Default>(done: io::Result<T>) -> io::Result<T> {
    match done {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => Ok(T::default()),
        done => done,
    }
}

/// Returns why a program could not be executed, if one of these limits may be the reason.
pub(crate) fn reason(limits: &Limits, error: &io::Error) -> Option<&'static str> {
    match Errno::from_io_error(error)? {
        Errno::AGAIN => limits.processes.map(|_| "its user already has as many processes as the limit allows"),
        Errno::NOMEM => limits.memory.map(|_| "its memory limit is too low"),
        Errno::MFILE => limits.open_files.map(|_| "its limit of open files is too low"),
        _ => None,
    }
}

fn not_given(field: &'static str, wanted: impl fmt::Display, error: impl fmt::Display) -> Error {
    refused(field, format!("it cannot be set to {wanted}: {error}"))
}

fn without(missing: &Cpus) -> Error {
    refused("cpus", format!("it may not run on CPU {missing}"))
}

fn refused(field: &'static str, reason: String) -> Error {
    Error::InvalidSpec { field, reason }
}

//! What a process inherits: umask, niceness, soft limits, namespaces. Captured at submit, restored for the command.

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit};

use crate::record::World;

/// The limits of getrlimit(2), by the names that people know from `ulimit` and limits.conf(5).
const LIMITS: [(&str, Resource); 10] = [
    ("as", Resource::As),
    ("core", Resource::Core),
    ("cpu", Resource::Cpu),
    ("data", Resource::Data),
    ("fsize", Resource::Fsize),
    ("memlock", Resource::Memlock),
    ("nofile", Resource::Nofile),
    ("nproc", Resource::Nproc),
    ("rss", Resource::Rss),
    ("stack", Resource::Stack),
];

/// Returns the world of this process.
pub(crate) fn capture() -> World {
    let soft_limits: BTreeMap<_, _> = LIMITS
        .into_iter()
        .filter_map(|(name, resource)| Some((name.to_owned(), rustix::process::getrlimit(resource).current?)))
        .collect();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let namespace = |kind| Some(super::process::namespace(kind)).filter(|inode| *inode != 0);
    World {
        // Read so that it is not changed for a moment, as umask(2) would for every thread.
        umask: field("Umask:").and_then(|mask| u32::from_str_radix(mask, 8).ok()),
        nice: rustix::process::getpriority_process(None).ok(),
        soft_limits,
        pid_namespace: namespace("pid"),
        mount_namespace: namespace("mnt"),
        sandboxed: [field("NoNewPrivs:"), field("Seccomp:")].into_iter().flatten().any(|value| value != "0"),
    }
}

/// Gives this process the soft limits of `world`, as far as its hard limits allow.
pub(crate) fn lower_limits(world: &World) {
    for (name, resource) in LIMITS {
        let own = rustix::process::getrlimit(resource);
        let current = match (world.soft_limits.get(name).copied(), own.maximum) {
            (Some(soft), Some(hard)) => Some(soft.min(hard)),
            (Some(soft), None) => Some(soft),
            (None, hard) => hard,
        };
        // What cannot be restored is left as it is: the job runs under the limits of whoever started it.
        let _ = rustix::process::setrlimit(resource, Rlimit { current, ..own });
    }
}

/// Lifts the soft limits that would hinder a supervisor: a submitter's limit of file size or CPU time is for its
/// command, not for the log.
pub(crate) fn raise_own_limits() {
    for resource in [Resource::As, Resource::Cpu, Resource::Data, Resource::Fsize, Resource::Nofile] {
        let own = rustix::process::getrlimit(resource);
        let _ = rustix::process::setrlimit(resource, Rlimit { current: own.maximum, ..own });
    }
}

/// Gives this process the niceness of `world` where it has another; a lower one may not be allowed.
pub(crate) fn renice(world: &World) {
    if let Some(nice) = world.nice
        && rustix::process::getpriority_process(None) != Ok(nice)
    {
        let _ = rustix::process::setpriority_process(None, nice);
    }
}

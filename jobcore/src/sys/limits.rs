//! How much this process may use, getrlimit(2).

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits of getrlimit(2), by their names in `ulimit` and limits.conf(5).
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

/// Returns the soft limits by name. Unlimited resources are absent.
pub(super) fn soft() -> BTreeMap<String, u64> {
    LIMITS.into_iter().filter_map(|(name, resource)| Some((name.to_owned(), getrlimit(resource).current?))).collect()
}

/// Calls `within` while this process has these soft limits, as far as its hard limits allow.
pub(super) fn lend<T>(soft: &BTreeMap<String, u64>, within: impl FnOnce() -> T) -> T {
    let mut others = Vec::new();
    for (name, resource) in LIMITS {
        let own = getrlimit(resource);
        let current = match (soft.get(name).copied(), own.maximum) {
            (Some(soft), Some(hard)) => Some(soft.min(hard)),
            (Some(soft), None) => Some(soft),
            (None, hard) => hard,
        };
        if current != own.current {
            // What cannot be restored stays: the job then runs under the limits of the process that started it.
            let _ = setrlimit(resource, Rlimit { current, ..own });
            others.push((resource, own));
        }
    }
    let done = within();
    for (resource, own) in others {
        let _ = setrlimit(resource, own);
    }
    done
}

/// Lifts the soft limits that would hinder a supervisor: a submitter's limit on file size or CPU time is meant for its
/// command, not for the log.
pub(crate) fn raise() {
    lift(&[Resource::As, Resource::Cpu, Resource::Data, Resource::Fsize, Resource::Nofile]);
}

/// Lets this process open as many files as it may.
#[cfg(feature = "front")]
pub(crate) fn raise_open_files() {
    lift(&[Resource::Nofile]);
}

fn lift(resources: &[Resource]) {
    for resource in resources {
        let own = getrlimit(*resource);
        if own.current != own.maximum {
            let _ = setrlimit(*resource, Rlimit { current: own.maximum, ..own });
        }
    }
}

/// Returns how many files this process may have open.
pub(crate) fn open_files() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Returns how many processes this user may have.
pub(crate) fn processes() -> Option<u64> {
    getrlimit(Resource::Nproc).current
}

/// Returns how large the stack of the main thread may grow, in bytes.
#[cfg(feature = "front")]
pub(crate) fn stack() -> Option<u64> {
    getrlimit(Resource::Stack).current
}

/// Returns the hard limit of the size of a file, in bytes.
pub(crate) fn largest_file() -> Option<u64> {
    getrlimit(Resource::Fsize).maximum
}

//! What a process inherits: umask, niceness, soft limits, namespaces. Captured at submit, restored for the command.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::Mode;
use serde::{Deserialize, Serialize};

use super::{confine, file, limits, namespace};
use crate::error::{IoContext, Result};
use crate::job_limits::Limits;

/// What a process inherits and a command may depend on, as the submitter had it. The supervisor restores what it can.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct World {
    /// The file mode creation mask, umask(2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// The niceness, getpriority(2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    /// Soft resource limits by name (`nofile`, `core` …), getrlimit(2). Unlimited resources are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub soft_limits: BTreeMap<String, u64>,
    /// The pid namespace, by its inode number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<u64>,
    /// The mount namespace, by its inode number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_namespace: Option<u64>,
    /// Whether the process was in a sandbox: it may gain no privileges (`NoNewPrivs` in proc_pid_status(5)) or has a
    /// system call filter (`Seccomp`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sandboxed: bool,
}

impl World {
    /// Returns whether a process in this world may start or adopt a job submitted in `theirs`: it sees the same
    /// processes and files, and is in no sandbox that the submitter was not in.
    pub(crate) fn may_act_for(&self, theirs: &Self) -> bool {
        self.shares_namespaces_with(theirs) && (!self.sandboxed || theirs.sandboxed)
    }

    /// Returns whether both see the same processes and files.
    pub(crate) fn shares_namespaces_with(&self, theirs: &Self) -> bool {
        let namespaces = |world: &Self| (world.pid_namespace, world.mount_namespace);
        namespaces(self) == namespaces(theirs)
    }
}

/// Where Linux describes this process.
const STATUS: &str = "/proc/self/status";

/// Returns the world of this process.
///
/// # Errors
/// If the system does not report it. A partly known world matches no process, so no process could start a job submitted
/// in it.
pub(crate) fn capture() -> Result<World> {
    let status = match cfg!(target_os = "linux") {
        true => file::read_text(STATUS).context("read", STATUS.as_ref())?,
        false => String::new(),
    };
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let umask = umask_in(&status);
    remember_umask(umask);
    Ok(World {
        umask,
        nice: rustix::process::getpriority_process(None).ok(),
        soft_limits: limits::soft(),
        pid_namespace: own_namespace("pid")?.filter(|_| namespace::has_own_proc()),
        mount_namespace: own_namespace("mnt")?,
        sandboxed: [field("NoNewPrivs:"), field("Seccomp:")].into_iter().flatten().any(|value| value != "0"),
    })
}

fn own_namespace(kind: &str) -> Result<Option<u64>> {
    let path = format!("/proc/self/ns/{kind}");
    match namespace::own(kind) {
        Ok(inode) => Ok(Some(inode)),
        // A kernel without such namespaces: all processes share one.
        Err(error) if error.kind() == io::ErrorKind::NotFound && Path::new("/proc/self").exists() => Ok(None),
        Err(_) if cfg!(not(target_os = "linux")) => Ok(None),
        Err(error) => Err(error).context("look at", path.as_ref()),
    }
}

/// Reads the umask instead of calling umask(2), which would change it briefly for every thread.
fn umask_in(status: &str) -> Option<u32> {
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(mask.trim(), 8).ok()
}

/// What is known of the umask of this process: nothing yet, that it leaves the owner's permissions alone, or that it
/// does not.
static UMASK: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const SPARES_OWNER: u8 = 1;
const HITS_OWNER: u8 = 2;

fn remember_umask(umask: Option<u32>) -> u8 {
    let known = if umask.is_some_and(|umask| umask & 0o700 != 0) { HITS_OWNER } else { SPARES_OWNER };
    UMASK.store(known, Ordering::Relaxed);
    known
}

/// Returns whether files of this process need their mode set explicitly, because the umask takes permissions from the
/// owner. Checked once, and again whenever a job is submitted.
pub(crate) fn umask_hits_owner() -> bool {
    let known = match UMASK.load(Ordering::Relaxed) {
        UNKNOWN => remember_umask(umask_in(&file::read_text(STATUS).unwrap_or_default())),
        known => known,
    };
    known == HITS_OWNER
}

/// Sets the umask for a supervisor's own files.
pub(crate) fn set_own_umask() {
    let own = Mode::RWXG | Mode::RWXO;
    rustix::process::umask(own);
    remember_umask(Some(own.bits()));
}

/// Calls `spawn` with the umask and soft limits of `world` and the job's own limits, and restores them afterwards. The
/// niceness stays.
///
/// # Errors
/// [`Error::InvalidSpec`](crate::Error::InvalidSpec), naming the limit of the job that cannot be applied.
pub(crate) fn lend<T>(world: &World, limits: &Limits, spawn: impl FnOnce() -> T) -> Result<T> {
    if limits.nice.is_none() {
        renice(world);
    }
    confine::lend(limits, &world.soft_limits, || {
        let mask = world.umask.map(|umask| rustix::process::umask(Mode::from_bits_truncate(umask)));
        let spawned = spawn();
        if let Some(mask) = mask {
            rustix::process::umask(mask);
        }
        spawned
    })
}

/// Gives this process the niceness of `world` if it has another; a lower one may not be allowed.
fn renice(world: &World) {
    if let Some(nice) = world.nice
        && rustix::process::getpriority_process(None) != Ok(nice)
    {
        let _ = rustix::process::setpriority_process(None, nice);
    }
}

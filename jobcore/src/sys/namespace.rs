//! Pid namespaces, pid_namespaces(7): the one in which a process number counts, and whether it still exists.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use super::boot;
use super::process::ProcessId;
use super::stat::{self, Stat};
use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// The number of the initial pid namespace, the kernel's `PROC_PID_INIT_INO`. All processes are visible from it.
pub(crate) const FIRST: u64 = 0xefff_fffc;

/// How far the age of a process may differ from the time since it was seen before its start time is taken to count from
/// another moment than ours, as in a time namespace, time_namespaces(7). A process younger by more than
/// `YOUNGER_SECONDS` is certainly younger.
const ALIKE: Duration = Duration::from_secs(1);
const YOUNGER_SECONDS: u64 = 2;

/// Returns the inode number of a namespace of this process (`pid`, `mnt`), namespaces(7).
pub(crate) fn own(kind: &str) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(format!("/proc/self/ns/{kind}"))?.ino())
}

/// Returns the pid namespace of this process; 0 if `/proc` does not show the processes of exactly that namespace, so
/// that nothing found there applies here.
pub(crate) fn own_pid() -> u64 {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    *NAMESPACE.get_or_init(|| if has_own_proc() { own("pid").unwrap_or(0) } else { 0 })
}

/// Returns whether `/proc` numbers processes as this process does. After `unshare --pid --fork` it does not until a
/// `/proc` of the new namespace is mounted.
pub(crate) fn has_own_proc() -> bool {
    static IS_OWN: OnceLock<bool> = OnceLock::new();
    *IS_OWN.get_or_init(|| {
        let own = std::process::id().to_string();
        fs::read_link("/proc/self").is_ok_and(|number| number.as_os_str() == own.as_str())
    })
}

/// Returns whether there is a `/proc` that numbers processes differently from this process.
pub(crate) fn has_foreign_proc() -> bool {
    cfg!(target_os = "linux") && !has_own_proc()
}

/// How to make `/proc` show the processes of this namespace.
pub(crate) const MOUNT_PROC: &str = "mount it for this namespace, as `unshare --pid --fork --mount-proc` does";

/// Refuses to supervise jobs if `/proc` does not number processes as this process does: they could be neither
/// recognised nor stopped.
///
/// # Errors
/// [`Error::Unsupported`] with the reason.
pub(crate) fn check_proc() -> Result<()> {
    if !has_foreign_proc() {
        return Ok(());
    }
    let reason = format!("jobs cannot be started here because `/proc` belongs to another pid namespace; {MOUNT_PROC}");
    Err(Error::Unsupported { reason })
}

/// Returns whether it is certain that no process is left in the pid namespace of `process`, which was seen at `at`,
/// right after its start. That can be known only in the machine's initial namespace, and only if `/proc` hides nothing.
pub(crate) fn has_ended(process: &ProcessId, at: Timestamp) -> bool {
    if own_pid() != FIRST || process.boot_id != boot::id() {
        return false;
    }
    let since = Duration::try_from(Timestamp::now().duration_since(at)).ok();
    let latest = match (boot::age(process.start_time), since) {
        (Some(age), Some(since)) if age.abs_diff(since) <= ALIKE => {
            process.start_time.saturating_add(YOUNGER_SECONDS * rustix::param::clock_ticks_per_second())
        }
        _ => u64::MAX,
    };
    is_empty("/proc".as_ref(), process.pid_namespace, latest)
}

/// Returns whether no process in this namespace was started at `latest` or before. Namespace numbers are soon reused,
/// but the first process of a namespace is older than all others in it, and ends last.
fn is_empty(proc: &Path, namespace: u64, latest: u64) -> bool {
    // With `hidepid`, proc(5), the first process is among those that other users cannot see.
    let shows_all = fs::read(proc.join("1/status")).is_ok();
    shows_all && !stat::numbers(proc).any(|pid| may_be_within(&proc.join(pid.to_string()), namespace, latest))
}

/// Returns whether a process may be alive and in the namespace, and was started at `latest` or before.
fn may_be_within(process: &Path, namespace: u64, latest: u64) -> bool {
    match fs::read_link(process.join("ns/pid")) {
        Ok(link) if link.as_os_str() != format!("pid:[{namespace}]").as_str() => return false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
        Ok(_) => {}
        // The link of another user's process cannot be read. A process with a single number is in the initial
        // namespace.
        Err(_) => match super::file::read_text(process.join("status")) {
            Ok(status) if numbers(&status) == Some(1) => return false,
            Ok(_) | Err(_) => {}
        },
    }
    // It may have ended since, or be an unreaped zombie.
    let stat = super::file::read(process.join("stat")).ok().and_then(|line| Stat::parse(&line));
    stat.map_or_else(|| process.exists(), |stat| !stat.is_dead() && stat.start_time <= latest)
}

/// Returns how many numbers a process has: one in each namespace, from that of `/proc` down to its own.
fn numbers(status: &str) -> Option<usize> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(numbers.split_ascii_whitespace().count())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process as `/proc` shows it: its number, the link to its namespace, its numbers, and the state and threads in
    /// its stat.
    fn add(proc: &Path, pid: &str, link: Option<&str>, numbers: &str, state: &str) {
        let process = proc.join(pid);
        fs::create_dir_all(process.join("ns")).unwrap();
        match link {
            Some(link) => symlink(link, process.join("ns/pid")).unwrap(),
            // A link that exists but cannot be read, even by root.
            None => fs::write(process.join("ns/pid"), "").unwrap(),
        }
        fs::write(process.join("status"), format!("Name:\tx\n{numbers}Threads:\t1\n")).unwrap();
        let stat = format!("{pid} (x) {state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0 0");
        fs::write(process.join("stat"), stat).unwrap();
    }

    #[test]
    fn a_namespace_has_ended_only_if_no_process_can_be_in_it() {
        const STARTED: u64 = 987;
        let empty = |link: Option<&str>, numbers: &str, state: &str| {
            let proc = tempfile::tempdir().unwrap();
            add(proc.path(), "1", Some("pid:[4026531836]"), "NSpid:\t1\n", "S");
            add(proc.path(), "77", link, numbers, state);
            assert!(is_empty(proc.path(), 42, STARTED - 1), "its number was reused");
            is_empty(proc.path(), 42, STARTED)
        };
        assert!(empty(Some("pid:[43]"), "NSpid:\t77\t1\n", "S"), "it is in another namespace");
        assert!(!empty(Some("pid:[42]"), "NSpid:\t77\t1\n", "S"), "it is in this namespace");
        assert!(empty(Some("pid:[42]"), "NSpid:\t77\t1\n", "Z"), "it is dead");
        assert!(empty(None, "NSpid:\t77\n", "S"), "it is in the initial namespace");
        assert!(!empty(None, "NSpid:\t77\t5\n", "S"), "it may be in this namespace");
        assert!(!empty(None, "", "S"), "the kernel does not report it");
    }

    #[test]
    fn nothing_is_certain_if_processes_are_hidden() {
        let proc = tempfile::tempdir().unwrap();
        add(proc.path(), "77", Some("pid:[4026531836]"), "NSpid:\t77\n", "S");
        assert!(!is_empty(proc.path(), 42, u64::MAX));
    }

    #[test]
    fn this_program_is_in_a_namespace_that_has_not_ended() {
        assert!(has_own_proc());
        let own = ProcessId::of_this_program().unwrap();
        let inode = super::own("pid").unwrap();
        assert_eq!((own.pid_namespace, own_pid()), (inode, inode));
        assert!(!has_ended(&own, Timestamp::now()));
    }
}

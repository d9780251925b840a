//! Pid namespaces, pid_namespaces(7): in which one a process number counts, and whether that one still exists.

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

/// The pid namespace that the machine itself starts with has this number, `PROC_PID_INIT_INO` of the kernel. From there all
/// processes can be seen.
pub(crate) const FIRST: u64 = 0xefff_fffc;

/// How far the age of a process may be from the time since it was seen, for its start time to count from the same moment as
/// here: in a time namespace, time_namespaces(7), it does not. Whoever is younger by more than that is younger for certain.
const ALIKE: Duration = Duration::from_secs(1);
const YOUNGER_SECONDS: u64 = 2;

/// Returns the inode number of a namespace of this process (`pid`, `mnt`), namespaces(7).
pub(crate) fn own(kind: &str) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(format!("/proc/self/ns/{kind}"))?.ino())
}

/// Returns the pid namespace of this process; 0 where `/proc` does not show the processes of just that namespace, so that
/// nothing found there has a meaning here.
pub(crate) fn own_pid() -> u64 {
    static NAMESPACE: OnceLock<u64> = OnceLock::new();
    *NAMESPACE.get_or_init(|| if has_own_proc() { own("pid").unwrap_or(0) } else { 0 })
}

/// Returns whether `/proc` counts processes as this process does. It does not after `unshare --pid --fork` until a `/proc`
/// of the new namespace is mounted.
pub(crate) fn has_own_proc() -> bool {
    static IS_OWN: OnceLock<bool> = OnceLock::new();
    *IS_OWN.get_or_init(|| {
        let own = std::process::id().to_string();
        fs::read_link("/proc/self").is_ok_and(|number| number.as_os_str() == own.as_str())
    })
}

/// Returns whether there is a `/proc` that counts processes in another way than this process does.
pub(crate) fn has_foreign_proc() -> bool {
    cfg!(target_os = "linux") && !has_own_proc()
}

/// What makes `/proc` show the processes of this namespace.
pub(crate) const MOUNT_PROC: &str = "mount it for this namespace, as `unshare --pid --fork --mount-proc` does";

/// Refuses to supervise jobs where `/proc` does not count processes as this one does: they could neither be recognised nor
/// stopped.
///
/// # Errors
/// [`Error::Unsupported`] with the reason.
pub(crate) fn check_proc() -> Result<()> {
    if !has_foreign_proc() {
        return Ok(());
    }
    let reason = format!("no job can be started here, since `/proc` is not that of this pid namespace; {MOUNT_PROC}");
    Err(Error::Unsupported { reason })
}

/// Returns whether it is certain that no process is left of the pid namespace of `process`, which was seen right after its
/// start, `at`. That can only be told from the first namespace of the machine, and only if `/proc` hides nothing.
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

/// Returns whether no process in the namespace of this number was started at `latest` or before. The number of a namespace is
/// soon given to another one; but the first process of each is older than all others in it, and ends last.
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
        // Of another user's process the link cannot be read. One that has a single number is in the first namespace.
        Err(_) => match super::file::read_text(process.join("status")) {
            Ok(status) if numbers(&status) == Some(1) => return false,
            Ok(_) | Err(_) => {}
        },
    }
    // It may have ended since, or be a zombie that nobody has reaped.
    let stat = super::file::read(process.join("stat")).ok().and_then(|line| Stat::parse(&line));
    stat.map_or_else(|| process.exists(), |stat| !stat.is_dead() && stat.start_time <= latest)
}

/// Returns how many numbers a process has, one in each namespace from that of `/proc` to its own.
fn numbers(status: &str) -> Option<usize> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    Some(numbers.split_ascii_whitespace().count())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A process as `/proc` shows it: its number, the link to its namespace, its numbers, and the state and threads in its stat.
    fn add(proc: &Path, pid: &str, link: Option<&str>, numbers: &str, state: &str) {
        let process = proc.join(pid);
        fs::create_dir_all(process.join("ns")).unwrap();
        match link {
            Some(link) => symlink(link, process.join("ns/pid")).unwrap(),
            // A link that is there and cannot be read, whoever reads it.
            None => fs::write(process.join("ns/pid"), "").unwrap(),
        }
        fs::write(process.join("status"), format!("Name:\tx\n{numbers}Threads:\t1\n")).unwrap();
        let stat = format!("{pid} (x) {state} 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0 0");
        fs::write(process.join("stat"), stat).unwrap();
    }

    #[test]
    fn a_namespace_has_ended_only_if_nobody_can_be_in_it() {
        const STARTED: u64 = 987;
        let empty = |link: Option<&str>, numbers: &str, state: &str| {
            let proc = tempfile::tempdir().unwrap();
            add(proc.path(), "1", Some("pid:[4026531836]"), "NSpid:\t1\n", "S");
            add(proc.path(), "77", link, numbers, state);
            assert!(is_empty(proc.path(), 42, STARTED - 1), "its number was given to another");
            is_empty(proc.path(), 42, STARTED)
        };
        assert!(empty(Some("pid:[43]"), "NSpid:\t77\t1\n", "S"), "it is in another");
        assert!(!empty(Some("pid:[42]"), "NSpid:\t77\t1\n", "S"), "it is in it");
        assert!(empty(Some("pid:[42]"), "NSpid:\t77\t1\n", "Z"), "it is dead");
        assert!(empty(None, "NSpid:\t77\n", "S"), "it is in the first");
        assert!(!empty(None, "NSpid:\t77\t5\n", "S"), "it may be in it");
        assert!(!empty(None, "", "S"), "the kernel does not say");
    }

    #[test]
    fn where_processes_are_hidden_nothing_is_certain() {
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

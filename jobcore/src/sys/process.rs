//! Processes as `/proc` shows them: who they are, whether they live, and who descends from whom.

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use crate::error::{IoContext, Result};

use super::namespace;

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

/// How many bytes one of `ru_maxrss` means, getrusage(2): Linux counts in kibibytes, macOS in bytes.
pub(crate) const RSS_UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };

/// Makes this process the new parent of all its descendants that lose theirs, `PR_SET_CHILD_SUBREAPER` of prctl(2), and gives it
/// a name in lists of processes: one that was started as `/proc/self/exe` would be shown as `exe`.
#[cfg(target_os = "linux")]
pub(crate) fn become_reaper(name: &CStr) -> io::Result<()> {
    let _ = rustix::thread::set_name(name);
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// There is no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_reaper(_: &CStr) -> io::Result<()> {
    Ok(())
}

/// Returns the program that this process executes: on Linux itself, even if its file has been replaced by an upgrade since.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}

/// One line of `/proc/PID/stat`, proc_pid_stat(5), as far as it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// The state of the main thread; once that has exited, the state of another one that has not.
    pub(crate) state: u8,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    pub(crate) start_time: u64,
    /// How many threads there are, counting a main thread that has exited.
    threads: i64,
    /// The thread through which the process can be looked into: of a main thread that has exited nothing can be read.
    thread: i32,
    /// How it ended, of a zombie, as wait(2) tells it.
    exit_status: Option<i32>,
}

impl Stat {
    /// Reads the line of a process; nothing if it is gone.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let stat = Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)?;
        match stat.has_lost_main_thread() {
            true => Some(stat.seen_through_another_thread()),
            false => Some(stat),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        // The name stands in parentheses and may itself hold blanks and parentheses.
        let open = line.iter().position(|byte| *byte == b'(')?;
        let close = line.iter().rposition(|byte| *byte == b')')?;
        let name = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
        let pid = std::str::from_utf8(&line[..open]).ok()?.trim().parse().ok()?;
        let rest = std::str::from_utf8(&line[close + 1..]).ok()?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        Some(Self {
            pid,
            name,
            state: *fields.first()?.as_bytes().first()?,
            parent: number(4)?.try_into().ok()?,
            group: number(5)?.try_into().ok()?,
            session: number(6)?.try_into().ok()?,
            start_time: number(22)?.try_into().ok()?,
            threads: number(20)?,
            thread: pid,
            exit_status: number(52).and_then(|status| status.try_into().ok()),
        })
    }

    /// Returns whether the main thread has exited while others run on, as after pthread_exit(3) in `main`. The kernel shows
    /// such a process as a zombie, and yet it lives.
    fn has_lost_main_thread(&self) -> bool {
        self.state == b'Z' && self.threads > 1
    }

    fn seen_through_another_thread(self) -> Self {
        let directory = format!("/proc/{}/task", self.pid);
        let read = |thread: i32| Self::parse(&fs::read(format!("{directory}/{thread}/stat")).ok()?);
        let living = numbers(directory.as_ref()).filter_map(read).find(|thread| !matches!(thread.state, b'Z' | b'X'));
        // If all of them exited since, the next look will show a zombie without other threads.
        living.map_or(self.clone(), |living| Self { state: living.state, thread: living.pid, ..self })
    }

    /// Returns whether the process is over: a zombie, or about to be one.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && !self.has_lost_main_thread()
    }

    /// Returns the path of something that `/proc` has for each thread: `environ`, `fd`, `net/tcp`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        format!("/proc/{}/task/{}/{name}", self.pid, self.thread).into()
    }
}

/// Returns how long ago a process was started, by its start time as this process would read it.
pub(crate) fn age(start_time: u64) -> Option<Duration> {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let start = start_time.checked_mul(1000)?.checked_div(rustix::param::clock_ticks_per_second())?;
    Duration::try_from(now).ok()?.checked_sub(Duration::from_millis(start))
}

/// Returns the numbers among the names in a directory of `/proc`: processes, or threads of one.
pub(super) fn numbers(directory: &Path) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the id of this boot; empty if it cannot be read.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

/// Returns who a living process is.
pub(crate) fn identify(pid: i32) -> io::Result<ProcessId> {
    if boot_id().is_empty() {
        return Err(io::Error::other("the id of this boot cannot be read"));
    }
    let stat = Stat::read(pid).ok_or(io::ErrorKind::NotFound)?;
    Ok(ProcessId {
        boot_id: boot_id().to_owned(),
        pid_namespace: namespace::own_pid(),
        pid,
        start_time: stat.start_time,
    })
}

/// Returns whether the number of `process` means something here: same boot, same pid namespace.
pub(crate) fn is_comparable(process: &ProcessId) -> bool {
    process.boot_id == boot_id() && process.pid_namespace == namespace::own_pid()
}

/// Returns what can be seen of a process from here.
pub(crate) fn look(process: &ProcessId) -> Seen {
    if boot_id().is_empty() {
        return Seen::Unknown;
    }
    if process.boot_id != boot_id() {
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
pub(crate) fn exit_status(process: &ProcessId, fd: &OwnedFd) -> Option<i32> {
    use std::os::fd::AsRawFd;

    use nix::libc;
    // SAFETY: a struct of plain numbers, for which all zeroes are a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = u64::from(libc::PIDFD_INFO_EXIT);
    // SAFETY: the kernel writes at most the size that the request number tells it, which is that of this struct; kernels
    // before 6.15, and 6.13 for the call itself, refuse or leave the mask unset. The descriptor is open.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    if result == 0 && info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0 {
        return Some(info.exit_code);
    }
    // The zombie has it, field 52 of its stat.
    let stat = Stat::read(process.pid).filter(|stat| stat.start_time == process.start_time && stat.is_dead());
    stat.and_then(|stat| stat.exit_status)
}

/// Returns nothing: this system does not tell strangers how a process ended.
#[cfg(not(target_os = "linux"))]
pub(crate) fn exit_status(_: &ProcessId, _: &OwnedFd) -> Option<i32> {
    None
}

/// Returns the children of a process: those of all its threads.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            // The kernel was built without CONFIG_PROC_CHILDREN.
            Err(error) if error.kind() == io::ErrorKind::NotFound && thread.path().exists() => {
                return all().into_iter().filter(|stat| stat.parent == pid).map(|stat| stat.pid).collect();
            }
            Err(_) => {}
        }
    }
    found
}

/// Returns all processes that can be seen.
pub(crate) fn all() -> Vec<Stat> {
    numbers("/proc".as_ref()).filter_map(Stat::read).collect()
}

/// Returns the living processes that belong to a job as far as that can be seen from outside: the session and group of
/// its main process, their descendants, and whoever has the job's id in the environment it was started with.
///
/// Who has the number of the main process by now is not taken for it. What left the session, cleared its environment and lost its parents is not found. What `is_foreign` says of is left
/// out, with everything below it.
pub(crate) fn visible_tree(main: Option<&ProcessId>, marker: &str, is_foreign: impl Fn(&Stat) -> bool) -> Vec<Stat> {
    let everybody = all();
    // A number is given to a new process only when nobody has it as session or group any more: when somebody else has
    // it, none of these kin are left, and whoever looks like them is a stranger.
    let is_taken =
        |main: &ProcessId| everybody.iter().any(|stat| stat.pid == main.pid && stat.start_time != main.start_time);
    let main = main.filter(|main| is_comparable(main) && !is_taken(main)).map(|main| main.pid);
    let parents: HashMap<i32, i32> = everybody.iter().map(|stat| (stat.pid, stat.parent)).collect();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let belongs = |stat: &Stat| {
        let by_kinship = main.is_some_and(|main| stat.pid == main || stat.session == main || stat.group == main);
        by_kinship || has_variable(stat, marker)
    };
    let members: HashSet<i32> = everybody.iter().filter(|stat| belongs(stat)).map(|s| s.pid).collect();
    let candidates: Vec<&Stat> = everybody.iter().filter(|stat| stat.pid != own && !stat.is_dead()).collect();
    let foreign: HashSet<i32> = candidates.iter().filter(|stat| is_foreign(stat)).map(|stat| stat.pid).collect();
    let descends = |stat: &Stat| {
        let mut pid = stat.pid;
        // No chain of parents is longer than there are processes; a table read while it changes might hold a ring.
        for _ in 0..parents.len() {
            if foreign.contains(&pid) {
                return false;
            }
            if members.contains(&pid) {
                return true;
            }
            match parents.get(&pid) {
                Some(parent) if *parent > 1 => pid = *parent,
                _ => return false,
            }
        }
        false
    };
    candidates.into_iter().filter(|stat| descends(stat)).cloned().collect()
}

fn has_variable(stat: &Stat, variable: &str) -> bool {
    environment(stat).split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}

/// Returns the value of a variable in the environment that a process was started with.
pub(crate) fn variable(stat: &Stat, name: &str) -> Option<String> {
    let environment = environment(stat);
    let mut entries = environment.split(|byte| *byte == 0);
    entries.find_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn environment(stat: &Stat) -> Vec<u8> {
    fs::read(stat.path("environ")).unwrap_or_default()
}

/// Returns the arguments of a process; none if it is gone, a zombie or a kernel thread.
pub(crate) fn arguments(stat: &Stat) -> Vec<Vec<u8>> {
    let line = fs::read(stat.path("cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

/// Returns the numbers of this process and of all that it descends from, as far as they can be seen.
#[cfg(feature = "agents")]
pub(crate) fn own_line() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).ok();
    std::iter::successors(own, |pid| Some(Stat::read(*pid)?.parent).filter(|parent| *parent > 0)).collect()
}

/// Sends a signal to exactly the process that `stat` described; gone is no error.
pub(crate) fn signal(stat: &Stat, signal: Signal) -> io::Result<()> {
    let Some(pid) = Pid::from_raw(stat.pid) else { return Ok(()) };
    let gone = |error: rustix::io::Errno| if error == rustix::io::Errno::SRCH { Ok(()) } else { Err(error.into()) };
    let fd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
        Ok(fd) => fd,
        Err(error) => return gone(error),
    };
    if Stat::read(stat.pid).is_none_or(|now| now.start_time != stat.start_time) {
        return Ok(());
    }
    rustix::process::pidfd_send_signal(fd, signal).or_else(gone)
}

/// Sends a signal to the group that a process leads, which may be stopped, and returns whether that was possible.
pub(crate) fn signal_group(leader: i32, signal: Signal) -> bool {
    let Some(group) = Pid::from_raw(leader) else { return false };
    let sent = rustix::process::kill_process_group(group, signal);
    let _ = rustix::process::kill_process_group(group, Signal::CONT);
    sent.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"42 (a) b (c)) S 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 987 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.pid, stat.name.as_str(), stat.state), (42, "a) b (c)", b'S'));
        assert_eq!((stat.parent, stat.group, stat.session, stat.start_time), (1, 2, 3, 987));
        assert_eq!(Stat::parse(b"42 (torn"), None);
    }

    /// Its state is that of a zombie, and the number of its threads says that it is none.
    #[test]
    fn a_process_lives_while_any_of_its_threads_does() {
        let stat = |state: char, threads: u32| {
            let line = format!("42 (a) {state} 1 2 3 0 -1 0 0 0 0 0 0 0 0 0 20 0 {threads} 0 987 0 0");
            Stat::parse(line.as_bytes()).unwrap()
        };
        let dead = [('Z', 0), ('Z', 1), ('X', 0), ('X', 2)].map(|(state, threads)| stat(state, threads).is_dead());
        let alive = [('Z', 2), ('S', 1), ('T', 3), ('D', 1)].map(|(state, threads)| stat(state, threads).is_dead());
        assert_eq!((dead, alive), ([true; 4], [false; 4]));
    }

    /// A stop by what can be seen would signal a stranger otherwise.
    #[test]
    fn whoever_has_the_number_now_is_not_in_the_tree() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let main = identify(child.id().try_into().unwrap()).unwrap();
        let tree = |main: &ProcessId| visible_tree(Some(main), "JOBCORE_JOB_ID=none", |_| false);
        let pids: Vec<_> = tree(&main).iter().map(|stat| stat.pid).collect();
        let strangers = [
            ProcessId { start_time: main.start_time - 1, ..main.clone() },
            ProcessId { boot_id: "other".into(), ..main.clone() },
            ProcessId { pid_namespace: 1, ..main.clone() },
        ];
        let of_strangers: usize = strangers.iter().map(|main| tree(main).len()).sum();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((pids, of_strangers), (vec![main.pid], 0));
    }

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

//! Processes as `/proc` shows them, proc_pid_stat(5): which exist, their children, and what is known about each.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::file;

/// One line of `/proc/PID/stat`, proc_pid_stat(5), as far as needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// The state of the main thread; after it has exited, the state of another thread that has not.
    pub(crate) state: u8,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// The device of its controlling terminal; 0 for none.
    pub(super) terminal: u32,
    /// The process group in the foreground of that terminal; -1 for none.
    pub(super) foreground: i32,
    pub(crate) start_time: u64,
    /// The CPU time of the process and of the children that it has waited for, user and system, in clock ticks.
    pub(super) cpu_ticks: u64,
    /// How much memory is resident, in pages.
    pub(super) resident_pages: u64,
    /// The number of threads, counting a main thread that has exited.
    threads: i64,
    /// The thread through which the process is inspected: nothing can be read about a main thread that has exited.
    thread: i32,
    /// How a zombie ended, as wait(2) reports it.
    pub(super) exit_status: Option<i32>,
}

impl Stat {
    /// Reads the line of a process; `None` if it has ended.
    pub(crate) fn read(pid: i32) -> Option<Self> {
        let stat = Self::parse(&file::read(format!("/proc/{pid}/stat")).ok()?)?;
        match stat.has_lost_main_thread() {
            true => Some(stat.seen_through_another_thread()),
            false => Some(stat),
        }
    }

    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        // The name is in parentheses and may itself contain blanks and parentheses.
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
            // Printed as a signed number.
            terminal: u32::from_ne_bytes(i32::try_from(number(7)?).ok()?.to_ne_bytes()),
            foreground: number(8)?.try_into().ok()?,
            start_time: number(22)?.try_into().ok()?,
            cpu_ticks: (14..=17).filter_map(|field| u64::try_from(number(field)?).ok()).sum(),
            resident_pages: number(24).and_then(|pages| pages.try_into().ok()).unwrap_or(0),
            threads: number(20)?,
            thread: pid,
            exit_status: number(52).and_then(|status| status.try_into().ok()),
        })
    }

    /// Returns whether the main thread has exited while others still run, as after pthread_exit(3) in `main`. The
    /// kernel shows such a process as a zombie although it is alive.
    fn has_lost_main_thread(&self) -> bool {
        self.state == b'Z' && self.threads > 1
    }

    fn seen_through_another_thread(self) -> Self {
        let directory = format!("/proc/{}/task", self.pid);
        let read = |thread: i32| Self::parse(&file::read(format!("{directory}/{thread}/stat")).ok()?);
        let living = numbers(directory.as_ref()).filter_map(read).find(|thread| !matches!(thread.state, b'Z' | b'X'));
        // If all of them have exited since, the next look will show a zombie without other threads.
        living.map_or(self.clone(), |living| Self { state: living.state, thread: living.pid, ..self })
    }

    /// Returns whether the process has ended: a zombie, or about to become one.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && !self.has_lost_main_thread()
    }

    /// Returns whether the process has a controlling terminal.
    #[cfg(feature = "front")]
    pub(crate) fn has_terminal(&self) -> bool {
        self.terminal != 0
    }

    /// Returns whether the standard input of the process is a terminal.
    #[cfg(feature = "front")]
    pub(crate) fn reads_terminal(&self) -> bool {
        let input = fs::read_link(self.path("fd/0")).unwrap_or_default();
        ["/dev/pts/", "/dev/tty"].iter().any(|kind| input.to_string_lossy().starts_with(kind))
    }

    /// Returns the path of a file that `/proc` has for each thread: `environ`, `fd`, `net/tcp`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        format!("/proc/{}/task/{}/{name}", self.pid, self.thread).into()
    }
}

/// Returns the numbers among the names in a directory of `/proc`: processes, or threads of one process.
pub(super) fn numbers(directory: &Path) -> impl Iterator<Item = i32> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns the children of all threads of a process.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match file::read_text(thread.path().join("children")) {
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

/// Returns all visible processes.
pub(crate) fn all() -> Vec<Stat> {
    numbers("/proc".as_ref()).filter_map(Stat::read).collect()
}

pub(super) fn has_variable(stat: &Stat, variable: &str) -> bool {
    environment(stat).split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}

/// Returns the value of a variable in the initial environment of a process.
pub(crate) fn variable(stat: &Stat, name: &str) -> Option<String> {
    let environment = environment(stat);
    let mut entries = environment.split(|byte| *byte == 0);
    entries.find_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// Returns the initial environment of a process, each variable terminated by a NUL; empty if it cannot be read.
pub(crate) fn environment(stat: &Stat) -> Vec<u8> {
    file::read(stat.path("environ")).unwrap_or_default()
}

/// Returns the pipes, sockets and terminals that a process has open, by their unique names; none if they cannot be
/// seen.
pub(crate) fn open_ends(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok());
    links
        .filter(|link| ["pipe:[", "socket:[", "/dev/pts/", "/dev/tty"].iter().any(|kind| link.starts_with(kind)))
        .collect()
}

/// Returns the arguments of a process; none if it has ended, is a zombie or a kernel thread.
pub(crate) fn arguments(stat: &Stat) -> Vec<Vec<u8>> {
    let line = file::read(stat.path("cmdline")).unwrap_or_default();
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
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

    /// The state is that of a zombie, but the number of threads shows that it is not one.
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
}

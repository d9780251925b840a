//! Whether a process waits for its input, according to the kernel: by the system call in which each of its threads is
//! blocked, proc_pid_syscall(5), and the descriptors passed to it. Nothing is inferred from what a program has printed.
//!
//! `/proc/PID/syscall` and `/proc/PID/mem` are readable for processes that may trace this one, ptrace(2): with Yama's
//! `ptrace_scope` 1, which is common, for its ancestors. Others can read `/proc/PID/wchan`, proc_pid_wchan(5), the
//! kernel function in which it sleeps: that rules most processes out but proves nothing, since it does not say which
//! pipe.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

use super::file;
use super::stat::{self, Stat};

/// What a job reads from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'p> {
    /// The terminal that controls its main process.
    Terminal,
    /// The named pipe at this path.
    Pipe(&'p Path),
}

/// Kernel functions in which a thread sleeps while it waits for a terminal or a pipe: in a read, under the names used
/// since Linux 4.4, or until one of several descriptors is ready.
const READING: [&str; 10] = [
    "n_tty_read",
    "wait_woken",
    "pipe_wait",
    "pipe_read",
    "anon_pipe_read",
    "poll_schedule_timeout",
    "do_poll",
    "do_select",
    "do_epoll_wait",
    "ep_poll",
];
/// `POLLIN`, poll(2), and `EPOLLIN`, epoll_ctl(2).
const IN: u32 = 1;

/// Returns whether a process in the foreground of a job with this main process is blocked until `source` has something
/// to read; `None` if the kernel does not report it. The foreground is the terminal's foreground process group,
/// tcgetpgrp(3), or without a terminal the process group of the main process.
///
/// A process is blocked if one of its threads is in a read, in a poll for nothing else, or in an epoll whose other
/// descriptors are the program's own. A program that a socket or a child may wake does not wait for its input alone.
pub(crate) fn is_awaited(main: i32, source: Source<'_>) -> Option<bool> {
    let Some(main) = Stat::read(main) else { return Some(false) };
    let group = match source {
        Source::Terminal => main.foreground,
        Source::Pipe(_) => main.group,
    };
    let Some(input) = Input::of(source, &main) else { return Some(false) };
    let mut family = vec![main];
    let mut next = 0;
    while let Some(parent) = family.get(next) {
        let children: Vec<_> = stat::children(parent.pid).into_iter().filter_map(Stat::read).collect();
        family.extend(children);
        next += 1;
    }
    let looks =
        family.iter().filter(|stat| stat.group == group && stat.state == b'S').map(|stat| input.is_read_by(stat));
    any(looks)
}

/// Returns whether one of these looks saw a read. One is enough; if none did but some could not tell, the answer is
/// unknown.
fn any(looks: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(false);
    for look in looks {
        match look {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = None,
        }
    }
    known
}

/// Distinguishes the input of a job from other files.
#[derive(Debug)]
enum Input {
    /// The device number of the terminal.
    Terminal { major: u32, minor: u32 },
    /// The identity of the pipe.
    Pipe { device: u64, inode: u64 },
}

impl Input {
    fn of(source: Source<'_>, main: &Stat) -> Option<Self> {
        match source {
            // As the kernel encodes it for user space, `new_encode_dev` in linux/kdev_t.h.
            Source::Terminal => (main.terminal != 0).then_some(Self::Terminal {
                major: (main.terminal >> 8) & 0xfff,
                minor: (main.terminal & 0xff) | ((main.terminal >> 12) & 0xf_ff00),
            }),
            Source::Pipe(path) => {
                let pipe = fs::metadata(path).ok()?;
                Some(Self::Pipe { device: pipe.dev(), inode: pipe.ino() })
            }
        }
    }

    fn is(&self, file: &Metadata) -> bool {
        match self {
            Self::Terminal { major, minor } if file.file_type().is_char_device() => {
                let device = (rustix::fs::major(file.rdev()), rustix::fs::minor(file.rdev()));
                // The second is `/dev/tty`, the controlling terminal of the process that opens it: password prompts
                // read from it.
                device == (*major, *minor) || device == (5, 0)
            }
            Self::Terminal { .. } => false,
            Self::Pipe { device, inode } => (file.dev(), file.ino()) == (*device, *inode),
        }
    }

    /// Returns whether a descriptor of a process is this input; `None` if that cannot be seen.
    fn is_descriptor(&self, stat: &Stat, descriptor: u64) -> Option<bool> {
        let file = fs::metadata(stat.path(&format!("fd/{descriptor}")));
        file.ok().map(|file| self.is(&file))
    }

    /// Returns whether a thread of a sleeping process is blocked in a read of this input.
    fn is_read_by(&self, stat: &Stat) -> Option<bool> {
        let threads = format!("/proc/{}/task", stat.pid);
        any(stat::numbers(threads.as_ref()).map(|thread| self.is_read_by_thread(stat, thread)))
    }

    fn is_read_by_thread(&self, stat: &Stat, thread: i32) -> Option<bool> {
        let directory = format!("/proc/{}/task/{thread}", stat.pid);
        let Ok(call) = file::read_text(format!("{directory}/syscall")) else {
            let place = file::read_text(format!("{directory}/wchan")).ok()?;
            // `0` is shown to processes without permission.
            let may_read = place == "0" || READING.iter().any(|function| place.starts_with(function));
            return (!may_read).then_some(false);
        };
        let mut numbers = call.split_ascii_whitespace();
        let Some(kind) = numbers.next().and_then(|number| Wait::of(number.parse().ok()?)) else { return Some(false) };
        let argument = |text: &str| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let arguments: Vec<u64> = numbers.map_while(argument).collect();
        let [first, second, third, ..] = arguments[..] else { return None };
        match kind {
            Wait::Read => self.is_descriptor(stat, first),
            Wait::Poll => self.is_all_of_poll(stat, first, second),
            Wait::Select => self.is_all_of_select(stat, first, second, third),
            Wait::Epoll => self.is_all_of_epoll(stat, first),
        }
    }

    /// Returns whether a poll is for this input and nothing else.
    fn is_all_of_poll(&self, stat: &Stat, descriptors: u64, count: u64) -> Option<bool> {
        // `struct pollfd`, poll(2): negative descriptors are ignored.
        let bytes = memory(stat, descriptors, count.checked_mul(8)?)?;
        let (entries, _) = bytes.as_chunks::<8>();
        let polled = entries.iter().map(|[a, b, c, d, events, ..]| (i32::from_ne_bytes([*a, *b, *c, *d]), *events));
        let polled = polled.filter_map(|(descriptor, events)| Some((u64::try_from(descriptor).ok()?, events)));
        self.is_all_of(stat, polled.map(|(descriptor, events)| (u32::from(events) & IN != 0).then_some(descriptor)))
    }

    /// Returns whether a select is for this input and nothing else.
    fn is_all_of_select(&self, stat: &Stat, count: u64, read: u64, write: u64) -> Option<bool> {
        // `fd_set`, select(2): words with one bit per descriptor.
        let set = |address: u64| match address {
            0 => Some(Vec::new()),
            _ => {
                let bytes = memory(stat, address, count.div_ceil(64).checked_mul(8)?)?;
                let (words, _) = bytes.as_chunks::<8>();
                let words: Vec<_> = words.iter().map(|word| u64::from_ne_bytes(*word)).collect();
                Some((0..count).filter(|bit| words[(bit / 64) as usize] & 1 << (bit % 64) != 0).collect::<Vec<_>>())
            }
        };
        if !set(write)?.is_empty() {
            return Some(false);
        }
        self.is_all_of(stat, set(read)?.into_iter().map(Some))
    }

    /// Returns whether there is at least one descriptor, and each is wanted for reading and is this input.
    fn is_all_of(&self, stat: &Stat, wanted: impl Iterator<Item = Option<u64>>) -> Option<bool> {
        let mut is_any = false;
        for descriptor in wanted {
            let Some(descriptor) = descriptor else { return Some(false) };
            if !self.is_descriptor(stat, descriptor)? {
                return Some(false);
            }
            is_any = true;
        }
        Some(is_any)
    }

    /// Returns whether an epoll is for this input and for nothing else that others could trigger: its other descriptors
    /// are the program's own, as in every event loop, and it has no child.
    fn is_all_of_epoll(&self, stat: &Stat, epoll: u64) -> Option<bool> {
        // `tfd:        0 events:       19 data: ...`, proc_pid_fdinfo(5).
        let listed = file::read_text(stat.path(&format!("fdinfo/{epoll}"))).ok()?;
        let mut is_wanted = false;
        for line in listed.lines().filter(|line| line.starts_with("tfd:")) {
            let mut fields = line.split_ascii_whitespace();
            let descriptor = fields.nth(1)?.parse().ok()?;
            let events = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
            if self.is_descriptor(stat, descriptor)? {
                is_wanted |= events & IN != 0;
                continue;
            }
            let link = fs::read_link(stat.path(&format!("fd/{descriptor}"))).ok()?;
            let is_own = ["anon_inode:", "pipe:["]
                .iter()
                .any(|kind| link.as_os_str().as_encoded_bytes().starts_with(kind.as_bytes()));
            if !is_own {
                return Some(false);
            }
        }
        Some(is_wanted && stat::children(stat.pid).is_empty())
    }
}

/// A system call that may wait for input.
#[derive(Debug, Clone, Copy)]
enum Wait {
    /// The first argument is the descriptor.
    Read,
    Poll,
    Select,
    Epoll,
}

impl Wait {
    /// Returns what a number means; `None` for a call that does not wait for input.
    #[cfg(target_os = "linux")]
    fn of(number: i64) -> Option<Self> {
        use nix::libc;
        match number {
            libc::SYS_read | libc::SYS_readv | libc::SYS_splice => Some(Self::Read),
            libc::SYS_ppoll => Some(Self::Poll),
            libc::SYS_pselect6 => Some(Self::Select),
            libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => Some(Self::Epoll),
            // Newer architectures have only the calls above.
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll => Some(Self::Poll),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select => Some(Self::Select),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_epoll_wait => Some(Self::Epoll),
            _ => None,
        }
    }

    /// Returns `None`: this system has no such numbers.
    #[cfg(not(target_os = "linux"))]
    fn of(_: i64) -> Option<Self> {
        None
    }
}

/// Reads memory of a process, proc_pid_mem(5); `None` if it is not readable or larger than any set of descriptors.
fn memory(stat: &Stat, address: u64, size: u64) -> Option<Vec<u8>> {
    const MOST: u64 = 8 * 1024;
    let mut bytes = vec![0; usize::try_from(size).ok().filter(|_| size <= MOST)?];
    File::open(stat.path("mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sys::pipe;
    use crate::sys::pty::{Pty, TerminalSize};
    use crate::sys::spawn;

    /// Looks until the answer is the expected one, or the time is up.
    fn settles(main: i32, source: Source<'_>, expected: bool) -> Option<bool> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let look = is_awaited(main, source);
            if look == Some(expected) || Instant::now() > deadline {
                return look;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs a command line on a terminal of its own.
    fn on_terminal(line: &str) -> (Pty, i32) {
        let pty = Pty::open(TerminalSize::default()).unwrap();
        let words = ["bash", "-c", line].map(|word| word.as_bytes().to_vec());
        let variables = [b"PATH=/usr/bin:/bin".to_vec(), b"PS1=$ ".to_vec()];
        let streams = [spawn::Source::ReadWrite(&pty.path), spawn::Source::Same, spawn::Source::Same];
        let main = spawn::session_leader("/bin/bash".as_ref(), &words, &variables, streams).unwrap();
        (pty, main)
    }

    fn end(main: i32) {
        let pid = rustix::process::Pid::from_raw(main).unwrap();
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
    }

    #[test]
    fn a_reader_of_the_terminal_waits_for_it() {
        for line in [
            "read -p 'Overwrite? [y/N] ' answer; :",
            "read -s answer; :",
            "read answer < /dev/tty; :",
            "cat; :",
            "exec bash --norc --noprofile -i",
            // The foreground is the group of the command, not that of the shell.
            "set -m; cat; :",
        ] {
            let (_pty, main) = on_terminal(line);
            assert_eq!(settles(main, Source::Terminal, true), Some(true), "{line}");
            end(main);
        }
    }

    /// Each takes a while to get there; none may ever be reported as waiting.
    #[test]
    fn a_process_that_does_something_else_does_not_wait() {
        for (line, marker) in [
            ("printf 'Overwrite? [y/N] '; exec sleep 1000", "sleep"),
            ("printf 'Overwrite? [y/N] '; while :; do :; done", "bash"),
            ("answer=$(sleep 1000)", "sleep"),
            ("sleep 1000 | cat", "cat"),
            // A reader in the background gets no input: the kernel stops it.
            ("set -m; cat & exec sleep 1000", "sleep"),
        ] {
            let (_pty, main) = on_terminal(line);
            let deadline = Instant::now() + Duration::from_secs(20);
            let is_there = |name: &str| stat::all().iter().any(|stat| stat.session == main && stat.name == name);
            while !is_there(marker) && Instant::now() < deadline {
                assert_ne!(is_awaited(main, Source::Terminal), Some(true), "{line}");
            }
            assert!(is_there(marker), "{line}");
            assert_eq!(settles(main, Source::Terminal, false), Some(false), "{line}");
            end(main);
        }
    }

    /// Runs a command line whose input is the named pipe.
    fn on_pipe(path: &Path, line: &str) -> (File, Child) {
        let both = pipe::make_and_open(path, 4096).unwrap();
        let reader = File::open(path).unwrap();
        let child = Command::new("bash").args(["-c", line]).stdin(reader).stdout(Stdio::null()).spawn().unwrap();
        (both, child)
    }

    #[test]
    fn a_reader_of_the_pipe_waits_for_it_and_for_no_other() {
        let directory = tempfile::tempdir().unwrap();
        for (number, (line, expected)) in [
            ("read answer; :", true),
            ("cat; :", true),
            ("sleep 1000; read answer", false),
            ("sleep 1000 | cat; :", false),
        ]
        .into_iter()
        .enumerate()
        {
            let path = directory.path().join(number.to_string());
            let (_both, mut child) = on_pipe(&path, line);
            let main = child.id().try_into().unwrap();
            assert_eq!(settles(main, Source::Pipe(&path), expected), Some(expected), "{line}");
            let other = directory.path().join(format!("{number}.other"));
            pipe::make(&other).unwrap();
            assert_eq!(is_awaited(main, Source::Pipe(&other)), Some(false), "{line}");
            let stragglers = stat::children(main);
            child.kill().unwrap();
            child.wait().unwrap();
            for stat in stragglers.into_iter().filter_map(Stat::read) {
                let _ = super::super::process::signal(&stat, crate::signal::Signal::KILL);
            }
        }
    }

    #[test]
    fn a_process_that_does_not_exist_does_not_wait() {
        assert_eq!(is_awaited(i32::MAX, Source::Terminal), Some(false));
    }

    /// Another user's process shows neither its system call nor where it sleeps.
    #[test]
    fn nothing_is_known_if_the_kernel_does_not_report_it() {
        let source = Input::Terminal { major: 136, minor: 0 };
        let nobody = Stat::read(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert_eq!(source.is_read_by_thread(&nobody, i32::MAX), None);
    }
}

//! The lock of a job: an open-file-description lock, fcntl_locking(2), on the file of its records.
//!
//! Such a lock lasts as long as any descriptor of its open file, in any process; the kernel releases it with the last
//! one, however the process ended. It can be tested without being taken. Neither is true of `flock` (testing takes it)
//! or of the classic process lock (any close of the file releases it), so they are not used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::stat::{self, Stat};

/// The locked byte of the file. Version 0.1.0 also locked byte 0, for waiters that were never written.
const LIFE: i64 = 1;
/// The byte that any number of programs lock while the job only waits for others.
const LENT: i64 = 2;

fn life(kind: i32) -> libc::flock {
    byte(LIFE, kind)
}

fn byte(start: i64, kind: i32) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: 1,
        l_pid: 0,
    }
}

/// Takes the lock if it is free, and returns whether it did. A lock that this open file already has counts.
pub(crate) fn try_take(file: &File) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&life(libc::F_WRLCK))) {
        Ok(_) => Ok(true),
        Err(nix::Error::EAGAIN | nix::Error::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Releases the lock, also for all copies of this open file.
pub(crate) fn release(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&life(libc::F_UNLCK)))?;
    Ok(())
}

/// Takes the lock within `time`, and returns whether it did. For locks that are held for microseconds.
pub(crate) fn take_within(file: &File, time: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + time;
    let mut pause = Duration::from_micros(20);
    while !try_take(file)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
    Ok(true)
}

/// Returns whether anything but this open file holds the lock, without taking it.
pub(crate) fn is_held(file: &File) -> io::Result<bool> {
    is_locked(file, LIFE)
}

/// Marks a job as one that only waits for others, for as long as this open file lives. Others may do the same.
pub(crate) fn lend(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_OFD_SETLK(&byte(LENT, libc::F_RDLCK)))?;
    Ok(())
}

/// Returns whether [`lend`] marks a job through another open file.
pub(crate) fn is_lent(file: &File) -> io::Result<bool> {
    is_locked(file, LENT)
}

fn is_locked(file: &File, start: i64) -> io::Result<bool> {
    let mut lock = byte(start, libc::F_WRLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock))?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// Returns whether a process itself holds the lock, as far as it can be inspected.
pub(crate) fn is_held_by(file: &File, process: &Stat) -> bool {
    let Ok(lock) = file.metadata() else { return false };
    let is_lock = |fd: i32| {
        let open = fs::metadata(process.path(&format!("fd/{fd}")));
        open.is_ok_and(|open| (open.dev(), open.ino()) == (lock.dev(), lock.ino()))
    };
    let holds = |fd: i32| {
        let info = fs::read_to_string(process.path(&format!("fdinfo/{fd}")));
        info.is_ok_and(|info| info.lines().any(is_life))
    };
    stat::numbers(&process.path("fd")).any(|fd| is_lock(fd) && holds(fd))
}

/// Returns whether a line of `/proc/PID/fdinfo/FD`, proc_pid_fdinfo(5), shows that this open file holds the lock of
/// life: `lock: 1: OFDLCK ADVISORY WRITE -1 00:1b:4711 0 1`, where the last two are the first and the last byte.
fn is_life(line: &str) -> bool {
    let words: Vec<_> = line.split_ascii_whitespace().collect();
    let ["lock:", _, "OFDLCK", _, "WRITE", _, _, first, last] = words.as_slice() else { return false };
    first.parse().is_ok_and(|first: i64| first <= LIFE) && last.parse().map_or(*last == "EOF", |last: i64| LIFE <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_distinguished_from_a_process_that_only_opened_the_file() {
        let own = Stat::read(std::process::id().try_into().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let (holder, other) = (file.reopen().unwrap(), file.reopen().unwrap());
        assert!(!is_held_by(&other, &own), "it is free");
        assert!(try_take(&holder).unwrap());
        assert!(is_held_by(&other, &own));
        drop(holder);
        assert!(!is_held_by(&other, &own), "it was released");
    }

    #[test]
    fn testing_takes_nothing_and_the_last_close_releases() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (holder, other) = (file.reopen().unwrap(), file.reopen().unwrap());
        assert!(!is_held(&other).unwrap());
        assert!(try_take(&holder).unwrap());
        assert!(try_take(&holder).unwrap(), "taken already");
        assert!(is_held(&other).unwrap());
        assert!(!is_held(&holder).unwrap(), "one's own lock is not another's");
        assert!(!try_take(&other).unwrap());
        let copy = holder.try_clone().unwrap();
        drop(holder);
        assert!(is_held(&other).unwrap(), "a copy keeps it");
        drop(copy);
        assert!(try_take(&other).unwrap());
    }

    #[test]
    fn many_may_lend_a_lock_that_another_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || file.reopen().unwrap();
        let (holder, first, second, looker) = (open(), open(), open(), open());
        assert!(try_take(&holder).unwrap() && !is_lent(&looker).unwrap());
        lend(&first).unwrap();
        lend(&second).unwrap();
        drop(first);
        assert!(is_lent(&looker).unwrap() && is_held(&looker).unwrap());
        drop(second);
        assert!(!is_lent(&looker).unwrap());
    }
}

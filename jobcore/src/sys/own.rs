//! This process itself.

use std::ffi::CStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Returns the path of this process's program: on Linux the program itself, even if an upgrade has replaced its file
/// since.
pub(crate) fn program() -> io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}

/// Returns whether this process has one thread, as far as `/proc` shows it; if it shows nothing, it has.
pub(crate) fn is_single_threaded() -> bool {
    // A directory has one link for each directory in it, here one per thread, and two more: one call, and nothing to
    // parse.
    std::fs::metadata("/proc/self/task").map_or(true, |threads| threads.nlink() <= 3)
}

/// Makes this process the new parent of all descendants that lose theirs, `PR_SET_CHILD_SUBREAPER` of prctl(2), and
/// names it for process lists, which would show a program started as `/proc/self/exe` as `exe`.
#[cfg(target_os = "linux")]
pub(crate) fn become_reaper(name: &CStr) -> io::Result<()> {
    let _ = rustix::thread::set_name(name);
    // Any process id switches it on.
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT))?)
}

/// Not available on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_reaper(_: &CStr) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_noticed() {
        // Tests have threads of their own; each program that embeds this shows that a lone thread is recognised.
        let (stay, until) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || until.recv().unwrap_err());
        assert!(!is_single_threaded());
        drop(stay);
        thread.join().unwrap();
    }
}

//! This process itself.

use std::ffi::CStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Returns the program that this process executes: on Linux itself, even if its file has been replaced by an upgrade since.
pub(crate) fn program() -> io::Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    }
}

/// Returns whether this process has one thread, as far as `/proc` says: where it says nothing, it has.
pub(crate) fn is_single_threaded() -> bool {
    // A directory has a link for each directory in it, here one a thread, and two more: one call, and nothing to parse.
    std::fs::metadata("/proc/self/task").map_or(true, |threads| threads.nlink() <= 3)
}

/// Makes this process the new parent of all its descendants that lose theirs, `PR_SET_CHILD_SUBREAPER` of prctl(2), and gives it
/// a name in lists of processes: one that was started as `/proc/self/exe` would be shown as `exe`.
#[cfg(target_os = "linux")]
pub(crate) fn become_reaper(name: &CStr) -> io::Result<()> {
    let _ = rustix::thread::set_name(name);
    // Any process id says that it is to be one.
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::Pid::INIT))?)
}

/// There is no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn become_reaper(_: &CStr) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_thread_is_noticed() {
        // Tests have threads of their own; that one alone is seen as such is shown by each program that embeds this.
        let (stay, until) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || until.recv().unwrap_err());
        assert!(!is_single_threaded());
        drop(stay);
        thread.join().unwrap();
    }
}

//! Starting a process from a library: never by fork, and with nothing inherited but what is named.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::libc;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;

/// What becomes standard input, output or error. The new process opens files itself, so that a terminal becomes the one
/// of its session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source<'a> {
    Descriptor(BorrowedFd<'a>),
    /// For reading.
    File(&'a Path),
    /// For reading and writing.
    ReadWrite(&'a Path),
    /// The same as the stream before it.
    Same,
}

/// Starts `program` as the leader of a new session, with default signals and an empty mask, posix_spawn(3).
///
/// It has left the caller's session and group before its first instruction, so that a closing terminal does not take it
/// along. The caller's descriptors, except those that become its streams, must be close-on-exec.
///
/// # Errors
/// Includes errors of the exec itself: the caller learns at once that a program cannot be executed.
pub(crate) fn session_leader(
    program: &Path,
    arguments: &[Vec<u8>],
    environment: &[Vec<u8>],
    streams: [Source<'_>; 3],
) -> io::Result<i32> {
    let program = CString::new(program.as_os_str().as_bytes())?;
    let arguments = c_strings(arguments)?;
    let environment = c_strings(environment)?;
    let mut actions = PosixSpawnFileActions::init()?;
    for (target, source) in (0..).zip(streams) {
        match source {
            Source::Descriptor(source) => {
                // A dup2 of a descriptor onto itself would leave it close-on-exec in older C libraries.
                debug_assert!(source.as_raw_fd() > 2, "the caller keeps its descriptors away from 0, 1 and 2");
                actions.add_dup2(source.as_raw_fd(), target)?;
            }
            // The first terminal that a session leader opens becomes its controlling terminal, tty(4); the session is
            // created first.
            Source::File(path) => actions.add_open(target, path, OFlag::O_RDONLY, Mode::empty())?,
            Source::ReadWrite(path) => actions.add_open(target, path, OFlag::O_RDWR, Mode::empty())?,
            Source::Same => actions.add_dup2(target - 1, target)?,
        }
    }
    let mut attributes = PosixSpawnAttr::init()?;
    let session = PosixSpawnFlags::from_bits_retain(i32::from(libc::POSIX_SPAWN_SETSID));
    attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | session)?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_sigmask(&SigSet::empty())?;
    let pid = nix::spawn::posix_spawn(program.as_c_str(), &actions, &attributes, &arguments, &environment)?;
    Ok(pid.as_raw())
}

/// Returns whether a spawn failed because the kernel does not recognise the kind of program: a script that names no
/// interpreter.
pub(crate) fn is_no_format(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOEXEC)
}

/// Returns how many bytes of arguments and environment together the kernel accepts, execve(2), if there is a limit.
pub(crate) fn longest() -> Option<usize> {
    nix::unistd::sysconf(nix::unistd::SysconfVar::ARG_MAX).ok().flatten()?.try_into().ok()
}

fn c_strings(words: &[Vec<u8>]) -> io::Result<Vec<CString>> {
    words.iter().map(|word| CString::new(word.as_slice()).map_err(io::Error::from)).collect()
}

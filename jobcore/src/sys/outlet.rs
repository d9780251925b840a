//! Where a process that was started elsewhere writes to, and reading from there: its descriptors, proc_pid_fd(5).

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::watch::Watch;

/// Where a standard stream of a process that was started elsewhere goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outlet {
    /// To a file, which can also be read.
    File {
        /// Its path.
        path: PathBuf,
        /// Its inode number.
        inode: u64,
        /// Its size at the first look: output of the job starts there.
        from: u64,
    },
    /// To a pipe that no process was reading at the first look.
    Pipe,
    /// Standard error goes where standard output does.
    Stdout,
    /// To something whose content cannot be read at all, or not without taking it from another process.
    NotFollowed(String),
}

impl Outlet {
    /// Returns where standard output and standard error of a process go.
    pub(crate) fn of(pid: i32) -> [Self; 2] {
        let stdout = Self::of_descriptor(pid, 1);
        let is_same = match (fs::metadata(descriptor(pid, 1)), fs::metadata(descriptor(pid, 2))) {
            (Ok(stdout), Ok(stderr)) => (stdout.dev(), stdout.ino()) == (stderr.dev(), stderr.ino()),
            _ => false,
        };
        let stderr = if is_same && stdout.is_followed() { Self::Stdout } else { Self::of_descriptor(pid, 2) };
        [stdout, stderr]
    }

    fn of_descriptor(pid: i32, fd: i32) -> Self {
        let link = descriptor(pid, fd);
        let elsewhere = |what: &str| Self::NotFollowed(what.to_owned());
        let (metadata, target) = match (fs::metadata(&link), fs::read_link(&link)) {
            (Ok(metadata), Ok(target)) => (metadata, target),
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return elsewhere("closed"),
            (Err(error), _) | (_, Err(error)) => return Self::NotFollowed(format!("not visible: {error}")),
        };
        let kind = metadata.file_type();
        if kind.is_file() {
            return match File::open(&link) {
                Ok(_) => Self::File { path: target, inode: metadata.ino(), from: metadata.len() },
                Err(error) => Self::NotFollowed(format!("`{}` cannot be read: {error}", target.display())),
            };
        }
        if kind.is_fifo() {
            return match has_reader(&link) {
                Ok(false) => Self::Pipe,
                _ => elsewhere("a pipe that another process reads"),
            };
        }
        match target.to_str() {
            Some("/dev/null") => elsewhere("/dev/null"),
            Some(path) if path.starts_with("/dev/pts/") || path.starts_with("/dev/tty") => elsewhere("a terminal"),
            _ if kind.is_socket() => elsewhere("a socket"),
            _ => Self::NotFollowed(target.display().to_string()),
        }
    }

    /// Returns whether what is written there becomes output of the job.
    pub fn is_followed(&self) -> bool {
        !matches!(self, Self::NotFollowed(_))
    }

    /// Opens it for reading, after the first `read` bytes or at its end if it is shorter; `None` if there is nothing to
    /// follow.
    ///
    /// # Errors
    /// If it cannot be read, or writes to it cannot be watched.
    pub(crate) fn open(&self, pid: i32, fd: i32, read: u64) -> io::Result<Option<Followed>> {
        match self {
            Self::File { path, inode, from } => {
                // The file stays the same after the process has ended or has other descriptors.
                let is_it = |file: &File| file.metadata().is_ok_and(|metadata| metadata.ino() == *inode);
                let opened = File::open(descriptor(pid, fd)).ok().filter(is_it);
                let mut file = match opened {
                    Some(file) => file,
                    None => Some(File::open(path)?).filter(is_it).ok_or(io::ErrorKind::NotFound)?,
                };
                let size = file.metadata()?.len();
                file.seek(SeekFrom::Start(from.saturating_add(read).min(size)))?;
                let watch = Watch::new()?;
                watch.file(&super::descriptor::path_of(&file))?;
                Ok(Some(Followed { file, watch: Some(watch) }))
            }
            Self::Pipe => {
                // With a write end of our own, the pipe does not count as hung up when the process closes its end.
                let flags = OFlags::NONBLOCK.bits().cast_signed();
                let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(descriptor(pid, fd))?;
                Ok(Some(Followed { file, watch: None }))
            }
            Self::Stdout | Self::NotFollowed(_) => Ok(None),
        }
    }
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, from, .. } => write!(f, "followed in `{}` from byte {from} on", path.display()),
            Self::Pipe => f.write_str("read from its pipe, which no other process reads"),
            Self::Stdout => f.write_str("goes where standard output goes"),
            Self::NotFollowed(what) => write!(f, "not followed: {what}"),
        }
    }
}

/// The output of a process that was started elsewhere, opened for reading.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) file: File,
    /// Reports writes to a file. A pipe reports its own.
    pub(crate) watch: Option<Watch>,
}

/// Returns whether a process has a pipe open for reading. Without a reader, a named pipe cannot be opened for writing,
/// fifo(7), and the write end of any other pipe reports an error, poll(2).
fn has_reader(pipe: &Path) -> io::Result<bool> {
    let writing = OpenOptions::new().write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(pipe);
    match writing {
        Ok(writing) => {
            let mut polled = [PollFd::new(&writing, PollFlags::OUT)];
            rustix::event::poll(&mut polled, Some(&Timespec::default()))?;
            Ok(!polled[0].revents().contains(PollFlags::ERR))
        }
        Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(false),
        Err(error) => Err(error),
    }
}

fn descriptor(pid: i32, fd: i32) -> PathBuf {
    format!("/proc/{pid}/fd/{fd}").into()
}

//! Pseudo-terminals, pty(7).

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::pty::OpenptFlags;
use rustix::termios::{InputModes, LocalModes, OptionalActions, Winsize};
use serde::{Deserialize, Serialize};

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a terminal has these two dimensions")]
pub struct TerminalSize {
    /// The width.
    pub columns: u16,
    /// The height.
    pub rows: u16,
}

impl Default for TerminalSize {
    /// The size that programs assume.
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// What a terminal does with typed lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineMode {
    /// Lines are collected and echoed.
    Shown,
    /// Lines are collected without an echo, as for a password.
    Hidden,
    /// Each key goes straight to the program.
    Raw,
}

/// A pseudo-terminal: the master, and also the slave, held open so that the terminal keeps its state while no process
/// of the job has it open.
#[derive(Debug)]
pub(crate) struct Pty {
    pub(crate) master: File,
    slave: OwnedFd,
    /// The device for a command to open.
    pub(crate) path: PathBuf,
}

impl Pty {
    /// Opens a pseudo-terminal of this size.
    pub(crate) fn open(size: TerminalSize) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        #[cfg(target_os = "linux")]
        let flags = flags | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags)?;
        rustix::pty::grantpt(&master)?;
        rustix::pty::unlockpt(&master)?;
        let name = rustix::pty::ptsname(&master, Vec::new())?;
        let path = PathBuf::from(OsStr::from_bytes(name.to_bytes()));
        rustix::io::ioctl_fionbio(&master, true)?;
        let slave = rustix::fs::open(
            name.as_c_str(),
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )?;
        let mut modes = rustix::termios::tcgetattr(&slave)?;
        // So that erasing a character erases all of its bytes.
        modes.input_modes |= InputModes::IUTF8;
        rustix::termios::tcsetattr(&slave, OptionalActions::Now, &modes)?;
        let pty = Self { master: master.into(), slave, path };
        pty.set_size(size)?;
        Ok(pty)
    }

    /// Returns whether the kernel collects typed input into lines, and whether it echoes them; termios(3).
    pub(crate) fn line_mode(&self) -> LineMode {
        match rustix::termios::tcgetattr(&self.slave).map(|termios| termios.local_modes) {
            Ok(modes) if !modes.contains(LocalModes::ICANON) => LineMode::Raw,
            Ok(modes) if !modes.contains(LocalModes::ECHO) => LineMode::Hidden,
            _ => LineMode::Shown,
        }
    }

    /// Changes the size and notifies the foreground process group.
    pub(crate) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        let before = rustix::termios::tcgetwinsize(&self.slave)?;
        self.set_size(size)?;
        if (before.ws_col, before.ws_row) == (size.columns, size.rows)
            && let Ok(foreground) = rustix::termios::tcgetpgrp(&self.master)
        {
            // The kernel notifies only of a change, but a newly attached terminal needs the screen redrawn.
            let _ = rustix::process::kill_process_group(foreground, rustix::process::Signal::WINCH);
        }
        Ok(())
    }

    fn set_size(&self, size: TerminalSize) -> io::Result<()> {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        Ok(rustix::termios::tcsetwinsize(self.slave.as_fd(), size)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_mode_is_read_from_the_terminal() {
        let pty = Pty::open(TerminalSize::default()).unwrap();
        assert_eq!(pty.line_mode(), LineMode::Shown);
        for (without, expected) in [(LocalModes::ECHO, LineMode::Hidden), (LocalModes::ICANON, LineMode::Raw)] {
            let mut modes = rustix::termios::tcgetattr(&pty.slave).unwrap();
            modes.local_modes.remove(without);
            rustix::termios::tcsetattr(&pty.slave, OptionalActions::Now, &modes).unwrap();
            assert_eq!(pty.line_mode(), expected);
        }
    }
}

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
    /// How wide it is.
    pub columns: u16,
    /// How high it is.
    pub rows: u16,
}

impl Default for TerminalSize {
    /// What programs take for granted.
    fn default() -> Self {
        Self { columns: 80, rows: 24 }
    }
}

/// What a terminal does with a line that is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineMode {
    /// It is collected and shown.
    Shown,
    /// It is collected and not shown, as that of a password.
    Hidden,
    /// Each key goes to the program, which does with it what it likes.
    Raw,
}

/// A pseudo-terminal: the end of whoever plays the person in front of it, and the other end, held so that the terminal
/// stays what it is while no process of the job has it open.
#[derive(Debug)]
pub(crate) struct Pty {
    pub(crate) master: File,
    slave: OwnedFd,
    /// The device that a command is to open.
    pub(crate) path: PathBuf,
}

impl Pty {
    /// Makes one of this size.
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

    /// Returns whether the kernel collects what is typed into lines, and shows it; termios(3).
    pub(crate) fn line_mode(&self) -> LineMode {
        match rustix::termios::tcgetattr(&self.slave).map(|termios| termios.local_modes) {
            Ok(modes) if !modes.contains(LocalModes::ICANON) => LineMode::Raw,
            Ok(modes) if !modes.contains(LocalModes::ECHO) => LineMode::Hidden,
            _ => LineMode::Shown,
        }
    }

    /// Gives it another size. Whoever is in the foreground is told.
    pub(crate) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        let before = rustix::termios::tcgetwinsize(&self.slave)?;
        self.set_size(size)?;
        if (before.ws_col, before.ws_row) == (size.columns, size.rows)
            && let Ok(foreground) = rustix::termios::tcgetpgrp(&self.master)
        {
            // The kernel tells only of a change; but whoever has just come wants the screen drawn again.
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
    fn what_becomes_of_a_line_is_known() {
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

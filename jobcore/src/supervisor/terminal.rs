//! The terminal of a job: what is sent to the job is typed here, and what it shows is its output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use crate::store::file::input;
use crate::store::file::layout::JobDir;
use crate::sys::pipe;
use crate::sys::pty::{LineMode, Pty, TerminalSize};
use crate::sys::ready::Wanted;

/// How much is typed before anything else gets its turn: no less than a pipe holds.
const TURN: usize = 64 * 1024;
/// Ctrl-D, which ends what is read from a terminal; termios(3), VEOF.
const END: u8 = 4;
/// What finishes a line or gives it up: Enter, Ctrl-C, Ctrl-D; termios(3), ICRNL, VINTR, VEOF.
const LINE_ENDS: [u8; 4] = [b'\n', b'\r', 3, END];

#[derive(Debug)]
pub(super) struct Terminal {
    pty: Pty,
    /// The pipe through which comes what is to be typed.
    input: File,
    /// What has come and has not been typed yet, since the job does not read.
    pending: Vec<u8>,
    /// How much had been written when a line was begun that has not been finished.
    line_began: Option<u64>,
}

impl Terminal {
    pub(super) fn make(job: &JobDir, size: TerminalSize) -> io::Result<Self> {
        let pty = Pty::open(size)?;
        let input = pipe::make_and_open(&job.stdin(), input::SIZE)?;
        Ok(Self { pty, input, pending: Vec::new(), line_began: None })
    }

    /// Returns the device that the command is to open.
    pub(super) fn device(&self) -> &Path {
        &self.pty.path
    }

    /// Returns how much had been written when a line was begun that has not been finished; nothing without one.
    pub(super) fn line_began(&self) -> Option<u64> {
        self.line_began
    }

    /// Returns what becomes of a line that is typed.
    pub(super) fn line_mode(&self) -> LineMode {
        self.pty.line_mode()
    }

    /// Returns what the job's output comes from.
    pub(super) fn output(&self) -> io::Result<File> {
        self.pty.master.try_clone()
    }

    /// Returns what to wait for: that something comes, or that the job has read some of what came.
    pub(super) fn waits_for(&self) -> Wanted<'_> {
        match self.pending.is_empty() {
            true => Wanted::Read(self.input.as_fd()),
            false => Wanted::Write(self.pty.master.as_fd()),
        }
    }

    /// Types what has come, as far as the job takes it, which has written this much before.
    pub(super) fn pump(&mut self, written: u64) -> io::Result<()> {
        let mut typed = 0;
        while typed < TURN {
            if self.pending.is_empty() {
                self.pending.resize(4096, 0);
                let read = self.input.read(&mut self.pending);
                self.pending.truncate(*read.as_ref().unwrap_or(&0));
                if read? == 0 {
                    return Ok(());
                }
            }
            let count = self.pty.master.write(&self.pending)?;
            if let Some(last) = self.pending[..count].last() {
                self.line_began = (!LINE_ENDS.contains(last)).then(|| self.line_began.unwrap_or(written));
            }
            self.pending.drain(..count);
            typed += count;
        }
        Ok(())
    }

    /// Types Ctrl-D behind what has come before.
    pub(super) fn end(&mut self, written: u64) {
        // One read takes all that a pipe holds, whatever size it got.
        let mut before = vec![0; TURN];
        let count = self.input.read(&mut before).unwrap_or(0);
        self.pending.extend_from_slice(&before[..count]);
        self.pending.push(END);
        // What does not fit now waits for its turn.
        let _ = self.pump(written);
    }

    pub(super) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        self.pty.resize(size)
    }
}

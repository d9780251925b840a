//! The terminal of a job: input to the job is typed here, and what the terminal shows is its output.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use crate::store::file::input;
use crate::store::file::layout::JobDir;
use crate::sys::pipe;
use crate::sys::pty::{LineMode, Pty, TerminalSize};
use crate::sys::ready::Wanted;

/// How much is typed before other work gets its turn: no less than a pipe holds.
const TURN: usize = 64 * 1024;
/// Ctrl-D, which ends input from a terminal; termios(3), VEOF.
const END: u8 = 4;
/// What finishes or abandons a line: Enter, Ctrl-C, Ctrl-D; termios(3), ICRNL, VINTR, VEOF.
const LINE_ENDS: [u8; 4] = [b'\n', b'\r', 3, END];

#[derive(Debug)]
pub(super) struct Terminal {
    pty: Pty,
    /// The pipe that brings the input to type.
    input: File,
    /// Input that has not been typed yet, since the job is not reading.
    pending: Vec<u8>,
    /// How much output there was when the unfinished line was begun.
    line_began: Option<u64>,
}

impl Terminal {
    pub(super) fn make(job: &JobDir, size: TerminalSize) -> io::Result<Self> {
        let pty = Pty::open(size)?;
        let input = pipe::make_and_open(&job.stdin(), input::SIZE)?;
        Ok(Self { pty, input, pending: Vec::new(), line_began: None })
    }

    /// Returns the device for the command to open.
    pub(super) fn device(&self) -> &Path {
        &self.pty.path
    }

    /// Returns how much output there was when the unfinished line was begun; `None` if there is none.
    pub(super) fn line_began(&self) -> Option<u64> {
        self.line_began
    }

    /// Returns what the terminal does with typed lines.
    pub(super) fn line_mode(&self) -> LineMode {
        self.pty.line_mode()
    }

    /// Returns the source of the job's output.
    pub(super) fn output(&self) -> io::Result<File> {
        self.pty.master.try_clone()
    }

    /// Returns what to wait for: input, or that the job has read some of it.
    pub(super) fn waits_for(&self) -> Wanted<'_> {
        match self.pending.is_empty() {
            true => Wanted::Read(self.input.as_fd()),
            false => Wanted::Write(self.pty.master.as_fd()),
        }
    }

    /// Types what has come, as far as the job takes it; `written` is how much the job has written so far.
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

    /// Types Ctrl-D after the input that came before.
    pub(super) fn end(&mut self, written: u64) {
        // One read takes all that a pipe holds, whatever its size.
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

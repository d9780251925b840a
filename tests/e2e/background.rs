//! Programs that run alongside a test, and processes that are recognised by a mark in their environment.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use crate::support::{PATIENCE, TestEnv, is_alive, wait_for};

/// A shell line that waits until the test makes this file.
pub(crate) fn until(file: &str) -> String {
    format!("while [ ! -e {file} ]; do sleep 0.05; done")
}

/// Makes a file that a job waits for.
pub(crate) fn touch(env: &TestEnv, file: &str) {
    std::fs::write(env.dir().join(file), "").unwrap();
}

/// Runs a program that must succeed, and returns the bytes that it printed.
pub(crate) fn bytes(mut command: Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {:?}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A program that runs alongside the test and whose standard output is read line by line. It is killed when this is
/// dropped, if it is still running.
pub(crate) struct Background {
    child: Child,
    lines: Receiver<String>,
}

impl Background {
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// Returns the next line; `None` at the end of the output.
    pub(crate) fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("waited {PATIENCE:?} for a line"),
        }
    }

    /// Returns a line if there is one now, without waiting.
    pub(crate) fn waiting_line(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// Closes its standard input, which must have been piped.
    pub(crate) fn close_input(&mut self) {
        drop(self.child.stdin.take().unwrap());
    }

    /// Waits for the end of the program.
    pub(crate) fn end(&mut self) -> ExitStatus {
        wait_for("the end of a program", || self.child.try_wait().unwrap())
    }

    /// Waits until it waits for a job: until it has open a descriptor of another process, or one that watches files.
    pub(crate) fn until_it_waits(&self) {
        let directory = format!("/proc/{}/fd", self.pid());
        wait_for("jobcli to wait", || {
            let entries = std::fs::read_dir(&directory).unwrap().flatten();
            let mut links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            links
                .any(|link| ["pidfd", "inotify"].iter().any(|kind| link.to_string_lossy().contains(kind)))
                .then_some(())
        });
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The living processes that were started with this variable, `NAME=VALUE`, in their environment, except jobcli and
/// supervisors.
pub(crate) fn alive_with(variable: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let marked = pids.filter(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()) && is_alive(*pid)
    });
    let described = marked.map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        format!("{pid} {}", String::from_utf8_lossy(&line).replace('\0', " "))
    });
    described.collect()
}

//! Processes from `posix_spawn` to `wait`, and their descendants: this process is the subreaper of what it starts.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::Outcome;
use crate::measure::{milliseconds, now};

/// How long anything that is waited for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A process that succeeded.
pub(crate) struct Ran {
    /// From before `posix_spawn` to after `wait`, in milliseconds.
    pub(crate) time: f64,
    pub(crate) stdout: String,
}

/// Runs a program to its end, which must succeed. Its output goes to memory, so that no process that inherits it is
/// waited for.
pub(crate) fn run(command: &mut Command) -> Outcome<Ran> {
    let mut output = memory()?;
    let time = run_into(command, output.try_clone()?)?;
    Ok(Ran { time, stdout: read(&mut output)? })
}

/// Runs a program with its output in a file, and returns its time in milliseconds.
pub(crate) fn run_into(command: &mut Command, stdout: File) -> Outcome<f64> {
    let mut errors = memory()?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(errors.try_clone()?);
    let begin = now();
    let status = command.spawn()?.wait()?;
    let time = milliseconds(now() - begin);
    if status.success() { Ok(time) } else { Err(format!("{command:?}: {status}: {}", read(&mut errors)?).into()) }
}

fn memory() -> Outcome<File> {
    Ok(File::from(memfd_create("output", MemfdFlags::CLOEXEC)?))
}

fn read(file: &mut File) -> Outcome<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Polls until there is an answer.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(found) = look()? {
            return Ok(found);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(format!("waited {PATIENCE:?} for {what}").into())
}

/// All descendants of this process.
pub(crate) fn descendants() -> Vec<i32> {
    let mut found = children(std::process::id().cast_signed());
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

fn children(pid: i32) -> Vec<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>()).collect()
}

/// The descendants that run a program of this name, and those that run another.
pub(crate) fn divided(name: &str) -> (Vec<i32>, Vec<i32>) {
    let all = descendants().into_iter().filter_map(|pid| Some((pid, program(pid)?)));
    let (these, others): (Vec<_>, Vec<_>) = all.partition(|(_, program)| program.ends_with(name));
    let pids = |all: Vec<(i32, PathBuf)>| all.into_iter().map(|(pid, _)| pid).collect();
    (pids(these), pids(others))
}

/// The program that a process runs; `None` if it is a zombie or gone.
fn program(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// Reaps the descendants that were orphaned and have ended. No child of this process may be waited for elsewhere.
pub(crate) fn reap() {
    for pid in children(std::process::id().cast_signed()) {
        let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    }
}

/// Kills all descendants that are left, and returns their programs.
pub(crate) fn sweep() -> Vec<PathBuf> {
    let mut found = Vec::new();
    loop {
        let left = descendants();
        if left.is_empty() {
            return found;
        }
        for pid in left {
            found.extend(program(pid));
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        reap();
        thread::yield_now();
    }
}

/// The sum of some memory figures of a process, in kB.
pub(crate) fn memory_of(pid: i32, figures: &[&str]) -> Outcome<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let lines = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| figures.contains(name));
    let values = lines.filter_map(|(_, value)| value.split_whitespace().next()?.parse::<f64>().ok());
    Ok(values.sum())
}

/// How often each thread of these processes ran on a processor, and for how many milliseconds.
pub(crate) fn activity(pids: &[i32]) -> Outcome<HashMap<PathBuf, [f64; 2]>> {
    let mut found = HashMap::new();
    for thread in pids.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task"))).flatten().flatten() {
        // A thread that has ended in the meantime is left out.
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
        let numbers = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        found.insert(thread.path(), [numbers[2], numbers[0] / 1e6]);
    }
    Ok(found)
}

/// Waits until a process sleeps, and was asleep at twenty looks in a row.
pub(crate) fn until_asleep(pid: u32) -> Outcome<()> {
    let mut asleep = 0;
    until("a process to wait", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        asleep = if state == Some('S') { asleep + 1 } else { 0 };
        Ok((asleep >= 20).then_some(()))
    })
}

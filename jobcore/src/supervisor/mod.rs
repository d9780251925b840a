//! The process that supervises one job: detached from the process that started it, and the parent of everything the job
//! starts.
//!
//! It is the program that embeds this library, started again with a hidden first argument, so that nothing has to be
//! installed or found. That argument is checked before anything else; from then on the process is plain single-threaded
//! code without an async runtime.

// In the order in which to read them:
// - `launch.rs`, `probe.rs`: starting a supervisor, and checking whether a program can be one
// - `entry.rs`: how it begins
// - `watched.rs`, `command.rs`, `adopt.rs`, `stranger.rs`: how it gets a command to watch
// - `run.rs`: its loop
// - `requests.rs`, `companion.rs`: the requests it answers, and the process that a job ends with
// - `main_end.rs`, `tree.rs`: how it learns of the end, and what it may kill
// - `pipe.rs`, `terminal.rs`, `quiet.rs`: output and input, and whether the job waits for input
// - `ready/`: whether it is ready
// - `outcome.rs`, `tend.rs`: recording the end, and what it does for other jobs
// - `on_end.rs`, `sleeper.rs`: what is run when a job has ended, and the process that waits for jobs that are due later

mod adopt;
mod command;
pub(crate) mod companion;
mod entry;
mod launch;
mod main_end;
pub(crate) mod on_end;
mod outcome;
mod pipe;
mod probe;
mod quiet;
pub(crate) mod ready;
mod requests;
mod run;
pub(crate) mod sleeper;
mod stranger;
mod tend;
mod terminal;
mod tree;
mod watched;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::id::JobId;
use crate::signal::Signal;
use crate::store::file::Records;
use crate::store::file::layout::Layout;
use crate::store::file::supervisors::{HANDOVER_VERSION, HOOKS, MARKER, SLEEPER};
use crate::sys::{descriptor, limits, own, process, signals, world};

pub(crate) use command::execute;
pub(crate) use launch::start;
pub(crate) use probe::probe;

/// Sends a signal to the process group that the main process of a job leads.
///
/// # Errors
/// Why it cannot be sent, for people.
pub(crate) fn signal_main(main: i32, signal: Signal) -> std::result::Result<(), String> {
    sent(signal, process::signal_group(main, signal))
}

fn sent(signal: Signal, sent: io::Result<()>) -> std::result::Result<(), String> {
    sent.map_err(|error| format!("cannot send {signal}: {error}"))
}

/// Whether this program had only one thread when it could have become a supervisor; unset if it never could.
static WAS_ALONE: OnceLock<bool> = OnceLock::new();

/// Turns this process into a supervisor if it was started as one, and then does not return.
///
/// Call it first thing in `main`, before there are threads, a runtime or a command line. A program that uses a
/// [`LocalRunner`](crate::LocalRunner) must do so, or name another program that does. A `main` under `#[tokio::main]`
/// is too late: by then the runtime has started its threads, and a supervisor must have none. Such a process never
/// becomes a supervisor, and [`LocalRunner::new`](crate::LocalRunner::new) fails in it with an explanation.
///
/// Costs one system call in a program that was not started as a supervisor.
pub fn run_if_asked() {
    let is_alone = *WAS_ALONE.get_or_init(own::is_single_threaded);
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == MARKER) {
        let arguments: Vec<_> = arguments.collect();
        // With another thread, signals blocked here would be delivered to it, and it might be using descriptors that
        // are closed here.
        std::process::exit(match is_alone && main(&arguments).is_ok() {
            true => 0,
            false => 1,
        });
    }
}

/// Checks that this program would become a supervisor if it were started as one.
///
/// # Errors
/// [`Error::Unsupported`], with what to do, if it would not.
pub(crate) fn check_prepared() -> Result<()> {
    let reason = match WAS_ALONE.get() {
        Some(true) => return Ok(()),
        Some(false) => {
            "this program cannot be started as a supervisor: it had threads before it called \
             `jobcore::supervisor::run_if_asked()`, as under `#[tokio::main]`; call it first thing in a plain `fn main`, \
             and then build the runtime, or call the function that has `#[tokio::main]`"
        }
        None => {
            "this program cannot be started as a supervisor: call `jobcore::supervisor::run_if_asked()` first thing in a \
             plain `fn main`, or name a program that does with `LocalRunner::with_program`"
        }
    };
    Err(Error::Unsupported { reason: reason.to_owned() })
}

fn main(arguments: &[OsString]) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let Some((version, arguments)) = arguments.split_first() else { return Err("no version".into()) };
    if version != HANDOVER_VERSION {
        return Err("another version of the handover".into());
    }
    let (root, id) = match arguments {
        [word] if word == probe::WORD => return Ok(probe::answer()?),
        [root, word] if word == SLEEPER => {
            drop(detach()?);
            return Ok(sleeper::run(&Layout::new(Path::new(root)))?);
        }
        [root, id] => (root, id),
        [root, id, word] if word == ready::prober::WORD => {
            let id: JobId = id.to_str().ok_or("no id")?.parse()?;
            return Ok(ready::prober::run_as_process(&Layout::new(Path::new(root)), id)?);
        }
        [root, id, word] if word == HOOKS => {
            let id: JobId = id.to_str().ok_or("no id")?.parse()?;
            let turn = detach()?;
            return Ok(on_end::run_as_process(&Layout::new(Path::new(root)), id, turn)?);
        }
        _ => return Err("a store and a job are needed".into()),
    };
    let id: JobId = id.to_str().ok_or("no id")?.parse()?;
    let lock = detach()?;
    let records = Records::adopt_lock(&Layout::new(Path::new(root)), id, lock)?;
    entry::supervise(&records)?;
    Ok(())
}

/// Keeps only two of the inherited descriptors, the lock, which came as standard input, and the `/dev/null` of the
/// other streams, and closes everything else.
fn detach() -> io::Result<File> {
    let lock = descriptor::keep_stdin()?;
    std::env::set_current_dir("/")?;
    world::set_own_umask();
    // Only SIGKILL ends a supervisor before its job: a signal meant for a whole session, for example at a shutdown,
    // also reaches the command, and how that ends should be recorded.
    signals::block_all()?;
    limits::raise();
    own::become_reaper(c"jobcore-super")?;
    Ok(lock)
}

//! Kernel services that a front end needs for its own process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{io, panic, thread};

use tokio::io::unix::AsyncFd;

use crate::sys::load::{Measure, Readings};
use crate::sys::stat::{self, Stat};
use crate::sys::{descriptor, limits, members, own, ready, signals};

/// The stack that parsing a command line and a tool call need, with room to spare; the usual limit is 8 MiB.
const STACK: u64 = 2 * 1024 * 1024;

/// Runs `main` for a program that the C library starts, and ends the program with its exit code.
///
/// The start-up code of the standard library makes twenty system calls, one of which reads the whole address space, in
/// each front end and in each supervisor. The parts that a program needs are [`open_missing_streams`] and
/// [`survive_writes`].
pub fn run(main: fn() -> ExitCode) -> ! {
    // The exit code that the standard library uses for a panic.
    let code = panic::catch_unwind(main).unwrap_or(ExitCode::from(101));
    // `ExitCode` does not reveal its number.
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    std::process::exit(number.map_or(1, i32::from))
}

/// Opens `/dev/null` in place of standard input, output or error if the caller closed it.
///
/// Must be called before a file is opened, which would get that descriptor.
pub fn open_missing_streams() {
    descriptor::open_missing_streams();
}

/// Turns the limit of file size (`ulimit -f`) and a closed pipe into errors of the write, instead of signals that kill
/// this program.
///
/// Must be called before there are other threads, which would have to do the same. Jobs and other children are started
/// with no signal blocked: nothing changes for them.
pub fn survive_writes() {
    signals::block_those_of_writes();
}

/// Runs the program on a stack that is large enough, whatever the limit (`ulimit -s`).
///
/// The limit applies only to the main thread. For jobs and other children it is unchanged.
pub fn with_enough_stack(program: impl FnOnce() -> ExitCode + Send) -> ExitCode {
    if limits::stack().is_none_or(|limit| limit >= STACK) {
        return program();
    }
    thread::scope(|scope| match thread::Builder::new().stack_size(STACK as usize).spawn_scoped(scope, program) {
        Ok(running) => running.join().unwrap_or(ExitCode::FAILURE),
        Err(error) => {
            let message = format!("too little stack (`ulimit -s`), and no thread can be started: {error}");
            super::Failure::new(super::codes::FAILED, message).report(false)
        }
    })
}

/// Raises this program's limit of open files to the maximum: waiting for a job takes a descriptor, and many shells
/// allow too few for a thousand jobs. Children do not inherit the change: jobs get the limits that they were submitted
/// with.
pub fn raise_open_files() {
    limits::raise_open_files();
}

/// Returns the running program. On Linux this works even if its file has been replaced by an upgrade since.
///
/// # Errors
/// If the system does not report it.
pub fn own_program() -> io::Result<PathBuf> {
    own::program()
}

/// Returns how many processes of this machine were running or runnable, on average over the last minute, if the system
/// reports it.
pub fn load_average() -> Option<f32> {
    Readings::now().get(Measure::Load).map(|load| load as f32)
}

/// Another running program.
#[derive(Debug)]
pub struct Running(Stat);

impl Running {
    /// Returns its arguments, or none if it has ended.
    pub fn arguments(&self) -> Vec<Vec<u8>> {
        stat::arguments(&self.0)
    }

    /// Returns whether its standard input is a terminal, as far as that is visible.
    pub fn reads_terminal(&self) -> bool {
        self.0.reads_terminal()
    }

    /// Returns the value of a variable in its initial environment, as far as that is visible.
    pub fn variable(&self, name: &str) -> Option<String> {
        stat::variable(&self.0, name)
    }
}

/// Returns the ancestors of this program, the nearest first, as far as they are visible.
pub fn ancestors() -> Vec<Running> {
    members::own_line().iter().skip(1).filter_map(|pid| Stat::read(*pid)).map(Running).collect()
}

/// Returns the programs with this name (`comm`, proc_pid_comm(5)) and a controlling terminal, as far as they are
/// visible.
pub fn on_terminals(name: &str) -> Vec<Running> {
    stat::all().into_iter().filter(|stat| stat.name == name && stat.has_terminal()).map(Running).collect()
}

/// Returns when the reader of standard error has closed it. Never returns for a file or a terminal.
pub async fn errors_unread() {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(output) => ready::unread(output).await,
        Err(_) => std::future::pending().await,
    }
}

/// Standard input that is read only while a caller waits for it. The runtime reads its own with a thread, which
/// consumes the next input even if no caller waits for it any longer.
#[derive(Debug)]
pub struct Typed(AsyncFd<OwnedFd>);

impl Typed {
    /// Prepares to read standard input.
    ///
    /// # Errors
    /// If it is a file, which is always readable.
    pub fn new() -> io::Result<Self> {
        Ok(Self(ready::readable(io::stdin().as_fd().try_clone_to_owned()?)?))
    }

    /// Reads what is available, as soon as there is something; 0 bytes at the end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        ready::read(&self.0, bytes).await
    }
}

/// Returns when the writer of standard input has closed its end, even if there is unread input. Never returns for a
/// file, whose end can always be read.
pub async fn input_closed() {
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(input) => ready::closed(input).await,
        Err(_) => std::future::pending().await,
    }
}

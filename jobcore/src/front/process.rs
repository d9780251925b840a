//! What a front end asks of the kernel for its own process.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{io, panic, thread};

use tokio::io::unix::AsyncFd;

use crate::sys::load::{Measure, Readings};
use crate::sys::stat::{self, Stat};
use crate::sys::{descriptor, limits, members, own, ready, signals};

/// What the parser of a command line and a tool call need of the stack, with room to spare; the usual limit is 8 MiB.
const STACK: u64 = 2 * 1024 * 1024;

/// Runs `main` for a program that the C library starts, and ends the program with its exit code.
///
/// The standard library's own start takes twenty system calls, one of which lists the whole address space, in each front end
/// and in each supervisor. Of what it does, a program needs [`open_missing_streams`] and [`survive_writes`].
pub fn run(main: fn() -> ExitCode) -> ! {
    // What the standard library says of a panic.
    let code = panic::catch_unwind(main).unwrap_or(ExitCode::from(101));
    // A code does not tell its number.
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    std::process::exit(number.map_or(1, i32::from))
}

/// Opens `/dev/null` in the place of standard input, output or error where the caller closed it.
///
/// To be called before a file is opened, which would get that place.
pub fn open_missing_streams() {
    descriptor::open_missing_streams();
}

/// Makes the limit of file size (`ulimit -f`) and a pipe that nobody reads errors of the write, and not the death of this
/// program.
///
/// To be called before there are other threads, which would have to do the same. Jobs and other children are started with
/// no signal blocked: to them both are what they always were.
pub fn survive_writes() {
    signals::block_those_of_writes();
}

/// Runs the program on a stack that is large enough, whatever the limit (`ulimit -s`).
///
/// The limit holds for the main thread only. To jobs and other children it is what it always was.
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

/// Lets this program open as many files as it may: a wait for a job takes a descriptor, and a thousand jobs are more than many
/// shells allow by default. Nothing that is started from here inherits the change: jobs get the limits that they were
/// submitted with.
pub fn raise_open_files() {
    limits::raise_open_files();
}

/// Returns the program that is running: on Linux itself, even if its file has been replaced by an upgrade since.
///
/// # Errors
/// If the system does not say.
pub fn own_program() -> io::Result<PathBuf> {
    own::program()
}

/// Returns how many processes of this machine ran or were about to, on average over the last minute, if the system says.
pub fn load_average() -> Option<f32> {
    Readings::now().get(Measure::Load).map(|load| load as f32)
}

/// Another program that runs.
#[derive(Debug)]
pub struct Running(Stat);

impl Running {
    /// Returns its arguments; none if it is gone.
    pub fn arguments(&self) -> Vec<Vec<u8>> {
        stat::arguments(&self.0)
    }

    /// Returns whether its standard input is a terminal, as far as that can be seen.
    pub fn reads_terminal(&self) -> bool {
        self.0.reads_terminal()
    }

    /// Returns the value of a variable in the environment that it was started with, as far as that can be seen.
    pub fn variable(&self, name: &str) -> Option<String> {
        stat::variable(&self.0, name)
    }
}

/// Returns the programs that this one descends from, the nearest first, as far as they can be seen.
pub fn ancestors() -> Vec<Running> {
    members::own_line().iter().skip(1).filter_map(|pid| Stat::read(*pid)).map(Running).collect()
}

/// Returns the programs of this name (`comm`, proc_pid_comm(5)) that a terminal controls, as far as they can be seen.
pub fn on_terminals(name: &str) -> Vec<Running> {
    stat::all().into_iter().filter(|stat| stat.name == name && stat.has_terminal()).map(Running).collect()
}

/// Returns when nobody reads standard error any more. It does not return for a file or a terminal.
pub async fn errors_unread() {
    match io::stderr().as_fd().try_clone_to_owned() {
        Ok(output) => ready::unread(output).await,
        Err(_) => std::future::pending().await,
    }
}

/// Standard input, of which nothing is read unless somebody waits for it. That of the runtime is read by a thread, which takes what
/// comes next even if nobody waits for it any more.
#[derive(Debug)]
pub struct Typed(AsyncFd<OwnedFd>);

impl Typed {
    /// Gets ready to read it.
    ///
    /// # Errors
    /// If it is a file, which can always be read.
    pub fn new() -> io::Result<Self> {
        Ok(Self(ready::readable(io::stdin().as_fd().try_clone_to_owned()?)?))
    }

    /// Reads what there is as soon as there is something; 0 bytes at the end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        ready::read(&self.0, bytes).await
    }
}

/// Returns when whoever writes to standard input has closed its end, also while something is unread. It does not return for a
/// file, whose end can always be read.
pub async fn input_closed() {
    match io::stdin().as_fd().try_clone_to_owned() {
        Ok(input) => ready::closed(input).await,
        Err(_) => std::future::pending().await,
    }
}

//! Starting the command of a job, in the world that its submitter had.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::terminal::Terminal;
use super::{JOB_ID, PARENT_JOB_ID};
use crate::record::Submission;
use crate::spec::{Command, Environment, Stdin};
use crate::store::file::input;
use crate::store::file::layout::AttemptDir;
use crate::sys::spawn::{self, Streams};
use crate::sys::world;

/// By what something can be sent to a job.
#[derive(Debug)]
pub(super) enum Input {
    /// Nothing can.
    None,
    /// A pipe, which is the command's standard input.
    Pipe(input::Open),
    /// A terminal.
    Terminal(Terminal),
}

/// Starts the command as the leader of a session of its own, and returns its process id and how something can be sent to
/// it.
///
/// # Errors
/// Why it could not be started, in words for people.
pub(super) fn start(
    submission: &Submission,
    environment: Environment,
    attempt: &AttemptDir,
    given: &Path,
) -> Result<(i32, Input), String> {
    let spec = &submission.spec;
    if let Some(size) = spec.terminal {
        let terminal =
            Terminal::make(attempt, size).map_err(|error| format!("cannot make a terminal for it: {error}"))?;
        let main = spawn(submission, environment, Streams::Terminal(terminal.device()))?;
        return Ok((main, Input::Terminal(terminal)));
    }
    let open = |path: &Path| File::open(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()));
    let (stdin, input) = match &spec.stdin {
        Stdin::Closed => (open("/dev/null".as_ref())?, Input::None),
        Stdin::File(path) => (open(path)?, Input::None),
        Stdin::Given => (open(given)?, Input::None),
        Stdin::Open => {
            let made = input::Open::make(attempt);
            let (pipe, reader) = made.map_err(|error| format!("cannot make a pipe for its input: {error}"))?;
            (reader, Input::Pipe(pipe))
        }
    };
    // Opened for reading too: a pipe that has a reader within the job breaks for nobody when its supervisor is killed.
    let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
    let pipes = open(&attempt.stdout()).and_then(|stdout| {
        let stderr = if spec.merge { stdout.try_clone()? } else { open(&attempt.stderr())? };
        Ok((stdout, stderr))
    });
    let (stdout, stderr) = pipes.map_err(|error| format!("cannot open the pipes for its output: {error}"))?;
    let streams = Streams::Descriptors([stdin.as_fd(), stdout.as_fd(), stderr.as_fd()]);
    Ok((spawn(submission, environment, streams)?, input))
}

fn spawn(submission: &Submission, environment: Environment, streams: Streams<'_>) -> Result<i32, String> {
    let (mut arguments, variables) = (arguments(submission), variables(submission, environment));
    in_world(submission, || match spawn::session_leader(&submission.program, &arguments, &variables, streams) {
        // A script that names no interpreter: execvp(3) and the shells give it to `sh`.
        Err(error) if error.raw_os_error() == Some(nix::libc::ENOEXEC) => {
            let program = submission.program.as_os_str().as_bytes().to_vec();
            arguments.splice(..1, [b"sh".to_vec(), program]);
            spawn::session_leader("/bin/sh".as_ref(), &arguments, &variables, streams)
        }
        spawned => spawned,
    })
    .map_err(|error| format!("cannot execute `{}`: {error}", submission.program.display()))
}

/// Calls `spawn` with the working directory, umask and limits that the command is to have, and takes them back.
fn in_world<T>(submission: &Submission, spawn: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    std::env::set_current_dir(&submission.spec.cwd)?;
    world::renice(&submission.world);
    let mask = submission.world.umask.map(|umask| rustix::process::umask(rustix::fs::Mode::from_bits_truncate(umask)));
    world::lower_limits(&submission.world);
    let spawned = spawn();
    world::raise_own_limits();
    if let Some(mask) = mask {
        rustix::process::umask(mask);
    }
    std::env::set_current_dir("/")?;
    spawned
}

/// Returns the arguments of the program that a spec runs, the program's own name first.
pub(crate) fn arguments(submission: &Submission) -> Vec<Vec<u8>> {
    match &submission.spec.command {
        Command::Argv(argv) => argv.iter().map(|word| word.clone().into_bytes()).collect(),
        Command::Shell(line) => {
            let shell = submission.program.as_os_str().as_bytes().to_vec();
            // `--`, since a line may begin with a dash.
            vec![shell, b"-c".to_vec(), b"--".to_vec(), line.clone().into_bytes()]
        }
    }
}

/// Returns `NAME=VALUE` for the whole environment of the command.
pub(crate) fn variables(submission: &Submission, mut environment: Environment) -> Vec<Vec<u8>> {
    if let Some(parent) = environment.remove(JOB_ID) {
        environment.set(PARENT_JOB_ID, parent);
    }
    environment.set(JOB_ID, submission.job_id.to_string());
    environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
}

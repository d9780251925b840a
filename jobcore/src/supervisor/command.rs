//! Starting the command of a job, in the world that its submitter had.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::terminal::Terminal;
use crate::environment::Environment;
use crate::job_limits::Limits;
use crate::program::exec;
use crate::queue::Place;
use crate::record::Submission;
use crate::spec::Stdin;
use crate::store::file::input;
use crate::store::file::layout::JobDir;
use crate::sys::spawn::{self, Source};
use crate::sys::{confine, world};

/// How input reaches a job.
#[derive(Debug)]
pub(super) enum Input {
    /// Not at all.
    None,
    /// Through a pipe, which is the command's standard input.
    Pipe(input::Open),
    /// Through a terminal.
    Terminal(Terminal),
}

/// Starts the command as the leader of its own session, and returns its process id and how input reaches it.
///
/// # Errors
/// Why it could not be started, for people.
pub(super) fn start(
    submission: &Submission,
    limits: &Limits,
    environment: Environment,
    place: (&Place, u32),
    job: &JobDir,
) -> Result<(i32, Input), String> {
    let spec = &submission.spec;
    if let Some(size) = spec.terminal {
        let terminal = Terminal::make(job, size).map_err(|error| format!("cannot make a terminal for it: {error}"))?;
        let streams = [Source::ReadWrite(terminal.device()), Source::Same, Source::Same];
        let main = spawn(submission, limits, environment, place, streams)?;
        return Ok((main, Input::Terminal(terminal)));
    }
    let open = |path: &Path| File::open(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()));
    let (stdin, input) = match &spec.stdin {
        Stdin::Closed => (None, Input::None),
        Stdin::File(path) => (Some(open(path)?), Input::None),
        Stdin::Given => (Some(open(&job.given())?), Input::None),
        Stdin::Open => {
            let made = input::Open::make(job);
            let (pipe, reader) = made.map_err(|error| format!("cannot make a pipe for its input: {error}"))?;
            (Some(reader), Input::Pipe(pipe))
        }
    };
    let stdin = stdin.as_ref().map_or(Source::File("/dev/null".as_ref()), |stdin| Source::Descriptor(stdin.as_fd()));
    let (stdout, stderr) = (job.stdout(), job.stderr());
    // Opened for reading too: with a reader inside the job, the pipe does not break when the supervisor is killed.
    let stderr = if spec.merge { Source::Same } else { Source::ReadWrite(&stderr) };
    Ok((spawn(submission, limits, environment, place, [stdin, Source::ReadWrite(&stdout), stderr])?, input))
}

fn spawn(
    submission: &Submission,
    limits: &Limits,
    environment: Environment,
    (place, attempt): (&Place, u32),
    streams: [Source<'_>; 3],
) -> Result<i32, String> {
    let cwd = &submission.spec.cwd;
    std::env::set_current_dir(cwd)
        .map_err(|error| format!("cannot enter the working directory `{}`: {error}", cwd.display()))?;
    let (arguments, variables) =
        (exec::arguments(submission), exec::variables(submission, environment, place, attempt));
    let spawn = |program: &Path, arguments: &[Vec<u8>]| spawn::session_leader(program, arguments, &variables, streams);
    let spawned = world::lend(&submission.world, limits, || execute(&submission.program, arguments, spawn));
    // A supervisor that stays there keeps a file system busy, but the command has been started.
    let _ = std::env::set_current_dir("/");
    let main = spawned.map_err(|error| error.to_string())?.map_err(|error| {
        let reason = match missing(streams) {
            Some(path) => format!("cannot open `{}` for it: {error}", path.display()),
            None => refusal(&submission.program, &error),
        };
        confine::reason(limits, &error).map_or(reason.clone(), |why| format!("{reason}; {why}"))
    })?;
    confine::make_hard(main, limits);
    Ok(main)
}

/// Returns a file that the new process could not open because it does not exist: posix_spawn(3) does not report what
/// failed.
fn missing(streams: [Source<'_>; 3]) -> Option<&Path> {
    streams.into_iter().find_map(|source| match source {
        Source::File(path) | Source::ReadWrite(path) => Some(path).filter(|path| !path.exists()),
        Source::Descriptor(_) | Source::Same => None,
    })
}

/// Executes a program through `spawn`, with these arguments, the first of which is its name. A script that names no
/// interpreter is given to `sh`, as execvp(3) and shells do; posix_spawn(3) does not.
pub(crate) fn execute<T>(
    program: &Path,
    mut arguments: Vec<Vec<u8>>,
    spawn: impl Fn(&Path, &[Vec<u8>]) -> io::Result<T>,
) -> io::Result<T> {
    match spawn(program, &arguments) {
        Err(error) if spawn::is_no_format(&error) => {
            arguments.splice(..1, [b"sh".to_vec(), program.as_os_str().as_bytes().to_vec()]);
            spawn("/bin/sh".as_ref(), &arguments)
        }
        spawned => spawned,
    }
}

/// Returns why a program could not be executed, in words. execve(2) fails the same way if a script or its interpreter
/// is missing.
fn refusal(program: &Path, error: &io::Error) -> String {
    let shown = program.display();
    match interpreter(program).filter(|interpreter| error.kind() == io::ErrorKind::NotFound && !interpreter.exists()) {
        Some(interpreter) => {
            format!("cannot execute `{shown}`: its interpreter `{}` does not exist", interpreter.display())
        }
        None => format!("cannot execute `{shown}`: {error}"),
    }
}

/// Returns the interpreter that a script names in its first line.
fn interpreter(program: &Path) -> Option<PathBuf> {
    // As many bytes as the kernel looks at.
    let mut beginning = Vec::new();
    File::open(program).ok()?.take(256).read_to_end(&mut beginning).ok()?;
    let line = beginning.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let word = line.split(u8::is_ascii_whitespace).find(|word| !word.is_empty())?;
    Some(Path::new(OsStr::from_bytes(word)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_stream_is_reported_instead_of_the_program() {
        let gone = Path::new("/nosuch/pipe");
        let streams = [Source::File("/dev/null".as_ref()), Source::ReadWrite(gone), Source::Same];
        assert_eq!(missing(streams), Some(gone));
        assert_eq!(missing([streams[0], Source::Same, Source::Same]), None);
        assert!(spawn::session_leader("/bin/true".as_ref(), &[b"true".to_vec()], &[], streams).is_err());
    }
}

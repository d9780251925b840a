//! Checks of a command before it is submitted.

// In the order in which to read them:
// - `first_command.rs`: the first command of a shell line
// - `pipefail.rs`: whether every part of a pipe counts
// - `exec.rs`: the arguments and the environment that the kernel gets

pub(crate) mod exec;
mod first_command;
mod pipefail;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::record::Submission;
use crate::spec::{Command, JobSpec, Stdin, shell_words};
use crate::sys::confine;
use crate::sys::spawn;
use crate::sys::user::{self, Deed};
use crate::words::quoted;
use first_command::{FirstCommand, first_command};

/// The search path of execvp(3) if there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

impl JobSpec {
    /// Returns why the shell may not find the first command of a line: it is neither a program in the `PATH` of the job
    /// nor one of the shell's own commands. Returns `None` if that cannot be decided from the words alone, and for a
    /// line of one word, which [`JobManager::submit`](crate::JobManager::submit) refuses in that case.
    pub fn doubt(&self) -> Option<Error> {
        first_command(self).filter(|first| !first.is_a_word()).and_then(|first| first.lookup(self))
    }
}

/// Checks the programs and paths that `spec` names on this machine, and returns the program to execute.
pub(crate) fn check(spec: &mut JobSpec) -> Result<PathBuf> {
    if let Some(adoption) = &spec.adopts {
        // The process is already running.
        let program = fs::read_link(format!("/proc/{}/exe", adoption.process.pid));
        return Ok(program.unwrap_or_default());
    }
    check_cwd(&spec.cwd)?;
    confine::check(&spec.limits)?;
    if let Some(error) = first_command(spec).filter(FirstCommand::is_a_word).and_then(|word| word.lookup(spec)) {
        return Err(error);
    }
    if let Stdin::File(path) = &spec.stdin {
        let path = spec.cwd.join(path);
        check_input(&path)?;
        spec.stdin = Stdin::File(path);
    }
    match (&spec.command, &spec.shell) {
        (Command::Argv(argv), _) => {
            find(OsStr::new(argv.first().map_or("", String::as_str)), &spec.cwd, &spec.environment)
        }
        (Command::Shell(_), shell) => {
            let find = |name: &str| find(name.as_ref(), &spec.cwd, &spec.environment);
            let (program, options) = match shell {
                Some(shell) => {
                    let words = shell_words(shell).map_err(|reason| Error::InvalidSpec { field: "shell", reason })?;
                    (find(&words[0])?, words[1..].to_vec())
                }
                None => (find("bash").or_else(|_| find("sh"))?, Vec::new()),
            };
            let options = pipefail::options(&program, options, spec.pipefail)?;
            let words = [program.to_string_lossy().into_owned()].into_iter().chain(options);
            spec.shell = Some(words.map(|word| quoted(&word)).collect::<Vec<_>>().join(" "));
            Ok(program)
        }
    }
}

/// Checks that the kernel will accept the arguments and the environment, execve(2).
pub(crate) fn check_size(submission: &Submission) -> Result<()> {
    let Some(limit) = spawn::longest() else { return Ok(()) };
    let size = |words: Vec<Vec<u8>>| words.iter().map(|word| word.len() + 1 + size_of::<usize>()).sum::<usize>();
    let arguments = size(exec::arguments(submission));
    let environment =
        size(exec::variables(submission, submission.spec.environment.clone(), &submission.spec.first_place(), 1));
    if arguments + environment > limit {
        let reason = format!(
            "{arguments} bytes of arguments and {environment} of environment, but the kernel accepts {limit} in total; \
             put some of it into a file"
        );
        return Err(Error::InvalidSpec { field: "command", reason });
    }
    Ok(())
}

fn check_cwd(cwd: &Path) -> Result<()> {
    let refuse = |reason: String| Err(Error::BadCwd { path: cwd.to_owned(), reason });
    match fs::metadata(cwd) {
        Err(error) => refuse(error.to_string()),
        Ok(metadata) if !metadata.is_dir() => refuse("it is not a directory".to_owned()),
        Ok(_) if !user::may(Deed::Execute, cwd) => refuse("no permission to enter it".to_owned()),
        Ok(_) => Ok(()),
    }
}

fn check_input(path: &Path) -> Result<()> {
    let refuse = |reason: String| {
        let reason = format!("`{}`: {reason}", path.display());
        Err(Error::InvalidSpec { field: "stdin", reason })
    };
    match fs::metadata(path) {
        Err(error) => refuse(error.to_string()),
        Ok(metadata) if metadata.is_dir() => refuse("it is a directory".to_owned()),
        Ok(_) if !user::may(Deed::Read, path) => refuse("no permission to read it".to_owned()),
        Ok(_) => Ok(()),
    }
}

/// Finds a program as execvp(3) would with the environment and the directory of the job.
pub(crate) fn find(program: &OsStr, cwd: &Path, environment: &Environment) -> Result<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        let path = cwd.join(program);
        return match refusal(&path) {
            None => Ok(path),
            Some(Refusal { reason, .. }) => Err(Error::NotExecutable { path, reason }),
        };
    }
    let search = environment.get("PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut unusable = None;
    for directory in std::env::split_paths(search) {
        let path = cwd.join(directory).join(program);
        match refusal(&path) {
            None => return Ok(path),
            Some(Refusal { is_there: true, reason }) if unusable.is_none() => {
                unusable = Some(Error::NotExecutable { path, reason });
            }
            Some(_) => {}
        }
    }
    Err(unusable.unwrap_or_else(|| Error::ProgramNotFound {
        program: program.to_string_lossy().into_owned(),
        path: search.to_string_lossy().into_owned(),
    }))
}

/// Why a file cannot be executed, and whether it exists.
struct Refusal {
    is_there: bool,
    reason: String,
}

fn refusal(path: &Path) -> Option<Refusal> {
    let reason = match fs::metadata(path) {
        Err(error) => return Some(Refusal { is_there: false, reason: error.to_string() }),
        Ok(metadata) if metadata.is_dir() => "it is a directory",
        Ok(metadata) if !metadata.is_file() => "it is not a regular file",
        Ok(_) if !user::may(Deed::Execute, path) => "permission denied; try `chmod +x`",
        Ok(_) => return None,
    };
    Some(Refusal { is_there: true, reason: reason.to_owned() })
}

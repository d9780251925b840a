//! The command of a job as a child of this program.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncRead;

use crate::environment::{Environment, assignment};
use crate::output::Stream;
use crate::program::exec;
use crate::queue::Place;
use crate::signal::Signal;
use crate::spec::Stdin;
use crate::store::JobClaim;
use crate::supervisor;
use crate::sys::confine;
use crate::sys::process::{self, ProcessId};

/// The command, and the pipes for its output.
pub(super) struct Child {
    pub(super) process: tokio::process::Child,
    pub(super) pid: i32,
    pub(super) identity: Option<ProcessId>,
    pub(super) outputs: [Option<Output>; 2],
}

pub(super) type Output = (Stream, Box<dyn AsyncRead + Send + Sync + Unpin>);

/// Starts the command of a job.
///
/// # Errors
/// Why it could not be started, for people.
pub(super) fn spawn(
    claim: &dyn JobClaim,
    environment: Environment,
    (place, attempt): (&Place, u32),
    stdin: Option<OwnedFd>,
) -> Result<Child, String> {
    let submission = claim.submission();
    let spec = &submission.spec;
    if spec.terminal.is_some() {
        return Err("only a detached supervisor can give a job a terminal".to_owned());
    }
    // Before anything runs, as far as this can be known.
    confine::check(&spec.limits).map_err(|error| error.to_string())?;
    let variables = exec::variables(submission, environment, place, attempt);
    let stdin = match (&spec.stdin, stdin) {
        (_, Some(pipe)) => Some(pipe),
        (Stdin::Closed | Stdin::Open | Stdin::Given, None) => None,
        (Stdin::File(path), None) => {
            Some(File::open(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?.into())
        }
    };
    let merged = match spec.merge {
        false => None,
        true => Some(std::io::pipe().map_err(|error| format!("cannot make a pipe: {error}"))?),
    };
    let start = |program: &Path, arguments: &[Vec<u8>]| {
        let mut arguments = arguments.iter().map(|word| OsStr::from_bytes(word));
        let mut command = std::process::Command::new(program);
        command.arg0(arguments.next().unwrap_or_default()).args(arguments);
        command.current_dir(&spec.cwd).env_clear().process_group(0);
        for variable in &variables {
            command.envs(assignment(OsStr::from_bytes(variable)));
        }
        command.stdin(match &stdin {
            Some(file) => file.try_clone()?.into(),
            None => Stdio::null(),
        });
        match &merged {
            Some((_, writer)) => command.stdout(writer.try_clone()?).stderr(writer.try_clone()?),
            None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        };
        tokio::process::Command::from(command).spawn()
    };
    let mut process = supervisor::execute(&submission.program, exec::arguments(submission), start)
        .map_err(|error| format!("cannot execute `{}`: {error}", submission.program.display()))?;
    let merged = merged.map(|(reader, _)| reader);
    let pid = process.id().and_then(|pid| pid.try_into().ok()).unwrap_or(0);
    let identity = process::identify(pid).ok();
    if let Err(error) = confine::give(pid, &spec.limits) {
        // It leads its own process group.
        let _ = process::signal_group(pid, Signal::KILL);
        return Err(error.to_string());
    }
    let outputs = match merged {
        Some(reader) => {
            let reader = OwnedFd::from(reader);
            let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader).map_err(|error| error.to_string())?;
            [Some((Stream::Stdout, Box::new(reader) as Box<dyn AsyncRead + Send + Sync + Unpin>)), None]
        }
        None => [
            process.stdout.take().map(|pipe| (Stream::Stdout, Box::new(pipe) as _)),
            process.stderr.take().map(|pipe| (Stream::Stderr, Box::new(pipe) as _)),
        ],
    };
    Ok(Child { process, pid, identity, outputs })
}

//! What the kernel is given to execute, execve(2).

use std::os::unix::ffi::OsStrExt;

use crate::environment::{Environment, GROUP, JOB_ID, PARENT_JOB_ID};
use crate::record::Submission;
use crate::spec::{Command, shell_words};

/// Returns the arguments of the program that a spec runs, the program's own name first.
pub(crate) fn arguments(submission: &Submission) -> Vec<Vec<u8>> {
    match &submission.spec.command {
        Command::Argv(argv) => argv.iter().map(|word| word.clone().into_bytes()).collect(),
        Command::Shell(line) => {
            let shell = submission.program.as_os_str().as_bytes().to_vec();
            // Only where the line would be taken for an option: not every shell knows what it means.
            let dashes = line.starts_with(['-', '+']).then(|| b"--".to_vec());
            let words = [shell].into_iter().chain(shell_options(submission)).chain([b"-c".to_vec()]);
            words.chain(dashes).chain([line.clone().into_bytes()]).collect()
        }
    }
}

fn shell_options(submission: &Submission) -> Vec<Vec<u8>> {
    let shell = submission.spec.shell.as_deref();
    // Earlier versions put the path on record as it is, and knew of no options.
    let words = shell.filter(|shell| submission.program.to_str() != Some(shell)).map(shell_words);
    words.and_then(Result::ok).into_iter().flatten().skip(1).map(String::into_bytes).collect()
}

/// Returns `NAME=VALUE` for the whole environment of the command.
pub(crate) fn variables(submission: &Submission, mut environment: Environment) -> Vec<Vec<u8>> {
    if let Some(parent) = environment.remove(JOB_ID) {
        environment.set(PARENT_JOB_ID, parent);
    }
    environment.set(JOB_ID, submission.job_id.to_string());
    // Not that of the job which submitted this one.
    environment.remove(GROUP);
    if let Some(group) = &submission.spec.group {
        environment.set(GROUP, group.as_str());
    }
    environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
}

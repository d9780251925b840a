//! The arguments and the environment that the kernel gets, execve(2).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::environment::{ATTEMPT, Environment, GROUP, JOB_ID, PARENT_JOB_ID, RESOURCE, SLOT};
use crate::queue::{Place, Resource};
use crate::record::Submission;
use crate::spec::{Command, shell_words};

/// Returns the arguments of the program that a spec runs, beginning with the program's own name.
pub(crate) fn arguments(submission: &Submission) -> Vec<Vec<u8>> {
    match &submission.spec.command {
        Command::Argv(argv) => argv.iter().map(|word| word.clone().into_bytes()).collect(),
        Command::Shell(line) => {
            let shell = submission.program.as_os_str().as_bytes().to_vec();
            // Only if the line would be taken for an option: not every shell understands `--`.
            let dashes = line.starts_with(['-', '+']).then(|| b"--".to_vec());
            let words = [shell].into_iter().chain(shell_options(submission)).chain([b"-c".to_vec()]);
            words.chain(dashes).chain([line.clone().into_bytes()]).collect()
        }
    }
}

fn shell_options(submission: &Submission) -> Vec<Vec<u8>> {
    let shell = submission.spec.shell.as_deref();
    // Earlier versions recorded only the path and had no options.
    let words = shell.filter(|shell| submission.program.to_str() != Some(shell)).map(shell_words);
    words.and_then(Result::ok).into_iter().flatten().skip(1).map(String::into_bytes).collect()
}

/// Returns `NAME=VALUE` for the whole environment of the command of a job with this place and attempt.
pub(crate) fn variables(
    submission: &Submission,
    mut environment: Environment,
    place: &Place,
    attempt: u32,
) -> Vec<Vec<u8>> {
    if let Some(parent) = environment.remove(JOB_ID) {
        environment.set(PARENT_JOB_ID, parent);
    }
    environment.set(JOB_ID, submission.job_id.to_string());
    // Variables that the submitting job was given do not apply to this one.
    let is_given = |name: &OsStr| {
        [GROUP, SLOT, ATTEMPT].iter().any(|given| name == *given) || name.as_bytes().starts_with(RESOURCE.as_bytes())
    };
    let inherited: Vec<_> = environment.iter().map(|(name, _)| name.to_owned()).filter(|name| is_given(name)).collect();
    for name in inherited {
        environment.remove(name);
    }
    if let Some(group) = &submission.spec.group {
        environment.set(GROUP, group.as_str());
    }
    if let Some(slot) = place.slot {
        environment.set(SLOT, slot.to_string());
    }
    if submission.spec.restart.is_some() {
        environment.set(ATTEMPT, attempt.to_string());
    }
    for resource in place.units.keys() {
        let units: Vec<_> = place.units_of(resource).map(|unit| unit.to_string()).collect();
        environment.set(format!("{RESOURCE}{}", variable_name(resource)), units.join(","));
    }
    environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).collect()
}

/// Returns the name of a resource as a part of a variable name: `port:3000` is `PORT_3000`.
fn variable_name(resource: &Resource) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    resource.as_str().chars().map(letter).collect()
}

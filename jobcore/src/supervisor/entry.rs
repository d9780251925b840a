//! How a supervisor begins: depending on its records it starts the command, takes over what may have been started, or
//! does neither.

use std::fs::File;
use std::time::Duration;

use super::adopt;
use super::companion::Companion;
use super::outcome::{error_chain, failure, record};
use super::run::Supervisor;
use super::stranger;
use super::tend::prune;
use super::watched::Watched;
use crate::clock::Timestamp;
use crate::error::{IoContext, Result};
use crate::record::{Ended, RECORD_VERSION, Start, Submission};
use crate::store::file::{JobFile, Records, control};
use crate::sys::process::ProcessId;
use crate::sys::{heap, namespace};

/// Runs the job to its end. The lock is released when this returns and the process ends.
pub(super) fn supervise(records: &Records) -> Result<()> {
    let read = records.read()?;
    let submission = read.submission()?;
    if submission.v > RECORD_VERSION {
        // A newer version wrote this; the job stays queued for a supervisor that understands it.
        return Ok(());
    }
    // A front end starts no supervisor if this fails: given processes of another namespace, it would stop strangers.
    namespace::check_proc()?;
    let holder = ProcessId::of_this_program()?;
    let control_path = records.job.control();
    let control = control::listen(&control_path).context("make the pipe", &control_path);
    match records.started(&read)? {
        Some(before) => adopt::take_over(records, &read, &submission, (before, holder), control)?,
        None if matches!(Companion::of(submission.spec.ends_with.as_ref()), Companion::Gone) => {
            record(records, &Companion::unstarted());
        }
        None => start(records, read, &submission, holder, control)?,
    }
    records.remove_pipes();
    prune(records);
    Ok(())
}

/// Starts the command, and watches it to its end.
// A function of its own, so that more of the stack is left while the records are read.
#[inline(never)]
fn start(
    records: &Records,
    read: JobFile,
    submission: &Submission,
    holder: ProcessId,
    control: Result<File>,
) -> Result<()> {
    let start = Start::new(holder, true, Timestamp::now());
    records.start(&start)?;
    let start_command = || match &submission.spec.adopts {
        Some(adoption) => stranger::take_charge(records, submission, adoption),
        None => Watched::start(records, &read, submission, start.attempt),
    };
    let started = control.and_then(|control| Ok((control, start_command()?)));
    // Starting the command needed more memory than anything from here on.
    drop(read);
    heap::trim();
    match started {
        Ok((control, Ok(watched))) => {
            Supervisor::new(records, submission, start, control, watched, Duration::ZERO).run();
        }
        Ok((_, Err(reason))) => record(records, &Ended::new(None, failure(&reason))),
        Err(error) => record(records, &Ended::new(None, failure(&error_chain(&error)))),
    }
    Ok(())
}

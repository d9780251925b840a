//! The result of a verb: an exit code, and messages on standard error.

use std::io::Write;
use std::process::ExitCode;

use crate::progress;
use jobcore::Job;
use jobcore::front::text::message;
use jobcore::front::{Failure, codes};

pub(crate) type Result<T = ExitCode> = std::result::Result<T, Failure>;

/// Returns the exit code for the end of a job.
pub(super) fn code_of(job: &Job) -> u8 {
    let code = job.state.outcome().and_then(jobcore::Outcome::shell_code);
    // Exit codes have 8 bits; a larger number cannot be one.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(codes::OWN_FAILURE)
}

/// Prints a message on standard error, apart from the data.
pub(super) fn tell(text: &str) {
    // If standard error cannot be written, there is no one to notify.
    progress::above(|| drop(writeln!(anstream::stderr(), "{}", message(text))));
}

/// Waits for a future or for Ctrl-C. After Ctrl-C, prints how to come back, and returns the exit code for that.
pub(super) async fn unless_interrupted<T>(
    job: &str,
    what: impl Future<Output = Result<T>>,
) -> Result<std::result::Result<T, ExitCode>> {
    tokio::select! {
        done = what => done.map(Ok),
        _ = tokio::signal::ctrl_c() => {
            // Start a new line after the `^C` that the terminal shows.
            progress::above(|| drop(writeln!(std::io::stderr())));
            tell(&format!("detached; nothing was stopped. Come back with `jobcli wait {job}` or `jobcli tail -f {job}`"));
            Ok(Err(ExitCode::from(codes::DETACHED)))
        }
    }
}

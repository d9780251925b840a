//! What a verb comes to: an exit code, and what a person is told beside the data.

use std::io::Write;
use std::process::ExitCode;

use jobcore::Job;
use jobcore::front::text::message;
use jobcore::front::{Failure, codes};

pub(crate) type Result<T = ExitCode> = std::result::Result<T, Failure>;

/// Returns the exit code that stands for the end of a job.
pub(super) fn code_of(job: &Job) -> u8 {
    let code = job.state.outcome().and_then(jobcore::Outcome::shell_code);
    // A process exits with 8 bits; what cannot be one of them was none.
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(codes::OWN_FAILURE)
}

/// Says something to a person: on standard error, so that it is no part of the data.
pub(super) fn tell(text: &str) {
    // Where it cannot be told, nobody listens.
    let _ = writeln!(anstream::stderr(), "{}", message(text));
}

/// Waits for something, or for Ctrl-C: then says how to come back, and ends with the code for that.
pub(super) async fn unless_interrupted<T>(
    job: &str,
    what: impl Future<Output = Result<T>>,
) -> Result<std::result::Result<T, ExitCode>> {
    tokio::select! {
        done = what => done.map(Ok),
        _ = tokio::signal::ctrl_c() => {
            // Behind the `^C` that the terminal shows.
            let _ = writeln!(std::io::stderr());
            tell(&format!("detached; nothing was stopped. Come back with `jobcli wait {job}` or `jobcli tail -f {job}`"));
            Ok(Err(ExitCode::from(codes::DETACHED)))
        }
    }
}
